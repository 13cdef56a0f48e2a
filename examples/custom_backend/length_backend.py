"""An example of a backend: a candidate's score after a prompt is −|characters − n|, n the number of words in the prompt."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from time import perf_counter

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.scoring.backend import (
    Facts,
    Job,
    PromptScores,
    Settings,
    Unit,
    Verification,
    refuse_options,
    sample_rows,
)

BLOCK = 100  # candidates of a unit of work


class LengthBackend:
    name = "length"
    scores_as = "length"  # finished work of another backend is not taken for its own

    def settings(self, job: Job) -> Settings:
        """Called first: refuse what cannot be honoured, and say what the rest comes to."""
        refuse_options(job.measure, self.name, "engine", "device", "dtype", "device_map", "quantize", "read", "bos")
        if job.candidates.vocabulary:
            raise BirthmarkError("--backend length scores words: name them with --candidates")
        packages = ("birthmark", "birthmark-length-backend")
        return Settings(dtype="float32", device="cpu", versions={name: version(name) for name in packages})

    @contextmanager
    def open(self, job: Job) -> Iterator["LengthSession"]:
        """Load here, and give back after the `yield`; there is nothing to load for a formula."""
        yield LengthSession(job.candidates.words)

    def rescore(self, job: Job, texts: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """`birthmark score --verify`: the sampled rows in float32."""
        return np.stack([one_by_one(text, [job.candidates.words[row] for row in rows]) for text in texts])


class LengthSession:
    facts = Facts(dtype="float32", device="cpu")

    def __init__(self, words: Sequence[str]) -> None:
        columns = {"candidate": list(words), "token_id": [None] * len(words)}
        self.candidates = pl.DataFrame(columns, schema={"candidate": pl.String, "token_id": pl.Int64})
        self._lengths = np.array([len(word) for word in words])

    def units(self, texts: Sequence[str]) -> list[Unit]:
        """Each prompt alone, and at most BLOCK candidates: what is lost when a run is stopped."""
        every = range(len(self._lengths))
        blocks = [every[start : start + BLOCK] for start in range(0, len(every), BLOCK)]
        return [Unit(range(index, index + 1), rows) for index in range(len(texts)) for rows in blocks]

    def score(self, texts: Sequence[str], units: Sequence[Unit]) -> Iterator[tuple[Unit, list[PromptScores]]]:
        for unit in units:
            lengths = self._lengths[unit.rows.start : unit.rows.stop]
            found = [-np.abs(lengths - len(texts[index].split())).astype(np.float32) for index in unit.prompts]
            yield unit, [PromptScores(scores, context_ids=[]) for scores in found]

    def verify(self, texts: Sequence[str], *, sample: int, seed: int, scored: Mapping[str, np.ndarray]) -> Verification:
        """The same formula without numpy."""
        start = perf_counter()
        rows = sample_rows(0, self.candidates.height, sample, seed)
        words = self.candidates["candidate"].gather(rows).to_list()
        apart = max(float(np.abs(scored[text][rows] - one_by_one(text, words)).max()) for text in texts)
        return Verification(max_abs_diff=apart, bound=0.0, seconds=perf_counter() - start)


def one_by_one(text: str, words: Sequence[str]) -> np.ndarray:
    return np.array([-abs(len(word) - len(text.split())) for word in words], dtype=np.float32)
