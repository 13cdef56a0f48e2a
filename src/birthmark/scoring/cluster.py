"""A Ray cluster: connecting to one, asking it for room, and running work there that survives lost workers.

Ray schedules, restarts and retries; here is only what it is asked for, and what is said when it cannot. The driver is
this process: it hands out work, one piece at a time to each place that Ray has given it, and takes what comes back.
"""

import logging
import os
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Lock
from time import monotonic, sleep
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import urlsplit

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line

T = TypeVar("T")

LOCAL_RAY = "local"  # a Ray of this machine's own, which ends with the process
ANY_RAY = "auto"  # the one that runs on this machine, or that RAY_ADDRESS names
ATTEMPTS = 3  # a piece of work that fails so often is given up
SCHEDULING_SECONDS = 30.0  # without a place for so long, a run says what it waits for, and ends
CONNECTING_SECONDS = 5
POLL_SECONDS = 0.5
GIVEN_UP = 3  # pieces of work given up before the run goes on no further
NOT_INSTALLED = "--ray needs Ray, which is not installed: pip install 'birthmark[ray]'"
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # a local Ray's workers are this run, not something behind it
}


class CannotSchedule(BirthmarkError):
    """The cluster has no room for what is asked."""


@dataclass(frozen=True)
class Request:
    """What one place needs: CPUs, GPUs (a fraction where several share one), bytes of main memory."""

    cpus: int
    gpus: float = 0
    memory: int = 0

    @property
    def bundle(self) -> dict[str, float]:
        asked = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        return {name: value for name, value in asked.items() if value}

    def fits(self, resources: dict[str, float]) -> int:
        """How many such places some resources hold."""
        return int(min(resources.get(name, 0) / value for name, value in self.bundle.items()))

    def __str__(self) -> str:
        return in_words(self.bundle)


def in_words(resources: dict[str, float]) -> str:
    """Resources as Ray counts them: `2 CPUs, 0.5 GPUs, 1.2 GB of memory`."""
    parts = [
        f"{resources[name]:g} {name}{'s' * (resources[name] != 1)}" for name in ("CPU", "GPU") if name in resources
    ]
    if "memory" in resources:
        parts.append(f"{resources['memory'] / 2**30:.1f} GB of memory")
    return ", ".join(parts) or "nothing"


# --------------------------------------------------------------------------------------------------------- connecting


_connected_to: str | None = None


def require_ray() -> Any:
    """The library; raises `BirthmarkError` where it is not installed."""
    for name, value in ENVIRONMENT.items():  # read when it is imported
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise BirthmarkError(NOT_INSTALLED) from None
    return ray


def connect(address: str) -> None:
    """Connect this process to a cluster, or start a local one; both end with the process, or by `ray.shutdown()`.

    A process that is connected already stays where it is. Raises `BirthmarkError` where no cluster answers at the
    address, or one of another version of Ray or Python.
    """
    global _connected_to
    ray = require_ray()
    found = (os.environ.get("RAY_ADDRESS") or ANY_RAY) if address == ANY_RAY else address
    if found not in (LOCAL_RAY, ANY_RAY):
        _require_answer(found, address)
    if ray.is_initialized():
        if address not in (LOCAL_RAY, ANY_RAY, _connected_to):
            raise BirthmarkError(
                f"--ray {one_line(address)}: this process uses another cluster: call ray.shutdown() first"
            )
        return
    options: dict[str, Any] = {"address": found, "log_to_driver": False, "logging_level": logging.CRITICAL}
    if found == LOCAL_RAY:
        options["include_dashboard"] = False
    for last in (False, True) if found == LOCAL_RAY else (True,):  # on a busy machine the first start may take too long
        with warnings.catch_warnings(), _bounded(found):
            warnings.simplefilter("ignore")
            try:
                ray.init(**options)
                break
            except BaseException as error:
                with suppress(Exception):
                    ray.shutdown()
                if isinstance(error, KeyboardInterrupt | SystemExit):
                    raise
                if last:
                    raise BirthmarkError(_why_not(found, error)) from None
    _silence(ray)
    _connected_to = address


def _require_answer(found: str, given: str) -> None:
    """Raise `BirthmarkError` for what is no address, and where nothing listens: Ray itself would try for minutes."""
    try:
        parts = urlsplit(found if "://" in found else f"//{found}")
        host, port = parts.hostname, parts.port or (10001 if parts.scheme == "ray" else None)
    except ValueError:
        host, port = None, None
    if not host or not port or parts.scheme not in ("", "ray"):
        raise BirthmarkError(
            f"--ray {one_line(given)}: that is no address of a cluster: write auto, HOST:PORT or ray://HOST:PORT"
        )
    try:
        socket.create_connection((host, port), timeout=CONNECTING_SECONDS).close()
    except OSError as error:
        raise BirthmarkError(
            f"no Ray cluster answers at {one_line(found)} ({one_line(error.strerror or error)}): check the address with "
            "`ray status`, or leave it out for a Ray of this machine's own"
        ) from None


@contextmanager
def _bounded(address: str) -> Iterator[None]:
    """Within the block Ray waits for a cluster's answer for seconds, where it would for minutes, and its own log is not shown."""
    if address == LOCAL_RAY:
        yield
        return
    wait = "RAY_gcs_server_port_wait_time_s"
    added = wait not in os.environ
    os.environ.setdefault(wait, "1")
    shown, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)  # the log is written past Python
    try:
        yield
    finally:
        os.dup2(shown, 2)
        os.close(shown)
        os.close(nowhere)
        if added:
            os.environ.pop(wait, None)


def _silence(ray: Any) -> None:
    """Ray's notes about lost workers would go to standard output, where tables and JSON go; they are said in our words."""
    if hasattr(ray._private.worker, "print_to_stdstream"):  # no public way
        ray._private.worker.print_to_stdstream = lambda *_, **__: None


def _why_not(address: str, error: BaseException) -> str:
    text = " ".join(str(error).split())
    if address == LOCAL_RAY:
        return f"a local Ray cannot be started ({one_line(text, 200)})"
    if "ersion" in text and "ismatch" in text or "versions differ" in text:
        return f"the Ray cluster at {one_line(address)} is of another version: install the same Ray and Python here ({one_line(text, 300)})"
    if address == ANY_RAY:
        return "no Ray cluster runs on this machine: start one with `ray start --head`, or name another's address, or write --ray alone"
    return f"what answers at {one_line(address)} is no Ray cluster that this machine can join ({one_line(text, 200)})"


def nodes() -> list[dict[str, float]]:
    """The resources of each machine of the cluster."""
    import ray

    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]


def room(request: Request) -> int:
    """How many places the whole cluster would hold if nothing else ran there."""
    return sum(request.fits(node) for node in nodes())


# ------------------------------------------------------------------------------------------------------------ places


@dataclass(eq=False)
class Place(Generic[T]):
    """Room that Ray reserves for one piece of work at a time, and what works there."""

    request: Request
    group: Any
    make: Callable[["Place[T]"], T]
    given: bool = False
    _ready: Any = None
    _worker: list[Any] = field(default_factory=list)

    @property
    def options(self) -> dict[str, Any]:
        """What a task or an actor of this place is started with."""
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        asked = self.request
        return {
            "num_cpus": asked.cpus,
            "num_gpus": asked.gpus,
            **({"memory": asked.memory} if asked.memory else {}),
            "scheduling_strategy": PlacementGroupSchedulingStrategy(placement_group=self.group),
        }

    @property
    def worker(self) -> T:
        """What works here; started when it is first needed."""
        if not self._worker:
            self._worker.append(self.make(self))
        return self._worker[0]

    def is_there(self) -> bool:
        """Whether the cluster has given the room: asked since the last time, as a machine may have been lost."""
        import ray

        self._ready = self._ready or self.group.ready()
        there = bool(ray.wait([self._ready], timeout=0)[0])
        if there:
            self.given, self._ready = True, None
        return there

    def leave(self) -> None:
        import ray
        from ray.util.placement_group import remove_placement_group

        with suppress(Exception):  # the cluster itself may be gone
            for worker in self._worker:
                if hasattr(worker, "_actor_id"):
                    ray.kill(worker)
            remove_placement_group(self.group)


class Places(Generic[T]):
    """Some places of one kind. Used as a context: what Ray gave is given back at the end."""

    _held: ClassVar[list["Places[Any]"]] = []  # of this process; a run waits while others of it have room
    _lock = Lock()
    stopped: ClassVar[Event] = Event()  # set while the threads of `overlapping` are to end

    def __init__(self, request: Request, number: int, make: Callable[[Place[T]], T], *, lasting: bool = False) -> None:
        """lasting: places without work are kept for the next round, as what works there holds a model."""
        from ray.util.placement_group import placement_group

        self.request = request
        self.lasting = lasting
        self.places = [Place(request, placement_group([request.bundle]), make) for _ in range(max(1, number))]
        with self._lock:
            self._held.append(self)

    def __enter__(self) -> "Places[T]":
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._held.remove(self)
        self.keep(0)

    def keep(self, number: int) -> None:
        """Give the places back but for this many."""
        for place in self.places[number:]:
            place.leave()
        del self.places[number:]

    def run(
        self, items: Sequence[Any], start: Callable[[T, Any], Any], name: Callable[[Any], str]
    ) -> Iterator[tuple[Any, Any]]:
        """Each item with what `start(worker, item)`, a Ray object, comes to, as soon as it is done.

        A `BirthmarkError` that comes back is raised. An item that is given up is named in an error once the others are
        done; `CannotSchedule` is raised where the cluster gives no place.
        """
        import ray

        waiting = list(reversed(items))
        flying: dict[Any, tuple[Place[T], Any]] = {}
        idle, failed, since = list(self.places), list[str](), monotonic()
        while flying or waiting:
            for place in [place for place in idle if waiting and (place.given or place.is_there())]:
                idle.remove(place)
                item = waiting.pop()
                flying[start(place.worker, item)] = (place, item)
                if not waiting:
                    break
            if not waiting:
                self._give_back(idle)
            done = ray.wait(list(flying), num_returns=1, timeout=_patience(idle, waiting))[0] if flying else []
            if not flying:
                sleep(POLL_SECONDS)
            for ref in done:
                place, item = flying.pop(ref)
                idle.append(place)
                since = monotonic()
                try:
                    result = ray.get(ref)
                except ray.exceptions.RayError as error:
                    failed.append(f"{name(item)} failed {ATTEMPTS} times ({_cause(error)})")
                    if len(failed) >= GIVEN_UP:
                        waiting.clear()
                    continue
                if isinstance(result, BirthmarkError):
                    raise result
                yield item, result
            if self.stopped.is_set():
                raise BirthmarkError("stopped, as another part of this run was; what is finished is kept")
            if any(place.is_there() for place, _ in flying.values()) or self._others_work():
                since = monotonic()
            elif monotonic() - since > SCHEDULING_SECONDS:
                raise self._no_room()
        if failed:
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            raise BirthmarkError(
                f"{failed[0]}{more}: what else is finished is kept; run the same command again to try it again"
            )

    def _give_back(self, idle: list[Place[T]]) -> None:
        """Idle places are room for others; one stays, for the self-check."""
        for place in [*idle]:
            if len(self.places) > 1 and not self.lasting:
                idle.remove(place)
                self.places.remove(place)
                place.leave()

    def _others_work(self) -> bool:
        with self._lock:
            others = [other for other in self._held if other is not self]
        return any(place.given for other in others for place in [*other.places])

    def _no_room(self) -> CannotSchedule:
        import ray

        most = max(nodes(), key=lambda node: self.request.fits(node), default={})
        can = self.request.fits(most) > 0
        largest = "" if can else f"; its largest machine has {in_words(most)}"
        free = {name: value for name, value in ray.available_resources().items() if value}
        return CannotSchedule(
            f"the Ray cluster gave no place in {SCHEDULING_SECONDS:.0f} s: asked for {self.request} in one machine; it has "
            f"{in_words(ray.cluster_resources())} in {len(nodes())} machine{'s' * (len(nodes()) != 1)}, of which "
            f"{in_words(free)} is free{largest}: "
            + ("wait until others are done, and run the same command again" if can else "use a larger cluster")
        )


def _patience(idle: Sequence[object], waiting: Sequence[object]) -> float:
    """Seconds until it is looked again whether another place has come."""
    return POLL_SECONDS if idle and waiting else 5.0


def _cause(error: Exception) -> str:
    """The last line of an error of Ray's, or what was raised in a worker."""
    cause = getattr(error, "cause", None)
    if cause is not None:
        return one_line(f"{type(cause).__name__}: {cause}", 200)
    return one_line(next(iter(str(error).strip().splitlines()), type(error).__name__), 200)


# ------------------------------------------------------------------------------------------------------------- tasks


def run_tasks(
    address: str,
    function: Callable[[Any], Any],
    items: Sequence[Any],
    *,
    name: Callable[[Any], str],
    device: str | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Each item with `function(item)`, run as a task of the cluster, as soon as it is done.

    function: of a module, so that a worker finds it; it may give a `BirthmarkError` back. A task has a GPU where the
    cluster has any and `device` allows it, else CPUs as `threads_for` says.
    """
    connect(address)
    gpus = 1 if has_gpu() and device in (None, "auto", "cuda") else 0
    request = Request(1 if gpus else threads_for(len(items)), gpus)

    def task(place: Place[Any]) -> Any:
        return require_ray().remote(_computed).options(**place.options, max_retries=ATTEMPTS - 1, retry_exceptions=True)

    with Places(request, min(len(items), room(request)), task) as places:
        yield from places.run(items, lambda task, item: task.remote(function, item, request.cpus), name)


def _computed(function: Callable[[Any], T], item: Any, threads: int) -> T | BirthmarkError:
    """In a worker: what is wrong with the input comes back as a value, so that only losses are tried again."""
    from birthmark.models.machine import set_threads

    set_threads(threads)
    return or_error(lambda: function(item))


def or_error(run: Callable[[], T]) -> T | BirthmarkError:
    try:
        return run()
    except BirthmarkError as error:
        return error


def has_gpu() -> bool:
    return any(node.get("GPU", 0) >= 1 for node in nodes())


def threads_for(units: int) -> int:
    """CPUs of a worker: those that OMP_NUM_THREADS names, else a machine's share where there are fewer units than CPUs."""
    if (given := os.environ.get("OMP_NUM_THREADS", "")).isdigit():
        return max(1, int(given))
    cpus = [int(node.get("CPU", 0)) for node in nodes()]
    smallest = min((number for number in cpus if number), default=1)
    on_each = -(-min(units, sum(cpus) or 1) // max(1, len(cpus)))
    return max(1, smallest // max(1, on_each))


def overlapping(items: Sequence[T], work: Callable[[T], Any], at_once: int) -> Iterator[tuple[T, Any]]:
    """Each item in order with `work(item)` or the `BirthmarkError` that it raised; several are worked at in threads.

    Where the caller stops early, the work that goes on gives its places back and ends.
    """
    if at_once == 1:
        yield from ((item, or_error(lambda item=item: work(item))) for item in items)  # type: ignore[misc]
        return
    pool = ThreadPoolExecutor(max_workers=at_once)
    running = [(item, pool.submit(or_error, lambda item=item: work(item))) for item in items]  # type: ignore[misc]
    try:
        for item, future in running:
            yield item, future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        Places.stopped.set()
        pool.shutdown(wait=True)
        Places.stopped.clear()
