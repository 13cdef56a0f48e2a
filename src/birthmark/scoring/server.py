"""A backend that asks a model server: conversations are rendered and tokenized here, and run there.

What a server says of itself is not believed before it is tried: the model's name and tokens, whether a reward is raw or
squashed by an activation, whether one conversation gives one number, and, where the weights are at hand, the scores.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.answers import Asked
from birthmark.progress import note
from birthmark.scoring.backend import Job, Settings, refuse_options
from birthmark.scoring.local import LocalBackend, naming
from birthmark.scoring.measure import versions
from birthmark.scoring.served import UNKNOWN, RewardSession, reads_text, served_by
from birthmark.scoring.served_logprobs import LogProbSession
from birthmark.scoring.serving import Connection, Served, look_at, same_name

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel

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
        from birthmark.models.resolve import load_tokenizer

        note(f"{job.model.slug}: asking {self.address}", quiet=job.measure.quiet)
        served, start = self.served(job.model), perf_counter()
        connection = Connection(self.address)
        kind = RewardSession if job.model.kind == "reward" else LogProbSession
        try:
            with naming(job.model.name):
                session = kind(job, connection, served, load_tokenizer(job.model))
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
