"""Each lexicon layout is read to the same words and categories; the published files against Python's own csv module."""

import csv
from pathlib import Path

import pytest

from birthmark.inputs.lexicons import load_lexicon

EXPECTED = {"power": ("Agency",), "love": ("Communion",), "lead*": ("Agency", "Communion")}
LAYOUTS = {
    "pairs.csv": "word,category\npower,Agency\nlove,Communion\nlead*,Agency\nlead*,Communion\n",
    "published.csv": '"Category","token_decoded"\n"Agency","power"\n"Communion","love"\n"Agency","lead*"\n"Communion","lead*"\n',
    "expanded.csv": '"DicTerm","Agency","Communion"\n"power","X",NA\n"love",NA,"X"\n"lead*","X","X"\n',
    "tabs.dic": "%\n1\tAgency\n2\tCommunion\n%\npower\t1\nlove\t2\nlead*\t1\t2\n",
    "spaces.dic": "%\n1 Agency\n2 Communion\n%\npower 1\nlove   2\nlead* 1 2\n",
    "windows.dic": "%\r\n1\tAgency\r\n2\tCommunion\r\n%\r\npower\t1\r\nlove\t2\r\nlead*\t1\t2\r\n",
    "indented.dic": "%\n\t1\tAgency\t(Getting ahead)\n\t2\tCommunion\t(Getting along)\n%\n\npower\t1\nlove\t2\nlead*\t1 2\n",
    "table.dicx": "DicTerm,Agency,Communion\npower,X,\nlove,,X\nlead*,X,X\n",
    "bom.csv": "\ufeffword,category\r\npower,Agency\r\nlove,Communion\r\nlead*,Agency\r\nlead*,Communion\r\n",
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_says_the_same(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(LAYOUTS[name].encode())
    lexicon = load_lexicon(path)
    assert lexicon.entries == EXPECTED
    assert list(lexicon.entries) == list(EXPECTED)
    assert lexicon.name == name.partition(".")[0]
    assert not lexicon.validated


@pytest.mark.parametrize("separator", ["\t", " "])
def test_a_dic_word_may_have_spaces(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "phrases.dic"
    path.write_text(f"%\n1{separator}Communion\n%\ncommon good{separator}1\n", encoding="utf-8")
    assert load_lexicon(path).entries == {"common good": ("Communion",)}


def test_ids_keep_their_leading_zeros(tmp_path: Path) -> None:
    path = tmp_path / "zeros.dic"
    path.write_text("%\n01\tCare\n02\tFairness\n%\nkind\t01\nfair 02\n", encoding="utf-8")
    assert load_lexicon(path).entries == {"kind": ("Care",), "fair": ("Fairness",)}


@pytest.mark.parametrize("word", ["null", "NA", "nan", "true", "None", "1", "1e5"])
def test_a_word_that_looks_like_something_else_is_a_word(tmp_path: Path, word: str) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(f"word,category\n{word},Agency\nlove,Communion\n", encoding="utf-8")
    assert load_lexicon(path).words == (word, "love")


def test_case_stays_and_white_space_around_a_word_goes(tmp_path: Path) -> None:
    path = tmp_path / "case.csv"
    path.write_text("Word, Category\n Love ,Communion\nlove,Communion\n", encoding="utf-8")
    assert load_lexicon(path).words == ("Love", "love")


def test_a_quoted_comma_is_part_of_the_word(tmp_path: Path) -> None:
    path = tmp_path / "comma.csv"
    path.write_text('word,category\n"give, and take",Communion\n', encoding="utf-8")
    assert load_lexicon(path).words == ("give, and take",)


def test_the_published_nouns_are_read_whole(shared: Path) -> None:
    path = shared / "paper-data/data/corpora/dict_big2_nouns.csv"
    with path.open(newline="", encoding="utf-8") as file:
        published = [(row["token_decoded"], (row["Category"],)) for row in csv.DictReader(file)]
    lexicon = load_lexicon(path)
    assert list(lexicon.entries.items()) == published
    assert lexicon.sizes() == {"Agency": 104, "Communion": 159}


def test_the_published_expanded_list_loses_only_its_repeated_rows(shared: Path) -> None:
    path = shared / "paper-data/data/corpora/dict_big2_expanded.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = [(row["DicTerm"], "Agency" if row["Agency"] == "X" else "Communion") for row in csv.DictReader(file)]
    lexicon = load_lexicon(path)
    assert set(rows) == {(word, category) for word, mine in lexicon.entries.items() for category in mine}
    assert list(lexicon.entries) == list(dict.fromkeys(word for word, _ in rows))


def test_the_moral_foundations_have_ten_columns(shared: Path) -> None:
    path = shared / "paper-data/data/corpora/moral-foundations-dictionary-20.dicx"
    lexicon = load_lexicon(path)
    with path.open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert lexicon.entries == {
        row["DicTerm"]: tuple(column for column, mark in row.items() if mark == "X" and column != "DicTerm")
        for row in table
    }
    assert len(lexicon.words) == 2040
    assert len(lexicon.categories) == 10
