"""What a lexicon answers: matching, restriction, folding, digests; and names."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon, fold_foundations, load_lexicon


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
