"""What `birthmark calibrate` does: simulate studies, plan one, and write it into OUT beside what is there already.

Computes nothing itself: it calls the rooms from left to right. Parts of a calibration may come from separate runs; each
replaces its own keys of `calibration.json`.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path
from time import perf_counter

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.paper.data import Corpus, StudyData, study_data
from birthmark.paper.shuffle import label_shuffle
from birthmark.progress import note, track
from birthmark.records import Calibration, Plan, read_record, to_json
from birthmark.runs import draw
from birthmark.scores import write_text
from birthmark.stats.clustering import nested_variance
from birthmark.stats.row_fit import fit_rows
from birthmark.study import Study, open_study
from birthmark.values.calibration import ICCS, Results, Truth, compact_studies, fitted_record, full_studies
from birthmark.values.calibration_sentences import calibration_sentence
from birthmark.values.interval_coverage import full_intervals
from birthmark.values.joined import join_tables
from birthmark.values.planning import SD_BASE, SD_RM, plan

STUDIES, FEW = 10_000, 300


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
    study.save()
    with study.timed("report"):
        draw(study.out)
    study.save()
    return record


def run_calibrate_tests(
    data: Path | None = None,
    out: Path | None = None,
    *,
    studies: int = STUDIES,
    few: int | None = None,
    seed: int = 0,
    quiet: bool = True,
) -> Calibration:
    """Relabel the published models, simulate null and shifted studies, count rejections and held intervals.

    studies: for tests that have a closed form or are quick; few (default: 300, or a tenth of `studies` where that is
    less): for the crossed variance and the bootstrap. About 5 minutes on two cores. Raises `BirthmarkError` where there
    are fewer than 20 studies, or the published files are absent or damaged.
    """
    if studies < 20:
        raise BirthmarkError(
            f"{studies} simulated studies are too few to count rejections in: --studies takes 20 or more"
        )
    few = min(FEW, max(2, studies // 10)) if few is None else few
    files = study_data(data, lambda line: note(line, quiet=quiet))
    where = str(data) if data else "fetched"
    asked = {"data": where, "studies": studies, "few": few, "seed": seed}
    study = open_calibration(out, "tests", asked) if out is not None else None
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
    results = Results()
    with ThreadPoolExecutor(max_workers=min(2, cpu_count() or 1)) as pool:
        running = [pool.submit(task) for task in tasks]
        for future in track(running, "simulating studies", unit="designs", quiet=quiet):
            results.add(future.result())
    return results


def run_plan(
    bases: Sequence[int] = (5, 5),
    rms_per_base: int = 2,
    sd_base: float = SD_BASE,
    sd_rm: float = SD_RM,
    shift: float = 20.0,
    alpha: float = 0.05,
) -> Plan:
    """The power of a study of two families before it is run; see `birthmark.values.planning.plan`."""
    if len(bases) != 2:
        raise BirthmarkError("--bases takes two numbers, the base checkpoints of either family: 5,5")
    return plan((int(bases[0]), int(bases[1])), rms_per_base, sd_base, sd_rm, shift, alpha)
