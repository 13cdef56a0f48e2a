"""Two words in every pair of a grid, against sums written out and against every split of the models."""

from itertools import combinations

import numpy as np
import pytest

from birthmark.errors import BirthmarkError
from birthmark.values.implicit_sides import make_sides, word_gap
from birthmark.values.metrics import METRICS

TEXTS = ["Love", " love", "freedom", " Freedom", "x", "lovely"]
RNG = np.random.default_rng(8)
SCORES = [np.log(RNG.dirichlet(np.ones(len(TEXTS)))) for _ in range(6)]


@pytest.fixture
def sides(make_table):
    """Two models against four; the last has another vocabulary beside the shared one."""
    tables = [
        make_table(
            f"m{at}",
            TEXTS,
            scores[:, None],
            prompts=["best_1"],
            token_ids=list(range(6)),
            kind="logprob",
            family="Gemma" if at < 2 else "Llama",
        )
        for at, scores in enumerate(SCORES)
    ]
    return make_sides(tables[:2], tables[2:])


def gap_by_hand(i: int, j: int, metric: str = "mwlr") -> float:
    values = METRICS[metric](SCORES[i].astype(np.float32).astype(float), SCORES[j].astype(np.float32).astype(float))
    return float(values[[2, 3]].mean() - values[[0, 1]].mean())


def test_each_pair_has_the_mean_over_the_words_variants(sides) -> None:
    found = word_gap(sides, "best_1", ["love", "freedom"])
    assert found.variants == {"love": [" love", "Love"], "freedom": [" Freedom", "freedom"]}
    assert [(pair.a, pair.b) for pair in found.pairs[:2]] == [("m0", "m2"), ("m0", "m3")]
    assert len(found.pairs) == 8
    for pair in found.pairs:
        assert pair.gap == pytest.approx(gap_by_hand(int(pair.a[1]), int(pair.b[1])))
        assert pair.gap == pytest.approx(pair.second - pair.first)


@pytest.mark.parametrize("metric", METRICS)
def test_the_test_is_over_every_split_of_the_models(sides, metric) -> None:
    """Brute force: for every choice of two models as the first side, the mean over its pairs with the other four."""
    test = next(item for item in word_gap(sides, "best_1", ["love", "freedom"]).tests if item.metric == metric)
    means = [
        np.mean([gap_by_hand(i, j, metric) for i in chosen for j in range(6) if j not in chosen])
        for chosen in combinations(range(6), 2)
    ]
    assert test.mean_gap == pytest.approx(means[0])
    assert (test.n_splits, test.count) == (15, sum(abs(mean) >= abs(means[0]) * (1 - 1e-9) for mean in means))
    assert test.positive == sum(gap_by_hand(i, j, metric) > 0 for i in range(2) for j in range(2, 6))


def test_the_order_of_the_words_turns_the_sign(sides) -> None:
    there, back = (word_gap(sides, "best_1", words) for words in (["love", "freedom"], ["Freedom", "LOVE"]))
    assert [pair.gap for pair in there.pairs] == pytest.approx([-pair.gap for pair in back.pairs])


def test_metrics_that_disagree_are_named(sides) -> None:
    found = word_gap(sides, "best_1", ["love", "freedom"])
    lead = next(test for test in found.tests if test.metric == "mwlr")
    for test in found.tests:
        assert (test.metric.replace("_", " ") in found.sentence.partition("By MWLR")[2]) == (
            test.mean_gap * lead.mean_gap < 0
        )


def test_two_models_can_show_nothing_of_families(sides) -> None:
    found = word_gap(make_sides(sides.first[:1], sides.second[:1]), "best_1", ["love", "freedom"])
    test = found.tests[0]
    assert (test.n_splits, test.p_exact, test.min_p) == (2, 1.0, 1.0)
    assert "the smallest attainable p-value is 1" in found.sentence


def test_only_texts_of_all_vocabularies_count(sides, make_table) -> None:
    narrow = make_table(
        "n", ["love", " love", "freedom"], [[-1.0], [-2.0], [-3.0]], prompts=["best_1"], token_ids=[0, 1, 2],
        kind="logprob", family="Llama",
    )  # fmt: skip
    found = word_gap(make_sides(sides.first, [*sides.second, narrow]), "best_1", ["love", "freedom"])
    assert found.variants == {"love": [" love"], "freedom": ["freedom"]}


def test_words_of_several_tokens_are_looked_up_among_the_words(make_table) -> None:
    tables = [
        make_table(
            name,
            ["x", "self-control", "love"],
            [[-1.0], [low], [-3.0]],
            prompts=["best_1"],
            token_ids=[0, None, None],
            kind="logprob",
            family=name,
        )
        for name, low in (("a", -9.0), ("b", -5.0))
    ]
    found = word_gap(make_sides(tables[:1], tables[1:]), "best_1", ["love", "self-control"])
    assert (found.source, found.pairs[0].first) == ("words", 0.0)
    assert found.pairs[0].second == pytest.approx((np.exp(-9) + np.exp(-5)) / 2 * 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [(["love", "zebra"], "'zebra' as a token"), (["love"], "two different words"), (["love", "Love"], "two different")],
)
def test_words_that_are_not_there_are_refused(sides, words, message) -> None:
    with pytest.raises(BirthmarkError, match=message):
        word_gap(sides, "best_1", words)
