"""The local backend: a model in this machine's memory, run by torch. Only here does scoring touch torch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.answers import Asked
from birthmark.inputs.catalog import Entry
from birthmark.progress import note
from birthmark.records import Kind
from birthmark.scoring.backend import (
    CannotRescore,
    Facts,
    Job,
    PromptScores,
    Settings,
    Unit,
    Verification,
)
from birthmark.scoring.measure import LOCAL, versions
from birthmark.scoring.options import EngineName

if TYPE_CHECKING:
    from birthmark.models.scorers import Scorer

Load = Callable[..., AbstractContextManager[Any]]

ROWS_AT_ONCE = 2**15  # answers of one unit; a multiple of `scorers.ANSWERS_AT_ONCE`, so that blocks change no batch


def blocks_of(kind: Kind, n_rows: int) -> list[range]:
    """The blocks of candidates that are units of their own: a language model gives a whole vocabulary in one pass."""
    if kind == "logprob":
        return [range(n_rows)]
    return [range(start, min(start + ROWS_AT_ONCE, n_rows)) for start in range(0, n_rows, ROWS_AT_ONCE)]


def choose_machine(device: str | None, dtype: str | None, entry: Entry | None = None) -> tuple[str, str]:
    """The device and the precision that the two options come to for a model; raises `BirthmarkError` for one not there."""
    from birthmark.models.machine import choose_device, choose_dtype

    chosen = choose_device(device)
    return str(chosen), choose_dtype(dtype, chosen, entry.dtype if entry else None)


class LocalBackend:
    """`load` gives a model within a block, for what keeps a base in memory; without it each model is loaded from its files."""

    name = LOCAL
    scores_as = LOCAL

    def __init__(self, load: Load | None = None) -> None:
        self._load = load

    def settings(self, job: Job) -> Settings:
        entry = job.model.entry
        device, dtype = choose_machine(job.measure.device, job.measure.dtype, entry)
        return Settings(dtype, device, versions())

    @contextmanager
    def open(self, job: Job) -> "Iterator[LocalSession]":
        """Raises `BirthmarkError` where the weights exceed the memory there is, and what loading raises."""
        from birthmark.models.machine import release_memory

        note(f"{job.model.slug}: loading", quiet=job.measure.quiet)
        with ExitStack() as stack:
            if self._load is None:
                stack.callback(release_memory)
            session = self._session(job, stack)
            stack.callback(session.close)
            yield session

    def _session(self, job: Job, stack: ExitStack) -> "LocalSession":
        from birthmark.models.engine_choice import choose_engine
        from birthmark.models.loading import load_if_it_fits
        from birthmark.models.machine import threads_of
        from birthmark.models.tokenizer import load_tokenizer

        model, measure, settings = job.model, job.measure, self.settings(job)
        start = perf_counter()
        network = (
            stack.enter_context(self._load(model, dtype=settings.dtype, device=settings.device))
            if self._load is not None
            else load_if_it_fits(
                model,
                dtype=settings.dtype,
                device=settings.device,
                quantize=measure.quantize,
                device_map=measure.device_map,
            )
        )
        tokenizer = load_tokenizer(model)
        load_seconds = perf_counter() - start
        start = perf_counter()
        with naming(model.name):
            engine, why = choose_engine(measure.engine, network)
            if why:
                note(f"{model.slug}: {why}, so the plain engine runs it", quiet=measure.quiet)
            scorer = _scorer(network, tokenizer, job, engine.name)
        facts = Facts(
            dtype=str(network.dtype).removeprefix("torch."),
            device=settings.device,
            threads=threads_of(settings.device),
            engine=engine.name,
            engine_why=why,
            attention=network.config._attn_implementation,
            quantized=measure.quantize,
            head=scorer.head.name if scorer.head else None,
            bos=scorer.chat.bos,
            read=measure.read if scorer.head else None,
            read_token=scorer.chat.read_token,
            read_early=scorer.chat.read_early,
            template_date=scorer.template_date,
            template_system=scorer.chat.system,
            system_place=scorer.encoder.system_place,
            trimmed=scorer.chat.trimmed,
            left_out=scorer.left_out,
            word_tokens=scorer.word_tokens,
            unknown_words=scorer.unknown_words,
            load_seconds=load_seconds,
            prepare_seconds=perf_counter() - start,
            verify_why="the plain engine is the reference" if engine.name == "plain" else None,
            warnings=(*model.remarks, *scorer.chat.warnings, *about_unknown(scorer.unknown_words)),
        )
        return LocalSession(scorer, facts, model.name)

    def rescore(self, job: Job, texts: Sequence[Asked], rows: np.ndarray, dtype: str = "float32") -> np.ndarray:
        """By the plain engine, in float32 or another precision of at most its size."""
        from birthmark.models.machine import release_memory

        self.require_float32(job)
        try:
            return _plainly(job, self.settings(job).device, dtype, texts, rows)
        finally:
            release_memory()

    def require_float32(self, job: Job) -> None:
        """Raise `CannotRescore` where the model's weights are not here, or do not fit in float32."""
        from birthmark.models.machine import require_memory
        from birthmark.models.memory import count_model

        model, device, device_map = job.model, self.settings(job).device, job.measure.device_map
        if not model.digests.weights:
            raise CannotRescore("the model's weights are not on this machine")
        try:
            require_memory(model.name, count_model(model.path, model.adapter), "float32", device, device_map=device_map)
        except BirthmarkError as error:
            raise CannotRescore(f"float32 does not fit here: {error}") from None


class LocalSession:
    """One model in memory."""

    def __init__(self, scorer: "Scorer", facts: Facts, name: str) -> None:
        self._scorer: Scorer | None = scorer
        self._name = name
        self.facts = facts
        self.candidates: pl.DataFrame = scorer.candidates

    @property
    def scorer(self) -> "Scorer":
        assert self._scorer is not None, "the session is closed"
        return self._scorer

    def close(self) -> None:
        """Refer to the model no longer, so that its memory can be given back."""
        self._scorer = None

    def units(self, texts: Sequence[Asked]) -> list[Unit]:
        with naming(self._name):
            batches = self.scorer.batches(texts)
        blocks = blocks_of(self.scorer.kind, self.candidates.height)
        return [Unit(batch, rows) for batch in batches for rows in blocks]

    def score(self, texts: Sequence[Asked], units: Sequence[Unit]) -> Iterator[tuple[Unit, list[PromptScores]]]:
        """Raises `BirthmarkError` that names the model, for a prompt that it cannot read and for scores that are no numbers."""
        for unit in units:
            asked = [texts[index] for index in unit.prompts]
            with naming(self._name):
                found = self._scored(asked, unit.rows)
                answers = self.candidates["candidate"][unit.rows.start : unit.rows.stop]
                for text, result in zip(asked, found, strict=True):
                    self._require_finite(text, answers, result.scores)
            yield unit, found

    def _scored(self, texts: Sequence[Asked], rows: range) -> list[PromptScores]:
        from birthmark.models.scorers import RewardScorer

        if isinstance(self.scorer, RewardScorer):
            return self.scorer.score_together(texts, rows)
        return self.scorer.score_together(texts)  # all rows

    def score_answers(self, text: str, answers: Sequence[str], *, heads: int, seed: list[int]) -> np.ndarray:
        """Rewards of any answers to one prompt, then those of random heads: float32 [answers, 1 + heads]."""
        from birthmark.models.scorers import RewardScorer

        assert isinstance(self.scorer, RewardScorer)
        with naming(self._name):
            found = self.scorer.score_with_random_heads(text, answers, heads, seed)
            self._require_finite(text, answers, found[:, 0])
        return found

    def _require_finite(self, text: Asked, answers: Sequence[str] | pl.Series, scores: np.ndarray) -> None:
        if np.isfinite(scores).all():
            return
        from birthmark.models.limits import first_not_finite

        at = int(np.flatnonzero(~np.isfinite(scores))[0])
        candidate, score = answers[at], scores[at]
        reads = self.scorer.encoder
        ids = reads.conversation(text, candidate) if self.scorer.kind == "reward" else reads.context(text)
        what = first_not_finite(self.scorer.model, ids)
        raise BirthmarkError(f"the score of {one_line(candidate)!r} is {score}: {what}")

    def verify(
        self, texts: Sequence[Asked], *, sample: int, seed: int, scored: Mapping[Asked, np.ndarray]
    ) -> Verification:
        return self.scorer.verify(texts, sample=sample, seed=seed, scored=scored)

    @property
    def attributes(self) -> tuple[str, ...]:
        """What a reward model's head joins to its reward."""
        return self.scorer.head.attributes if self.scorer.head else ()

    def score_attributes(self, text: str) -> np.ndarray:
        """float32 [candidates, 1 + attributes]: reward first; raises `BirthmarkError` for a head with a single score."""
        from birthmark.models.scorers import RewardScorer

        assert isinstance(self.scorer, RewardScorer)
        with naming(self._name):
            return self.scorer.score_attributes(text)


@contextmanager
def naming(model: str) -> Iterator[None]:
    """Within the block, an error about a model's tokens or numbers names the model."""
    try:
        yield
    except BirthmarkError as error:
        raise BirthmarkError(f"{model}: {error}") from None


def about_unknown(words: Sequence[str]) -> list[str]:
    """A warning that names the words that a tokenizer cannot write."""
    if not words:
        return []
    named = ", ".join(one_line(word) for word in words[:10]) + (", …" if len(words) > 10 else "")
    count = f"{len(words):,} word{'s' * (len(words) > 1)}"
    left_out = "left out here because the model would read its unknown token instead"
    return [f"the tokenizer has no tokens for {count}, {left_out}: {named}"]


def _scorer(network: Any, tokenizer: Any, job: Job, engine: EngineName) -> "Scorer":
    from birthmark.models.reading import padding_token
    from birthmark.models.scorers import make_scorer

    return make_scorer(
        network,
        tokenizer,
        kind=job.model.kind,
        words=job.candidates.words,
        vocabulary=job.candidates.vocabulary,
        frame=job.frame,
        protocol=job.measure.protocol,
        engine=engine,
        template_date=job.measure.template_date,
        system=job.measure.prompts.system,
        bos=job.measure.bos_for(job.model),
        read=job.measure.read,
        padding=padding_token(job.model, tokenizer, getattr(network, "reward_head", None) is None),
    )


def _plainly(job: Job, device: str, dtype: str, texts: Sequence[Asked], rows: np.ndarray) -> np.ndarray:
    from birthmark.models.loading import load_model
    from birthmark.models.tokenizer import load_tokenizer

    network = load_model(job.model, dtype=dtype, device=device, device_map=job.measure.device_map)
    scorer = _scorer(network, load_tokenizer(job.model), job, "plain")
    return np.stack([scorer.score_rows(text, rows, scorer.engine) for text in texts])
