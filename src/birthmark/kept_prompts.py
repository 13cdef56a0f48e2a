"""The scores after each prompt, a file a prompt until a model is done, so that an interrupted run goes on where it was.

Knows nothing of which run a folder belongs to: its name, a digest of everything that moves a score, says that.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from birthmark.records import Mass
from birthmark.scores import atomic_path

if TYPE_CHECKING:
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
