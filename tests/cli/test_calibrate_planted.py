"""`birthmark calibrate planted`, as a person types it, on a tiny model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import birthmark as bm
from planting_model import write_planting_model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_planting_model(tmp_path_factory.mktemp("models") / "plantable")


def test_it_writes_the_planted_rows_and_a_page(birthmark: Callable[..., Any], base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ("calibrate", "planted", "--base", base, "--category", "colours", "--seeds", "2", "--out", out)
    answer = birthmark(*asked)
    assert answer.code == 0
    assert "Planted words found" in answer.out
    written = json.loads((out / "calibration.json").read_text())
    row = written["planted"][0]
    assert {"base", "category", "strength", "metric", "auroc", "precision_at_k", "mrr", "seeds"} <= set(row)
    assert (row["category"], row["seeds"], row["k"]) == ("colours", 2, 10)
    assert "Which metric recovers planted words" in (out / "report.html").read_text()
    study = json.loads((out / "study.json").read_text())
    assert study["asked"]["planted"]["seeds"] == 2
    assert json.loads(birthmark(*asked, "--json").out)["planted"] == written["planted"]
    (plan,) = json.loads(birthmark(*asked, "--seeds", "5", "--dry-run", "--json").out)
    assert (plan["runs"], plan["finished"]) == (5, 2)
    assert "5 (2 done)" in birthmark(*asked, "--seeds", "5", "--dry-run").out


def test_it_keeps_what_other_calibrations_found(base: Path, tmp_path: Path) -> None:
    first = bm.calibrate("planted", bases=[base], categories=["colours"], seeds=1, out=tmp_path / "out")
    path = tmp_path / "out" / "calibration.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "sentence": "Tests were calibrated."}))
    again = bm.calibrate("planted", bases=[base], categories=["colours"], seeds=1, out=tmp_path / "out")
    assert again.sentence == "Tests were calibrated."
    assert again.planted == first.planted


def test_without_out_nothing_is_written(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert bm.calibrate("planted", bases=[base], categories=["colours"], seeds=1).planted
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--category", "colors"), ("no planted category", "colours")),
        (("--seeds", "0"), ("--seeds", "greater than or equal to 1")),
        (("--category", "agency"), ("agency words are one token", "at least 3")),
    ],
)
def test_what_cannot_be_planted_is_one_line(
    birthmark: Callable[..., Any], base: Path, tmp_path: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    answer = birthmark("calibrate", "planted", "--base", base, *options, "--out", tmp_path / "out")
    assert answer.is_error(*words)


def test_a_reward_model_is_refused(birthmark: Callable[..., Any], tiny_rm: Path, tmp_path: Path) -> None:
    answer = birthmark("calibrate", "planted", "--base", tiny_rm, "--out", tmp_path / "out")
    assert answer.is_error("is a reward model")


def test_a_dry_run_counts_runs_and_does_nothing(birthmark: Callable[..., Any], base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ("calibrate", "planted", "--base", base, "--category", "colours", "--dry-run", "--out", out)
    (plan,) = json.loads(birthmark(*asked, "--json").out)
    assert (plan["runs"], plan["finished"], plan["steps"], plan["batch_size"]) == (5, 0, 8, 4)
    assert plan["seconds"] > 0
    assert plan["memory_bytes"] > 0
    assert not out.exists()
    full = birthmark("calibrate", "planted", "--setting", "full", "--dry-run", "--json", "--base", base, "--out", out)
    assert [json.loads(full.out)[0][key] for key in ("runs", "finished", "steps")] == [20, 0, 50]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--seeds", "0"), "greater than or equal to 1"),
        (("--category", "colors"), "colours"),
        (("--base", "gemma-3-270n"), "gemma-3-270m"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would(
    birthmark: Callable[..., Any], options: tuple[str, ...], words: str
) -> None:
    assert birthmark("calibrate", "planted", *options, "--dry-run").is_error(words)


def test_an_unknown_setting_is_refused(base: Path) -> None:
    with pytest.raises(bm.BirthmarkError, match="small or full"):
        bm.calibrate("planted", bases=[base], setting="huge")
