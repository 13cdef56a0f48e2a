"""Which candidates `--candidates` names."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from birthmark.errors import BirthmarkError
from birthmark.inputs.candidates import Candidates, candidate_spec, load_candidates
from birthmark.inputs.lexicons import Lexicon

ONE = Lexicon("one", {"love": ("C",), "lov*": ("C",), "power": ("A",)}, False, None, None, "test")
TWO = Lexicon("two", {"power": ("P",), "peace": ("Q",)}, False, None, None, "test")
WORDS = ("love", "power", "peace")


@pytest.mark.parametrize(
    ("spec", "kind", "vocabulary", "words"),
    [
        (None, "logprob", True, WORDS),
        (None, "reward", False, WORDS),
        ("lexicon", "logprob", False, WORDS),
        ("lexicon", "reward", False, WORDS),
        ("vocabulary", "logprob", True, WORDS),
        ("vocabulary", "reward", True, ()),
        ("love,freedom", "reward", False, ("love", "freedom")),
        (" love , freedom,love,", "logprob", False, ("love", "freedom")),
    ],
)
def test_what_is_named(
    spec: str | None, kind: Literal["reward", "logprob"], vocabulary: bool, words: tuple[str, ...]
) -> None:
    candidates = load_candidates(spec, [ONE, TWO], kind)
    assert (candidates.vocabulary, candidates.words) == (vocabulary, words)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_file_keeps_spaces_and_order_and_loses_repeats_and_empty_lines(tmp_path: Path, end: str) -> None:
    lines = [" love", "love", "LOVE ", "", "love", "\tand, or", "null", "\u2028", "*", "é"]
    path = tmp_path / "mine.txt"
    path.write_bytes(end.join(lines).encode())
    candidates = load_candidates(str(path), [ONE], "logprob")
    assert candidates.words == (" love", "love", "LOVE ", "\tand, or", "null", "*", "é")
    assert candidates.notes == ("mine.txt: 1 candidate with nothing visible, left out: U+2028",)
    assert not candidates.vocabulary
    assert candidates.name == "mine"


def test_a_byte_order_mark_is_no_part_of_the_first_candidate(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(b"\xef\xbb\xbflove\n")
    assert load_candidates(str(path), [], "reward").words == ("love",)


def test_a_file_needs_no_suffix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "words").write_text("peace\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_candidates("words", [], "reward").words == ("peace",)


@pytest.mark.parametrize(
    "spec", ["missing.txt", "folder/missing", "words.tx", "words.dat", "cands.cvs", "my-words.list"]
)
def test_what_can_only_be_a_file_must_be_there(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BirthmarkError, match="does not exist"):
        load_candidates(spec, [ONE], "reward")


def test_a_list_longer_than_a_files_name_is_words() -> None:
    assert len(load_candidates(",".join(f"word{number}" for number in range(5000)), [], "reward").words) == 5000


def test_a_stem_is_no_candidate() -> None:
    with pytest.raises(BirthmarkError, match=r'"lov\*" is a stem'):
        load_candidates("lov*,power", [ONE], "reward")


def test_a_lexicon_of_stems_alone_leaves_nothing_to_score() -> None:
    stems = Lexicon("stems", {"lov*": ("C",)}, False, None, None, "test")
    with pytest.raises(BirthmarkError, match="only stems"):
        load_candidates(None, [stems], "reward")
    assert load_candidates(None, [stems], "logprob") == Candidates(True, (), "vocabulary")


@pytest.mark.parametrize("spec", ["", ",", " , "])
def test_naming_no_words_is_an_error(spec: str) -> None:
    with pytest.raises(BirthmarkError, match="names no words"):
        load_candidates(spec, [ONE], "reward")


def test_the_digest_is_of_what_is_scored() -> None:
    one = Candidates(False, ("a", "b"), "x")
    assert one.sha256 == Candidates(False, ("a", "b"), "y").sha256
    others = (Candidates(True, ("a", "b"), "x"), Candidates(False, ("b", "a"), "x"), Candidates(False, ("ab",), "x"))
    assert one.sha256 not in {other.sha256 for other in others}


# ------------------------------------------------------------------------------------- as strangers give them


def words(spec: str | list[str]) -> tuple[str, ...]:
    return load_candidates(candidate_spec(spec), [ONE], "reward").words


def test_a_lists_elements_are_literal() -> None:
    assert words(["love", "I think, yes!", " freedom"]) == ("love", "I think, yes!", " freedom")
    assert words(["lexicon"]) == ("lexicon",)
    assert words(["wrods.csv"]) == ("wrods.csv",)


def test_invisible_characters_are_dropped_wherever_candidates_come_from(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("\u200blove\ncafe\u0301\ncafé\n\u00a0peace\n", encoding="utf-8")
    for spec in (
        str(path),
        "\u200blove,cafe\u0301,café,\u00a0peace",
        ("\u200blove", "cafe\u0301", "café", "\u00a0peace"),
    ):
        found = load_candidates(spec, [], "logprob")
        assert found.words == ("love", "café", "peace")
        assert len(found.notes) == 3
    assert load_candidates(str(path), [], "reward").notes[0].startswith("mine.txt: 1 candidate with invisible")


def test_a_lexicons_notes_go_with_its_words() -> None:
    noted = replace(ONE, notes=("one: 1 word with …",))
    assert load_candidates("lexicon", [noted], "reward").notes == noted.notes
    assert load_candidates("vocabulary", [noted], "reward").notes == ()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("wrods.csv", "wrods.csv does not exist: did you mean words.csv?"),
        ("word.csv", "did you mean words.csv?"),
        ("list.parquet", "does not exist: give a candidates file"),
        ("C:\\words", "does not exist"),
        ("a.txt,b.txt", "names several files"),
        ("lexicons", "did you mean lexicon?"),
        ("Lexicon", "did you mean lexicon?"),
        ("lexcion", "did you mean lexicon?"),
        ("vocabulry", "did you mean vocabulary?"),
        ("vocabularies", "did you mean vocabulary?"),
        ("vocab", "did you mean vocabulary?"),
        ("lexicon,vocabulary", "did you mean lexicon?"),
    ],
)
def test_a_mistyped_file_or_keyword_is_no_word(
    spec: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "words.csv").write_text("word\nlove\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BirthmarkError) as caught:
        words(spec)
    assert message in str(caught.value)


def test_in_a_list_of_several_a_word_is_a_word() -> None:
    assert words("lexicons,love") == ("lexicons", "love")
    assert words("readme.md,love") == ("readme.md", "love")
    assert words("mexican") == ("mexican",)


def test_a_csv_of_one_column_loses_its_header_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_text('word\nlove\n"yes, sir"\n', encoding="utf-8")
    with pytest.raises(BirthmarkError, match="several columns"):
        (tmp_path / "two.csv").write_text("love;1\n", encoding="utf-8")
        words(str(tmp_path / "two.csv"))
    assert words(str(path)) == ("love", "yes, sir")


@pytest.mark.parametrize("given", [[1, 2], 3, [None], [b"love"], {"love": 1}])
def test_a_candidate_is_text(given: object) -> None:
    with pytest.raises(BirthmarkError, match="a candidate is text"):
        candidate_spec(given)
