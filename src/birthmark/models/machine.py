"""The machine a model runs on: its device, precision, threads and rate, and what a run on it would take.

Knows a model only by its number of parameters; knows nothing of what is scored.
"""

import os
import platform
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

from birthmark.errors import BirthmarkError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(requested: str | None = None) -> torch.device:
    """The device asked for, else CUDA, else Apple's mps, else the CPU; raises `BirthmarkError` for one not there."""
    has_mps = torch.backends.mps.is_available()
    if requested is None or requested == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu")
    try:
        device = torch.device(requested)
    except RuntimeError:
        raise BirthmarkError(f"'{requested}' is not a device: write --device cpu, cuda, cuda:1 or mps") from None
    there = {"cpu": True, "mps": has_mps, "cuda": (device.index or 0) < torch.cuda.device_count()}
    if not there.get(device.type, False):
        raise BirthmarkError(f"there is no device '{requested}' here: write --device {choose_device().type}")
    return device


def choose_dtype(requested: str | None, device: torch.device, catalog: str | None = None) -> str:
    """The precision asked for, else float32 on the CPU and the catalog's on others (bfloat16 where it has none)."""
    name = requested or ("float32" if device.type == "cpu" else catalog or "bfloat16")
    if name not in DTYPES:
        raise BirthmarkError(f"'{name}' is not a precision: write --dtype {', '.join(DTYPES)}")
    return name


@dataclass(frozen=True)
class Estimate:
    """What a run would take: bytes of memory at its peak, seconds of forward passes, matrix-product rate assumed."""

    memory_bytes: int
    seconds: float
    flops_per_second: float


def estimate(
    parameters: int, dtype: str, device: torch.device, *, tokens: int, flops_per_second: float | None = None
) -> Estimate:
    """2 · parameters · tokens floating-point operations at half the machine's matrix-product rate.

    `tokens` counts those that run through the model over the whole run.
    """
    rate = flops_per_second or matmul_rate(device, dtype)
    memory = memory_needed(parameters, dtype)
    return Estimate(memory_bytes=memory, seconds=2 * parameters * tokens / (rate / 2), flops_per_second=rate)


def memory_needed(parameters: int, dtype: str) -> int:
    """Bytes of memory to score with a model: its weights, and 1 GiB for what is computed at a time."""
    return parameters * DTYPES[dtype].itemsize + 2**30


def matmul_rate(device: torch.device, dtype: str = "float32", size: int = 1024, seconds: float = 0.3) -> float:
    """Floating-point operations a second of a product of two size × size matrices: the median over the time given."""
    left = torch.randn(size, size, device=device, dtype=DTYPES[dtype])
    right = torch.randn(size, size, device=device, dtype=DTYPES[dtype])
    left @ right
    taken: list[float] = []
    while sum(taken) < seconds or len(taken) < 3:
        _synchronize(device)
        start = perf_counter()
        left @ right
        _synchronize(device)
        taken.append(perf_counter() - start)
    return 2 * size**3 / sorted(taken)[len(taken) // 2]


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def describe() -> dict[str, Any]:
    """What the machine is: platform, cores, threads, memory in bytes (None where unknown), devices."""
    return {
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": _memory(),
        "device": choose_device().type,
        "cuda": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
    }


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
