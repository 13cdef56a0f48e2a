"""What Ray Core and Ray Data do with the same work on this machine: two actors of one CPU, and an actor that is killed.

python benchmarks/ray_core_or_data.py
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
PATIENCE = 60.0  # seconds, with the start of Ray, until a run is ended as stuck
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


def by_data(cpus: float, killed_at: int, flag: str) -> None:
    import ray

    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = ray.data.range(ITEMS, override_num_blocks=ITEMS).map_batches(
        Worker,
        fn_constructor_args=(flag, killed_at),
        compute=ray.data.ActorPoolStrategy(size=2),
        num_cpus=cpus,
        batch_size=1,
    )
    assert len(rows.take_all()) == ITEMS


def by_core(cpus: float, killed_at: int, flag: str) -> None:
    import ray

    remote = ray.remote(num_cpus=cpus, max_restarts=-1, max_task_retries=2)(Worker)
    idle = [remote.remote(flag, killed_at) for _ in range(2)]
    waiting, flying = list(range(ITEMS)), {}
    while waiting or flying:
        while idle and waiting:
            actor = idle.pop()
            flying[actor.__call__.remote({"id": [waiting.pop()]})] = actor
        (ref,), _ = ray.wait(list(flying), num_returns=1)
        ray.get(ref)
        idle.append(flying.pop(ref))


def run(kind: str, cpus: str, killed_at: str) -> None:
    """One case, in a process of its own: its seconds from the first call on."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with TemporaryDirectory() as folder:
        begun = time.monotonic()
        {"core": by_core, "data": by_data}[kind](float(cpus), int(killed_at), f"{folder}/killed")
        print(f"{time.monotonic() - begun:.1f} s")


def timed(name: str, *arguments: str) -> None:
    line = [sys.executable, __file__, *arguments]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        lines = process.communicate(timeout=PATIENCE)[0].strip().splitlines()
        result = lines[-1] if lines and process.returncode == 0 else "failed"  # the last: Ray's notes come before
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        result = f"not done after {PATIENCE:.0f} s"
    print(f"{name:<36} {result:<22} load {os.getloadavg()[0]:.1f}", flush=True)


def main() -> None:
    timed("Ray Core, two actors of 1 CPU", "core", "1", "-1")
    timed("Ray Core, one of them killed", "core", "1", "15")
    timed("Ray Data, two actors of 1 CPU", "data", "1", "-1")
    timed("Ray Data, two actors of 0.5 CPUs", "data", "0.5", "-1")


if __name__ == "__main__":
    run(*sys.argv[1:]) if sys.argv[1:] else main()
