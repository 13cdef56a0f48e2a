import numpy as np
import polars as pl
import pytest

from birthmark.errors import BirthmarkError
from birthmark.values.logratios import implicit_rewards
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
