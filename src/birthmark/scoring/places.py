"""Room on a Ray cluster, and work run there that survives lost workers.

Ray schedules; here is what it is asked for, how often work is tried, and what is said when it cannot. The driver is
this process: it hands out work, one piece at a time to each place that Ray has given it, and takes what comes back.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock
from time import monotonic, sleep
from typing import Any, ClassVar, Generic, TypeVar

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.process import collect_seldom
from birthmark.scoring.cluster import Request, connect, has_gpu, in_words, nodes, require_ray, room, threads_for

T = TypeVar("T")

ATTEMPTS = 3  # a piece of work that fails so often is given up
SCHEDULING_SECONDS = 30.0  # without a place for so long, a run says what it waits for, and ends
UNREACHABLE_SECONDS = 60.0  # work whose actors are lost for so long has failed, wherever that comes from
POLL_SECONDS = 0.5
GIVEN_UP = 3  # pieces of work given up before the run goes on no further


class CannotSchedule(BirthmarkError):
    """The cluster has no room for what is asked."""


@dataclass(eq=False)
class Place(Generic[T]):
    """Room that Ray reserves for one piece of work at a time, and what works there."""

    request: Request
    group: Any
    make: Callable[["Place[T]"], T]
    given: bool = False
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
        """Whether the cluster has given the room, and its machine is not lost since.

        The scheduler is asked; Ray's own `ready()` is a task, which would start a worker's process each time.
        """
        from ray.util.placement_group import placement_group_table

        there = placement_group_table(self.group).get("state") == "CREATED"
        self.given = self.given or there
        return there

    def renew(self) -> None:
        """What worked here is gone: another is started when it is needed, once Ray has given the room again."""
        import ray

        self.given = False
        for worker in self._worker:
            if hasattr(worker, "_actor_id"):
                with suppress(Exception):  # the cluster itself may be gone
                    ray.kill(worker)
        self._worker.clear()

    def leave(self) -> None:
        from ray.util.placement_group import remove_placement_group

        self.renew()
        with suppress(Exception):
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
        self,
        items: Sequence[Any],
        start: Callable[[T, Any], Any],
        name: Callable[[Any], str],
        *,
        give_back: bool = False,
    ) -> Iterator[tuple[Any, Any]]:
        """Each item with what `start(worker, item)`, a Ray object, comes to, as soon as it is done.

        give_back: this is the last long piece of work, so a place that no item is left for becomes room for others.

        A `BirthmarkError` that comes back is raised. An item that is given up is named in an error once the others are
        done; `CannotSchedule` is raised where the cluster gives no place.
        """
        import ray

        waiting = list(reversed(items))
        flying: dict[Any, tuple[Place[T], Any]] = {}
        idle, failed, since = list(self.places), list[str](), monotonic()
        attempts = _Attempts()
        while flying or waiting:
            for place in [place for place in idle if waiting and (place.given or place.is_there())]:
                attempts.seen_alive(place)
                idle.remove(place)
                item = waiting.pop()
                flying[start(place.worker, item)] = (place, item)
                if not waiting:
                    break
            if give_back and not waiting:
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
                    if attempts.are_left(item, place, error):
                        waiting.append(item)
                        sleep(POLL_SECONDS)
                        continue
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


class _Attempts:
    """How often each piece of work failed. A lost actor counts if its machine is there, which shows when the place is given
    again; else the machine is lost, which is not the work's fault, and Ray finds out in seconds."""

    def __init__(self) -> None:
        self._failed: Counter[int] = Counter()
        self._unreachable: dict[int, float] = {}
        self._suspects: dict[Place[Any], object] = {}

    def are_left(self, item: object, place: Place[Any], error: Exception) -> bool:
        """Whether work that failed is to be tried again."""
        import ray

        if self._failed[id(item)] + 1 >= ATTEMPTS:
            return False
        if not isinstance(error, ray.exceptions.RayActorError):
            self._failed[id(item)] += 1
            return True
        place.renew()
        self._suspects[place] = item
        now = monotonic()
        return now - self._unreachable.setdefault(id(item), now) < UNREACHABLE_SECONDS

    def seen_alive(self, place: Place[Any]) -> None:
        """The machine of a place is there: it was the work that its actor was lost over."""
        if place in self._suspects:
            item = self._suspects.pop(place)
            self._failed[id(item)] += 1
            self._unreachable.pop(id(item), None)  # loading a large model again takes longer than an actor may be lost


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
        return require_ray().remote(_computed).options(**place.options, max_retries=0)

    with Places(request, min(len(items), room(request)), task) as places:
        yield from places.run(items, lambda task, item: task.remote(function, item, request.cpus), name, give_back=True)


def _computed(function: Callable[[Any], T], item: Any, threads: int) -> T | BirthmarkError:
    """In a worker: what is wrong with the input comes back as a value, so that only losses are tried again."""
    collect_seldom()
    from birthmark.models.machine import set_threads

    set_threads(threads)
    return or_error(lambda: function(item))


def or_error(run: Callable[[], T]) -> T | BirthmarkError:
    try:
        return run()
    except BirthmarkError as error:
        return error


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
