import pytest

from birthmark.values.ranks import stems


@pytest.mark.parametrize(
    "words",
    [
        ["care", "cares", "cared", "caring", "Caring"],
        ["accept", "accepts", "accepted", "accepting"],
        ["plan", "plans", "planned", "planning"],
        ["company", "companies"],
        ["happy", "happiness"],
        ["abhor", "abhored", "abhors"],
        ["friend", "friends", "friendly"],
        ["loss", "losses"],
        ["skill", "skills", "skilled"],
        ["family", "families"],
        ["participant", "participants", "participation"],
    ],
)
def test_forms_of_one_word_share_a_stem(words: list[str]) -> None:
    assert len(set(stems(words))) == 1


@pytest.mark.parametrize("words", [["care", "cure"], ["bus", "bu"], ["sing", "s"], ["ring", "red"], ["power", "pow"]])
def test_other_words_stay_apart(words: list[str]) -> None:
    assert len(set(stems(words))) == len(words)


@pytest.mark.parametrize("word", ["", "a", "is", "s", "ing", "émigrés", "well-being", "愛"])
def test_any_text_has_a_stem(word: str) -> None:
    assert [type(label) for label in stems([word])] == [str]
