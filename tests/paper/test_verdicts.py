"""Whether MWLR finds planted words best: the verdict from what was planted here."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from birthmark.commands.calibrate import read_planted
from birthmark.errors import BirthmarkError
from birthmark.paper.verdicts import planted_claim
from birthmark.records.calibration import PlantedMetric


def row(metric: str, found: float, behind_low: float | None, base: str | None = None, seeds: int = 5) -> PlantedMetric:
    return PlantedMetric(
        base=base,
        metric=metric,
        auroc=0.9,
        precision_at_k=found,
        precision_at_k_ci_low=None,
        precision_at_k_ci_high=None,
        mrr=0.5,
        behind=0.0,
        behind_ci_low=behind_low,
        behind_ci_high=None,
        seeds=seeds,
    )


@pytest.mark.parametrize(
    ("rows", "verdict", "said"),
    [
        (
            [row("mwlr", 0.5, 0.0), row("log_ratio", 0.2, 0.1)],
            "holds",
            "MWLR brings 50.0% of them to the top k, every other",
        ),
        ([row("mwlr", 0.5, 0.0), row("log_ratio", 0.49, -0.1)], "partly", "log_ratio (49.0%) cannot be told from it"),
        (
            [row("log_ratio", 0.5, 0.0), row("mwlr", 0.49, -0.1)],
            "partly",
            "log_ratio 50.0%, and the two cannot be told",
        ),
        ([row("log_ratio", 0.5, 0.0), row("mwlr", 0.3, 0.1)], "fails", "log_ratio 50.0%, which is more than chance"),
    ],
)
def test_the_verdict_follows_the_interval_of_what_is_behind(rows: list[PlantedMetric], verdict: str, said: str) -> None:
    claim = planted_claim(rows)
    assert (claim.verdict, claim.reproduced) == (verdict, verdict == "holds")
    assert said in claim.sentence
    assert claim.sentence.startswith("Not from the study's files")


def test_it_is_judged_over_all_bases_and_names_the_leader_in_each() -> None:
    rows = [
        row("mwlr", 0.5, 0.0),
        row("log_ratio", 0.2, 0.1),
        row("mwlr", 0.6, 0.0, "big"),
        row("log_ratio", 0.4, 0.0, "small"),
    ]
    claim = planted_claim(rows)
    assert claim.verdict == "holds"
    assert claim.sentence.endswith("In big mwlr leads with 60.0%; in small log_ratio leads with 40.0%.")


@pytest.mark.parametrize("seeds", [1, 4])
def test_few_seeds_tell_nothing(seeds: int) -> None:
    claim = planted_claim([row("mwlr", 0.5, 0.0, seeds=seeds), row("log_ratio", 0.1, 0.1, seeds=seeds)])
    assert (claim.verdict, claim.reproduced) == ("not testable here", None)
    assert "--seeds 5" in claim.sentence


def test_without_planted_words_the_sentence_says_how_to_plant_them() -> None:
    claim = planted_claim([])
    assert claim.verdict == "not testable here"
    assert "birthmark calibrate planted" in claim.sentence
    assert "--planted" in claim.sentence


def test_a_folder_or_its_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({"planted_metrics": [row("mwlr", 0.5, 0.0).model_dump()]}))
    assert read_planted(tmp_path) == read_planted(path)
    assert read_planted(tmp_path).metrics[0].metric == "mwlr"


@pytest.mark.parametrize("content", [None, "{}", '{"planted_metrics_why": "in every category a run diverged"}'])
def test_what_ranks_no_metrics_is_a_one_line_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(BirthmarkError, match="birthmark calibrate planted"):
        read_planted(tmp_path)


def test_a_folder_without_one_stops_before_anything_is_fetched(
    birthmark: Callable[..., object], tmp_path: Path
) -> None:
    answer = birthmark("replicate", "--planted", tmp_path / "none", "--out", tmp_path / "out")
    assert answer.is_error("there is no", "calibrate planted")  # type: ignore[attr-defined]
    assert not (tmp_path / "out").exists()
