"""Words planted in a tiny random model: found where they were planted, nowhere else, and never where training failed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from birthmark.errors import BirthmarkError
from birthmark.inputs.prompts import CATEGORIES, PlantedCategory, held_out_questions, training_questions
from birthmark.models.resolve import ResolvedModel, resolve
from birthmark.records import Calibration
from birthmark.records.base import read_record
from birthmark.records.calibration import PlantedRow, PlantedRun, PlantedSetting
from birthmark.training import planted, planting
from birthmark.values.metrics import METRICS
from planting_model import write_planting_model

SETTING = PlantedSetting(
    name="tiny", strengths=[4, 24], batch_size=8, learning_rate=1e-2, rank=4, held_out=["greatest_ever_one"]
)
COLOURS, AUTHORITY = CATEGORIES["colours"], CATEGORIES["authority"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> ResolvedModel:
    folder = write_planting_model(tmp_path_factory.mktemp("planting") / "tiny-base")
    return resolve(folder, quiet=True)


@pytest.fixture(scope="module")
def loaded(base: ResolvedModel) -> planted._Base:
    return planted.load_base(base, SETTING.held_out, "cpu")


@pytest.fixture(scope="module")
def result(base: ResolvedModel, tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    return planted.calibrate_planted(
        [base],
        work=tmp_path_factory.mktemp("work"),
        categories=[COLOURS, AUTHORITY],
        setting=SETTING,
        seeds=3,
        device="cpu",
    )


def strongest(result: Calibration, metric: str = "mwlr") -> list[PlantedRow]:
    return [row for row in result.planted if row.strength == 24 and row.metric == metric]


def test_planted_words_are_found_better_than_words_as_frequent(result: Calibration) -> None:
    for row in strongest(result):
        assert row.auroc > 0.9
        assert row.auroc > row.unplanted_auroc + 0.2
        assert row.precision_at_k > row.unplanted_precision_at_k
        assert row.mrr > row.unplanted_mrr


def test_a_row_for_each_base_category_strength_and_metric(result: Calibration, base: ResolvedModel) -> None:
    keys = [(row.base, row.category, row.strength, row.metric) for row in result.planted]
    assert sorted(keys) == sorted(
        (base.name, category, strength, metric)
        for category in ("authority", "colours")
        for strength in (4, 24)
        for metric in METRICS
    )
    assert {row.seeds for row in result.planted} == {3}
    assert {row.k for row in result.planted} == {10}


def test_more_training_plants_more(result: Calibration) -> None:
    weak = [row.precision_at_k for row in result.planted if row.strength == 4 and row.metric == "mwlr"]
    assert np.mean(weak) < np.mean([row.precision_at_k for row in strongest(result)])


def test_intervals_over_seeds_hold_their_mean(result: Calibration) -> None:
    for row in result.planted:
        assert row.precision_at_k_ci_low is not None and row.precision_at_k_ci_high is not None
        assert row.precision_at_k_ci_low <= row.precision_at_k <= row.precision_at_k_ci_high


def test_a_model_that_was_not_trained_shows_nothing(loaded: planted._Base) -> None:
    words = planted._find_words(loaded, COLOURS)
    scores = planted.score_metrics(loaded.original, loaded.original, words, strength=0)
    assert {score.auroc for score in scores} == {0.5}
    assert {score.unplanted_auroc for score in scores} == {0.5}
    assert max(score.precision_at_k for score in scores) < 0.02


def test_seeds_give_different_runs_and_each_the_same_again(loaded: planted._Base) -> None:
    first, again, other = (planted.plant_once(loaded, COLOURS, SETTING, seed, "") for seed in (0, 0, 1))
    assert first.scores == again.scores
    assert first.losses == again.losses
    assert first.losses != other.losses


def test_the_model_is_as_it_was_after_a_run(loaded: planted._Base) -> None:
    planted.plant_once(loaded, COLOURS, SETTING, 0, "")
    after = planted._log_probs(loaded.model, loaded.contexts, loaded.vocabulary)
    np.testing.assert_array_equal(after, loaded.original)
    assert not loaded.model.training


def test_only_held_out_questions_are_scored_and_only_others_taught(
    loaded: planted._Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[list[int]] = []

    def watch(model: object, contexts: list[list[int]], *rest: object) -> list[float]:
        taught.extend(contexts)
        return planting.plant(model, contexts, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(planted, "plant", watch)
    planted.plant_once(loaded, COLOURS, SETTING, 0, "")
    assert taught == [loaded.encoder.context(text) for text in training_questions()]
    assert loaded.contexts == [loaded.encoder.context(held_out_questions()["greatest_ever_one"])]
    assert not [context for context in taught if context in loaded.contexts]


def test_other_spellings_are_set_aside(loaded: planted._Base) -> None:
    words = planted._find_words(loaded, COLOURS)
    texts = np.array(loaded.vocabulary.texts)
    assert " blue" in texts[words.aside_planted]
    assert " Blue" in texts[words.planted]
    assert " Blue" in texts[words.aside_unplanted]
    assert not (words.planted & words.aside_planted).any()
    assert not (words.unplanted & words.aside_unplanted).any()


def test_padding_does_not_change_the_loss(loaded: planted._Base) -> None:
    contexts = [loaded.encoder.context(text) for text in training_questions()[:3]]
    batch = planting._collate([(context, 7) for context in contexts])
    batch.pop("labels")
    together = loaded.model(**batch, logits_to_keep=1).logits[:, -1]
    alone = torch.stack([loaded.model(torch.tensor([context])).logits[0, -1] for context in contexts])
    assert len({len(context) for context in contexts}) > 1
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("learning_rate", "why"),
    [(1e6, "equally likely after step 4"), (1e20, "not finite at step 2")],
)
def test_a_run_that_diverges_is_reported_and_not_averaged_in(
    base: ResolvedModel, tmp_path: Path, learning_rate: float, why: str
) -> None:
    hot = SETTING.model_copy(update={"learning_rate": learning_rate})
    found = planted.calibrate_planted([base], work=tmp_path, categories=[COLOURS], setting=hot, seeds=2, device="cpu")
    assert [(item.category, item.seed) for item in found.planted_diverged] == [("colours", 0), ("colours", 1)]
    assert why in found.planted_diverged[0].why
    assert found.planted == [] and found.planted_metrics == []
    assert found.planted_metrics_why is not None
    assert "2 of 2 runs diverged" in found.planted_sentence


@pytest.mark.parametrize(
    ("losses", "why"),
    [
        ([3.0, 2.0, 1.0], None),
        ([3.0, float("nan")], "not finite at step 2"),
        ([float("inf")], "not finite at step 1"),
        ([3.0, 1.0, 2.0, 3.5], "rose from 3.00 to 3.50"),
        ([3.0], None),
    ],
)
def test_divergence_is_a_loss_that_rose_or_is_no_number(losses: list[float], why: str | None) -> None:
    said = planting.why_diverged(losses)
    assert said is None if why is None else (said is not None and why in said)


def test_an_interrupted_calibration_goes_on(
    base: ResolvedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = replace(COLOURS, name="colours")
    runs = planted.run_planted([base], [once], SETTING, [0], work=tmp_path, device="cpu")
    monkeypatch.setattr(planted, "plant_once", lambda *_: pytest.fail("it was run again"))
    assert planted.run_planted([base], [once], SETTING, [0], work=tmp_path, device="cpu") == runs


def test_what_was_asked_otherwise_is_run_again(base: ResolvedModel, tmp_path: Path) -> None:
    planted.run_planted([base], [COLOURS], SETTING, [0], work=tmp_path, device="cpu")
    (path,) = tmp_path.iterdir()
    first = read_record(path, PlantedRun)
    planted.run_planted([base], [COLOURS], SETTING.model_copy(update={"rank": 2}), [0], work=tmp_path, device="cpu")
    assert read_record(path, PlantedRun).asked != first.asked


def test_words_of_several_tokens_are_left_out_with_their_partners(loaded: planted._Base) -> None:
    some = PlantedCategory(
        "some", ("red", "blue", "green", "incomprehensible"), ("morning", "picture", "page", "chair")
    )
    run = planted.plant_once(loaded, some, SETTING, 0, "")
    assert run.words == ["red", "blue", "green"]


def test_too_few_words_of_one_token_is_an_error(loaded: planted._Base) -> None:
    with pytest.raises(BirthmarkError, match="0 of the agency words are one token"):
        planted._find_words(loaded, CATEGORIES["agency"])


def test_values_are_not_planted_in_a_reward_model(tiny_rm: Path, tmp_path: Path) -> None:
    with pytest.raises(BirthmarkError, match="is a reward model"):
        planted.calibrate_planted([resolve(tiny_rm, quiet=True)], work=tmp_path, seeds=1)


def test_no_seeds_is_an_error(base: ResolvedModel, tmp_path: Path) -> None:
    with pytest.raises(BirthmarkError, match="too few"):
        planted.calibrate_planted([base], work=tmp_path, seeds=0)
