"""How long a gap lasts: curves whose answers are known, and a null that is drawn."""

import numpy as np
import pytest

from birthmark.values.durability import Look, durability
from birthmark.values.joined import join_tables
from birthmark.values.ranks import stems

WORDS = [f"{category}{letter}" for category in ("ag", "co") for letter in "bcdfghjklm"]
CATEGORIES = {word: "Agency" if word.startswith("ag") else "Communion" for word in WORDS}
PROMPTS = ("best_1", "worst_1")


def scores(shift: float, seed: int) -> np.ndarray:
    """Scores [words, prompts]: noise, agency words up by `shift` where the best is asked for, down where the worst is."""
    noise = np.random.default_rng(seed).normal(size=(len(WORDS), 2))
    agency = np.array([CATEGORIES[word] == "Agency" for word in WORDS])
    return noise + np.outer(agency * shift, [1, -1])


@pytest.fixture
def joined(make_table, make_lexicon):
    def make(shifts: dict[tuple[str, str, int], list[float]], *, pairs: int = 64, steps=None):
        """`shifts`: (base, run, seed) → a shift a step."""
        tables, looks = [], []
        for (base, run, seed), of_run in shifts.items():
            for place, shift in enumerate(of_run):
                step = place if steps is None else steps[place]
                tables.append(
                    make_table(f"{run}-{step}", WORDS, scores(shift, seed), prompts=PROMPTS, family=base, base=base)
                )
                looks.append(Look(run, base, base, step, "hh", pairs, "bt", seed, batch=8))
        return join_tables(tables, make_lexicon(CATEGORIES)), looks

    return make


def only(found):
    (curve,) = found.curves
    return curve


def test_a_gap_is_b_minus_a_of_mean_rank_contrasts(joined):
    both, looks = joined({("A", "a", 1): [0.0, 0.0], ("B", "b", 2): [0.0, 9.0]})
    curve = only(durability(both, looks, "small"))
    assert (curve.base_a, curve.base_b, curve.runs_a, curve.runs_b) == ("A", "B", ["a"], ["b"])
    contrasts = both.mean_rank_contrasts
    assert [point.gap for point in curve.points] == pytest.approx(
        [contrasts[2] - contrasts[0], contrasts[3] - contrasts[1]]
    )
    assert [point.gap_of_medians for point in curve.points] == pytest.approx(
        [both.contrasts[2] - both.contrasts[0], both.contrasts[3] - both.contrasts[1]]
    )
    assert curve.points[1].gap < -20  # agency on top of everything in B: it leads by ten places, twice
    assert all(point.ci_low < point.gap < point.ci_high for point in curve.points)


def test_the_interval_is_that_of_the_test_over_words(joined):
    from birthmark.stats.words import compare_words, word_contrasts
    from birthmark.values.durability import DRAWS

    both, looks = joined({("A", "a", 1): [0.0], ("B", "b", 2): [1.0]})
    point = only(durability(both, looks, "small", seed=5)).points[0]
    values = word_contrasts(both.place_values, ["A", "B"], both.framed_labels)
    of_word = stems(both.words[at] for at in both.places[0])
    expected = compare_words(values, both.places[1], of_word, DRAWS, seed=5)
    assert (point.gap, point.ci_low, point.ci_high) == pytest.approx(
        (expected.estimate, expected.ci_low, expected.ci_high)
    )


def test_a_gap_that_fades_is_below_half_from_the_step_after_which_it_stays_there(joined):
    """Without noise between steps: the shift falls, comes back once, and falls for good."""
    fading = [9.0, 0.2, 9.0, 0.3, 0.2, 0.1]
    both, looks = joined({("A", "a", 1): [0.0] * 6, ("B", "b", 1): fading})
    curve = only(durability(both, looks, "small"))
    gaps = np.array([point.gap for point in curve.points])
    assert curve.start_step == 0 and curve.start_gap == gaps[0]
    below = gaps / gaps[0] < 0.5
    assert below.tolist() == [False, True, False, True, True, True]
    assert (curve.below_step, curve.below_pairs) == (3, 24)


def test_pairs_seen_do_not_exceed_the_pairs_there_are(joined):
    both, looks = joined({("A", "a", 1): [0.0] * 3, ("B", "b", 2): [1.0] * 3}, pairs=20, steps=[0, 2, 16])
    assert [point.pairs_seen for point in only(durability(both, looks, "small")).points] == [0, 16, 20]


def test_a_gap_that_holds_never_falls_below_half(joined):
    both, looks = joined({("A", "a", 1): [0.0] * 3, ("B", "b", 2): [3.0] * 3})
    curve = only(durability(both, looks, "small"))
    assert curve.below_step is None and "100% of that at the start" in curve.below_why


@pytest.mark.parametrize(("shifts", "step"), [([9.0, 0.0, 1.0, 1.0, 1.0], 2), ([0.0, 1.0, 2.0, 3.0], None)])
def test_a_gap_settles_once_it_stays_near_its_last_value(joined, shifts, step):
    both, looks = joined({("A", "a", 1): [0.0] * len(shifts), ("B", "b", 1): shifts})
    curve = only(durability(both, looks, "small"))
    assert curve.settled_step == step
    assert (curve.settled_why is None) is (step is not None)


def test_runs_of_a_base_are_averaged_and_their_spread_is_kept(joined):
    both, looks = joined({("A", "a1", 1): [0.0], ("A", "a2", 2): [0.0], ("B", "b1", 3): [2.0], ("B", "b2", 4): [2.0]})
    curve = only(durability(both, looks, "small"))
    of_runs = np.asarray(both.mean_rank_contrasts)
    assert curve.points[0].gap == pytest.approx(of_runs[2:].mean() - of_runs[:2].mean())
    assert curve.points[0].sd_seeds == pytest.approx(np.sqrt(of_runs[:2].var(ddof=1) + of_runs[2:].var(ddof=1)))


def test_only_steps_that_all_runs_have_are_compared(make_table, make_lexicon):
    steps = {("A", "a"): [0, 1, 2, 4], ("B", "b"): [0, 2, 3, 4]}
    tables, looks = [], []
    for (base, run), of_run in steps.items():
        for step in of_run:
            tables.append(make_table(f"{run}{step}", WORDS, scores(0, step), prompts=PROMPTS, family=base, base=base))
            looks.append(Look(run, base, base, step))
    curve = only(durability(join_tables(tables, make_lexicon(CATEGORIES)), looks, "small"))
    assert [point.step for point in curve.points] == [0, 2, 4]
    assert curve.below_pairs is None and curve.points[0].pairs_seen is None


def test_runs_of_other_pair_counts_make_curves_of_their_own_and_one_of_quantities(make_table, make_lexicon):
    tables, looks = [], []
    for pairs, shift in ((16, 9.0), (64, 3.0), (256, 0.0)):
        for base, of_base in (("A", 0.0), ("B", shift)):
            run = f"{base}{pairs}"
            tables.append(make_table(run, WORDS, scores(of_base, 1), prompts=PROMPTS, family=base, base=base))
            looks.append(Look(run, base, base, 4, "hh", pairs, "bt", 1, batch=8))
    found = durability(join_tables(tables, make_lexicon(CATEGORIES)), looks, "small")
    assert [curve.pairs for curve in found.curves] == [16, 64, 256]
    (quantity,) = found.quantities
    assert [final.pairs for final in quantity.finals] == [16, 64, 256] and quantity.finals[-1].gap == 0
    assert quantity.below_pairs == 256
    alone = durability(join_tables(tables[:2], make_lexicon(CATEGORIES)), looks[:2], "small").quantities[0]
    assert alone.below_pairs is None and "alone" in alone.below_why
    wide = {base: np.random.default_rng(0).normal(scale=50, size=500) for base in "AB"}
    (inside,) = durability(join_tables(tables, make_lexicon(CATEGORIES)), looks, "small", wide).quantities
    assert inside.below_pairs is None and "within what random heads give" in inside.below_why


def test_the_null_is_that_of_differences_of_means_of_heads(joined):
    """Heads N(0, σ²) on each base and two runs a base: gaps have variance σ_a²/2 + σ_b²/2."""
    both, looks = joined({("A", "a1", 1): [0.0], ("A", "a2", 2): [0.0], ("B", "b1", 3): [9.0], ("B", "b2", 4): [9.0]})
    rng = np.random.default_rng(0)
    heads = {"A": rng.normal(scale=3, size=4_000), "B": rng.normal(scale=4, size=4_000)}
    null = only(durability(both, looks, "small", heads)).null
    reach = 1.96 * np.sqrt(9 / 2 + 16 / 2)
    assert (null.low, null.high) == pytest.approx((-reach, reach), rel=0.05)
    assert null.n_heads == 4_000 and null.p_final == 1e-4  # (0 + 1) / (9,999 + 1)


def test_a_gap_that_random_heads_have_too_has_no_start(joined):
    both, looks = joined({("A", "a", 1): [0.0] * 3, ("B", "b", 2): [1.0] * 3})
    curve = only(durability(both, looks, "small", {base: np.array([-30.0, 0, 30]) for base in "AB"}))
    assert all(point.outside_null is False for point in curve.points)
    assert curve.start_step is None and curve.start_why and curve.below_step is None
    assert "as at every step after 0" in curve.sentence


def test_step_0_is_never_the_start_where_there_is_a_null(joined):
    """The head is random there: one gap of twenty is outside what random heads give."""
    both, looks = joined({("A", "a", 1): [0.0] * 3, ("B", "b", 2): [9.0] * 3})
    curve = only(durability(both, looks, "small", {base: np.array([-0.1, 0, 0.1]) for base in "AB"}))
    assert curve.points[0].outside_null and curve.start_step == 1


def test_one_base_or_one_framing_gives_no_curve_and_says_why(joined, make_table, make_lexicon):
    both, looks = joined({("A", "a", 1): [0.0, 1.0]})
    assert "all runs are of A" in durability(both, looks, "small").curves_why
    tables = [make_table(base, WORDS, scores(0, 1), prompts=("best_1", "great_1"), family=base) for base in "AB"]
    looks = [Look(base, base, base, 1) for base in "AB"]
    assert "both framings" in durability(join_tables(tables, make_lexicon(CATEGORIES)), looks, "small").curves_why
