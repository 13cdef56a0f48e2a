"""Which candidates `--candidates` names."""

from pathlib import Path
from typing import Literal

import pytest

from birthmark.errors import BirthmarkError
from birthmark.inputs.candidates import Candidates, load_candidates
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


@pytest.mark.parametrize("end", ["\n", "\r\n"])
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


@pytest.mark.parametrize("spec", ["missing.txt", "folder/missing"])
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
