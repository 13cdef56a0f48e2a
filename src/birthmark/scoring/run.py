"""One model in, one score table out: resumable a prompt at a time, and checked against the plain engine by a sample.

Unfinished work lies in `OUT/.work/`, one file a prompt, in a folder named by the digest of everything that moves a
score. How a model is run is the business of `models/`.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from birthmark.errors import CheckFailed
from birthmark.files import atomic_path, sha256_of
from birthmark.inputs.candidates import Candidates
from birthmark.progress import note, progress_bar
from birthmark.records import Kind, Mass, ScoreRecord
from birthmark.scoring.measure import ChosenFrame, Measure, versions
from birthmark.scoring.table import ScoreTable, read_scores, write_scores

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel
    from birthmark.models.scorers import PromptScores, Scorer


def scored_or_kept(scorer: "Scorer", texts: Sequence[str], work: Path | None) -> Iterator[tuple["PromptScores", float]]:
    """The scores after each prompt and what they took just now.

    A prompt always runs in the same batch, so that a run that goes on after a stop ends with the same bytes.
    """
    for batch in scorer.batches(texts):
        own = [texts[index] for index in batch]
        kept = [_read(_file(work, text), scorer.candidates.height) if work else None for text in own]
        seconds = 0.0
        if None in kept:
            start = perf_counter()
            found = scorer.score_together(own)
            for text, result, known in zip(own, found, kept, strict=True):
                if work and known is None:
                    _write(_file(work, text), result)
            kept = [known or result for known, result in zip(kept, found, strict=True)]
            seconds = (perf_counter() - start) / len(own)
        yield from ((result, seconds) for result in kept if result is not None)


def _file(work: Path, text: str) -> Path:
    return work / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz"


def _write(file: Path, result: "PromptScores") -> None:
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        mass = result.mass
        np.savez(
            stream,
            scores=result.scores,
            context_ids=np.asarray(result.context_ids, dtype=np.int64),
            mass=np.asarray([mass.lexicon, mass.left_out] if mass else [], dtype=np.float64),
        )


def _read(file: Path, n_candidates: int) -> "PromptScores | None":
    """A finished prompt of an earlier run, or None where there is none or it is not whole."""
    from birthmark.models.scorers import PromptScores

    try:
        with np.load(file, allow_pickle=False) as kept:
            scores, context_ids, mass = kept["scores"], kept["context_ids"], kept["mass"]
    except (OSError, ValueError, KeyError, EOFError):
        return None
    if scores.shape != (n_candidates,):
        return None
    return PromptScores(
        scores=scores,
        context_ids=[int(token) for token in context_ids],
        mass=Mass(lexicon=float(mass[0]), left_out=float(mass[1])) if mass.size else None,
    )


VERIFY_PROMPTS = 3
VERIFY_SAMPLE: dict[Kind, int] = {"reward": 64, "logprob": 8}  # a word of an LM is up to four sequences


def score_model(
    model: "ResolvedModel",
    measure: Measure,
    frame: ChosenFrame,
    out: Path | None = None,
    load: Callable[..., Any] | None = None,
) -> ScoreTable:
    """Score one model; with `out`, write `out/scores/<slug>.parquet` and resume what an earlier run left.

    `load` takes the place of `models.loading.load_if_it_fits`, for what keeps a base in memory; without it the model's
    memory is given back at the end.

    A table or a prompt that is there already is taken only if everything that moves a score is the same. Raises
    `BirthmarkError` where the weights exceed the memory there is, and `CheckFailed` where the prefix engine's sample
    differs from the plain engine's by more than its bound.
    """
    from birthmark.models.machine import release_memory
    from birthmark.scoring.precision import with_precision

    try:
        table = _finished_or_scored(model, measure, frame, out, load)
    finally:
        if load is None:
            release_memory()
    if not measure.verify or table.record.precision is not None:
        return table
    checked = with_precision(table, model, measure, frame)
    return checked if out is None else read_scores(write_scores(checked, out / "scores"))


def _finished_or_scored(
    model: "ResolvedModel", measure: Measure, frame: ChosenFrame, out: Path | None, load: Callable[..., Any] | None
) -> ScoreTable:
    from birthmark.models.loading import is_spread, load_if_it_fits
    from birthmark.models.machine import choose_device, choose_dtype
    from birthmark.models.resolve import load_tokenizer
    from birthmark.models.scorers import make_scorer

    device = choose_device(measure.device)
    dtype = choose_dtype(measure.dtype, device, model.entry.dtype if model.entry else None)
    candidates = measure.candidates_for(model.kind)
    key = _key(model, measure, frame, candidates, dtype, str(device))
    if out is not None and (finished := _finished_table(out, model.slug, key)) is not None:
        note(f"{model.slug}: already scored", quiet=measure.quiet)
        return finished

    note(f"{model.slug}: loading", quiet=measure.quiet)
    start = perf_counter()
    placed: dict[str, Any] = {"quantize": measure.quantize, "device_map": measure.device_map} if load is None else {}
    network = (load or load_if_it_fits)(model, dtype=dtype, device=device, **placed)
    tokenizer = load_tokenizer(model)
    load_seconds = perf_counter() - start
    if is_spread(network) and measure.engine == "prefix":
        note(f"{model.slug}: its layers lie on several devices, so the plain engine runs it", quiet=measure.quiet)
        measure = replace(measure, engine="plain")
    start = perf_counter()
    scorer = make_scorer(
        network,
        tokenizer,
        kind=model.kind,
        words=candidates.words,
        vocabulary=candidates.vocabulary,
        frame=frame,
        protocol=measure.protocol,
        engine=measure.engine,
        template_date=measure.template_date,
        system=measure.prompts.system,
    )
    prepared_seconds = perf_counter() - start
    work = out / ".work" / f"{model.slug}-{key[:16]}" if out is not None else None
    scored, prompt_seconds = _score_prompts(scorer, measure, model.slug, work)
    start = perf_counter()
    table = _assemble(scorer, scored, model, measure, frame, candidates, key)
    assembled_seconds = perf_counter() - start
    record = table.record.model_copy(
        update={
            "dtype": str(network.dtype).removeprefix("torch."),
            "quantized": measure.quantize,
            "device": str(device),
            "attention": network.config._attn_implementation,
            "load_seconds": load_seconds,
        }
    )
    record = _verified(record, scorer, scored, measure, work)
    seconds = prepared_seconds + prompt_seconds + assembled_seconds
    record = record.model_copy(
        update={"seconds": seconds, "candidates_per_second": table.matrix().size / seconds if seconds > 0 else None}
    )
    table = ScoreTable(table.frame, record)
    if out is None:
        return table
    path = write_scores(table, out / "scores")
    if work is not None:
        shutil.rmtree(work, ignore_errors=True)
    return read_scores(path)


def _key(
    model: "ResolvedModel", measure: Measure, frame: ChosenFrame, candidates: Candidates, dtype: str, device: str
) -> str:
    """SHA-256 of everything that moves a score, the prompts aside (those have files of their own)."""
    moves = {
        "digests": model.digests.model_dump(),
        "kind": model.kind,
        "frame": frame,
        "protocol": measure.protocol,
        "engine": measure.engine,
        "dtype": dtype,
        "device": device,
        "quantize": measure.quantize,
        "device_map": measure.device_map,
        "attention": model.entry.attention if model.entry else None,  # where null, the config decides
        "head": [model.entry.head, model.entry.head_weights] if model.entry else None,
        "config": sha256_of(model.path / "config.json"),
        "template_date": measure.template_date,
        "candidates": candidates.sha256,
        "prompts": measure.prompts.sha256,
        "versions": versions(),
    }
    return hashlib.sha256(json.dumps(moves, sort_keys=True).encode()).hexdigest()


def _finished_table(out: Path, slug: str, key: str) -> ScoreTable | None:
    path = out / "scores" / f"{slug}.parquet"
    if not path.is_file() or not path.with_suffix(".json").is_file():
        return None
    table = read_scores(path)
    return table if table.record.key == key else None


def _score_prompts(
    scorer: "Scorer", measure: Measure, slug: str, work: Path | None
) -> tuple[dict[str, "PromptScores"], float]:
    """Score the prompts, each kept in `work` as soon as its batch is done; returns them and their seconds."""
    keys, scored, total = list(measure.prompts.prompts), {}, 0.0
    results = scored_or_kept(scorer, [measure.prompts.prompts[key].text for key in keys], work)
    for key in progress_bar(keys, slug, unit="prompts", quiet=measure.quiet):
        scored[key], seconds = next(results)
        total += seconds
    return scored, total


def _assemble(
    scorer: "Scorer",
    scored: dict[str, "PromptScores"],
    model: "ResolvedModel",
    measure: Measure,
    frame: ChosenFrame,
    candidates: Candidates,
    key: str,
) -> ScoreTable:
    columns = [pl.Series(name, result.scores, dtype=pl.Float32) for name, result in scored.items()]
    frame_of_scores = scorer.candidates.with_columns(columns)
    is_reward = model.kind == "reward"
    n_tokens = int(scorer.candidates["token_id"].is_not_null().sum())
    record = ScoreRecord(
        model=model.name,
        slug=model.slug,
        key=key,
        revision=model.revision,
        family=model.family,
        base_checkpoint=model.base_checkpoint,
        kind=model.kind,
        dtype="",
        device="",
        engine=measure.engine,
        attention=None,
        head=scorer.head.name if scorer.head else None,
        frame=frame,
        protocol=measure.protocol,
        digests=model.digests,
        prompt_set=measure.prompts,
        candidates_sha256=candidates.sha256,
        n_tokens=n_tokens,
        n_words=scorer.candidates.height - n_tokens,
        left_out=scorer.left_out,
        word_tokens=scorer.word_tokens,
        template_date=scorer.template_date,
        template_system=scorer.chat.system,
        system_place=scorer.encoder.system_place,
        trimmed=scorer.chat.trimmed,
        versions=versions(),
        sha256="",
        context_ids={name: result.context_ids for name, result in scored.items()},
        mass=None if is_reward else {name: result.mass for name, result in scored.items() if result.mass},
        mass_why="a reward is not a probability" if is_reward else None,
        seconds=None,
        load_seconds=None,
        verify_seconds=None,
        verify_max_abs_diff=None,
        candidates_per_second=None,
        warnings=list(scorer.chat.warnings),
    )
    return ScoreTable(frame_of_scores, record)


def _verified(
    record: ScoreRecord,
    scorer: "Scorer",
    scored: Mapping[str, "PromptScores"],
    measure: Measure,
    work: Path | None,
) -> ScoreRecord:
    """Rescore a seeded sample the plain way on a few prompts; past the bound nothing is written."""
    if measure.engine == "plain":
        return record.model_copy(update={"verify_why": "the plain engine is the reference"})
    keys = list(scored)
    chosen = sorted(np.random.default_rng(measure.seed).permutation(len(keys))[:VERIFY_PROMPTS])
    texts = {measure.prompts.prompts[keys[index]].text: scored[keys[index]].scores for index in chosen}
    sample = measure.sample or VERIFY_SAMPLE[record.kind]
    result = scorer.verify(list(texts), sample=sample, seed=measure.seed, scored=texts)
    if not result.passed:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
        raise CheckFailed(
            f"{record.slug}: the prefix engine differs from the plain one by {result.max_abs_diff:.2g}, more than "
            f"{result.bound:.2g}: score with --engine plain, and report this model"
        )
    return record.model_copy(
        update={
            "verify_seconds": result.seconds,
            "verify_max_abs_diff": result.max_abs_diff,
            "verify_bound": result.bound,
        }
    )
