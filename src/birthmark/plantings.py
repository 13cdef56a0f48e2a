"""What `birthmark calibrate planted` does: plant words in base models, put what each metric finds into OUT.

Computes nothing itself. Finished runs lie in `OUT/.work/planted/`, so that a call that was interrupted goes on.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from birthmark.calibrations import open_calibration, write_calibration
from birthmark.errors import BirthmarkError
from birthmark.inputs.fetch import sha256_of
from birthmark.inputs.planting import CATEGORIES, planted_category
from birthmark.records import Calibration, read_record
from birthmark.records.planted import PlantedMetric
from birthmark.runs import EMBEDDED

SEEDS = 5


def run_calibrate_planted(
    bases: Sequence[str | Path] = (),
    categories: Sequence[str] = (),
    out: Path | None = None,
    *,
    setting: str = "small",
    seeds: int = SEEDS,
    seed: int = 0,
    catalog: str | Path | None = None,
    device: str | None = None,
    quiet: bool = True,
) -> Calibration:
    """Plant every category's words in every base, `seeds` times, and rank the metrics by what they find.

    bases: language models, by default the two embedded ones; categories: of `birthmark.inputs.planting`, by default all;
    setting: `small` (8 steps, minutes on a laptop) or `full` (50 steps, as far as is known of the study's); seed: the first
    of the seeds. Without `out` nothing is kept. Raises `BirthmarkError` for a setting, category or base that is not known.
    """
    from birthmark.models.weights import resolve
    from birthmark.training.planted import SETTINGS, calibrate_planted

    if setting not in SETTINGS:
        raise BirthmarkError(f"there is no setting called {setting}: write --setting {' or '.join(SETTINGS)}")
    chosen = [planted_category(name) for name in dict.fromkeys(categories or CATEGORIES)]
    found = [resolve(name, catalog=catalog, quiet=quiet) for name in dict.fromkeys(map(str, bases or EMBEDDED))]
    asked = {
        "bases": [base.name for base in found],
        "categories": [category.name for category in chosen],
        "setting": setting,
        "seeds": seeds,
        "seed": seed,
    }
    study = open_calibration(out, "planted", asked) if out is not None else None
    begun = perf_counter()
    with ExitStack() as stack:
        work = study.out / ".work" / "planted" if study else Path(stack.enter_context(TemporaryDirectory()))
        planted = calibrate_planted(
            found,
            work=work,
            categories=chosen,
            setting=SETTINGS[setting],
            seeds=seeds,
            seed=seed,
            device=device,
            quiet=quiet,
        )
    parts: dict[str, object] = {
        "planted": planted.rows,
        "planted_setting": planted.setting,
        "planted_metrics": planted.metrics,
        "planted_metrics_why": planted.metrics_why,
        "planted_diverged": planted.diverged,
        "planted_sentence": planted.sentence,
    }
    if study is None:
        return Calibration.model_validate(parts)
    for base in found:
        study.add_input("model", base.name, base.digests.weights)
    study.record.durations["planted"] = perf_counter() - begun
    return write_calibration(study, **parts)


@dataclass(frozen=True)
class PlantedResult:
    """What an earlier `calibrate planted` found, and the file that says so."""

    path: Path
    sha256: str
    metrics: list[PlantedMetric]


def read_planted(given: Path) -> PlantedResult:
    """The metrics' ranking from `calibration.json`, or from the folder it lies in.

    Raises `BirthmarkError` where there is no such file, or nothing was planted, or every run diverged.
    """
    path = given / "calibration.json" if given.is_dir() else given
    if not path.is_file():
        raise BirthmarkError(f"there is no {path}: name a folder that birthmark calibrate planted wrote")
    record = read_record(path, Calibration)
    if not record.planted_metrics:
        why = record.planted_metrics_why or "nothing was planted"
        raise BirthmarkError(f"{path} ranks no metrics ({why}): run birthmark calibrate planted --out {path.parent}")
    return PlantedResult(path, sha256_of(path), record.planted_metrics)
