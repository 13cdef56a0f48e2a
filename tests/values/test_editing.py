"""Splits that hold whole stems and adjectives out, contrasts before and after, pairs, ensembles: by hand and by other systems."""

from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import load_lexicon
from birthmark.inputs.prompts import load_prompts
from birthmark.records import AmongPublished, NotApplicable, PromptRecord
from birthmark.stats.linear_edit import Covariance, step
from birthmark.values.editing import Asked, ask, lean_change, pair_change, two_categories
from birthmark.values.ensembles import Member, among_published, ensemble
from birthmark.values.ranks import rank, stems

STARTER = load_lexicon("starter")
PROMPTS = dict(load_prompts().prompts)
SIX = {
    f"{adjective}_ever_one": PROMPTS[f"{adjective}_ever_one"]
    for adjective in ("best", "good", "greatest", "worst", "bad", "terrible")
}


def asked(seed: int = 0, prompts: dict[str, PromptRecord] = SIX) -> Asked:
    return ask(STARTER.words, STARTER, prompts, seed=seed)


def scores(of: Asked, seed: int = 0, lean: float = 0.0) -> np.ndarray:
    """Rewards [words, prompts] in which the first category is worth `lean` more where good things are asked for."""
    rng = np.random.default_rng(seed)
    sign = np.array([1 if framing == "positive" else -1 for framing in of.framings])
    return rng.normal(size=(len(of.words), len(of.prompts))) + lean * np.outer(of.member[0], sign)


@pytest.mark.parametrize("seed", range(3))
def test_no_stem_and_no_adjective_is_on_both_sides(seed: int) -> None:
    found = asked(seed, PROMPTS)
    roots = np.array(stems(found.words))
    assert not set(roots[found.training_words]) & set(roots[~found.training_words])
    for framing in ("positive", "negative"):
        of = [np.array(found.framings) == framing, np.array(found.adjectives)]
        inside, outside = (set(of[1][of[0] & mask]) for mask in (found.training_prompts, ~found.training_prompts))
        assert (len(inside), len(outside)) == (2, 1) and not inside & outside
    for row in found.member:
        assert abs(row[found.training_words].sum() - row[~found.training_words].sum()) <= 4
    assert len(found.rows) == 4 and all(found.prompts_of(row).sum() == 9 for row in found.rows)


def test_a_seed_gives_its_split_again_and_another_gives_another() -> None:
    assert (asked(1).training_words == asked(1).training_words).all()
    assert (asked(1).training_words != asked(2).training_words).any()


def test_rows_of_c_are_differences_of_mean_states_by_framing_and_adjective() -> None:
    found = asked(0, PROMPTS)
    states = np.random.default_rng(0).normal(size=(len(found.words), len(found.prompts), 3)).astype(np.float32)
    rows = found.differences(states)
    for at, (framing, adjective) in enumerate(found.rows):
        keys = [i for i, key in enumerate(found.prompts) if PROMPTS[key].factors["adjective"] == adjective]
        assert all(PROMPTS[found.prompts[i]].framing == framing for i in keys)
        means = [
            np.mean(
                [states[w, p] for w in range(len(found.words)) for p in keys if row[w] and found.training_words[w]],
                axis=0,
            )
            for row in found.member
        ]
        np.testing.assert_allclose(rows[at], means[0] - means[1], atol=1e-6)
    np.testing.assert_array_equal(found.pattern() * 2, [1 if f == "positive" else -1 for f, _ in found.rows])


def test_a_contrast_of_half_the_words_is_stretched_to_ranks_among_all() -> None:
    found = asked(0)
    values = scores(found, lean=1.0)
    words, prompts = ~found.training_words, ~found.training_prompts
    ranks = rank(values[words][:, prompts])
    by_hand = {
        (c, f): ranks[found.member[c][words]][:, np.array(found.framings)[prompts] == f].mean()
        for c in (0, 1)
        for f in ("positive", "negative")
    }
    wanted = by_hand[0, "positive"] - by_hand[1, "positive"] - by_hand[0, "negative"] + by_hand[1, "negative"]
    assert found.lean(values, words, prompts) == pytest.approx(wanted * (len(found.words) + 1) / (words.sum() + 1))


def test_what_remains_is_a_share_where_the_lean_before_is_clear_and_nothing_else() -> None:
    found = asked(0)
    strong, weak = scores(found, 1, lean=1.5), scores(found, 1, lean=0.5)
    lean = lean_change(found, strong, weak, ("held-out", "held-out"), 0.0, seed=0)
    assert lean.before < lean.after < 0 and lean.remains == pytest.approx(lean.after / lean.before)
    assert lean.change_ci_low <= lean.change <= lean.change_ci_high and lean.change_ci_low > 0
    towards = lean_change(found, strong, weak, ("held-out", "held-out"), -10.0, seed=0)
    assert towards.remains == pytest.approx((lean.after + 10) / (lean.before + 10))
    none = lean_change(found, scores(found, 2), weak, ("held-out", "held-out"), 0.0, seed=0)
    assert none.remains is None and none.remains_why == "the lean before cannot be told from the target"
    assert lean_change(found, strong, weak, ("all", "all"), 0.0, seed=0).n_words == len(found.words)


def test_pairs_before_and_after_agree_with_statsmodels_mcnemar_and_count_by_hand() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(size=(80, 2)) + [0.4, 0]
    after = before + 0.8 * rng.normal(size=(80, 2))
    found = pair_change(before, after, seed=0)
    right = [values[:, 0] > values[:, 1] for values in (before, after)]
    table = [[(a & b).sum() for b in (right[1], ~right[1])] for a in (right[0], ~right[0])]
    assert found.p_mcnemar == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert (found.lost, found.won) == (table[0][1], table[1][0])
    assert found.accuracy_change == pytest.approx((found.won - found.lost) / 80)
    assert found.accuracy_change_ci_low < found.accuracy_change < found.accuracy_change_ci_high
    assert found.margin_change == pytest.approx((after[:, 0] - after[:, 1] - before[:, 0] + before[:, 1]).mean())
    assert found.variance_added == pytest.approx((after - before).var() / before.var())
    assert pair_change(before, 3 * before + 1, seed=0).spearman == pytest.approx(1)


def test_an_interval_of_accuracy_is_not_empty_where_no_pair_changes_sides() -> None:
    before = np.array([[1.0, 0.0]] * 30 + [[0.0, 1.0]] * 10)
    found = pair_change(before, before * 1.1, seed=0)
    assert found.p_mcnemar == 1 and found.accuracy_change == 0
    assert found.accuracy_change_ci_high == pytest.approx(1 - 0.025 ** (1 / 40)) and found.accuracy_change_ci_low < 0


def test_bad_input_is_said_in_one_line_with_what_to_do() -> None:
    six = load_lexicon("starter")
    three = replace(six, entries={**six.entries, "sea": ("Nature",), "tree": ("Nature",)})
    with pytest.raises(
        BirthmarkError, match="has 3 categories, and a contrast is of two: choose them with --category A"
    ):
        two_categories(three, ())
    assert two_categories(three, ("Nature", "Agency")).categories == ("Agency", "Nature")
    with pytest.raises(BirthmarkError, match="--category names 1"):
        two_categories(three, ("Agency", "Agency"))
    with pytest.raises(BirthmarkError, match="has one category"):
        two_categories(six.only(("Agency",)), ())
    few = ("love", "care", "caring", "power", "skill", "success", "win", "lead")
    with pytest.raises(BirthmarkError, match="word stems of Communion that can be scored, and an edit needs 4 or more"):
        ask(few, six, SIX, seed=0)
    with pytest.raises(BirthmarkError, match="negative prompts of two adjectives or more"):
        ask(
            six.words,
            six,
            {key: item for key, item in SIX.items() if "bad" not in key and "terrible" not in key},
            seed=0,
        )


def test_an_ensemble_is_the_mean_of_z_scores_over_what_all_have() -> None:
    found = asked(0)
    a, b = scores(found, 3, lean=1.0), 40 * scores(found, 4, lean=-0.5) + 7
    fewer = np.arange(len(found.words)) > 5
    margins = np.array([1.0, -1.0, 0.5, np.nan]), np.array([-0.5, -1.0, 1.0, 1.0])
    members = [
        Member("a", "base a", found.words, found.prompts, a, margins[0]),
        Member("b", None, tuple(np.array(found.words)[fewer]), found.prompts, b[fewer], margins[1]),
    ]
    both = ensemble(members, STARTER, SIX, seed=0)
    z = [(x[fewer] - x[fewer].mean(axis=0)) / x[fewer].std(axis=0) for x in (a, b)]
    smaller = ask(members[1].words, STARTER, SIX, seed=0, split=False)
    whole = np.ones(len(smaller.words), dtype=bool), np.ones(6, dtype=bool)
    assert both.contrast == pytest.approx(smaller.lean((z[0] + z[1]) / 2, *whole))
    assert both.models == {"a": smaller.lean(a[fewer], *whole), "b": smaller.lean(b[fewer], *whole)}
    assert (both.accuracy, both.n_pairs, both.accuracies) == (2 / 3, 3, {"a": 2 / 3, "b": 1 / 3})
    assert both.bases == ["base a"] and both.n_words == fewer.sum()
    alone = ensemble([members[0], replace(members[1], margins=None)], STARTER, SIX, seed=0)
    assert alone.accuracy is None and "only a score table is known of b" in str(alone.accuracy_why)
    with pytest.raises(BirthmarkError, match="twice"):
        ensemble([members[0], members[0]], STARTER, SIX, seed=0)


def test_a_lean_stands_among_the_published_reward_models_on_the_words_that_they_were_scored_with() -> None:
    found = asked(0)
    strong, weak = scores(found, 1, lean=-2.0), scores(found, 1)
    place = among_published(found, strong, weak, STARTER)
    assert isinstance(place, AmongPublished)
    published = {"skywork-reward-gemma-2-27b-v0.2": 23.0532, "grm-llama3.2-3b": 10.6122}
    assert {name: place.models[name] for name in published} == published and len(place.models) == 10
    assert (place.n_words, place.n_prompts, place.published_prompts) == (61, 6, 54)
    assert place.below_before == sum(value < place.before for value in place.models.values())
    assert place.before > place.after
    other = replace(STARTER, entries={word: names for word, names in STARTER.entries.items() if word != "love"})
    assert isinstance(among_published(found, strong, weak, other), NotApplicable)


def test_a_lean_that_words_share_goes_on_words_and_prompts_that_were_not_seen_and_the_rest_stays() -> None:
    found = asked(0, PROMPTS)
    rng = np.random.default_rng(0)
    sign = np.array([1 if framing == "positive" else -1 for framing in found.framings])
    states = rng.normal(size=(len(found.words), len(found.prompts), 12))
    states += rng.normal(size=(len(found.words), 1, 12))  # a word's own
    states[..., 0] += 2 * np.outer(np.where(found.member[0], 1, -1), sign)  # what the categories share
    answers = 3 * rng.normal(size=(400, 12))
    answers[:, 0] *= 0.1
    w = np.ones(12)
    rows = found.differences(states)
    edited = w + step(rows, -rows @ w, Covariance.of(answers).solve(rows, 0.01))
    lean = lean_change(found, states @ w, states @ edited, ("held-out", "held-out"), 0.0, seed=0)
    assert lean.remains is not None and abs(lean.remains) < 0.15
    shortest = w + step(rows, -rows @ w, rows.T)
    kept = [np.corrcoef(answers @ w, answers @ head)[0, 1] for head in (edited, shortest)]
    assert kept[0] > 0.9 and kept[0] > kept[1]
