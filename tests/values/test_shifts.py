"""Words of answers, choices, shifts, families, the link and what is said of them, on answers made by hand."""

from itertools import combinations

import numpy as np
import pytest
import scipy

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import AnswerRewards, Digests
from birthmark.stats.selection import best_of_n_kl
from birthmark.values.answer_words import category_words, goes_in_circles, words_in
from birthmark.values.choices import Counted, Judge, Said, make_judges
from birthmark.values.consequences import (
    all_shifts,
    differences,
    example_pairs,
    family_shifts,
    is_main,
    link,
    no_families,
    word_rates,
)
from birthmark.values.joined import join_tables
from birthmark.values.wording_consequences import about_answers, answer_warnings, leading
from report_outs import WORDS, table

ENTRIES = {"care": ("Warm",), "lov*": ("Warm",), "power": ("Strong",), "warm heart": ("Warm",), "gold": ("Rich",)}
LEXICON = Lexicon("own", ENTRIES, False, None, None, "by hand")
Q, N = 12, 6


def said(texts: list[list[str]], about: list[str | None] | None = None) -> Said:
    size, n = len(texts), len(texts[0])
    return Said(
        keys=tuple(f"q{at}" for at in range(size)),
        questions=tuple(f"Question {at}?" for at in range(size)),
        abouts=tuple(about or [None] * size),
        texts=texts,
        tokens=np.array([[len(text.split()) for text in group] for group in texts]),
        finished=np.ones((size, n), dtype=bool),
    )


@pytest.fixture(scope="module")
def planted() -> Said:
    """Answers of eight words: every second has `caring` once in place of `plain`, and one in three `power`."""
    rng = np.random.default_rng(0)
    filler = ["plain", "grey", "stone", "paper", "river", "chair", "window", "street"]
    texts = [
        [" ".join([*rng.permutation(filler[:6]), "caring" if at % 2 else "plain", "power" if at % 3 else "grey"]) for at in range(N)]
        for _ in range(Q)
    ]  # fmt: skip
    return said(texts, ["values"] * 6 + ["everyday"] * 6)


def record(name: str, family: str | None = None, base: str | None = None) -> AnswerRewards:
    digests = Digests(weights="w", adapter=None, tokenizer="t", template="c")
    return AnswerRewards(
        model=name, slug=name, family=family, base_checkpoint=base, digests=digests, dtype="float32", device="cpu",
        head="linear", read_token=None, n_answers=Q * N, n_unknown=0, random_heads=20, seconds=1.0, key="k",
    )  # fmt: skip


def judges_of(planted: Said, *records: AnswerRewards, leans: tuple[float, ...]) -> list[Judge]:
    """Reward models that like `caring` by so much, and noise."""
    rng = np.random.default_rng(1)
    caring = Counted.of(LEXICON, planted).counts[2]
    rewards = [
        ((lean * caring + rng.standard_normal(caring.shape)).ravel(), rng.standard_normal((20, caring.size)))
        for lean in leans
    ]
    return make_judges(records, rewards, planted)


def test_words_are_runs_of_letters_and_belong_by_stem_or_beginning() -> None:
    assert words_in("Don’t *care*: 3 self-made LOVERS, naïve!") == ["don't", "care", "self-made", "lovers", "naïve"]
    found = category_words(LEXICON, ["caring", "cares", "lovely", "powers", "golden", "gold", "warm", "heart"])
    assert found == {
        "Warm": frozenset({"caring", "cares", "lovely"}),
        "Strong": frozenset({"powers"}),
        "Rich": frozenset({"gold"}),
    }


def test_an_answer_that_repeats_itself_goes_in_circles() -> None:
    assert goes_in_circles(["be", "good", "and", "kind", "to", "all"] * 4)
    assert not goes_in_circles(
        ["a", "life", "is", "good", "when", "it", "is", "shared", "with", "people", "whom", "one", "loves"]
    )
    assert not goes_in_circles(["no"])


def test_what_is_of_little_use_is_counted_and_said() -> None:
    found = said([["", "", "yes", "yes"], ["a b c d a b c d a b c d", "no", "no", "no"], ["x", "x", "x", "x"]]).counts()
    assert (found.empty, found.repeated, found.in_circles, found.settled) == (2, 1 + 1 + 2 + 3, 1, 1)
    text = " ".join(about_answers(found))
    assert "2 of 12 answers are empty" in text and "7 of 12" in text and "1 of 3 questions have one answer" in text
    assert answer_warnings(found) == [
        "58% of the policy's answers repeat another answer to their question: raise --temperature"
    ]
    with pytest.raises(BirthmarkError, match="all empty"):
        said([["", ""], ["", ""]]).counts()
    with pytest.raises(BirthmarkError, match="one answer to each question"):
        said([["a", "a"], ["b", "b"]]).counts()
    with pytest.raises(BirthmarkError, match="no words"):
        said([["1", "2"], ["3", "4"]]).counts()


def test_a_planted_lean_is_found_and_noise_is_not(planted: Said) -> None:
    counted = Counted.of(LEXICON, planted)
    judges = judges_of(planted, record("leans"), record("noise"), leans=(3.0, 0.0))
    assert [judge.soft.kl for judge in judges] == pytest.approx([best_of_n_kl(N)] * 2)
    shifts = all_shifts(judges, counted, planted, seed=0)
    main = {(shift.model, shift.category): shift for shift in shifts if is_main(shift)}
    warm = main["leans", "Warm"]
    assert warm.policy == pytest.approx(1000 * 0.5 / 8)
    assert warm.shift is not None and 30 < warm.shift < 62.5 and warm.ci_low is not None and warm.ci_low > 0
    assert warm.p_adjusted is not None and warm.p_adjusted < 0.01 and warm.p_heads == pytest.approx(1 / 21)
    assert warm.shuffled_high is not None and warm.shuffled_high < warm.shift
    assert (main["noise", "Warm"].p_adjusted or 0) > 0.05
    assert (
        main["leans", "Rich"].shift is None
        and main["leans", "Rich"].shift_why == "none of the 1 words of Rich occurs in the answers"
    )
    weights = judges[0].weights["soft", False]
    share = next(
        shift for shift in shifts
        if (shift.model, shift.category, shift.rule, shift.rate, shift.length_fixed, shift.about)
        == ("leans", "Warm", "soft", "share_of_answers", False, None)
    )  # fmt: skip
    assert share.shift == pytest.approx((weights * (counted.counts[2] > 0)).sum(axis=1).mean() - 0.5)
    groups = [
        shift for shift in shifts if shift.about is not None and shift.model == "leans" and shift.category == "Warm"
    ]
    assert {shift.about for shift in groups} == {"values", "everyday"} and all(shift.se for shift in groups)
    sentence = leading([shift for shift in shifts if is_main(shift)], [judge.chooser(planted) for judge in judges])
    assert "leans chooses" in sentence[0] and "more Warm words per 1,000 words" in sentence[0]


def test_length_held_fixed_takes_off_a_love_of_length() -> None:
    rng = np.random.default_rng(3)
    long = said([[" ".join(["word"] * int(k)) for k in rng.integers(2, 60, 8)] for _ in range(20)])
    (judge,) = make_judges(
        [record("long")], [((2 * long.lengths + 0.5 * rng.standard_normal((20, 8))).ravel(), np.ones((0, 160)))], long
    )
    found = judge.chooser(long)
    assert found.length_r is not None and found.length_r > 0.9 and found.length_slope == pytest.approx(2, abs=0.3)
    mean = long.words.totals.mean()
    assert found.mean_words_soft > mean + 10 and abs(found.mean_words_length_fixed - mean) < 4


def test_two_reward_models_differ_and_one_does_not_from_itself(planted: Said) -> None:
    counted = Counted.of(LEXICON, planted)
    judges = judges_of(planted, record("a"), record("b"), leans=(3.0, -3.0))
    found = {item.category: item for item in differences(judges, counted, planted, seed=0) if not item.length_fixed}
    assert set(found) == {"Warm", "Strong"}
    assert found["Warm"].difference > 50 and found["Warm"].p_swapped < 0.01 and found["Warm"].n_swaps == 2**Q
    same = differences([judges[0], judges[0]], counted, planted, seed=0)
    assert all(item.difference == 0 and item.p_swapped == 1 for item in same)


def test_families_are_compared_over_base_checkpoints(planted: Said) -> None:
    counted = Counted.of(LEXICON, planted)
    named = [
        record(f"m{at}", *unit)
        for at, unit in enumerate([("A", "a1"), ("A", "a1"), ("A", "a2"), ("B", "b1"), ("B", "b2")])
    ]
    judges = judges_of(planted, *named, leans=(0.0, 0.5, 0.2, 3.0, 2.0))
    shifts = all_shifts(judges, counted, planted, seed=0)
    warm = next(item for item in family_shifts(judges, shifts, counted, seed=0) if item.category == "Warm")
    of = {shift.model: shift.shift for shift in shifts if is_main(shift) and shift.category == "Warm"}
    units = [(of["m0"] + of["m1"]) / 2, of["m2"], of["m3"], of["m4"]]  # type: ignore[operator]
    observed = np.mean(units[2:]) - np.mean(units[:2])
    every = [
        np.mean([units[at] for at in b]) - np.mean([units[at] for at in range(4) if at not in b])
        for b in combinations(range(4), 2)
    ]
    assert warm.n_units == {"A": 2, "B": 2} and warm.difference == pytest.approx(observed)
    assert warm.p_exact == pytest.approx(
        np.mean(np.abs(every) >= abs(observed) - 1e-9)
    ) and warm.min_p == pytest.approx(1 / 3)
    assert no_families(judges) is None
    assert "one family" in str(no_families(judges[:3]))
    assert "not known" in str(no_families(judges_of(planted, record("x"), leans=(1.0,))))


def test_examples_are_drawn_by_the_seed_and_show_the_best_of_each(planted: Said) -> None:
    judges = judges_of(planted, record("a"), record("b"), leans=(3.0, -3.0))
    found = example_pairs(judges, planted, seed=4)
    assert found == example_pairs(judges, planted, seed=4) != example_pairs(judges, planted, seed=5)
    assert len(found) == 10 and len({item.question for item in found}) == 10
    for item in found:
        at = planted.keys.index(item.question)
        best = {judge.name: planted.texts[at][int(judge.rewards[at].argmax())] for judge in judges}
        assert (best[item.a], best[str(item.b)]) == (item.chosen_by_a, item.chosen_by_b)
        assert item.policy in planted.texts[at]


def test_the_word_that_rose_the_most_is_the_planted_one(planted: Said) -> None:
    judges = judges_of(planted, record("a"), leans=(3.0,))
    found = word_rates(judges, [Counted.of(LEXICON, planted)], planted)
    assert found[0].word == "caring" and found[0].categories == ["Warm"] and found[0].n_answers == Q * N / 2
    assert found[0].chosen - found[0].policy == pytest.approx(found[0].shift)


def test_without_tables_there_is_no_link(planted: Said) -> None:
    judges = judges_of(planted, record("a"), leans=(3.0,))
    found = link(judges, [], LEXICON, [], 0)
    assert found.points == [] and found.rho is None and "--contrasts" in str(found.points_why)


@pytest.mark.parametrize("n", [5, 6])
def test_the_link_is_tested_from_six_reward_models_on(planted: Said, n: int) -> None:
    lexicon = Lexicon("small", {"caring": ("Communion",), "power": ("Agency",), "love": ("Communion",), "freedom": ("Agency",)}, False, None, None, "by hand")  # fmt: skip
    counted = Counted.of(lexicon, planted)
    tables = [
        table(f"m{at}", "A", f"a{at}", kind="reward", lean=lean, seed=at, tokens=False)
        for at, lean in enumerate((-1, 1, 0.5, -0.5, 2, 0)[:n])
    ]
    entries = {word: (category,) for category, words in WORDS.items() for word in words}
    own = Lexicon("own", entries, False, None, None, "by hand")
    named = [record(each.record.model) for each in tables]
    judges = judges_of(planted, *named, leans=(0.0, 3.0, 1.0, -1.0, 2.0, 0.5)[:n])
    shifts = [shift for shift in all_shifts(judges, counted, planted, seed=0) if is_main(shift)]
    found = link(judges, shifts, own, tables, seed=0)
    assert len(found.points) == n
    if n < 6:
        assert found.rho is None and found.rho_why == "with 5 reward models it is drawn and not tested, which takes 6"
        return
    x, y = [point.contrast for point in found.points], [point.shift for point in found.points]
    assert found.rho == pytest.approx(scipy.stats.spearmanr(x, y).statistic) and found.n_orders == 720
    assert x == pytest.approx(join_tables(tables, own).mean_rank_contrasts)


def test_a_reward_model_with_equal_rewards_is_named(planted: Said) -> None:
    with pytest.raises(BirthmarkError, match="^flat: the rewards do not vary"):
        make_judges([record("flat")], [(np.zeros(Q * N), np.zeros((0, Q * N)))], planted)
