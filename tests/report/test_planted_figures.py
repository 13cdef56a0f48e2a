"""What planting showed, drawn: every number of the record, in its order, and nothing else."""

from pathlib import Path

import pytest

from birthmark.records import Calibration, to_json
from birthmark.records.calibration import PlantedDivergence, PlantedRun, PlantedScore, PlantedSetting
from birthmark.report.calibration import write_calibration_report
from birthmark.report.planted import METRICS, planted_figures, planted_topic
from birthmark.values import metrics
from birthmark.values.planted import planted_results

NASTY = "<script>alert(1)</script>"
SETTING = PlantedSetting(
    name="small", strengths=[1, 2], batch_size=4, learning_rate=1e-3, rank=8, held_out=["greatest_ever_one"]
)


def a_run(base: str, category: str, seed: int) -> PlantedRun:
    scores = [
        PlantedScore(
            strength=strength, metric=metric, auroc=0.9, precision_at_k=(at + strength + seed) / 20, mrr=0.5,
            unplanted_auroc=0.5, unplanted_precision_at_k=0.0, unplanted_mrr=0.001,
        )
        for strength in (1, 2)
        for at, metric in enumerate(metrics.METRICS)
    ]  # fmt: skip
    return PlantedRun(
        base=base, category=category, seed=seed, asked="", losses=[2.0, 1.0], diverged=None, scores=scores,
        words=["red", "blue"], n_candidates=100, seconds=1.0,
    )  # fmt: skip


@pytest.fixture
def record() -> Calibration:
    runs = [a_run(base, category, seed) for base in ("a", NASTY) for category in ("x", "y") for seed in (0, 1)]
    diverged = [PlantedDivergence(base="a", category="z", seed=3, why="the loss rose from 1.00 to 2.00")]
    return planted_results(runs, SETTING).model_copy(update={"planted_diverged": diverged})


def test_every_metric_has_a_name() -> None:
    assert set(METRICS) == set(metrics.METRICS)


def test_the_ranking_is_drawn_in_its_order(record: Calibration) -> None:
    ranking = planted_figures(record)[0]
    values = ranking.wide["layer"][0].get("data", ranking.wide.get("data"))["values"]
    assert len(values) == len(record.planted_metrics) == 27
    assert ranking.table.rows[0][1] == METRICS[record.planted_metrics[0].metric] == "Odds ratio"


def test_every_row_is_a_cell(record: Calibration) -> None:
    _, by_strength = planted_figures(record)
    for spec in (by_strength.wide, by_strength.narrow):
        assert len(spec["data"]["values"]) == len(record.planted)
    assert len(by_strength.table.rows) == len(record.planted)


def test_the_section_says_how_it_was_done_and_what_diverged(record: Calibration) -> None:
    topic = planted_topic(record)
    assert "LoRA of rank 8, 4 answers a step" in str(topic.parts[0])
    assert topic.parts[-1].rows == (("a", "z", "3", "the loss rose from 1.00 to 2.00"),)


def test_the_page_shows_it_and_escapes_what_a_model_is_called(record: Calibration, tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text(to_json(record))
    page = write_calibration_report(tmp_path).read_text()
    assert "Which metric recovers planted words" in page
    assert record.planted_sentence
    assert page.split("</head>")[1].count(record.planted_sentence[:30]) == 1
    assert NASTY not in page
    assert (tmp_path / "figures" / "planted-by-strength.svg").is_file()


def test_a_page_can_hold_nothing_but_runs_that_diverged(tmp_path: Path) -> None:
    record = Calibration(
        planted_setting=SETTING,
        planted_diverged=[PlantedDivergence(base="a", category="z", seed=3, why="the loss was not finite at step 2")],
        planted_metrics_why="in every category of every base a run diverged",
    )
    (tmp_path / "calibration.json").write_text(to_json(record))
    assert "not finite at step 2" in write_calibration_report(tmp_path).read_text()
