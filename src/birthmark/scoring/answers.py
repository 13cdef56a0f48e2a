"""A policy's answers to open questions and reward models' scores of them, on disk: each question is kept as it is done.

`samples.parquet` has a row an answer, in the order of the questions; `rewards/<slug>.parquet` a row an answer with the reward
and what random heads on the same states give, and its JSON what scored them.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.files import read_parquet, write_parquet, write_text
from birthmark.inputs.candidates import Candidates
from birthmark.models.scored import PromptScores, Sample, Sampling
from birthmark.progress import note, progress_bar
from birthmark.records import AnswerRewards, PromptSetRecord, read_record, to_json
from birthmark.scoring.backend import Job
from birthmark.scoring.local import LocalBackend, choose_machine, naming
from birthmark.scoring.measure import Measure, versions
from birthmark.scoring.resume import Kept, resume_key

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel

SAMPLES, REWARDS, WORK = "samples.parquet", "rewards", ".work"
RANDOM_HEADS = 200
SCHEMA = {
    "question": pl.String,
    "sample": pl.Int64,
    "text": pl.String,
    "tokens": pl.Int64,
    "finished": pl.Boolean,
}


class Policy(Protocol):
    """What answers a question: `sample(question, n)`."""

    def sample(self, question: str, n: int) -> list[Sample]: ...


# ----------------------------------------------------------------------------------------------------------- answers


def draw_answers(
    model: "ResolvedModel",
    sampling: Sampling,
    questions: PromptSetRecord,
    measure: Measure,
    server: str | None,
    out: Path,
) -> pl.DataFrame:
    """The policy's answers, from `out/samples.parquet` where they are all there; an interrupted run resumes at a question."""
    path = out / SAMPLES
    if path.is_file():
        note("the answers are there already", quiet=measure.quiet)
        return read_answers(out, questions, sampling.n)
    work = out / WORK / f"samples-{_key(model, sampling, measure, server)[:16]}"
    files = {key: work / f"{hashlib.sha256(question.text.encode()).hexdigest()[:16]}.parquet" for key, question in questions.prompts.items()}  # fmt: skip
    missing = [key for key, file in files.items() if not file.is_file()]
    if missing:
        with _policy(model, sampling, measure, server) as policy:
            for key in progress_bar(missing, model.slug, unit="questions", quiet=measure.quiet):
                with naming(model.name):
                    found = policy.sample(questions.prompts[key].text, sampling.n)
                rows = [{"question": key, "sample": at, **asdict(sample)} for at, sample in enumerate(found)]
                write_parquet(pl.DataFrame(rows, schema=SCHEMA), files[key])
    write_parquet(
        pl.concat([read_parquet(file).with_columns(question=pl.lit(key)) for key, file in files.items()]), path
    )
    shutil.rmtree(work, ignore_errors=True)
    return read_answers(out, questions, sampling.n)


def read_answers(out: Path, questions: PromptSetRecord, n: int) -> pl.DataFrame:
    """`out/samples.parquet`: n rows for each of the questions, in order. Raises `BirthmarkError` for another table."""
    path = out / SAMPLES
    frame = read_parquet(path)
    keys = [key for key in questions.prompts for _ in range(n)]
    if dict(frame.schema) != SCHEMA or frame["question"].to_list() != keys or frame["text"].has_nulls():
        raise BirthmarkError(
            f"{path} does not hold {n} answers to each of the {len(questions.prompts)} questions: name another folder with --out"
        )
    return frame


@contextmanager
def _policy(model: "ResolvedModel", sampling: Sampling, measure: Measure, server: str | None) -> Iterator[Policy]:
    """The policy, in this machine's memory or behind an address, for as long as the block lasts."""
    if server is not None:
        from birthmark.scoring.served_answers import served_policy

        with served_policy(server, model, sampling, measure) as policy:
            yield policy
        return
    from birthmark.models.encoding import Encoder
    from birthmark.models.generation import Sampler
    from birthmark.models.loading import load_if_it_fits
    from birthmark.models.machine import release_memory
    from birthmark.models.tokenizer import load_tokenizer

    device, dtype = choose_machine(measure.device, measure.dtype, model.entry)
    note(f"{model.slug}: loading", quiet=measure.quiet)
    with naming(model.name):
        encoder = Encoder(load_tokenizer(model), "chat", template_date=measure.template_date)
    network = load_if_it_fits(
        model, dtype=dtype, device=device, quantize=measure.quantize, device_map=measure.device_map
    )
    try:
        yield Sampler(network, encoder, **{key: value for key, value in asdict(sampling).items() if key != "n"})
    finally:
        del network
        release_memory()


def _key(model: "ResolvedModel", sampling: Sampling, measure: Measure, server: str | None) -> str:
    """SHA-256 of what changes an answer."""
    facts = {
        "digests": model.digests.model_dump(),
        "sampling": asdict(sampling),
        "machine": choose_machine(measure.device, measure.dtype, model.entry) if server is None else "server",
        "placement": [measure.quantize, measure.device_map],
        "template_date": measure.template_date,
        "versions": dict(versions()),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


# ----------------------------------------------------------------------------------------------------------- rewards


@dataclass(frozen=True)
class AnswersJob(Job):
    """A reward model and a policy's answers, each text once."""

    answers: Candidates

    @property
    def candidates(self) -> Candidates:  # type: ignore[override]
        return self.answers


def check_head(model: "ResolvedModel") -> None:
    """Raise `BirthmarkError` for a reward model whose head cannot be read; nothing is loaded."""
    from birthmark.models.loading import readable_head

    readable_head(model)


def judge_answers(model: "ResolvedModel", measure: Measure, answers: pl.DataFrame, out: Path) -> AnswerRewards:
    """Score all answers by one reward model into `out/rewards/`; what an earlier run scored the same way is kept.

    A reward is what `birthmark score` gives for the answer as a candidate after the question. Raises `BirthmarkError` as that
    does.
    """
    texts = {str(key): frame["text"].to_list() for (key,), frame in answers.group_by("question", maintain_order=True)}
    distinct = Candidates(False, tuple(dict.fromkeys(text for group in texts.values() for text in group)), "answers")
    job, backend = AnswersJob(model, measure, "chat", distinct), LocalBackend()
    drawn = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    key = hashlib.sha256(f"{resume_key(job, backend)}\0{drawn}\0{RANDOM_HEADS}".encode()).hexdigest()
    path = out / REWARDS / f"{model.slug}.parquet"
    if path.is_file() and path.with_suffix(".json").is_file():
        record = read_record(path.with_suffix(".json"), AnswerRewards)
        if record.key == key:
            note(f"{model.slug}: already scored", quiet=measure.quiet)
            return record
    kept, start = Kept(out / WORK / f"{model.slug}-{key[:16]}"), perf_counter()
    seed = [measure.seed, crc32((model.base_checkpoint or model.name).encode())]
    found: dict[str, np.ndarray] = {}
    with backend.open(job) as session:
        for question in progress_bar(list(texts), model.slug, unit="questions", quiet=measure.quiet):
            text, group = measure.prompts.prompts[question].text, texts[question]
            cells = range(len(group) * (1 + RANDOM_HEADS))
            scored = kept.read(text, cells, len(cells))
            if scored is None:
                values = session.score_answers(text, group, heads=RANDOM_HEADS, seed=seed)
                scored = PromptScores(values.reshape(-1), [])
                kept.write(text, cells, len(cells), scored)
            found[question] = scored.scores.reshape(len(group), -1)
        facts = session.facts
    values = np.concatenate(list(found.values()))
    frame = answers.select("question", "sample").with_columns(
        pl.Series("reward", values[:, 0]),
        *(pl.Series(f"head_{at:03d}", values[:, 1 + at]) for at in range(RANDOM_HEADS)),
    )
    record = AnswerRewards(
        model=model.name,
        slug=model.slug,
        family=model.family,
        base_checkpoint=model.base_checkpoint,
        digests=model.digests,
        dtype=facts.dtype,
        device=facts.device,
        head=facts.head,
        read_token=facts.read_token,
        n_answers=len(values),
        n_unknown=sum(text in set(facts.unknown_words) for group in texts.values() for text in group),
        random_heads=RANDOM_HEADS,
        seconds=perf_counter() - start,
        key=key,
        warnings=[*model.remarks, *(text for text in facts.warnings if "has no tokens for" not in text)],
    )
    write_parquet(frame, path, statistics=False)
    write_text(path.with_suffix(".json"), to_json(record))
    kept.clear()
    return record


def read_rewards(out: Path, record: AnswerRewards, answers: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Rewards [answers] and those of random heads [heads, answers], float64. Raises `BirthmarkError` for another table."""
    path = out / REWARDS / f"{record.slug}.parquet"
    frame = read_parquet(path)
    heads = [name for name in frame.columns if name.startswith("head_")]
    same = frame.columns[:3] == ["question", "sample", "reward"] and frame.select("question", "sample").equals(
        answers.select("question", "sample")
    )
    if (
        not same
        or len(heads) != record.random_heads
        or not all(frame[name].dtype.is_float() for name in ["reward", *heads])
    ):
        raise BirthmarkError(f"{path} is not a table of this folder's answers: delete it and run again")
    values = frame.select("reward", *heads).to_numpy().astype(np.float64)
    if not np.isfinite(values).all():
        raise BirthmarkError(f"{path} has a reward that is not finite: delete it and run again")
    return values[:, 0], values[:, 1:].T


def reward_records(out: Path) -> list[AnswerRewards]:
    """What scored the answers of a folder, by slug."""
    return [read_record(path, AnswerRewards) for path in sorted((out / REWARDS).glob("*.json"))]


def texts_of(answers: pl.DataFrame, questions: Sequence[str]) -> list[list[str]]:
    """The answers to each question, in order."""
    grouped: Mapping[str, list[str]] = {
        str(key): frame["text"].to_list() for (key,), frame in answers.group_by("question", maintain_order=True)
    }
    return [grouped[key] for key in questions]
