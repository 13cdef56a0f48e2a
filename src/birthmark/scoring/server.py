"""A backend that asks a model server: conversations are rendered and tokenized here, and run there.

What a server says of itself is not believed before it is tried: the model's name and tokens, whether a reward is raw or
squashed by an activation, whether one conversation gives one number, and, where the weights are at hand, the scores.
Sessions of language models are here, those of reward models in `served`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.answers import Asked
from birthmark.progress import note
from birthmark.scoring.backend import Job, PromptScores, Settings, Unit, refuse_options
from birthmark.scoring.local import LocalBackend, naming
from birthmark.scoring.measure import versions
from birthmark.scoring.served import (
    UNKNOWN,
    Ids,
    RewardSession,
    ServedSession,
    named,
    reads_text,
    served_by,
    smaller_vocabulary,
)
from birthmark.scoring.serving import MALFORMED, CompletionEnd, Connection, Refused, Served, look_at, same_name

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel
    from birthmark.models.scorers import LogProbScorer

__all__ = ["ServerBackend", "reads_text", "served_by", "source_of"]


class ServerBackend:
    """The model behind an address, whose scores do not depend on the address: that is in no key."""

    name = scores_as = "server"

    def __init__(self, address: str) -> None:
        self.address = address
        self._found: dict[str, Served] = {}

    def settings(self, job: Job) -> Settings:
        """Raises `BirthmarkError` where nobody answers, or another model does."""
        refuse_options(job.measure, self.name, "engine", "dtype", "device", "quantize", "device_map")
        served = self.served(job.model)
        if served.rewards and served.rewards.reads == "text":
            refuse_options(job.measure, self.name, "bos")
        kept = ("birthmark", "transformers", "tokenizers", "numpy", "polars")
        known = {name: versions()[name] for name in kept} | ({served.kind: served.version} if served.version else {})
        by = served_by(served, job.model)
        return Settings(UNKNOWN, self.name, known, f"{by.server}{by.path}: {by.model}")

    def served(self, model: "ResolvedModel") -> Served:
        """What the server says of this model; asked once."""
        if model.slug not in self._found:
            connection = Connection(self.address)
            try:
                self._found[model.slug] = _of_model(connection, model)
            finally:
                connection.close()
        return self._found[model.slug]

    @contextmanager
    def open(self, job: Job) -> "Iterator[RewardSession | LogProbSession]":
        """Raises `BirthmarkError` for whatever of the server is not as the model's own files have it."""
        from birthmark.models.tokenizer import read_tokenizer

        note(f"{job.model.slug}: asking {self.address}", quiet=job.measure.quiet)
        served, start = self.served(job.model), perf_counter()
        connection = Connection(self.address)
        kind = RewardSession if job.model.kind == "reward" else LogProbSession
        try:
            with naming(job.model.name):
                session = kind(job, connection, served, read_tokenizer(job.model))
                session.prepare(start)
            yield session
        finally:
            connection.close()

    def rescore(self, job: Job, texts: Sequence[Asked], rows: np.ndarray) -> np.ndarray:
        """By the model's files here, with the plain engine in float32."""
        return LocalBackend().rescore(job, texts, rows)


def source_of(address: str, name: str) -> str:
    """The folder or hub id behind a server's own name for a model, where it says; else the name as it is."""
    if Path(name).exists():
        return name
    connection = Connection(address)
    try:
        found = [served for served in look_at(connection, [name]) if served.model == name]
    finally:
        connection.close()
    others = [other for served in found for other in served.names if other != name]
    return next((other for other in others if Path(other).is_dir() or re.fullmatch(r"[\w.-]+/[\w.-]+", other)), name)


def _of_model(connection: Connection, model: "ResolvedModel") -> Served:
    """The served model of this name. Raises `BirthmarkError` for another model, or one of the other kind."""
    files = model.adapter or model.path
    wanted = [model.name, files.name, *([model.entry.name, model.entry.hub or ""] if model.entry else [])]
    found = look_at(connection, wanted)
    served = found[0]
    if not same_name(served.names, wanted):
        there = ", ".join(one_line(other.model) for other in found[:5]) + (", …" if len(found) > 5 else "")
        raise BirthmarkError(
            f"{connection.address} serves {there} and not {one_line(model.name)}: name the model that it serves, or start it "
            "with this one (a name of its own is given by --served-model-name)"
        )
    if model.kind == "reward" and served.rewards is None:
        raise BirthmarkError(
            f"{model.name} is a reward model, and {connection.address} ({served.server}) serves {served.model} as a language "
            "model or an embedding: serve it as a classifier (vLLM: --runner pooling; SGLang: --is-embedding), or use --as logprob"
        )
    if model.kind == "logprob" and served.completions is None:
        raise BirthmarkError(
            f"{model.name} is a language model, and {connection.address} ({served.server}) serves {served.model} without "
            "/v1/completions: serve it as a language model (vLLM: --runner generate), or use --as reward"
        )
    return served


class LogProbSession(ServedSession):
    """A served language model. `inputs` is a scorer as it is used here, whose engine asks the server."""

    inputs: "LogProbScorer"

    def __init__(self, job: Job, connection: Connection, served: Served, tokenizer: Any) -> None:
        from birthmark.models.engine import Engine
        from birthmark.models.scorers import LogProbScorer
        from birthmark.models.vocabulary import read_vocabulary

        super().__init__(job, connection, served, tokenizer)
        assert served.completions is not None
        candidates, rows = job.candidates, self.limits.rows
        self.asking = CompletionsEngine(self, served.completions, rows if candidates.vocabulary else 0)
        if candidates.vocabulary:
            self.asking.require_vocabulary(self.encoder.context(self.first))
        vocabulary = read_vocabulary(tokenizer, rows, job.measure.protocol) if candidates.vocabulary else None
        self.inputs = LogProbScorer(
            None, self.encoder, cast(Engine, self.asking), candidates.words, vocabulary, self.limits
        )

    def prepare(self, start: float) -> None:
        """Try the server, and state the facts."""
        text = self.encoder.written(self.first)
        self.require_tokens(text)
        context = self.encoder.context(self.first)
        last = min(self.limits.rows, len(self.tokenizer)) - 1
        if self.served.kind == "vllm":
            try:
                self.asking.chains(context, [[last]])
            except Refused as error:
                raise smaller_vocabulary(self.connection, last, error) from None
        probe = [tuple(ids) for ids in self.encoder.form_ids([" love", "?"])]
        found, again = self.asking.chains(context, probe), self.asking.chains(context, probe)
        self.facts = self.make_facts(start, float(np.abs(found - again).max()))

    def units(self, texts: Sequence[Asked]) -> list[Unit]:
        """Each prompt alone."""
        return [Unit(range(index, index + 1), range(self.candidates.height)) for index in range(len(texts))]

    def score(self, texts: Sequence[Asked], units: Sequence[Unit]) -> Iterator[tuple[Unit, list[PromptScores]]]:
        with naming(self.job.model.name):
            for unit in units:
                yield unit, self.inputs.score_together([texts[unit.prompts.start]])


class CompletionsEngine:
    """Log-probabilities after a context from a server, as the engines of models in memory give them.

    `rows` is the size of the vocabulary where its next tokens are wanted, else 0: then there are none.
    """

    def __init__(self, session: LogProbSession, end: CompletionEnd, rows: int) -> None:
        self.session, self.end, self.rows = session, end, rows

    def log_probs_after(
        self, contexts: Sequence[Ids], continuations: Sequence[Ids]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """log p of every next token, float32 [rows], and of each continuation, float64 [n], after each context."""
        return [(self._following(context), self.chains(context, continuations)) for context in contexts]

    def chains(self, context: Ids, continuations: Sequence[Ids]) -> np.ndarray:
        """log p of each continuation; one that begins another is read off that one's answer."""
        session, n = self.session, len(context)
        ordered = sorted(range(len(continuations)), key=lambda index: tuple(continuations[index]))
        begins = {
            one for one, other in pairwise(ordered)
            if tuple(continuations[other][: len(continuations[one])]) == tuple(continuations[one])
        }  # fmt: skip
        sent = [index for index in ordered if index not in begins]
        prompts = [[*context, *continuations[index]] for index in sent]
        session.require_length(prompts, further=1)
        values = dict(zip(sent, self._ask(prompts, n), strict=True))
        sums, holder = np.empty(len(continuations)), -1
        for index in reversed(ordered):
            holder = index if index in values else holder
            sums[index] = sum(values[holder][n : n + len(continuations[index])])
        return sums

    def _ask(self, prompts: Sequence[Ids], n: int) -> list[list[float]]:
        """log p of each prompt's tokens. Raises `BirthmarkError` for an answer of another shape, or no log-probability."""
        session, size = self.session, self.end.at_once
        address = f"{session.connection.address}{self.end.path}"
        batches = [prompts[start : start + size] for start in range(0, len(prompts), size)]
        decode = session.tokenizer.decode
        whats = [named([decode(batch[0][n:]), decode(batch[-1][n:])][: len(batch)]) for batch in batches]
        bodies = [self.end.body(session.served.model, batch) for batch in batches]
        found: list[list[float]] = []
        for batch, what, answer in zip(
            batches, whats, session.connection.post_all(self.end.path, bodies, whats), strict=True
        ):
            try:
                values = self.end.log_probs(answer, batch)
            except MALFORMED:
                raise BirthmarkError(
                    f"{address} gives no log-probabilities of the prompt's tokens, for {what}: serve the model with vLLM, "
                    f"SGLang, or another server that does; it answers {one_line(answer)}"
                ) from None
            for each in values:
                if not all(np.isfinite(value) and value <= 0.01 for value in each[n:]):
                    raise BirthmarkError(
                        f"{address} gives {one_line(each[n:])} for {what}, which are no log-probabilities (vLLM: "
                        "--logprobs-mode raw_logprobs)"
                    )
            found += values
        return found

    def _following(self, context: Ids) -> np.ndarray:
        if not self.rows:
            return np.empty(0, dtype=np.float32)
        session = self.session
        body = self.end.next_body(session.served.model, context, self.rows)
        answer = session.connection.post(self.end.path, body, "the next token of the whole vocabulary")
        try:
            found = self.end.next_log_probs(answer)
        except MALFORMED:
            found = {}
        values = np.full(self.rows, np.nan, dtype=np.float32)
        for token, value in found.items():
            if token < self.rows:
                values[token] = value
        if not np.isfinite(values).all():
            raise self._no_vocabulary(int(np.isfinite(values).sum()))
        return values

    def require_vocabulary(self, context: Ids) -> None:
        """Raise `BirthmarkError` with the number of next tokens that the server gives, where that is not all."""
        try:
            self._following(context)
        except Refused as error:
            numbers = [int(number) for number in re.findall(r"\d+", error.said) if int(number) < self.rows]
            raise self._no_vocabulary(numbers[-1] if numbers else None) from None

    def _no_vocabulary(self, count: int | None) -> BirthmarkError:
        session = self.session
        some = f"at most {count:,} next tokens" if count else "some next tokens"
        more = ", or start it with --max-logprobs -1" if session.served.kind == "vllm" else ""
        return BirthmarkError(
            f"{session.connection.address} gives the log-probabilities of {some}, and the vocabulary has {self.rows:,}: score "
            f"words (--candidates lexicon){more}"
        )
