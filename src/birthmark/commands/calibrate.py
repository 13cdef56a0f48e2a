"""`birthmark calibrate`: how often the tests err (`tests`), which metric finds planted words (`planted`), what a study can find (`plan`).

Parts of a calibration may come from separate runs; each replaces its own keys of `calibration.json`.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any, Literal, Unpack, overload

import numpy as np

from birthmark.commands.audit import EMBEDDED
from birthmark.errors import BirthmarkError
from birthmark.files import sha256_of, write_text
from birthmark.foreign import one_line
from birthmark.inputs.prompts import CATEGORIES, planted_category
from birthmark.inputs.text import did_you_mean
from birthmark.paper.data import Corpus, StudyData, study_data
from birthmark.paper.scores import label_shuffle
from birthmark.progress import note, progress_bar
from birthmark.records import Calibration, Plan, read_record, to_json
from birthmark.records.calibration import PlantedMetric
from birthmark.scoring.declarations import Option, checked, with_options
from birthmark.scoring.measure import ray_address
from birthmark.scoring.options import CatalogOptions, MachineOptions, QuietOptions, RayOptions, SeedOptions, out_option
from birthmark.stats.simulation import fit_rows
from birthmark.stats.variance import nested_variance
from birthmark.study import Study, open_study
from birthmark.values.calibration import ICCS, Results, Truth, compact_studies, fitted_record, full_studies
from birthmark.values.coverage import full_intervals
from birthmark.values.forecast_studies import DESIGNS, forecast_studies
from birthmark.values.joined import join_tables
from birthmark.values.planning import MOST_ASKED, SD_BASE, SD_RM, plan
from birthmark.values.word_studies import designs, word_studies
from birthmark.values.wording_power import calibration_sentence

STUDIES, FEW = 10_000, 300
OF_WORDS = 5  # one study of words for so many of families
SEEDS = 5
MOST_RANKS = 1e6
RANKS = {"least": 0, "most": MOST_RANKS}

Out = Annotated[
    "str | Path | None",
    out_option("birthmark-calibrate"),
]
Clone = Annotated[
    "str | Path | None",
    Option(
        "A clone of the study's repository. [default: fetched]",
        None,
        metavar="DIR",
        command_line=Path,
        place="folder",
    ),
]
Bases = Annotated[
    Sequence[str | Path],
    Option(
        "A base language model; repeatable. [default: the two embedded ones]",
        None,
        metavar="MODEL",
        flag="--base",
        command_line=list[str],
        place="name",
    ),
]
Categories = Annotated[
    Sequence[str],
    Option(
        "authority, agency, communion or colours; repeatable. [default: all]",
        None,
        flag="--category",
        command_line=list[str],
    ),
]
Device = MachineOptions.__annotations__["device"]
Setting = Annotated[
    Literal["small", "full"],
    Option("small: 8 steps, minutes on a laptop; full: 50 steps and all nine held-out questions.", None),
]
Seeds = Annotated[int, Option("Runs of each base and category.", None, metavar="N", least=1, most=1_000)]


class RatesOptions(SeedOptions, QuietOptions, total=False):
    """What `calibrate_tests` shares with other commands."""


class PlantedOptions(RayOptions, CatalogOptions, SeedOptions, QuietOptions, total=False):
    """What `calibrate_planted` shares with other commands."""


@overload
def calibrate(kind: Literal["plan"], **options: Any) -> Plan: ...


@overload
def calibrate(kind: Literal["planted", "tests"], **options: Any) -> Calibration: ...


def calibrate(kind: Literal["planted", "tests", "plan"], **options: Any) -> Calibration | Plan:
    """What the instrument can see: `planted` (which metric finds words taught on purpose), `tests` (how often tests and
    intervals err), `plan` (the power of a study to come).

    Options are those of `calibrate_planted`, `calibrate_tests` and `calibrate_plan`; without `out` nothing is written.
    Raises `BirthmarkError` for anything else.
    """
    runs: dict[str, Callable[..., Any]] = {
        "planted": calibrate_planted,
        "tests": calibrate_tests,
        "plan": calibrate_plan,
    }
    if kind not in runs:
        raise BirthmarkError(f"there is no calibration called {kind}: {did_you_mean(kind, runs)}")
    return runs[kind](**options)  # type: ignore[no-any-return]


def _numbers(text: str, option: str) -> list[int]:
    """Whole numbers between commas: `5,5`."""
    try:
        return [int(part) for part in text[:200].split(",")]
    except ValueError:
        raise BirthmarkError(
            f"{option} takes whole numbers between commas, such as 5,5; not {one_line(text, 40)}"
        ) from None


def open_calibration(out: Path, part: str, asked: dict[str, object]) -> Study:
    """Open an OUT of `calibrate`, whatever parts it holds, and note what is asked of this one."""
    study = open_study(out, "calibrate", {})
    study.record.asked[part] = asked
    study.save()
    return study


def write_calibration(study: Study, **parts: object) -> Calibration:
    """Put these keys into OUT's `calibration.json`, keep the others, redraw the page."""
    path = study.out / "calibration.json"
    before = read_record(path, Calibration) if path.is_file() else Calibration()
    record = Calibration.model_validate({**dict(before), **parts})
    write_text(path, to_json(record))
    study.finish([])
    return record


@with_options
def calibrate_tests(
    *,
    data: Clone = None,
    out: Out = None,
    studies: Annotated[
        int, Option("Simulated studies a design.", None, metavar="N", least=20, most=1_000_000)
    ] = STUDIES,
    quick: Annotated[bool, Option("200 studies: coarse rates in a minute.", None)] = False,
    few: int | None = None,
    **options: Unpack[RatesOptions],
) -> Calibration:
    """Relabel the published models, simulate null and shifted studies, count rejections and held intervals.

    studies: for tests that have a closed form or are quick, a fifth of it for each layout of words; few (default: 300, or
    a tenth of `studies` where that is less): for the crossed variance and the intervals over words in the published
    layout. About 5 minutes on two cores. Raises `BirthmarkError` where there
    are fewer than 20 studies, or the published files are absent or damaged.
    """
    seed, quiet = options["seed"], options["quiet"]
    studies = 200 if quick else studies
    if studies < 20:
        raise BirthmarkError(
            f"{studies} simulated studies are too few to count rejections in: --studies takes 20 or more"
        )
    few = min(FEW, max(2, studies // 10)) if few is None else few
    if not 2 <= few <= studies:
        raise BirthmarkError(f"few={few} lies between 2 and the {studies} studies")
    files = study_data(Path(data) if data is not None else None, lambda line: note(line, quiet=quiet))
    where = str(data) if data else "fetched"
    asked = {"data": where, "studies": studies, "few": few, "seed": seed}
    study = open_calibration(Path(out), "tests", asked) if out is not None else None
    begun = perf_counter()
    note("relabelling the published models", quiet=quiet)
    shuffled = label_shuffle(files)
    truth = published_truth(files)
    results = simulate(truth, studies, few, seed, quiet=quiet)
    record = Calibration(
        label_shuffle=shuffled,
        **{name: rows for name, rows in vars(results).items()},
        fitted=fitted_record(truth, "the published Big Two scores of ten reward models"),
    )
    record = record.model_copy(update={"sentence": calibration_sentence(record)})
    if study is None:
        return record
    corpora: tuple[Corpus, ...] = ("dict_big2_nouns", "dict_MFD_20")
    for corpus in corpora:
        for table in files.tables(corpus):
            study.add_input(f"scores of {corpus}", table.record.slug, table.record.sha256)
    study.record.durations["tests"] = perf_counter() - begun
    filled = {name: getattr(record, name) for name in record.model_fields_set}
    return write_calibration(study, **filled)


def published_truth(files: StudyData) -> Truth:
    """What simulated studies keep to: the spread of the published Big Two contrasts and ranks."""
    joined = join_tables(files.big_two_tables, files.lexicon("dict_big2_nouns"))
    if joined.contrasts is None:
        raise BirthmarkError(f"{files.root} holds no prompts of both framings: fetch the study's files again")
    spread = nested_variance(joined.contrasts, joined.model_bases, joined.model_families)
    is_positive = np.array([framing == "positive" for framing in joined.framings])
    fit = fit_rows(joined.ranks, joined.member[0], is_positive, joined.model_bases, joined.model_families)
    first = int(joined.member[0].sum())
    return Truth(
        (first, len(joined.words) - first),
        int(is_positive.sum()),
        spread.sd_base or SD_BASE,
        spread.sd_rm or SD_RM,
        fit,
    )


def simulate(truth: Truth, studies: int, few: int, seed: int, *, quiet: bool) -> Results:
    """All simulations, two at a time where there are two cores; each has its own stream, so that cores change nothing."""
    tasks: list[Callable[[], Results]] = []
    for icc in reversed(ICCS):
        tasks.append(lambda icc=icc: full_studies(truth, icc, studies, seed))  # type: ignore[misc]
    for skewed in (False, True):
        for icc in reversed(ICCS):
            tasks.append(lambda icc=icc, skewed=skewed: compact_studies(truth, icc, skewed, studies, seed))  # type: ignore[misc]
    for icc in reversed(ICCS):
        tasks.append(lambda icc=icc: full_intervals(truth, icc, few, seed))  # type: ignore[misc]
    of_words = max(20, studies // OF_WORDS)
    for design in designs():
        tasks.append(lambda design=design: Results([word_studies(design, of_words, seed)]))  # type: ignore[misc]
    for history in DESIGNS:
        tasks.append(lambda history=history: forecast_studies(history, of_words, seed))  # type: ignore[misc]
    results = Results()
    with ThreadPoolExecutor(max_workers=min(2, cpu_count() or 1)) as pool:
        running = [pool.submit(task) for task in tasks]
        for future in progress_bar(running, "simulating studies", unit="designs", quiet=quiet):
            results.add(future.result())
    return results


@checked
def calibrate_plan(
    *,
    bases: Annotated[
        Sequence[int],
        Option(
            "Base checkpoints of either family.",
            None,
            default="5,5",
            metavar="N,N",
            command_line=str,
            convert=lambda text: _numbers(text, "--bases"),
            least=1,
            most=MOST_ASKED,
        ),
    ] = (5, 5),
    rms_per_base: Annotated[
        int, Option("Reward models on each base checkpoint.", None, metavar="N", least=1, most=1_000)
    ] = 2,
    sd_base: Annotated[
        float, Option("SD of contrasts between base checkpoints of a family.", None, metavar="RANKS", **RANKS)
    ] = SD_BASE,
    sd_rm: Annotated[
        float, Option("SD between reward models on one base checkpoint.", None, metavar="RANKS", **RANKS)
    ] = SD_RM,
    shift: Annotated[
        float,
        Option(
            "The families' difference that is to be found.", None, metavar="RANKS", least=-MOST_RANKS, most=MOST_RANKS
        ),
    ] = 20.0,
    alpha: Annotated[float, Option("Level of the tests.", None, least=0, most=1)] = 0.05,
) -> Plan:
    """The power of a study of two families before it is run; see `birthmark.values.planning.plan`."""
    if len(bases) != 2:
        raise BirthmarkError("--bases takes two numbers, the base checkpoints of either family: 5,5")
    return plan((int(bases[0]), int(bases[1])), rms_per_base, sd_base, sd_rm, shift, alpha)


@with_options
def calibrate_planted(
    *,
    bases: Bases = (),
    categories: Categories = (),
    out: Out = None,
    setting: Setting = "small",
    seeds: Seeds = SEEDS,
    device: Device = None,  # type: ignore[valid-type]
    **options: Unpack[PlantedOptions],
) -> Calibration:
    """Plant every category's words in every base, `seeds` times, and rank the metrics by what they find.

    bases: language models, by default the two embedded ones; categories: of `birthmark.inputs.prompts`, by default all;
    setting: `small` (8 steps, minutes on a laptop) or `full` (50 steps, as far as is known of the study's); seed: the first
    of the seeds. Without `out` nothing is kept. Raises `BirthmarkError` for a setting, category or base that is not known.
    """
    from birthmark.models.resolve import resolve
    from birthmark.training.planted import calibrate_planted, find_setting

    seed, quiet, catalog = options["seed"], options["quiet"], options["catalog"]
    steps = find_setting(setting)
    chosen = [planted_category(name) for name in dict.fromkeys(categories or CATEGORIES)]
    found = [resolve(name, catalog=catalog, quiet=quiet) for name in dict.fromkeys(map(str, bases or EMBEDDED))]
    asked: dict[str, object] = {
        "bases": [base.name for base in found],
        "categories": [category.name for category in chosen],
        "setting": setting,
        "seeds": seeds,
        "seed": seed,
    }
    study = open_calibration(Path(out), "planted", asked) if out is not None else None
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
            ray=ray_address(options["ray"]),
            quiet=quiet,
        )
    if study is None:
        return planted
    for base in found:
        study.add_input("model", base.name, base.digests.weights)
    study.record.durations["planted"] = perf_counter() - begun
    return write_calibration(study, **{name: getattr(planted, name) for name in planted.model_fields_set})


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
