"""A Ray cluster: connecting to one, what it has, and one line for whatever keeps this process from joining it."""

import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line

LOCAL_RAY = "local"  # a Ray of this machine's own, which ends with the process
ANY_RAY = "auto"  # the one that runs on this machine, or that RAY_ADDRESS names
CONNECTING_SECONDS = 5  # until something listens
GRPC_SECONDS = 10  # until it answers as Ray's servers do
NOT_INSTALLED = "--ray needs Ray, which is not installed: pip install 'birthmark[ray]'"
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # a local Ray's workers are this run, not something behind it
}


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
    if not _speaks_grpc(host, port):
        raise BirthmarkError(
            f"what answers at {one_line(found)} is no Ray cluster: check the port (6379, with ray:// 10001, unless it was "
            "started with another)"
        )


def _speaks_grpc(host: str, port: int) -> bool:
    """Whether a server of the kind that Ray runs answers; a cluster behind TLS is left to Ray, which has the keys."""
    if os.environ.get("RAY_USE_TLS", "0") not in ("0", ""):
        return True
    import grpc

    with grpc.insecure_channel(f"[{host}]:{port}" if ":" in host else f"{host}:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=GRPC_SECONDS)
        except grpc.FutureTimeoutError:
            return False
    return True


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
    token = (Path.home() / ".ray" / "auth_token").is_file() and "RAY_AUTH_MODE" not in os.environ
    advice = "; if it asks for the token of ~/.ray, set RAY_AUTH_MODE=token" if token else ""
    return f"what answers at {one_line(address)} is no Ray cluster that this machine can join ({one_line(text, 200)}){advice}"


def nodes() -> list[dict[str, float]]:
    """The resources of each machine of the cluster."""
    import ray

    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]


def room(request: Request) -> int:
    """How many places the whole cluster would hold if nothing else ran there."""
    return sum(request.fits(node) for node in nodes())


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
