"""Forecasts from histories of score tables, and the coverage that `calibrate tests` counts."""

import numpy as np
import pytest

from birthmark.records import Digests, NotApplicable
from birthmark.stats.forecast import attainable
from birthmark.values.forecast_studies import Design, forecast_studies
from birthmark.values.forecasts import History, forecasts
from birthmark.values.joined import join_tables

PROMPTS = ("best_1", "worst_1")


@pytest.fixture
def tables(make_table, make_lexicon):
    """Bases of all leans, a reward model on each, and a lexicon of two categories."""
    words = [f"w{at}" for at in range(12)]
    lexicon = make_lexicon({word: "A" if at < 6 else "B" for at, word in enumerate(words)})
    rng = np.random.default_rng(0)

    def table(name, lean, kind, base, frame="qa"):
        side = np.where(np.arange(12) < 6, lean, -lean)
        scores = rng.normal(0, 1, (12, 2)) + np.stack([side, -side], axis=1)
        made = make_table(name, words, scores, prompts=PROMPTS, base=base, kind=kind, family=base, frame=frame)
        digests = Digests(weights=f"weights of {name}", tokenizer="t")
        return type(made)(made.frame, made.record.model_copy(update={"digests": digests}))

    def history(count, frame="qa"):
        found = []
        for at in range(count):
            lean = at / count - 0.4
            found += [
                table(f"base{at}", lean, "logprob", f"base{at}", frame),
                table(f"rm{at}", lean, "reward", f"base{at}"),
            ]
        return found

    return lexicon, table, history


def test_a_forecast_stands_on_the_contrasts_of_bases_and_reward_models(tables):
    lexicon, table, history = tables
    past, new = history(8), table("new", 0.3, "logprob", "new")
    (found,) = forecasts(History.of(past, "qa"), [("new", new)], lexicon, [])
    languages, rewards = (
        join_tables([item for item in (*past, new) if item.record.kind == kind], lexicon).mean_rank_contrasts
        for kind in ("logprob", "reward")
    )
    slope, intercept = np.polyfit(languages[:-1], rewards, 1)
    assert found.forecast == pytest.approx(intercept + slope * languages[-1])
    assert found.low <= found.forecast <= found.high and found.level == attainable(8) and found.seen is None


def test_a_candidate_is_left_out_of_its_own_forecast(tables):
    lexicon, _, history = tables
    past = history(8)
    (found,) = forecasts(History.of(past, "qa"), [("base3", past[6])], lexicon, [])
    assert (found.bases, found.reward_models) == (7, 7)


@pytest.mark.parametrize(("count", "frame"), [(5, "qa"), (8, "chat")])
def test_fewer_than_six_bases_in_this_frame_give_no_forecast(tables, count, frame):
    lexicon, table, history = tables
    found = forecasts(
        History.of(history(count, frame), "qa"), [("new", table("new", 0.0, "logprob", "new"))], lexicon, []
    )
    assert isinstance(found, NotApplicable) and "needs 6 or more" in found.why


def test_the_measured_coverage_is_near_the_nominal_one():
    (row,) = forecast_studies(Design(10, 1, False), 400, 0).coverage
    assert row.level == attainable(10) and row.coverage == pytest.approx(row.level, abs=3 * row.mc_error + 0.01)
    assert row.layout == "forecast, 10 bases, 1 RM each" and row.width > 0
