"""`birthmark calibrate tests` and `plan` from the command line, and a calibration filled by separate runs."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import birthmark as bm
from birthmark.commands import calibrate as calibrations
from birthmark.commands.schema import json_schema
from birthmark.errors import BirthmarkError
from birthmark.records import Calibration, read_record
from birthmark.records.calibration import PlantedRow

PLAN = ("calibrate", "plan", "--bases", "5,5", "--rms-per-base", "2", "--sd-base", "16.6", "--sd-rm", "7.2")


def test_plan_prints_power_and_the_base_checkpoints_needed(birthmark: Any) -> None:
    answer = birthmark(*PLAN, "--shift", "20")
    assert answer.code == 0
    said = " ".join(answer.out.split())
    assert "80% power" in said
    assert "each family needs 13 base checkpoints" in said
    assert "barely help" in said
    assert "same-recipe pairs" in said


def test_plan_prints_json_of_its_schema(birthmark: Any) -> None:
    found = json.loads(birthmark(*PLAN, "--shift", "30", "--json").out)
    jsonschema.validate(found, json_schema("calibrate-plan-output"))
    assert found["shift"] == 30
    assert found == bm.calibrate("plan", bases=(5, 5), shift=30).model_dump(mode="json")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--bases", "five"), "5,5"),
        (("--bases", "5"), "two numbers"),
        (("--bases", "5,5,5"), "two numbers"),
        (("--bases", "0,5"), "--bases"),
        (("--shift", "0"), "--shift"),
        (("--sd-base", "-1"), "--sd-base"),
    ],
)
def test_plans_without_sense_are_refused_in_one_line(arguments: tuple[str, ...], word: str, birthmark: Any) -> None:
    assert birthmark("calibrate", "plan", *arguments).is_error(word)


def test_too_few_studies_and_other_folders_are_refused(birthmark: Any, tmp_path: Path) -> None:
    assert birthmark("calibrate", "tests", "--studies", "3").is_error("--studies", "20")
    assert birthmark("calibrate", "tests", "--data", tmp_path / "nowhere").is_error("nowhere does not exist", "--data")
    assert not (tmp_path / "birthmark-calibrate").exists()


def test_a_calibration_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BirthmarkError, match="no calibration called guesses"):
        bm.calibrate("guesses")  # type: ignore[arg-type]


def planted_row() -> PlantedRow:
    numbers = {name: 0.5 for name, field in PlantedRow.model_fields.items() if "float" in str(field.annotation)}
    named = {"base": "b", "category": "c", "metric": "mwlr", "strength": 1, "seeds": 5, "diverged": 0}
    return PlantedRow.model_validate({**numbers, **named, "k": 10, "n_candidates": 100})


@pytest.fixture(scope="module")
def calibrated(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OUT whose planted part was there before the tests'."""
    out = tmp_path_factory.mktemp("calibrations") / "out"
    study = calibrations.open_calibration(out, "planted", {"seeds": 5})
    calibrations.write_calibration(study, planted=[planted_row()], planted_sentence="Planted words are found.")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(calibrations, "label_shuffle", lambda files: [])  # tests/paper/test_label_shuffle.py
        patched.setattr(calibrations, "ICCS", (0.85,))
        bm.calibrate("tests", data=shared / "paper-data", out=out, studies=20)
    return out


def test_parts_from_separate_runs_lie_in_one_file(calibrated: Path) -> None:
    record = read_record(calibrated / "calibration.json", Calibration)
    assert record.planted == [planted_row()]
    assert record.null_studies and record.power and record.coverage
    words = [row for row in record.null_studies if row.unit == "word"]
    assert {row.test for row in words} == {"words"} and len(words) == len({row.layout for row in words}) > 30
    assert record.fitted is not None and round(record.fitted.sd_base, 1) == 16.6
    assert "Planted words are found." in record.summary()
    assert "base checkpoints" in (record.sentence or "") and "The test over words, at 5%" in (record.sentence or "")
    study = json.loads((calibrated / "study.json").read_text())
    assert study["command"] == "calibrate"
    assert (study["asked"]["planted"], study["asked"]["tests"]["studies"]) == ({"seeds": 5}, 20)
    assert len(study["inputs"]) == 20


def test_the_file_is_of_its_schema(calibrated: Path) -> None:
    jsonschema.validate(json.loads((calibrated / "calibration.json").read_text()), json_schema("calibration"))


def test_the_report_shows_rates_power_coverage_and_what_was_planted(calibrated: Path, birthmark: Any) -> None:
    page = (calibrated / "report.html").read_text(encoding="utf-8")
    for heading in ("False positives", "Power", "Coverage", "What the studies are drawn from"):
        assert f"<h2>{heading}</h2>" in page
    assert 'id="planted"' in page and "Words as the sample, two models" in page
    names = {"false-positives", "false-positives-by-design", "power", "coverage"}
    assert {path.stem for path in (calibrated / "figures").glob("*.png")} >= names
    (calibrated / "report.html").unlink()
    assert birthmark("report", calibrated).code == 0
    assert (calibrated / "report.html").read_text(encoding="utf-8") == page
