"""The Ray backend: the local backend in actors of a Ray cluster.

An actor loads a model once and takes units of work of it, cut as the local session cuts them, so that one resumes the
other's run. The driver knows nothing of torch; it hands out units and yields what comes back.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.inputs.answers import Asked
from birthmark.models.folder import vocabulary_size
from birthmark.models.memory import count_model, memory_needed
from birthmark.process import collect_seldom
from birthmark.progress import note
from birthmark.scoring.backend import (
    CannotRescore,
    Facts,
    Job,
    PromptScores,
    Settings,
    Unit,
    Verification,
)
from birthmark.scoring.cluster import Request, connect, has_gpu, require_ray, room, threads_for
from birthmark.scoring.local import LocalBackend, LocalSession, blocks_of
from birthmark.scoring.measure import LOCAL, versions
from birthmark.scoring.places import CannotSchedule, Place, Places, or_error

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel

SHARED_BY = 4  # models on one GPU at most
GPU_SHARE = 0.9  # of its memory, for models


class RayBackend:
    """`address`: `local`, `auto`, HOST:PORT or ray://HOST:PORT."""

    name = "ray"
    scores_as = LOCAL

    def __init__(self, address: str, *, models: int = 1, swapping: bool = False) -> None:
        """models: how many the run scores, which share the cluster, since each place that a model gets has to load it.

        swapping: the models differ in their adapters, so actors and the base in them are kept until `close`.
        """
        self.address = address
        self.models = models
        self.swapping = swapping
        self._kept: Places[Any] | None = None

    def settings(self, job: Job) -> Settings:
        """As the local backend's on a machine of the cluster: a GPU where it has any."""
        from birthmark.models.machine import choose_dtype, torch_device

        connect(self.address)
        device, entry = _device(job.measure.device), job.model.entry
        dtype = choose_dtype(job.measure.dtype, torch_device(device), entry.dtype if entry else None)
        return Settings(dtype, device, versions())

    @contextmanager
    def open(self, job: Job) -> "Iterator[RaySession]":
        """Raises `CannotSchedule` where the cluster gives no place for the model, and what loading raises there."""
        settings = self.settings(job)
        request = request_for(job, settings)
        number = min(_most_units(job), room(request), max(len(job.prompts.prompts), room(request) // self.models))
        note(f"{job.model.slug}: asking Ray for {max(1, number)} × {request}", quiet=job.measure.quiet)
        sent = _sent(job, settings, request.cpus, self.swapping)
        if not self.swapping:
            with Places(request, number, _actor) as places:
                yield RaySession(places, job, sent)
            return
        if self._kept is None or self._kept.request != request:
            self.close()
            self._kept = Places(request, number, _actor, lasting=True)
        yield RaySession(self._kept, job, sent)

    def close(self) -> None:
        """Give back what is kept for the next model."""
        if self._kept is not None:
            self._kept.__exit__()
            self._kept = None

    def rescore(self, job: Job, texts: Sequence[Asked], rows: np.ndarray) -> np.ndarray:
        """By the plain engine in float32, in an actor that has the memory for it."""
        settings = self.settings(job)
        request = request_for(job, replace(settings, dtype="float32"))
        sent = _sent(job, settings, request.cpus, self.swapping)
        with Places(request, 1, _actor) as places:
            try:
                return _only(
                    places.run(
                        [rows], lambda actor, rows: actor.rescore.remote(sent, list(texts), rows), lambda _: "rescoring"
                    )
                )
            except CannotSchedule as error:
                raise CannotRescore(f"float32 does not fit here: {error}") from None


def _device(asked: str | None) -> str:
    from birthmark.models.machine import choose_device

    if asked in (None, "auto"):
        here = choose_device(None).type
        return "cuda" if has_gpu() else "cpu" if here == "cuda" else here
    if asked.startswith("cuda:"):
        raise BirthmarkError(f"--device {asked} does not go with --ray, which chooses the GPU: write --device cuda")
    if asked == "cuda" and not has_gpu():
        raise BirthmarkError("the Ray cluster has no GPU: write --device cpu, or leave it out")
    return asked if asked == "cuda" else str(choose_device(asked))


def request_for(job: Job, settings: Settings) -> Request:
    """What an actor with this model needs: a GPU or a share of one, else CPUs; memory as the model's size says."""
    model, measure = job.model, job.measure
    parameters = count_model(model.path, model.adapter)
    needed = memory_needed(parameters, settings.dtype, measure.quantize) if parameters else 0
    if settings.device != "cuda":
        return Request(threads_for(_most_units(job)), memory=needed)
    return Request(1, gpus=gpus_for(needed, gpu_memory(), spread=measure.device_map is not None))


def _most_units(job: Job) -> int:
    """How many units the model is at most; how many tokens are candidates is known once the tokenizer is read."""
    n_rows = len(job.candidates.words)
    if job.candidates.vocabulary:
        n_rows += vocabulary_size(job.model.path) or 0
    return len(job.prompts.prompts) * len(blocks_of(job.model.kind, n_rows))


def gpus_for(needed: int, memory: int, *, spread: bool) -> float:
    """GPUs of an actor whose model needs so many bytes: a share, 1/2 to 1/4, where several fit into one; else whole ones."""
    usable = GPU_SHARE * memory
    if needed > usable:
        return -(-needed // usable) if spread else 1
    return 1 / max(1, min(SHARED_BY, int(usable / max(1, needed))))


def gpu_memory() -> int:
    """Bytes of one GPU of the cluster, asked of the cluster."""
    with Places(
        Request(1, gpus=0.01), 1, lambda place: require_ray().remote(_gpu_memory).options(**place.options)
    ) as one:
        return int(_only(one.run([None], lambda task, _: task.remote(), lambda _: "looking at a GPU")))


def _gpu_memory() -> int:
    from birthmark.models import machine

    return machine.gpu_memory()


def _only(results: Iterator[tuple[Any, Any]]) -> Any:
    (result,) = (result for _, result in results)
    return result


# --------------------------------------------------------------------------------------------------------- the driver


class RaySession:
    """A model in actors."""

    def __init__(self, places: Places[Any], job: Job, sent: Any) -> None:
        self._places = places
        self._job = job
        self._sent = sent
        self._found: tuple[Facts, pl.DataFrame] | None = None

    @property
    def _described(self) -> tuple[Facts, pl.DataFrame]:
        """From the actor that has loaded the model first; the others go on loading.

        No `cached_property`: up to Python 3.11 that has one lock for all sessions, and a model that waits for a place would
        keep the one that has it from loading.
        """
        if self._found is None:
            describe = lambda actor, _: actor.describe.remote(self._sent)
            places = range(len(self._places.places))
            self._found = next(self._places.run(places, describe, lambda _: f"loading {self._job.model.name}"))[1]
        return self._found

    @property
    def facts(self) -> Facts:
        return self._described[0]

    @property
    def candidates(self) -> pl.DataFrame:
        return self._described[1]

    def units(self, texts: Sequence[Asked]) -> list[Unit]:
        cut = lambda actor, _: actor.units.remote(self._sent, list(texts))
        return _only(self._places.run([None], cut, lambda _: "cutting the work into units"))

    def score(self, texts: Sequence[Asked], units: Sequence[Unit]) -> Iterator[tuple[Unit, list[PromptScores]]]:
        """Raises `BirthmarkError` that names a unit which failed three times, once the others are done."""

        def start(actor: Any, unit: Unit) -> Any:
            return actor.score.remote(self._sent, [texts[index] for index in unit.prompts], unit)

        yield from self._places.run(units, start, self._named, give_back=True)

    def verify(
        self, texts: Sequence[Asked], *, sample: int, seed: int, scored: Mapping[Asked, np.ndarray]
    ) -> Verification:
        check = lambda actor, _: actor.verify.remote(self._sent, list(texts), sample, seed, dict(scored))
        return _only(self._places.run([None], check, lambda _: f"the self-check of {self._job.model.name}"))

    def _named(self, unit: Unit) -> str:
        keys = list(self._job.prompts.prompts)
        first, last = keys[unit.prompts.start], keys[unit.prompts.stop - 1]
        prompts = first if first == last else f"{first} to {last}"
        return f"{self._job.model.name}, {prompts}, candidates {unit.rows.start + 1:,} to {unit.rows.stop:,},"


@dataclass(frozen=True)
class _Sent:
    """What an actor gets: a model, what is asked of it, and what its own machine has to agree with."""

    job: Job
    versions: Mapping[str, str]
    threads: int
    key: str
    swapping: bool


def _sent(job: Job, settings: Settings, threads: int, swapping: bool) -> Any:
    """In Ray's object store, once for all actors."""
    measure = replace(job.measure, device=settings.device, dtype=settings.dtype, quiet=True)
    return require_ray().put(
        _Sent(replace(job, measure=measure), dict(settings.versions), threads, uuid4().hex, swapping)
    )


def _actor(place: Place[Any]) -> Any:
    return require_ray().remote(_Actor).options(**place.options).remote()


# ---------------------------------------------------------------------------------------------------------- the actor


class _Actor:
    """One model in a worker's memory. What is wrong with the input comes back as a value: only losses and bugs are tried again."""

    def __init__(self) -> None:
        collect_seldom()
        from birthmark.models.loading import AdapterSwap

        self._open = ExitStack()
        self._swap = AdapterSwap()
        self._key: str | None = None
        self._loaded: LocalSession | None = None

    def describe(self, sent: _Sent) -> tuple[Facts, pl.DataFrame] | BirthmarkError:
        return or_error(lambda: (self._session(sent).facts, self._session(sent).candidates))

    def units(self, sent: _Sent, texts: Sequence[Asked]) -> list[Unit] | BirthmarkError:
        return or_error(lambda: self._session(sent).units(texts))

    def score(self, sent: _Sent, texts: Sequence[Asked], unit: Unit) -> list[PromptScores] | BirthmarkError:
        """texts: those of the unit's prompts."""
        alone = Unit(range(len(texts)), unit.rows)
        return or_error(lambda: next(self._session(sent).score(texts, [alone]))[1])

    def verify(
        self, sent: _Sent, texts: Sequence[Asked], sample: int, seed: int, scored: Mapping[Asked, np.ndarray]
    ) -> Verification | BirthmarkError:
        return or_error(lambda: self._session(sent).verify(texts, sample=sample, seed=seed, scored=scored))

    def rescore(self, sent: _Sent, texts: Sequence[Asked], rows: np.ndarray) -> np.ndarray | BirthmarkError:
        return or_error(lambda: LocalBackend().rescore(_here(sent), texts, rows))

    def _session(self, sent: _Sent) -> LocalSession:
        if self._key != sent.key or self._loaded is None:
            self._open.close()
            backend = LocalBackend(load=self._swap.model) if sent.swapping else LocalBackend()
            self._loaded = self._open.enter_context(backend.open(_here(sent)))
            self._key = sent.key
        return self._loaded


def _here(sent: _Sent) -> Job:
    """The job with this machine's files; its threads are set, and its versions are those of the driver."""
    from birthmark.models.machine import set_threads

    set_threads(sent.threads)
    here = versions()
    if other := [name for name in sent.versions if here.get(name) != sent.versions[name]]:
        raise BirthmarkError(
            f"a machine of the Ray cluster has {other[0]} {here.get(other[0])} and this one {sent.versions[other[0]]}, which "
            "moves scores: install the same versions on all of them"
        )
    return replace(sent.job, model=_on_this_machine(sent.job.model))


def _on_this_machine(model: "ResolvedModel") -> "ResolvedModel":
    """The model where this machine sees its files, else found again here. Raises `BirthmarkError` where they differ."""
    from birthmark.models.resolve import resolve

    if model.path.is_dir() and (model.adapter is None or model.adapter.is_dir()):
        return model
    try:
        catalog = {model.name: model.entry} if model.entry else None
        found = resolve(model.name, catalog=catalog, revision=model.revision, kind=model.kind, quiet=True)
    except BirthmarkError as error:
        raise BirthmarkError(
            f"{model.name} is not on a machine of the Ray cluster: put its folder where all machines see it ({error})"
        ) from None
    if found.digests.model_copy(update={"template": None}) != model.digests.model_copy(update={"template": None}):
        raise BirthmarkError(f"{model.name} has other files on a machine of the Ray cluster: give all of them the same")
    return replace(model, path=found.path, adapter=found.adapter)
