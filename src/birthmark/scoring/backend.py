"""The seam for all ways of scoring: the `Backend` protocol, and what passes through it.

A backend scores units of work: some prompts of one model, and a block of its candidates. It writes nothing: `run` keeps
what is finished, so a run may be stopped under one backend and resumed under another that scores as the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.inputs.answers import Asked, read_by_language_models
from birthmark.inputs.candidates import Candidates
from birthmark.models.scored import PromptScores, Verification, sample_rows
from birthmark.records import LeftOut, PromptSetRecord, ServedBy
from birthmark.scoring.declarations import options_in
from birthmark.scoring.measure import Measure
from birthmark.scoring.options import ChosenFrame, MeasureOptions

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel

__all__ = [
    "Backend",
    "CannotRescore",
    "Facts",
    "Job",
    "PromptScores",
    "Session",
    "Settings",
    "Unit",
    "Verification",
    "refuse_options",
    "sample_rows",
]


class CannotRescore(BirthmarkError):
    """A sample cannot be scored in float32, and why; the table is kept and says so."""


@dataclass(frozen=True)
class Job:
    """One model to score, what is asked of it, and the frame of its prompts. It can be pickled: nothing is loaded."""

    model: "ResolvedModel"
    measure: Measure
    frame: ChosenFrame

    @cached_property
    def candidates(self) -> Candidates:
        return self.measure.candidates_for(self.model.kind)

    @property
    def prompts(self) -> PromptSetRecord:
        """What this model is asked; see `inputs.answers.read_by_language_models`."""
        return self._read_alike[0]

    @property
    def notes(self) -> list[str]:
        """Answer formats that are another one for this model, and what the candidates' words were."""
        left_out = self._read_alike[1]
        alike = (
            "a language model reads what stands before the word alone, so answer formats that begin like an earlier one are not "
            f"scored again: {', '.join(left_out)}"
        )
        return [*([alike] if left_out else []), *self.candidates.notes]

    @cached_property
    def _read_alike(self) -> tuple[PromptSetRecord, tuple[str, ...]]:
        prompts = self.measure.prompts
        return (prompts, ()) if self.model.kind == "reward" else read_by_language_models(prompts)


@dataclass(frozen=True)
class Settings:
    """What the options that leave the choice to the backend come to for one model; `versions` are of what moves a score.

    `served`: which model on which kind of server, without its address, which moves no score.
    """

    dtype: str
    device: str
    versions: Mapping[str, str]
    served: str | None = None


@dataclass(frozen=True)
class Unit:
    """Work that is done and kept as one: prompts, by their places in a list of texts, and a block of the candidates' rows."""

    prompts: range
    rows: range


@dataclass(frozen=True)
class Facts:
    """What ran, as the table's record states it; `ScoreRecord` explains the fields.

    `verify_why` says why there is no self-check, None where there is one. `prepare_seconds` are part of the table's
    seconds, `load_seconds` are not.
    """

    dtype: str
    device: str
    threads: int | None = None
    engine: Literal["prefix", "plain"] | None = None
    engine_why: str | None = None
    attention: str | None = None
    quantized: Literal["8bit", "4bit"] | None = None
    head: str | None = None
    bos: int | None = None
    read: Literal["class", "end"] | None = None
    read_token: str | None = None
    read_early: int | None = None
    template_date: str | None = None
    template_system: str | None = None
    system_place: Literal["system", "user"] | None = None
    trimmed: int | None = None
    left_out: LeftOut | None = None
    word_tokens: dict[str, int] | None = None
    unknown_words: tuple[str, ...] = ()
    load_seconds: float = 0.0
    prepare_seconds: float = 0.0
    verify_why: str | None = None
    served: ServedBy | None = None
    warnings: tuple[str, ...] = ()


class Session(Protocol):
    """An open backend: one model, ready to score."""

    @property
    def facts(self) -> Facts: ...

    @property
    def candidates(self) -> pl.DataFrame:
        """The table's rows: `candidate`, and `token_id` (null for a word); token rows first."""

    def units(self, texts: Sequence[Asked]) -> list[Unit]:
        """The work that these prompts are; the same texts give the same units. Each prompt's blocks cover all rows."""

    def score(self, texts: Sequence[Asked], units: Sequence[Unit]) -> Iterator[tuple[Unit, list[PromptScores]]]:
        """Each of the units with its scores, prompt by prompt, as soon as it is done, in any order."""

    def verify(
        self, texts: Sequence[Asked], *, sample: int, seed: int, scored: Mapping[Asked, np.ndarray]
    ) -> Verification:
        """Score a seeded sample of the candidates in a slower, simpler way, and compare with `scored`, by text."""


@runtime_checkable
class Backend(Protocol):
    """A way of scoring. `scores_as`: the backend whose finished work is as good as its own (mostly its own name)."""

    @property
    def name(self) -> str: ...

    @property
    def scores_as(self) -> str: ...

    def settings(self, job: Job) -> Settings:
        """What the options come to, before anything is loaded; raises `BirthmarkError` for one that it cannot honour."""

    def open(self, job: Job) -> AbstractContextManager[Session]:
        """A session of the model; its memory is given back at the end."""

    def rescore(self, job: Job, texts: Sequence[Asked], rows: np.ndarray) -> np.ndarray:
        """Scores [texts, rows] in float32, for `--verify`; raises `CannotRescore` where that is not possible."""


def refuse_options(measure: Measure, backend: str, *names: str) -> None:
    """Raise `BirthmarkError` for the first of these options that is not at its default: the backend cannot honour it."""
    declared = options_in(MeasureOptions)
    for name in names:
        if getattr(measure, name) != declared[name].default:
            flag = declared[name].flag or f"--{name.replace('_', '-')}"
            chosen = "--server" if measure.server is not None else f"--backend {backend}"
            raise BirthmarkError(f"{flag} does not go with {chosen}: leave it out")
