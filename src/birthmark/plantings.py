"""What `birthmark calibrate planted` does: plant words in base models, put what each metric finds into OUT.

Computes nothing itself. Finished runs lie in `OUT/.work/planted/`, so that a call that was interrupted goes on.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from birthmark.calibrations import open_calibration, write_calibration
from birthmark.dryrun import facts_of
from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import Entry, load_catalog
from birthmark.inputs.fetch import cache_folder, sha256_of
from birthmark.inputs.planting import CATEGORIES, planted_category
from birthmark.records import Calibration, read_record
from birthmark.records.planted import PlantedMetric, PlantedPlan, PlantedRun, PlantedSetting
from birthmark.runs import EMBEDDED

SEEDS = 5
TOKENS = 20  # of a question in its frame: 18 and 19 on the embedded models


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
    from birthmark.training.planted import calibrate_planted, find_setting

    steps = find_setting(setting)
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
            setting=steps,
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


def plan_planting(
    bases: Sequence[str | Path] = (),
    categories: Sequence[str] = (),
    out: Path | None = None,
    *,
    setting: str = "small",
    seeds: int = SEEDS,
    seed: int = 0,
    catalog: str | Path | None = None,
    device: str | None = None,
) -> list[PlantedPlan]:
    """A row a base: the runs, their steps, about how long, about how much memory; nothing is fetched, loaded or written.

    Seconds a run are the mean of the base's finished ones; where there are none, what `estimate` says of twice the tokens
    that are taught (forwards and backwards) and of those that are asked, without the parameters that only look tokens up. Raises what `run_calibrate_planted` raises for a
    setting, category, base or number of seeds that cannot be.
    """
    from birthmark.models.machine import choose_device, estimate, free_memory
    from birthmark.training.planted import find_setting, need_seeds

    steps, known = find_setting(setting), load_catalog(Path(catalog) if catalog else None)
    chosen = [planted_category(name) for name in dict.fromkeys(categories or CATEGORIES)]
    numbers = need_seeds(seeds, seed)
    where = choose_device(device)
    plans = []
    for base in dict.fromkeys(map(str, bases or EMBEDDED)):
        entry, kind, parameters = facts_of(base, known)
        if kind == "reward":
            raise BirthmarkError(f"{base} is a reward model: values are planted in a language model")
        done = _finished(out, base, [category.name for category in chosen], numbers, steps)
        runs = len(chosen) * len(numbers)
        taught, asked = max(steps.strengths) * steps.batch_size, len(steps.strengths) * len(steps.held_out)
        tokens = (2 * taught + asked) * TOKENS
        cost = estimate(parameters, "float32", where, tokens=tokens) if parameters else None
        each = _seconds_a_run(
            done, cost.seconds * (1 - _looked_up(base, entry, parameters)) if cost and parameters else None
        )
        plans.append(
            PlantedPlan(
                base=base,
                categories=[category.name for category in chosen],
                seeds=list(numbers),
                runs=runs,
                finished=len(done),
                steps=max(steps.strengths),
                batch_size=steps.batch_size,
                strengths=steps.strengths,
                held_out=len(steps.held_out),
                device=str(where),
                parameters=parameters,
                seconds=None if each is None else round(each * (runs - len(done)), 4),
                memory_bytes=cost.memory_bytes if cost else None,
                free_bytes=free_memory(where),
            )
        )
    return plans


def _seconds_a_run(done: Sequence[PlantedRun], estimated: float | None) -> float | None:
    return sum(run.seconds for run in done) / len(done) if done else estimated


def _looked_up(base: str, entry: Entry | None, parameters: int) -> float:
    """The share of a base's parameters that only look tokens up, 0 where its configuration is not here to say so."""
    folder = cache_folder() / "models" / entry.name if entry and entry.embedded else Path(base)
    if not (folder / "config.json").is_file():
        return 0.0
    from birthmark.models.folder import read_json

    config = read_json(folder / "config.json")
    text = config.get("text_config", config)
    return min(0.9, text.get("vocab_size", 0) * text.get("hidden_size", 0) / parameters)


def _finished(
    out: Path | None, base: str, categories: Sequence[str], seeds: Sequence[int], setting: PlantedSetting
) -> list[PlantedRun]:
    """The runs that OUT holds of a base under this setting; whether the base's weights are the same is seen when it runs."""
    work = out / ".work" / "planted" if out else None
    if work is None or not work.is_dir():
        return []
    stem = escape(Path(base).name if Path(base).is_dir() else base.replace("/", "--"))
    paths = [
        path
        for category in categories
        for seed in seeds
        for path in (
            *work.glob(f"{stem}-{category}-{seed}.json"),
            *work.glob(f"{stem}-????????-{category}-{seed}.json"),
        )
    ]
    runs = [read_record(path, PlantedRun) for path in paths]
    return [run for run in runs if run.diverged or {score.strength for score in run.scores} == set(setting.strengths)]


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
