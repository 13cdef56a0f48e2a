"""A served language model while it is scored: log-probabilities of candidates' tokens after a context, over HTTP."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.answers import Asked
from birthmark.scoring.backend import Job, PromptScores, Unit
from birthmark.scoring.local import naming
from birthmark.scoring.served import Ids, ServedSession, named, smaller_vocabulary
from birthmark.scoring.serving import MALFORMED, CompletionEnd, Connection, Refused, Served

if TYPE_CHECKING:
    from birthmark.models.scorers import LogProbScorer


class LogProbSession(ServedSession):
    """A served language model. `inputs` is a scorer as it is used here, whose engine asks the server."""

    inputs: "LogProbScorer"

    def __init__(self, job: Job, connection: Connection, served: Served, tokenizer: Any) -> None:
        from birthmark.models.encoding import read_vocabulary
        from birthmark.models.engine import Engine
        from birthmark.models.scorers import LogProbScorer

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
