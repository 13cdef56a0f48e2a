"""What an earlier run left, and whether it may be used: the resume key, and finished units on disk.

Unfinished work lies in `OUT/.work/`, one file a prompt (and block of candidates), in a folder named by the key.
"""

import hashlib
import json
import shutil
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from birthmark.files import atomic_path, sha256_of
from birthmark.inputs.answers import WORDS, Asked
from birthmark.models.scored import PromptScores
from birthmark.records import Mass
from birthmark.scoring.backend import Backend, Job, Settings
from birthmark.scoring.declarations import options_in
from birthmark.scoring.measure import Measure
from birthmark.scoring.options import ScoringOptions


def resume_key(job: Job, backend: Backend) -> str:
    """SHA-256 of everything that moves a score: each option that is declared so, and the model's files.

    Raises `BirthmarkError` for an option that the backend cannot honour.
    """
    settings = backend.settings(job)
    moves = {"options": option_values(job, backend, settings), "model": _model_facts(job)}
    moves["versions"] = dict(settings.versions)
    return hashlib.sha256(json.dumps(moves, sort_keys=True).encode()).hexdigest()


def option_values(job: Job, backend: Backend, settings: Settings) -> dict[str, Any]:
    """Every option that moves a score, with what it comes to for this model: resolved, else as `Measure` holds it.

    Raises `LookupError` for an option that has neither: declaring `moves_score` alone must not reuse stale scores.
    """
    resolved = _resolved(job, backend, settings)
    names = [name for name, option in options_in(ScoringOptions).items() if option.moves_score]
    if job.measure.answers == WORDS:
        names.remove("answers")  # so that tables are found which are older than the option
    if lost := [name for name in names if name not in resolved and name not in Measure.__dataclass_fields__]:
        raise LookupError(f"the option {lost[0]} moves scores, and the resume key has no value of it: add it here")
    return {name: resolved[name] if name in resolved else getattr(job.measure, name) for name in names}


def _resolved(job: Job, backend: Backend, settings: Settings) -> dict[str, Any]:
    """What the options come to whose own value says too little, such as `auto` or the name of a file."""
    prompts, digests = job.prompts.sha256, job.model.digests
    return {
        **dict.fromkeys(("prompts", "prompt", "answers", "system", "controls"), prompts),
        **dict.fromkeys(("lexicons", "candidates"), job.candidates.sha256),
        "frame": job.frame,
        "bos": job.measure.bos_for(job.model) if job.model.kind == "reward" else job.measure.bos,
        "dtype": settings.dtype,
        "device": settings.device,
        "backend": backend.scores_as,
        "server": settings.served,
        "chat_template": digests.template,
        "revision": digests.weights,
        "kind": job.model.kind,
    }


def _model_facts(job: Job) -> dict[str, Any]:
    """The model's files, and what a catalog says of how they are read."""
    model, entry = job.model, job.model.entry
    return {
        "digests": model.digests.model_dump(),
        "config": sha256_of(model.path / "config.json"),
        "attention": entry.attention if entry else None,  # where null, the config decides
        "head": [entry.head, entry.head_weights] if entry else None,
    }


class Kept:
    """The finished units of one table; without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self, text: Asked, rows: range, n_rows: int) -> PromptScores | None:
        """What an earlier run finished, or None where there is none or it is not whole."""
        if self._folder is None:
            return None
        try:
            with np.load(self._file(text, rows, n_rows), allow_pickle=False) as saved:
                scores, context_ids, mass = saved["scores"], saved["context_ids"], saved["mass"]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
            return None
        kinds = scores.dtype.kind + context_ids.dtype.kind + mass.dtype.kind
        if scores.shape != (len(rows),) or kinds != "fif" or context_ids.ndim != 1 or mass.shape not in ((0,), (2,)):
            return None
        return PromptScores(
            scores=scores,
            context_ids=[int(token) for token in context_ids],
            mass=Mass(lexicon=float(mass[0]), left_out=float(mass[1])) if mass.size else None,
        )

    def write(self, text: Asked, rows: range, n_rows: int, result: PromptScores) -> None:
        if self._folder is None:
            return
        mass = result.mass
        with atomic_path(self._file(text, rows, n_rows)) as temporary, temporary.open("wb") as stream:
            np.savez(
                stream,
                scores=result.scores,
                context_ids=np.asarray(result.context_ids, dtype=np.int64),
                mass=np.asarray([mass.lexicon, mass.left_out] if mass else [], dtype=np.float64),
            )

    def clear(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, text: Asked, rows: range, n_rows: int) -> Path:
        assert self._folder is not None
        text = text if isinstance(text, str) else f"{text.question}\0{text.template.text}"
        block = "" if rows == range(n_rows) else f"-{rows.start}-{rows.stop}"
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}{block}.npz"
