"""One model in, one score table out: resumable, a prompt at a time, checked against the plain engine by a sample.

Knows what is asked (`Measure`) and where unfinished work lives; how a model is run is the business of `models/`, what
the scores mean that of `values/`.
"""

import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import numpy as np
import polars as pl

from birthmark.errors import CheckFailed
from birthmark.inputs.candidates import Candidates, load_candidates
from birthmark.inputs.fetch import sha256_of
from birthmark.inputs.lexicons import Lexicon, load_lexicon, load_lexicons
from birthmark.inputs.named_lexicons import INQUIRER_DEFAULT, is_fetched
from birthmark.inputs.prompts import load_prompts, select_prompts, with_neutral
from birthmark.kept_prompts import scored_or_kept
from birthmark.progress import note, track
from birthmark.records import Kind, PromptSetRecord, ScoreRecord
from birthmark.scores import ScoreTable, prompt_set_record, read_scores, write_scores
from birthmark.values.controls import PROMPT, parse_controls

if TYPE_CHECKING:
    from birthmark.models.scorers import PromptScores, Scorer
    from birthmark.models.weights import ResolvedModel

Frame = Literal["auto", "chat", "qa", "bare"]
ChosenFrame = Literal["chat", "qa", "bare"]
Protocol = Literal["birthmark", "christian2026"]
Engine = Literal["prefix", "plain"]

VERIFY_PROMPTS = 3
VERIFY_SAMPLE: dict[Kind, int] = {"reward": 64, "logprob": 8}  # a word of an LM is up to four sequences


@dataclass(frozen=True)
class Measure:
    """What is asked of every model of one study, and how it is run."""

    prompts: PromptSetRecord
    lexicons: tuple[Lexicon, ...]
    beside: tuple[Lexicon, ...]  # looked at where the tables have their words; they ask for no candidates
    candidates: str | None
    frame: Frame
    protocol: Protocol
    engine: Engine
    dtype: str | None
    device: str | None
    template_date: str | None
    seed: int
    quiet: bool
    controls: tuple[str, ...] = ()
    quantize: Literal["8bit", "4bit"] | None = None
    device_map: str | None = None  # `auto`
    verify: bool = False  # rescore a sample in float32
    sample: int | None = None  # candidates that the plain engine scores too; where None, those of VERIFY_SAMPLE

    def candidates_for(self, kind: Literal["reward", "logprob"]) -> Candidates:
        return load_candidates(self.candidates, self.lexicons, kind)


class MeasureOptions(TypedDict, total=False):
    """The options of a measurement, as on the command line; what is left out takes its default."""

    prompts: str | Path  # a prompt set's name or file
    prompt: str | Sequence[str]  # keys of the prompt set, or prompts of one's own
    system: str | None  # a system prompt before every question
    lexicons: str | Path | Lexicon | Sequence[str | Path | Lexicon]
    candidates: str | Sequence[str] | None  # `lexicon`, `vocabulary`, a file, or words
    frame: Frame
    protocol: Protocol
    engine: Engine
    dtype: str | None
    device: str | None
    template_date: str | None
    seed: int
    quiet: bool
    controls: str | Sequence[str]  # each of `frequency`, `length`, `tokens`, `prompt`, joined by commas
    quantize: Literal["8bit", "4bit"] | None
    device_map: str | None
    verify: bool


def make_measure(**options: Unpack[MeasureOptions]) -> Measure:
    """Read the prompts, lexicons and candidates once; raises `BirthmarkError` for what is not there or malformed."""
    prompt_set = load_prompts(options.get("prompts", "christian2026"))
    if prompt := options.get("prompt"):
        prompt_set = select_prompts(prompt_set, [prompt] if isinstance(prompt, str) else prompt)
    controls = tuple(",".join(control) for control in parse_controls(options.get("controls", ())))
    if any(PROMPT in control for control in controls):
        prompt_set = with_neutral(prompt_set)
    if (system := options.get("system")) is not None:
        prompt_set = prompt_set_record(prompt_set.name, prompt_set.prompts, system)
    if template_date := options.get("template_date"):
        from birthmark.models.encoding import parse_template_date

        parse_template_date(template_date)
    candidates = options.get("candidates")
    return Measure(
        prompts=prompt_set,
        lexicons=load_lexicons(options.get("lexicons") or "starter"),
        beside=_validated_neighbour() if not options.get("lexicons") else (),
        candidates=candidates if candidates is None or isinstance(candidates, str) else ",".join(candidates),
        frame=options.get("frame", "auto"),
        protocol=options.get("protocol", "birthmark"),
        engine=options.get("engine", "prefix"),
        dtype=options.get("dtype"),
        device=options.get("device"),
        template_date=template_date,
        seed=options.get("seed", 0),
        quiet=options.get("quiet", True),
        controls=controls,
        quantize=options.get("quantize"),
        device_map=options.get("device_map"),
        verify=options.get("verify", False),
    )


def _validated_neighbour() -> tuple[Lexicon, ...]:
    """The General Inquirer's power and affiliation tags, where they have been fetched: a validated list beside `starter`."""
    if not is_fetched("general-inquirer"):
        return ()
    return (load_lexicon("general-inquirer").only(INQUIRER_DEFAULT),)


def versions() -> dict[str, str]:
    """Versions of what moves a score."""
    packages = ("birthmark", "torch", "transformers", "tokenizers", "peft", "numpy", "polars")
    return {name: importlib.metadata.version(name) for name in packages}


def choose_frames(models: "Sequence[ResolvedModel]", frame: Frame, protocol: Protocol) -> list[ChosenFrame]:
    """The frame of each model: an RM always `chat`; the LMs share one, by default `chat` if all have a template.

    The study's protocol takes `chat` for LMs that have a template and the bare prompt for the others.
    """
    languages = [model for model in models if model.kind == "logprob"]
    shared: ChosenFrame = "chat" if all(model.chat_template for model in languages) else "qa"
    frames: list[ChosenFrame] = []
    for model in models:
        if model.kind == "reward":
            frames.append("chat")
        elif frame != "auto":
            frames.append(frame)
        elif protocol == "christian2026":
            frames.append("chat" if model.chat_template else "bare")
        else:
            frames.append(shared)
    return frames


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
    from birthmark.rescoring import with_precision

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
    from birthmark.models.loading import load_if_it_fits
    from birthmark.models.machine import choose_device, choose_dtype
    from birthmark.models.placement import is_spread
    from birthmark.models.scorers import make_scorer
    from birthmark.models.weights import load_tokenizer

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
    for key in track(keys, slug, unit="prompts", quiet=measure.quiet):
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
