"""What `lexicons check` tells an author."""

from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicon_check import LexiconFinding, check_lexicon, single_tokens
from birthmark.inputs.lexicons import Lexicon, load_lexicon

PADDING = "".join(f"{word},A\n{word[::-1]},B\n" for word in ("abcde", "bcdef", "cdefg", "defgh", "efghi"))


def check(folder: Path, text: str, name: str = "mine.csv", **options: object) -> list[LexiconFinding]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return check_lexicon(path, **options)  # type: ignore[arg-type]


def found(findings: list[LexiconFinding], message: str) -> LexiconFinding:
    (finding,) = (finding for finding in findings if message in finding.message)
    return finding


def test_ids_that_the_header_lacks_are_all_named(tmp_path: Path) -> None:
    findings = check(tmp_path, "%\n1 A\n%\nlove 1\npower 2\nfame 3\n", "mine.dic")
    assert findings == [
        LexiconFinding(
            "error", "category ids that the header does not declare", ("2 of power (line 5)", "3 of fame (line 6)")
        )
    ]


def test_what_keeps_a_lexicon_from_being_read_is_an_error_here_too(tmp_path: Path) -> None:
    for text in ("word,category\nlo*e,A\nlove,B\n", "word,category\n"):
        (finding,) = check(tmp_path, text)
        assert finding.level == "error"
        with pytest.raises(BirthmarkError):
            load_lexicon(tmp_path / "mine.csv")


def test_a_file_that_is_no_lexicon_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(BirthmarkError, match="has the header"):
        check(tmp_path, "a,b\n1,2\n")


def test_repeated_rows_are_named(tmp_path: Path) -> None:
    finding = found(check(tmp_path, "word,category\nlove,A\nlove,A\nlove,B\n"), "twice")
    assert (finding.level, finding.words) == ("warning", ("love (A)",))


def test_overlaps_are_named(tmp_path: Path) -> None:
    finding = found(check(tmp_path, "word,category\nlove,A\nlove,B\npower,A\n"), "several categories")
    assert (finding.level, finding.words) == ("note", ("love",))


def test_words_without_a_category_are_named(tmp_path: Path) -> None:
    finding = found(check(tmp_path, "DicTerm,A,B\nlove,X,\npower,,\nfame,,X\n", "mine.dicx"), "without a category")
    assert finding.words == ("power",)


def test_words_that_differ_in_case_alone_are_named(tmp_path: Path) -> None:
    assert found(check(tmp_path, "word,category\nLove,A\nlove,A\npower,B\n"), "only in case").words == ("Love", "love")


def test_small_categories_are_named(tmp_path: Path) -> None:
    assert found(check(tmp_path, "word,category\nlove,A\npower,B\n"), "fewer than 10").words == ("A (1)", "B (1)")


def test_one_category_has_nothing_beside_it(tmp_path: Path) -> None:
    assert found(check(tmp_path, "word,category\nlove,A\npower,A\n"), "only one category").words == ("A",)


def test_stems_are_explained(tmp_path: Path) -> None:
    findings = check(tmp_path, "word,category\nlov*,A\npow*,B\n")
    assert found(findings, "stems match").words == ("lov*", "pow*")
    assert found(findings, "only stems").level == "warning"


def test_categories_that_differ_in_length_are_named(tmp_path: Path) -> None:
    text = "word,category\nlove,A\npeace,A\nhome,A\nachievement,B\nindependence,B\naccomplishment,B\n"
    finding = found(check(tmp_path, text), "length")
    assert finding.level == "warning"
    assert "B 12.33, A 4.33" in finding.message  # (11 + 12 + 14) / 3 and (4 + 5 + 4) / 3


def test_categories_that_differ_in_frequency_are_named(tmp_path: Path) -> None:
    text = "word,category\nhouse,A\nwater,A\npeople,A\nlurid,B\nquaff,B\nopaque,B\n"
    assert found(check(tmp_path, text), "frequency").level == "warning"


def test_categories_that_do_not_differ_are_not(tmp_path: Path) -> None:
    assert [f for f in check(tmp_path, "word,category\n" + PADDING) if "differ in length" in f.message] == []


def test_words_that_are_no_token_of_any_model_are_named(tmp_path: Path) -> None:
    tokens = {"one": {" love", "pow"}, "two": {"power", "ove"}}
    findings = check(tmp_path, "word,category\nlove,A\npower,B\nglory,B\n", tokens_by_model=tokens)
    assert found(findings, "not a token of any model").words == ("glory",)
    assert found(findings, "single tokens in one").message.endswith("A 1 of 1, B 0 of 2")


def test_single_tokens_are_counted_by_category() -> None:
    lexicon = Lexicon("mine", {"love": ("A", "B"), "power": ("B",), "pow*": ("B",)}, False, None, None, "test")
    assert single_tokens(lexicon, {" love", "power"}) == {"A": 1, "B": 2}


def test_errors_come_first_and_a_finding_reads_as_a_line() -> None:
    finding = LexiconFinding("warning", "too many", tuple("abcdefghij"))
    assert str(finding) == "warning: too many: a, b, c, d, e, f, g, h (and 2 more)"
