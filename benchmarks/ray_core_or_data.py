"""What Ray Core and Ray Data do with the same work on this machine: two actors of one CPU, and an actor that is killed.

python benchmarks/ray_core_or_data.py
"""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
PATIENCE = 60.0  # seconds until a run is ended as stuck
ITEMS, SECONDS = 30, 0.1  # calls, and how long one works: 1.5 s for two actors


class Worker:
    """Works for a while; the first that meets `killed_at` kills itself."""

    def __init__(self, flag: str, killed_at: int = -1) -> None:
        self.flag, self.killed_at = Path(flag), killed_at

    def __call__(self, batch: Any) -> Any:
        if self.killed_at in [int(number) for number in batch["id"]] and not self.flag.exists():
            self.flag.write_text(str(time.time()))
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(SECONDS)
        return batch


def start() -> Any:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")
    return ray


def by_data(cpus: float, killed_at: int, flag: str, begun: Any) -> None:
    ray = start()
    ray.data.DataContext.get_current().enable_progress_bars = False
    begun.value = time.time()
    rows = ray.data.range(ITEMS, override_num_blocks=ITEMS).map_batches(
        Worker, fn_constructor_args=(flag, killed_at), concurrency=2, num_cpus=cpus, batch_size=1
    )
    assert len(rows.take_all()) == ITEMS


def by_core(_: float, killed_at: int, flag: str, begun: Any) -> None:
    ray = start()
    begun.value = time.time()
    remote = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=2)(Worker)
    actors = [remote.remote(flag, killed_at) for _ in range(2)]
    waiting, flying, done = list(range(ITEMS)), {}, 0
    idle = [*actors]
    while waiting or flying:
        while idle and waiting:
            actor = idle.pop()
            flying[actor.__call__.remote({"id": [waiting.pop()]})] = actor
        (ref,), _ = ray.wait(list(flying), num_returns=1)
        ray.get(ref)
        idle.append(flying.pop(ref))
        done += 1
    assert done == ITEMS


def timed(name: str, run: Callable[..., None], cpus: float, killed_at: int = -1) -> None:
    context = get_context("spawn")
    begun = context.Value("d", 0.0)
    with TemporaryDirectory() as folder:
        process = context.Process(target=run, args=(cpus, killed_at, f"{folder}/killed", begun))
        process.start()
        while process.is_alive() and not (begun.value and time.time() - begun.value > PATIENCE):
            process.join(0.05)
        took = time.time() - begun.value
        stuck = process.is_alive()
        if stuck:
            process.terminate()
            process.join()
    result = f"not done after {took:.0f} s" if stuck else f"{took:.1f} s" if not process.exitcode else "failed"
    print(f"{name:<48} {result}, load {os.getloadavg()[0]:.1f}", flush=True)


def main() -> None:
    timed("Ray Core, two actors of 1 CPU", by_core, 1)
    timed("Ray Core, one of them killed", by_core, 1, killed_at=15)
    timed("Ray Data, two actors of 1 CPU", by_data, 1)
    timed("Ray Data, two actors of 0.5 CPUs", by_data, 0.5)


if __name__ == "__main__":
    main()
