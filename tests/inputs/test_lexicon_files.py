"""Each lexicon layout is read to the same words and categories; the published files against Python's own csv module."""

import csv
from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon, load_lexicon

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


# ------------------------------------------------------------------------------------- as strangers write them


def read(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Lexicon:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return load_lexicon(path)


def test_invisible_characters_and_decomposed_letters_make_no_other_word(tmp_path: Path) -> None:
    lexicon = read(
        tmp_path,
        "mine.csv",
        "word,category\n\u200blove,Communion\ncafe\u0301,Communion\ncafé,Communion\npower,Agency\u00ad\n",
    )
    assert lexicon.entries == {"love": ("Communion",), "café": ("Communion",), "power": ("Agency",)}
    assert [note.partition(": ")[2] for note in lexicon.notes] == [
        "1 word with invisible characters, which are dropped: love (U+200B)",
        "1 word with decomposed letters, which are composed (NFC): café",
        "1 category name with invisible characters, which are dropped: Agency (U+00AD)",
    ]


def test_joined_files_have_no_category_called_category(tmp_path: Path) -> None:
    text = "word,category\nfreedom,Agency\nWord,Category\nlove,Communion\ncategory,word\nAgency,power\n"
    lexicon = read(tmp_path, "joined.csv", text)
    assert lexicon.entries == {"freedom": ("Agency",), "love": ("Communion",), "power": ("Agency",)}
    assert "repeated in lines 3, 5" in lexicon.notes[0]


def test_a_categorys_spellings_are_one(tmp_path: Path) -> None:
    lexicon = read(
        tmp_path,
        "case.csv",
        "word,category\npower,agency\nfame,Agency\nwin,Agency\nlove,Care_Virtue\nkin,care virtue\n",
    )
    assert lexicon.sizes() == {"Agency": 3, "Care_Virtue": 2}
    assert lexicon.notes == (
        "case: categories that are spelled in several ways are merged: agency into Agency, care virtue into Care_Virtue",
    )


@pytest.mark.parametrize("cell", ["Communion;Positive", "Communion | Positive", '"Communion, Positive"'])
def test_a_cell_of_several_categories_is_split(tmp_path: Path, cell: str) -> None:
    lexicon = read(tmp_path, "cells.csv", f"word,category\nwarm,{cell}\nlove,Communion\nCare,Care/Harm\n")
    assert lexicon.entries == {"warm": ("Communion", "Positive"), "love": ("Communion",), "Care": ("Care/Harm",)}
    assert "cells with several categories are split" in lexicon.notes[0]


DIC = "%\n3 Catch\n22 Trap\n30 Other\n%\n"


@pytest.mark.parametrize(
    ("line", "word", "categories"),
    [
        ("catch 22 3", "catch 22", ("Catch",)),
        ("route 66 3", "route 66", ("Catch",)),
        ("catch 22   3 30", "catch 22", ("Catch", "Other")),
        ("lead 3 22", "lead", ("Catch", "Trap")),
        ("lead  3  22", "lead", ("Catch", "Trap")),
        ("catch 22\t3", "catch 22", ("Catch",)),
        ("love 03", "love", ("Catch",)),
    ],
)
def test_a_phrases_number_is_no_category(tmp_path: Path, line: str, word: str, categories: tuple[str, ...]) -> None:
    assert read(tmp_path, "phrase.dic", f"{DIC}{line}\n").entries == {word: categories}


def test_ids_that_several_words_have_in_falling_order_are_ids(tmp_path: Path) -> None:
    lexicon = read(tmp_path, "falling.dic", f"{DIC}love 22 3\ncare 22 3\n")
    assert lexicon.entries == {"love": ("Trap", "Catch"), "care": ("Trap", "Catch")}


def test_dictionaries_that_were_joined_keep_their_own_ids(tmp_path: Path) -> None:
    lexicon = read(tmp_path, "joined.dic", "%\n1\tAgency\n%\npower\t1\n%\n1\tCommunion\n%\nlove\t1\n")
    assert lexicon.entries == {"power": ("Agency",), "love": ("Communion",)}
    assert "2 dictionaries are joined" in lexicon.notes[0]


def test_liwc_2001_refers_to_its_ids_with_zeros(tmp_path: Path) -> None:
    lexicon = read(tmp_path, "liwc2001.dic", "%\n1\tPronoun\n2\tI\n%\nmine\t01 02\nhis\t01\n")
    assert lexicon.entries == {"mine": ("Pronoun", "I"), "his": ("Pronoun",)}


def test_liwc_2007s_conditions_are_those_of_a_word_alone(tmp_path: Path) -> None:
    header = "%\n2\tpronoun\n134\tdiscrep\n125\taffect\n126\tposemo\n131\tcause\n253\ttentat\n464\tfiller\n%\n"
    lexicon = read(
        tmp_path, "liwc2007.dic", header + "like\t(02 134)125/464\t(02 134)126\t253\nkind\t<of>131/125\t126\n"
    )
    assert lexicon.entries == {"like": ("filler", "tentat"), "kind": ("affect", "posemo")}
    assert "conditional categories" in lexicon.notes[0]


def test_emfds_probabilities_are_cut_at_their_highest_third(tmp_path: Path) -> None:
    rows = "".join(f"w{at},{at / 9},{(9 - at) / 9},-0.1,0.2\n" for at in range(10))
    lexicon = read(tmp_path, "emfd.csv", f"word,care_p,fairness_p,care_sent,fairness_sent\n{rows}")
    assert lexicon.entries == {
        **{f"w{at}": ("fairness",) for at in range(4)},  # 6/9 and more
        **{f"w{at}": ("care",) for at in range(6, 10)},
    }
    assert lexicon.notes == (
        "emfd: columns of sentiment, which say nothing of membership, are not read: care_sent, fairness_sent",
        "emfd: care is a scale from 0 to 1: words with at least 0.667 are in care (thirds)",
        "emfd: fairness is a scale from 0 to 1: words with at least 0.667 are in fairness (thirds)",
    )


def test_nrc_vads_scales_have_two_ends(tmp_path: Path) -> None:
    rows = "".join(f"w{at}\t{at / 5}\n" for at in range(6))
    lexicon = read(tmp_path, "vad.txt", f"Word\tValence\n{rows}")
    assert lexicon.entries == {
        **{f"w{at}": ("Valence_low",) for at in range(2)},
        **{f"w{at}": ("Valence_high",) for at in range(4, 6)},
    }
    assert "at least 0.8 are in Valence_high, with at most 0.2 in Valence_low" in lexicon.notes[0]


def test_a_scale_of_zeros_and_more_has_those_above_zero(tmp_path: Path) -> None:
    rows = "".join(f"w{at},{value}\n" for at, value in enumerate((0, 0, 0, 0, 0, 0, 0.2, 0.4)))
    assert list(read(tmp_path, "zeros.csv", f"word,joy\n{rows}").entries) == ["w6", "w7"]


EMOLEX = {"abandon": ("anger", "fear"), "aback": ("fear",)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("long.txt", "\nabandon\tanger\t1\nabandon\tfear\t1\naback\tanger\t0\naback\tfear\t1\nabc\tanger\t0\nabc\tfear\t0\n"),
        ("explained.txt", "A word list\n(C) its authors\n\nabandon\tanger\t1\nabandon\tfear\t1\naback\tfear\t1\nabc\tfear\t0\n"),
        ("headed.tsv", "word\temotion\tassociation\nabandon\tanger\t1\nabandon\tfear\t1\naback\tfear\t1\nabc\tfear\t0\n"),
        ("wide.txt", "English Word\tanger\tfear\nabandon\t1\t1\naback\t0\t1\nabc\t0\t0\n"),
        ("semicolons.csv", "sep=;\nword;anger;fear;;\nabandon;1;1;;\naback;;1;;\nabc;0;0;;\n"),
        ("rows.csv", '"","word","anger","fear"\n"1","abandon","X","X"\n"2","aback",NA,"X"\n"3","abc",NA,NA\n'),
    ],
)  # fmt: skip
def test_emolex_marks_its_words_in_either_layout(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path, name, text).entries == EMOLEX


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_read(tmp_path: Path, encoding: str) -> None:
    lexicon = read(tmp_path, "wide.csv", "word,category\nlove,Communion\n", encoding)
    assert lexicon.entries == {"love": ("Communion",)}
    assert not lexicon.notes


@pytest.mark.parametrize(
    "word", ["fiancé", "naïve", "Würde", "père", "niño", "kærlighed", "don\u2019t", "ÉGALITÉ", "été"]
)
def test_windows_1252_is_read_where_it_is_plain_and_said(tmp_path: Path, word: str) -> None:
    lexicon = read(tmp_path, "old.csv", f"word,category\n{word},A\n", "cp1252")
    assert lexicon.words == (word,)
    assert "Windows-1252" in lexicon.notes[0]


@pytest.mark.parametrize(
    ("word", "encoding"),
    [("свобода", "cp1251"), ("wolność", "cp1250"), ("miłość", "cp1250"), ("přítel", "cp1250"), ("café", "mac_roman"),
     ("café", "cp850"), ("ελευθερία", "cp1253"), ("自由", "gbk"), ("自由", "shift_jis")],
)  # fmt: skip
def test_other_encodings_are_refused(tmp_path: Path, word: str, encoding: str) -> None:
    with pytest.raises(BirthmarkError, match="line 2: not UTF-8, and not plainly Windows-1252"):
        read(tmp_path, "old.csv", f"word,category\n{word},A\n", encoding)


def test_a_published_list_needs_no_note(shared: Path) -> None:
    for name in ("dict_big2_nouns.csv", "dict_big2_expanded.csv", "moral-foundations-dictionary-20.dicx"):
        assert load_lexicon(shared / "paper-data/data/corpora" / name).notes == ()


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_decimal_commas_part_no_cells(tmp_path: Path, mark: str) -> None:
    rows = [("word", "valence", "joy"), ("love", "0,91", "0,8"), ("care", "0,6", "0,5"), ("war", "0,05", "0,1")]
    (tmp_path / "commas.csv").write_text("".join(mark.join(row) + "\n" for row in rows))
    (tmp_path / "points.csv").write_text(
        "".join(",".join(cell.replace(",", ".") for cell in row) + "\n" for row in rows)
    )
    found = load_lexicon(tmp_path / "commas.csv").entries
    assert found == load_lexicon(tmp_path / "points.csv").entries
    assert found["love"] == ("joy", "valence_high") or found["love"] == ("valence_high", "joy")
