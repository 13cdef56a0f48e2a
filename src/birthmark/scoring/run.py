"""One model in, one score table out, over any backend: what is kept is resumed, a sample is checked, the table is written."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError, CheckFailed
from birthmark.inputs.answers import Asked, asked
from birthmark.models.scored import PromptScores
from birthmark.progress import note, progress_bar
from birthmark.records import Kind, NotApplicable, ScoreRecord
from birthmark.scoring.backend import Backend, Job, Session, Unit, refuse_options
from birthmark.scoring.backends import backend_of
from birthmark.scoring.measure import ChosenFrame, Measure
from birthmark.scoring.resume import Kept, resume_key
from birthmark.scoring.table import ScoreTable, read_scores, write_record, write_scores

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel

VERIFY_PROMPTS = 3
VERIFY_SAMPLE: dict[Kind, int] = {"reward": 64, "logprob": 8}  # a word of an LM is up to four sequences


def score_model(
    model: "ResolvedModel",
    measure: Measure,
    frame: ChosenFrame,
    out: Path | None = None,
    backend: Backend | None = None,
) -> ScoreTable:
    """Score one model; with `out`, write `out/scores/<slug>.parquet` and resume what an earlier run left.

    `backend` is by default the one that `measure` names. A table or a unit of work that is there already is taken only if
    everything that moves a score is the same. Raises `BirthmarkError` for an option that the backend cannot honour or a
    model that it cannot run, and `CheckFailed` where a sample that is scored another way differs by more than its bound.
    """
    from birthmark.scoring.precision import with_precision

    job, backend = Job(model, measure, frame), backend or backend_of(measure)
    key = resume_key(job, backend)
    kept = Kept(out / ".work" / f"{model.slug}-{key[:16]}" if out is not None else None)
    table = _finished_table(out, job, key) or _scored_table(job, backend, key, out, kept)
    kept.clear()
    if not measure.verify or table.record.precision is not None:
        return table
    checked = with_precision(table, job, backend)
    if out is not None:
        write_record(checked.record, out / "scores")
    return checked


def _finished_table(out: Path | None, job: Job, key: str) -> ScoreTable | None:
    """The table that an earlier run finished, under the labels that are given now; None where it has another key."""
    path = out / "scores" / f"{job.model.slug}.parquet" if out is not None else None
    if path is None or not path.is_file() or not path.with_suffix(".json").is_file():
        return None
    table = read_scores(path)
    if table.record.key != key:
        return None
    note(f"{job.model.slug}: already scored", quiet=job.measure.quiet)
    given = {"family": job.model.family, "base_checkpoint": job.model.base_checkpoint}
    changed = {name: label for name, label in given.items() if label and label != getattr(table.record, name)}
    if changed:
        table = ScoreTable(table.frame, table.record.model_copy(update=changed | {"origin": job.model.origin}))
        write_record(table.record, path.parent)
    return table


def _scored_table(job: Job, backend: Backend, key: str, out: Path | None, kept: Kept) -> ScoreTable:
    with backend.open(job) as session:
        if job.model.kind == "reward":  # else a table would say nothing of what a person set
            unsaid = [name for name in ("read", "bos") if getattr(session.facts, name) is None]
            refuse_options(job.measure, backend.name, *unsaid)
        scored, seconds = _score_prompts(session, job, kept)
        start = perf_counter()
        table = _assemble(session, scored, job, backend, key)
        seconds += session.facts.prepare_seconds + perf_counter() - start
        checks = _self_check(session, job, scored, kept)
    rate = table.matrix().size / seconds if seconds > 0 else None
    update = {**checks, "seconds": seconds, "candidates_per_second": rate}
    table = ScoreTable(table.frame, table.record.model_copy(update=update))
    if out is None:
        return table
    return read_scores(write_scores(table, out / "scores"))


# ------------------------------------------------------------------------------------------------------- the scores


def _score_prompts(session: Session, job: Job, kept: Kept) -> tuple[dict[str, PromptScores], float]:
    """The scores after each prompt by its key, kept or scored now, and the seconds that scoring took."""
    prompts, n_rows = job.prompts.prompts, session.candidates.height
    texts = [asked(prompt) for prompt in prompts.values()]
    units = session.units(texts)
    parts: list[dict[int, PromptScores]] = [{} for _ in texts]  # of each prompt, by the block's first row
    total = 0.0
    finished = _finished_units(session, texts, units, kept)
    whole = all(unit.rows == range(n_rows) for unit in units)
    steps = range(sum(len(unit.prompts) for unit in units))
    for _ in progress_bar(steps, job.model.slug, unit="prompts" if whole else "blocks", quiet=job.measure.quiet):
        index, rows, result, seconds = next(finished)
        parts[index][rows.start] = result
        total += seconds
    return {key: _joined(part, n_rows) for key, part in zip(prompts, parts, strict=True)}, total


def _finished_units(
    session: Session, texts: Sequence[Asked], units: Sequence[Unit], kept: Kept
) -> Iterator[tuple[int, range, PromptScores, float]]:
    """Each prompt's place, block of rows and scores, with the seconds they took just now.

    A unit always runs whole, and so in the same batch: a run that goes on after a stop ends with the same bytes.
    """
    n_rows = session.candidates.height
    known = {unit: [kept.read(texts[index], unit.rows, n_rows) for index in unit.prompts] for unit in units}
    missing = [unit for unit in units if None in known[unit]]
    for unit in units:
        if unit not in missing:
            yield from ((i, unit.rows, part, 0.0) for i, part in zip(unit.prompts, known[unit], strict=True) if part)
    start = perf_counter()
    for unit, results in session.score(texts, missing):
        for index, result, earlier in zip(unit.prompts, results, known[unit], strict=True):
            if earlier is None:
                kept.write(texts[index], unit.rows, n_rows, result)
        seconds = (perf_counter() - start) / len(unit.prompts)
        for index, result, earlier in zip(unit.prompts, results, known[unit], strict=True):
            yield index, unit.rows, earlier or result, seconds
        start = perf_counter()


def _joined(parts: Mapping[int, PromptScores], n_rows: int) -> PromptScores:
    """One prompt's scores of its blocks; their context is what all of them begin with.

    Raises `BirthmarkError` where a backend gave too few or too many.
    """
    blocks = [parts[start] for start in sorted(parts)]
    if sum(len(block.scores) for block in blocks) != n_rows:
        raise BirthmarkError(f"the backend gave {sum(len(b.scores) for b in blocks)} scores of {n_rows} candidates")
    if len(blocks) == 1:
        return blocks[0]
    columns = takewhile(
        lambda column: len(set(column)) == 1, zip(*(block.context_ids for block in blocks), strict=False)
    )
    return PromptScores(
        scores=np.concatenate([block.scores for block in blocks]),
        context_ids=[column[0] for column in columns],
        mass=next((block.mass for block in blocks if block.mass), None),
    )


# ------------------------------------------------------------------------------------------------- table and check


def _assemble(session: Session, scored: Mapping[str, PromptScores], job: Job, backend: Backend, key: str) -> ScoreTable:
    columns = [pl.Series(name, result.scores, dtype=pl.Float32) for name, result in scored.items()]
    frame = session.candidates.with_columns(columns)
    model, measure, facts = job.model, job.measure, session.facts
    is_reward = model.kind == "reward"
    n_tokens = int(frame["token_id"].is_not_null().sum())
    record = ScoreRecord.build(
        facts,
        without=("prepare_seconds", "verify_why", "warnings"),
        model=model.name,
        slug=model.slug,
        key=key,
        revision=model.revision,
        family=model.family,
        base_checkpoint=model.base_checkpoint,
        origin=model.origin,
        kind=model.kind,
        backend=backend.name,
        frame=job.frame,
        protocol=measure.protocol,
        digests=model.digests,
        prompt_set=job.prompts,
        candidates_sha256=job.candidates.sha256,
        n_tokens=n_tokens,
        n_words=frame.height - n_tokens,
        versions=dict(backend.settings(job).versions),
        sha256="",
        context_ids={name: result.context_ids for name, result in scored.items()},
        mass=NotApplicable("a reward is not a probability")
        if is_reward
        else {name: result.mass for name, result in scored.items() if result.mass},
        seconds=None,
        verify_seconds=None,
        verify_max_abs_diff=None,
        candidates_per_second=None,
        warnings=[*facts.warnings, *job.notes],
    )
    return ScoreTable(frame, record)


def _self_check(
    session: Session, job: Job, scored: Mapping[str, PromptScores], kept: Kept
) -> dict[str, float | str | None]:
    """Rescore a seeded sample on a few prompts another way; past the bound nothing is written."""
    if why := session.facts.verify_why:
        return {"verify_why": why}
    measure, keys = job.measure, list(scored)
    chosen = sorted(np.random.default_rng(measure.seed).permutation(len(keys))[:VERIFY_PROMPTS])
    texts = {asked(job.prompts.prompts[keys[index]]): scored[keys[index]].scores for index in chosen}
    sample = measure.sample or VERIFY_SAMPLE[job.model.kind]
    result = session.verify(list(texts), sample=sample, seed=measure.seed, scored=texts)
    if not result.passed:
        kept.clear()
        differs, remedy = "the scores differ from those of the self-check", "report this backend"
        if session.facts.engine == "prefix":
            differs, remedy = (
                "the prefix engine differs from the plain one",
                "score with --engine plain, and report this model",
            )
        if session.facts.served is not None:
            differs, remedy = (
                "the served scores differ from those of the model's files here",
                "serve these files, and without quantization",
            )
        raise CheckFailed(
            f"{job.model.slug}: {differs} by {result.max_abs_diff:.2g}, more than {result.bound:.2g}: {remedy}"
        )
    return {
        "verify_seconds": result.seconds,
        "verify_max_abs_diff": result.max_abs_diff,
        "verify_bound": result.bound,
    }
