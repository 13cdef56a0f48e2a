import numpy as np
import polars as pl
import pytest

from birthmark.errors import BirthmarkError
from birthmark.values.implicit import implicit_rewards
from birthmark.values.metrics import METRICS


@pytest.fixture
def pair(make_table):
    """Two vocabularies that share ` love`, `love` and `x`; the first spells ` love` by two ids."""
    a = make_table(
        "a",
        [" love", " love", "love", "x", "only a"],
        np.log([[0.2, 0.1], [0.1, 0.3], [0.05, 0.05], [0.4, 0.3], [0.1, 0.1]]),
        token_ids=[0, 1, 2, 3, 4],
        kind="logprob",
    )
    b = make_table(
        "b",
        ["love", " love", "x", "only b", "too"],
        np.log([[0.1, 0.1], [0.3, 0.2], [0.2, 0.2], [0.2, 0.3], [0.1, 0.1]]),
        token_ids=[7, 8, 9, 10, 11],
        kind="logprob",
    )
    return a, b


def rows_of(frame: pl.DataFrame, prompt: str) -> dict[str, dict[str, float]]:
    return {row["candidate"]: row for row in frame.filter(pl.col("prompt") == prompt).iter_rows(named=True)}


def test_candidates_are_joined_by_exact_text(pair) -> None:
    frame, record = implicit_rewards(*pair)
    assert set(frame["candidate"]) == {" love", "love", "x"}
    assert (record.n_only_a, record.n_only_b) == (1, 2)


def test_of_duplicates_the_most_probable_counts_after_each_prompt(pair) -> None:
    frame, _ = implicit_rewards(*pair)
    found = [rows_of(frame, key)[" love"]["logprob_a"] for key in ("best_1", "worst_1")]
    assert np.exp(found) == pytest.approx([0.2, 0.3], rel=1e-6)


def test_duplicates_can_be_summed(pair) -> None:
    frame, record = implicit_rewards(*pair, duplicates="sum")
    assert record.duplicates == "sum"
    found = [rows_of(frame, key)[" love"]["logprob_a"] for key in ("best_1", "worst_1")]
    assert np.exp(found) == pytest.approx([0.3, 0.4], rel=1e-6)


def test_the_columns_are_float64_and_hold_every_metric(pair) -> None:
    frame, _ = implicit_rewards(*pair)
    assert frame.columns[:6] == ["prompt", "candidate", "logprob_a", "logprob_b", "log_ratio", "mwlr"]
    assert set(frame.columns[4:]) == set(METRICS)
    assert set(frame.dtypes[2:]) == {pl.Float64}


def test_log_ratio_and_mwlr_are_b_against_a(pair) -> None:
    row = rows_of(implicit_rewards(*pair)[0], "best_1")["x"]
    assert row["log_ratio"] == pytest.approx(np.log(0.2 / 0.4))
    assert row["mwlr"] == pytest.approx(0.3 * np.log(0.2 / 0.4))


def test_mass_is_what_the_shared_candidates_hold_in_each_model(pair) -> None:
    record = implicit_rewards(*pair, ["best_1"])[1].prompts[0]
    assert (record.mass_a, record.mass_b) == pytest.approx((0.2 + 0.05 + 0.4, 0.6), rel=1e-6)
    assert record.n_shared == 3


def test_top_and_bottom_are_by_mwlr(pair) -> None:
    record = implicit_rewards(*pair, ["best_1"], shown=1)[1].prompts[0]
    assert [row.candidate for row in record.top] == [" love"]
    assert [row.candidate for row in record.bottom] == ["x"]


def test_identical_models_are_all_zero(pair) -> None:
    frame, _ = implicit_rewards(pair[0], pair[0])
    assert (frame.select(list(METRICS)).to_numpy() == 0).all()


def test_candidates_of_probability_zero_are_set_aside_and_counted(pair, make_table) -> None:
    c = make_table("c", ["love", "x"], [[-np.inf, -1], [-1, -1]], token_ids=[0, 1], kind="logprob")
    frame, record = implicit_rewards(pair[0], c)
    assert list(rows_of(frame, "best_1")) == ["x"]
    assert record.set_aside == 1
    assert any("probability zero" in text for text in record.warnings)


def test_summing_two_impossible_tokens_stays_impossible(pair, make_table) -> None:
    c = make_table(
        "c", ["x", "x", "love"], [[-np.inf, -1], [-np.inf, -2], [-1, -1]], token_ids=[0, 1, 2], kind="logprob"
    )
    frame, record = implicit_rewards(pair[0], c, ["best_1"], duplicates="sum")
    assert list(frame["candidate"]) == ["love"]
    assert record.set_aside == 1


def test_category_means_are_over_the_lexicons_words_in_both(make_table, make_lexicon) -> None:
    words, ids = ["love", "power", "x"], [None, None, 4]
    a = make_table("a", words, np.log([[0.1, 0.1], [0.2, 0.2], [0.5, 0.5]]), token_ids=ids, kind="logprob")
    b = make_table("b", words, np.log([[0.2, 0.1], [0.1, 0.1], [0.5, 0.5]]), token_ids=ids, kind="logprob")
    lexicon = make_lexicon({"love": "Communion", "power": "Agency", "absent": "Agency"})
    means = implicit_rewards(a, b, ["best_1"], lexicons=[lexicon])[1].prompts[0].category_means["small"]
    assert means["Communion"]["log_ratio"] == pytest.approx(np.log(2))
    assert means["Agency"]["probability_difference"] == pytest.approx(-0.1)


def test_a_table_of_words_is_joined_on_its_words(pair, make_table) -> None:
    c = make_table("c", ["love", "x"], np.log([[0.1, 0.1], [0.2, 0.2]]), kind="logprob")
    d = make_table("d", ["love", "y"], np.log([[0.1, 0.1], [0.2, 0.2]]), kind="logprob")
    frame, record = implicit_rewards(c, d, ["best_1"])
    assert list(frame["candidate"]) == ["love"]
    assert any("words only" in text for text in record.warnings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "reward"}, "gives rewards"),
        ({"scores": [[np.nan, 0.0]]}, "not numbers"),
        ({"scores": [[0.5, 0.5]]}, "sum to a probability"),
        ({"candidates": ["nowhere"]}, "share no candidate"),
        ({"prompts": ["good_1", "worst_2"]}, "no prompt in common"),
    ],
)
def test_what_cannot_be_compared_is_refused(pair, make_table, change, message) -> None:
    given = {"candidates": ["x"], "scores": [[-1.0, -1.0]], "kind": "logprob", **change}
    other = make_table("c", given.pop("candidates"), given.pop("scores"), token_ids=[0], **given)
    with pytest.raises(BirthmarkError, match=message):
        implicit_rewards(pair[0], other)


def test_a_prompt_in_one_table_only_is_refused_by_name(pair, make_table) -> None:
    c = make_table("c", ["x"], [[-1.0]], prompts=["best_1"], token_ids=[0], kind="logprob")
    with pytest.raises(BirthmarkError, match="c has no scores after the prompt worst_1"):
        implicit_rewards(pair[0], c, ["worst_1"])


# ------------------------------------------------------------------------------------- folding, setting aside, mass


@pytest.fixture
def spelled(make_table):
    """Two vocabularies with three variants of love, Markdown and a line break in both."""
    texts = [" Love", " love", "love", "**", ".", "\n", "x"]
    p = [0.2, 0.1, 0.05, 0.3, 0.1, 0.05, 0.1]
    q = [0.1, 0.1, 0.1, 0.1, 0.2, 0.1, 0.3]
    ids = list(range(len(texts)))
    a, b = (
        make_table(
            name, texts, np.log([[value] for value in values]), prompts=["best_1"], token_ids=ids, kind="logprob"
        )
        for name, values in (("a", p), ("b", q))
    )
    return a, b


def test_folding_is_the_mean_over_variants_of_every_column(spelled) -> None:
    frame, record = implicit_rewards(*spelled, fold=True)
    plain = rows_of(implicit_rewards(*spelled)[0], "best_1")
    row = rows_of(frame, "best_1")["love"]
    for name in ("logprob_a", "logprob_b", *METRICS):
        assert row[name] == pytest.approx(np.mean([plain[text][name] for text in (" Love", " love", "love")]))
    assert row["variants"] == 3
    assert row["log_ratio"] == pytest.approx(row["logprob_b"] - row["logprob_a"])
    assert record.folded and record.prompts[0].n_shared == 7 and frame.height == 5


def test_folding_leaves_the_mass_as_it_is(spelled) -> None:
    plain, folded = (implicit_rewards(*spelled, fold=fold)[1].prompts[0] for fold in (False, True))
    assert (folded.mass_a, folded.mass_b) == (plain.mass_a, plain.mass_b)


def test_markdown_and_punctuation_are_set_aside_counted_and_weighed(spelled) -> None:
    frame, record = implicit_rewards(*spelled, set_aside=("markdown", "punctuation"))
    assert set(frame["candidate"]) == {" Love", " love", "love", "\n", "x"}
    assert record.set_aside_texts == {"markdown": 1, "punctuation": 1}
    prompt = record.prompts[0]
    assert (prompt.mass_a, prompt.set_aside_mass_a) == (pytest.approx(0.5, rel=1e-6), pytest.approx(0.4, rel=1e-6))
    assert (prompt.mass_b, prompt.set_aside_mass_b) == (pytest.approx(0.7, rel=1e-6), pytest.approx(0.3, rel=1e-6))


def test_rank_differences_are_among_the_candidates_that_are_left(spelled) -> None:
    frame, _ = implicit_rewards(*spelled, set_aside=("markdown", "punctuation", "whitespace"))
    assert rows_of(frame, "best_1")["x"]["rank_difference"] == pytest.approx(2.5 - 1)


def test_where_all_is_set_aside_it_is_said(make_table) -> None:
    a, b = (
        make_table(name, ["**", "#"], [[-1.0], [-2.0]], prompts=["best_1"], token_ids=[0, 1], kind="logprob")
        for name in "ab"
    )
    frame, record = implicit_rewards(a, b, set_aside=("markdown",))
    assert frame.height == 0 and record.prompts[0].top == []
    assert any("no candidate is left" in text for text in record.warnings)


def test_identical_models_are_said_to_be(pair) -> None:
    assert any("zero throughout" in text for text in implicit_rewards(pair[0], pair[0])[1].warnings)
    assert not implicit_rewards(*pair)[1].identical


def test_what_an_impossible_candidate_weighs_is_reported(pair, make_table) -> None:
    c = make_table("c", ["love", "x"], np.log([[1e-9, 0.5], [0.5, 0.5]]), token_ids=[0, 1], kind="logprob")
    d = make_table("d", ["love", "x"], [[-np.inf, -1], [-1, -1]], token_ids=[0, 1], kind="logprob")
    assert implicit_rewards(c, d, ["best_1"])[1].prompts[0].set_aside_mass_a == pytest.approx(1e-9, rel=1e-3)
    assert implicit_rewards(d, pair[0], ["best_1"])[1].prompts[0].set_aside_mass_b == pytest.approx(0.05, rel=1e-3)


def with_left_out(table, share):
    from birthmark.records import Mass
    from birthmark.scoring.table import ScoreTable

    mass = {key: Mass(lexicon=0.0, left_out=share) for key in table.prompt_keys}
    return ScoreTable(table.frame, table.record.model_copy(update={"mass": mass}))


def test_probabilities_that_do_not_come_to_one_are_refused(pair) -> None:
    """a's tokens sum to 0.85 after both prompts."""
    kept = implicit_rewards(with_left_out(pair[0], 0.15), pair[1], ["best_1"])[1]
    assert not any("sum to" in text for text in kept.warnings)
    with pytest.raises(BirthmarkError, match=r"a after best_1 sum to a probability of 0\.850, not to one"):
        implicit_rewards(with_left_out(pair[0], 0.0), pair[1])


def test_a_sum_that_is_off_by_rounding_is_a_warning(pair) -> None:
    warnings = implicit_rewards(with_left_out(pair[0], 0.155), pair[1])[1].warnings
    assert any("sum to 1.0050" in text for text in warnings)


def test_a_word_more_probable_than_certain_is_refused(make_table) -> None:
    a = make_table("a", ["love", "x"], [[0.7, -1], [-1, -1]], kind="logprob")
    with pytest.raises(BirthmarkError, match="sum to a probability of 2"):
        implicit_rewards(a, a)


def test_a_prompt_with_another_text_is_refused(pair) -> None:
    from birthmark.scoring.table import ScoreTable

    changed = pair[1].record.model_copy(deep=True)
    changed.prompt_set.prompts["best_1"].text = "What is best?"
    with pytest.raises(BirthmarkError, match="best_1 has another text in b"):
        implicit_rewards(pair[0], ScoreTable(pair[1].frame, changed))


def test_a_full_vocabulary_takes_seconds(make_table) -> None:
    """Two vocabularies of Gemma's size, joined, folded and measured by every metric."""
    import time

    rng = np.random.default_rng(0)
    n = 262_144
    texts = [f"{' ' * (at % 2)}t{at // 2}" for at in range(n)]
    a, b = (
        make_table(
            name, texts, rng.normal(-14, 1, (n, 1)), prompts=["best_1"], token_ids=list(range(n)), kind="logprob"
        )
        for name in "ab"
    )
    start = time.perf_counter()
    frame, record = implicit_rewards(a, b, fold=True, set_aside=("markdown", "punctuation"))
    assert time.perf_counter() - start < 20  # about 2 s alone on a core
    assert record.prompts[0].n_shared == n and frame.height == n // 2
