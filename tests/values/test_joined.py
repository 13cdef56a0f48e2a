import numpy as np
import pytest

from birthmark.errors import BirthmarkError
from birthmark.values.joined import join_tables

WORDS = {"love": "Communion", "care": "Communion", "power": "Agency", "skill": "Agency"}


@pytest.fixture
def lexicon(make_lexicon):
    return make_lexicon(WORDS)


def table(make_table, model="m", words=tuple(WORDS), **given):
    scores = np.arange(len(words) * len(given.get("prompts", "ab"))).reshape(len(words), -1)
    return make_table(model, words, scores, **given)


def test_ranks_are_among_the_words_that_all_tables_have(make_table, lexicon) -> None:
    joined = join_tables([table(make_table), table(make_table, "n", ["power", "love", "else"])], lexicon)
    assert joined.words == ("love", "power")
    assert joined.ranks[0].tolist() == [[2, 2], [1, 1]]
    assert joined.ranks[1].tolist() == [[1, 1], [2, 2]]


def test_what_the_join_loses_is_listed(make_table, lexicon) -> None:
    joined = join_tables([table(make_table), table(make_table, "n", ["power", "love"])], lexicon)
    assert joined.missing == ("care", "skill")


def test_words_in_no_table_are_missing_too(make_table, lexicon) -> None:
    assert join_tables([table(make_table, words=["power", "love"])], lexicon).missing == ("care", "skill")


def test_categories_and_families_are_alphabetical(make_table, lexicon) -> None:
    joined = join_tables([table(make_table, family="B"), table(make_table, "n", family="A")], lexicon)
    assert joined.categories == ("Agency", "Communion")
    assert joined.families == ("A", "B")


def test_prompts_in_one_table_only_are_left_out_aloud(make_table, lexicon) -> None:
    three = ["best_1", "worst_1", "bad_1"]
    joined = join_tables([table(make_table, prompts=three), table(make_table, "n")], lexicon)
    assert joined.prompts == ("best_1", "worst_1")
    assert any("bad_1" in text for text in joined.warnings)


def test_prompts_without_framing_are_told(make_table, lexicon) -> None:
    joined = join_tables([table(make_table, prompts=["best_1", "worst_1", "what"])], lexicon)
    assert any("no framing" in text and "what" in text for text in joined.warnings)
    assert joined.framed.tolist() == [0, 1]


def test_an_unknown_family_or_base_is_the_models_own_said_aloud(make_table, lexicon) -> None:
    unknown = table(make_table, family=None)
    joined = join_tables([unknown, table(make_table, "n", family="A")], lexicon)
    assert joined.model_families == ("m", "A")
    assert any("the family of m is not known" in text for text in joined.warnings)


def test_a_named_family_overrules_the_tables(make_table, lexicon) -> None:
    joined = join_tables([table(make_table, family="A")], lexicon, families={"m": "B"}, base_checkpoints={"m": "base"})
    assert (joined.model_families, joined.model_bases) == (("B",), ("base",))


def test_other_groups_take_the_families_place_and_part_shared_bases(make_table, lexicon) -> None:
    tables = [table(make_table, name, base="base") for name in ("m", "n", "o")]
    joined = join_tables(tables, lexicon, groups={"m": "big", "n": "small", "o": "small"})
    assert joined.families == ("big", "small")
    assert joined.model_bases == ("base (big)", "base (small)", "base (small)")
    assert any("several groups" in text for text in joined.warnings)


def test_a_word_of_two_categories_has_a_place_in_each(make_table, make_lexicon) -> None:
    lexicon = make_lexicon({"love": "Communion", "care": "Agency+Communion", "power": "Agency"})
    at, categories = join_tables([table(make_table, words=["love", "care", "power"])], lexicon).places
    assert list(zip(at.tolist(), categories, strict=True)) == [
        (0, "Agency"),
        (2, "Agency"),
        (0, "Communion"),
        (1, "Communion"),
    ]


def test_a_subset_ranks_its_words_anew(make_table, lexicon) -> None:
    joined = join_tables([table(make_table)], lexicon)
    part = joined.subset(words=np.array([word in ("love", "skill") for word in joined.words]))
    assert part.words == ("love", "skill")
    assert part.ranks[0].tolist() == [[2, 2], [1, 1]]


def test_a_subset_without_a_category_is_refused(make_table, lexicon) -> None:
    joined = join_tables([table(make_table)], lexicon)
    with pytest.raises(BirthmarkError, match="nothing would be left"):
        joined.subset(words=np.array([word == "love" for word in joined.words]))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"model": "m"}, "m is given twice"),
        ({"kind": "logprob"}, "never pooled"),
        ({"words": ["love"], "prompts": ["bad_1", "good_1"]}, "no prompt in common"),
        ({"words": ["nothing"]}, "no word of the lexicon"),
        ({"family": "B", "base": "shared"}, "the base checkpoint shared is in two families, A and B"),
    ],
)
def test_tables_that_cannot_be_compared_are_refused(make_table, lexicon, second, message) -> None:
    first = table(make_table, base="shared")
    with pytest.raises(BirthmarkError, match=message):
        join_tables([first, table(make_table, **{"model": "n", **second})], lexicon)


def test_no_shared_word_is_refused(make_table, lexicon) -> None:
    with pytest.raises(BirthmarkError, match="is in all tables"):
        join_tables([table(make_table, words=["love"]), table(make_table, "n", ["power"])], lexicon)


def test_one_key_for_two_prompts_is_refused(make_table, lexicon) -> None:
    other = table(make_table, "n")
    changed = other.record.prompt_set.prompts["best_1"].model_copy(update={"text": "Which?"})
    other.record.prompt_set.prompts["best_1"] = changed
    with pytest.raises(BirthmarkError, match="the prompt best_1 of n is not that of m"):
        join_tables([table(make_table), other], lexicon)


def test_a_family_for_a_model_without_table_is_refused(make_table, lexicon) -> None:
    with pytest.raises(BirthmarkError, match="no table of x"):
        join_tables([table(make_table)], lexicon, families={"x": "A"})


def test_no_table_at_all_is_refused(lexicon) -> None:
    with pytest.raises(BirthmarkError, match="no score table"):
        join_tables([], lexicon)
