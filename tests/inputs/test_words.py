"""What of a word is dropped, composed or made plain, what belongs to it, and what is said of it."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from birthmark.inputs.words import Cleaner, clean_text, clean_word, merged_names, one_edit_apart


@pytest.mark.parametrize(
    ("written", "read"),
    [
        *(
            (f"lo{chr(code)}ve", "love")
            for code in (0x200B, 0xAD, 0xFEFF, 0x200C, 0x200D, 0x2060, 0x34F, 0x180E, 0x3164)
        ),
        *(
            (f"{chr(code)}love{chr(code)}", "love")
            for code in (0x200E, 0x202E, 0x2066, 0x61C, 0xFE0F, 0xE0101, 0xE0041)
        ),
        *((f"{chr(code)}love{chr(code)}", "love") for code in (0xA0, 0x2003, 0x202F, 0x3000, 0x2028, 0x1B, 0x7, 0x85)),
        *((f"common{chr(code)}good", "common good") for code in (0xA0, 0x2003, 0x202F, 0x3000, 0x2029)),
        ("cafe\u0301", "café"),
        ("e\u200b\u0301", "é"),
        ("\u212bngstro\u0308m", "Ångström"),
        ("\u1112\u1161\u11ab", "한"),
        ("lov*\u200b", "lov*"),
        ("\ud800love", "love"),
        ("\u200b", ""),
    ],
)
def test_what_no_one_sees_is_dropped_and_letters_are_composed(written: str, read: str) -> None:
    assert clean_word(written) == read


@pytest.mark.parametrize(
    "word",
    [
        "❤️",
        "👩\u200d💻",
        "👨\u200d👩\u200d👧",
        "🏳️\u200d🌈",
        "1\ufe0f\u20e3",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "می\u200cخواهم",
        "क्\u200dष",
        "ශ්\u200dරී",
        "don't",
        "catch 22",
        "ﬁre",  # compatibility characters are other letters
    ],
)
def test_what_belongs_to_a_word_stays(word: str) -> None:
    assert clean_word(word) == word


def test_a_text_keeps_the_spaces_of_a_keyboard() -> None:
    assert clean_text(" I think,\n\tyes! ") == " I think,\n\tyes! "
    assert clean_text("\u00a0love\u2003is\u00a0all ") == "love is all "


@example("\u094d\u0300\u200c")
@given(st.text(max_size=12) | st.text("aé\u0301\u200b\u200d\ufe0f❤👩 \u00a0\u00ad\u0915\u094d", max_size=8))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    for clean in (clean_word, clean_text):
        once = clean(text)
        assert clean(once) == once
        assert unicodedata.is_normalized("NFC", once)
        assert "\u00ad" not in once


def test_what_was_changed_is_counted_by_kind() -> None:
    clean = Cleaner("word")
    for word in ("love", " care ", "\u200blo\u00adve", "cafe\u0301", "common\u00a0good", "\u200b\ufeff"):
        clean(word)
    assert list(map(str, clean.notices())) == [
        "1 word with invisible characters, which are dropped: love (U+200B U+00AD)",
        "1 word with decomposed letters, which are composed (NFC): café",
        "1 word with unusual spaces, which are made plain or dropped: common good",
        "1 word with nothing visible, left out: U+200B U+FEFF",
    ]


@pytest.mark.parametrize(
    ("first", "second", "near"),
    [
        ("lexicon", "lexicon", True),
        ("lexicons", "lexicon", True),
        ("lexcion", "lexicon", True),
        ("texicon", "lexicon", True),
        ("exicon", "lexicon", True),
        ("lexicno", "lexicons", False),
        ("abcd", "badc", False),
    ],
)
def test_one_edit(first: str, second: str, near: bool) -> None:
    assert one_edit_apart(first, second) is near
    assert one_edit_apart(second, first) is near


def test_the_most_frequent_spelling_of_a_name_is_kept() -> None:
    names = ["agency", "Agency", "Agency", "Care_Virtue", "care virtue", "Power"]
    kept = merged_names(names)
    assert kept == {
        "agency": "Agency", "Agency": "Agency", "Care_Virtue": "Care_Virtue", "care virtue": "Care_Virtue", "Power": "Power",
    }  # fmt: skip
