"""The machine that a model runs on (device, precision, threads, memory, speed), and estimates of memory and time."""

import gc
import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
import torch

from birthmark.errors import BirthmarkError
from birthmark.models.memory import Quantize, gigabytes, memory_needed, weight_bytes

CONTROL_GROUP = Path("/sys/fs/cgroup")  # where containers limit memory; psutil does not read it
CPU_INFO = Path("/proc/cpuinfo")  # Linux's, where there is one
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(requested: str | None = None) -> torch.device:
    """The requested device, else CUDA, else Apple's mps, else the CPU. Raises `BirthmarkError` if it is not available."""
    has_mps = torch.backends.mps.is_available()
    if requested is None or requested == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu")
    try:
        device = torch.device(requested)
    except RuntimeError:
        raise BirthmarkError(f"'{requested}' is not a device: write --device cpu, cuda, cuda:1 or mps") from None
    there = {"cpu": True, "mps": has_mps, "cuda": (device.index or 0) < torch.cuda.device_count()}
    if not there.get(device.type, False):
        raise BirthmarkError(f"the device '{requested}' is not available here: write --device {choose_device().type}")
    return device


def choose_dtype(requested: str | None, device: torch.device, catalog: str | None = None) -> str:
    """The requested precision, else float32 on the CPU and the catalog's on other devices (by default bfloat16)."""
    name = requested or ("float32" if device.type == "cpu" else catalog or "bfloat16")
    if name not in DTYPES:
        raise BirthmarkError(f"'{name}' is not a precision: write --dtype {', '.join(DTYPES)}")
    return name


def torch_device(name: str) -> torch.device:
    """A device by name, whether or not this machine has it."""
    return torch.device(name)


def threads_of(device: str) -> int | None:
    """The threads that torch computes with on the CPU; None for another device."""
    return torch.get_num_threads() if torch.device(device).type == "cpu" else None


def set_threads(number: int) -> None:
    """How many threads torch computes with in this process."""
    torch.set_num_threads(number)


@dataclass(frozen=True)
class Estimate:
    """Estimated peak memory in bytes, seconds of forward passes, and the assumed rate of matrix products."""

    memory_bytes: int
    seconds: float
    flops_per_second: float


def estimate(
    parameters: int,
    dtype: str,
    device: torch.device | str,
    *,
    tokens: int,
    flops_per_second: float | None = None,
    quantize: Quantize | None = None,
) -> Estimate:
    """Estimate a run as 2 · parameters · tokens floating-point operations at half the machine's matrix-product rate.

    `tokens`: the number of tokens that run through the model over the whole run.
    """
    rate = flops_per_second or _rate(torch.device(device), dtype)
    memory = memory_needed(parameters, dtype, quantize)
    return Estimate(memory_bytes=memory, seconds=2 * parameters * tokens / (rate / 2), flops_per_second=rate)


@cache
def _rate(device: torch.device, dtype: str) -> float:
    """The device's `matmul_rate`, measured once for all estimates."""
    return matmul_rate(device, dtype)


def matmul_rate(device: torch.device, dtype: str = "float32", size: int | None = None, seconds: float = 0.3) -> float:
    """Floating-point operations per second of a product of two size × size matrices: the median over the given time.

    The default size keeps the device busy: 8192 on a GPU, 1024 elsewhere.
    """
    size = size or (8192 if device.type == "cuda" else 1024)
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


def free_memory(device: torch.device | str, *, spread: bool = False) -> int:
    """Bytes that are free for a model: the GPU's, or those of the machine and its container.

    `spread`: of all GPUs and the machine together, for a model whose layers may be on any of them.
    """
    if spread and torch.cuda.is_available():
        gpus = sum(int(torch.cuda.mem_get_info(index)[0]) for index in range(torch.cuda.device_count()))
        return gpus + _free_main_memory()
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return _free_main_memory()


def gpu_memory() -> int:
    """Bytes of the first GPU, free or not."""
    return int(torch.cuda.mem_get_info()[1])


def require_memory(
    name: str,
    parameters: int | None,
    dtype: str,
    device: torch.device | str,
    *,
    quantize: Quantize | None = None,
    device_map: str | None = None,
) -> None:
    """Raise `BirthmarkError`, with the estimate and alternatives, if a model's weights alone exceed the free memory.

    Nothing is raised if the number of parameters is unknown.
    """
    available = free_memory(device, spread=device_map is not None)
    if parameters is None or weight_bytes(parameters, dtype, quantize) <= available:
        return
    needed = memory_needed(parameters, dtype, quantize)
    where = "all devices together have" if device_map else f"{device} has"
    raise BirthmarkError(
        f"{name} needs about {gigabytes(needed)} in {quantize or dtype} and {where} {gigabytes(available)} free: "
        f"{_what_would_fit(parameters, dtype, torch.device(device), quantize, device_map, available)}"
    )


def _what_would_fit(
    parameters: int, dtype: str, device: torch.device, quantize: str | None, device_map: str | None, available: int
) -> str:
    """The options with which a model would fit, each with its memory; if there are none, other advice."""
    options = []
    if dtype == "float32" and not quantize and memory_needed(parameters, "bfloat16") <= available:
        options.append(f"--dtype bfloat16 ({gigabytes(memory_needed(parameters, 'bfloat16'))})")
    if device.type == "cuda":
        bits: tuple[Quantize, ...] = ("8bit", "4bit")
        for each in bits[bits.index(quantize) + 1 if quantize in bits else 0 :]:
            if memory_needed(parameters, "bfloat16", each) <= available:
                options.append(f"--quantize {each} ({gigabytes(memory_needed(parameters, 'bfloat16', each))})")
        everywhere = free_memory(device, spread=True)
        if not device_map and memory_needed(parameters, dtype) <= everywhere:
            options.append("--device-map auto (all GPUs, and the CPU for the rest)")
        if memory_needed(parameters, dtype) <= _free_main_memory():
            options.append("--device cpu (slow)")
    return f"try {', or '.join(options)}" if options else "use a larger machine, or a smaller model"


def _free_main_memory() -> int:
    """Bytes of the machine's memory and swap that programs may still take, or of its container's where that is less."""
    machine = psutil.virtual_memory().available + psutil.swap_memory().free
    container = _free_of_container()
    return machine if container is None else min(machine, container)


def main_memory() -> int:
    """Bytes of memory that the machine has, or that its container may use."""
    machine, container = psutil.virtual_memory().total, _container_limit()
    return machine if container is None else min(machine, container)


def _container_limit() -> int | None:
    """A control group's memory limit; None where there is none."""
    try:
        return int((CONTROL_GROUP / "memory.max").read_text())
    except (OSError, ValueError):
        return None


def _free_of_container() -> int | None:
    """A control group's limit less what it uses, except files that it only caches; None where there is no limit."""
    limit = _container_limit()
    try:
        used = int((CONTROL_GROUP / "memory.current").read_text())
        kinds = dict(line.split() for line in (CONTROL_GROUP / "memory.stat").read_text().splitlines())
        return None if limit is None else max(0, limit - used + int(kinds.get("inactive_file", 0)))
    except (OSError, ValueError):
        return None


def release_memory() -> None:
    """Give back what a model that is no longer referred to took, on the GPUs too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _cpu_info(name: str) -> str | None:
    """What Linux says of the first CPU; None where it says nothing."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), None)


def bfloat16_units() -> list[str]:
    """The units of this CPU that multiply bfloat16 numbers; empty where there are none, or none is known of."""
    flags = (_cpu_info("flags") or "").split()
    return [name for name in ("amx_bf16", "avx512_bf16") if name in flags]


def describe() -> dict[str, Any]:
    """What the machine is: platform, processor, cores, threads, memory in bytes, devices."""
    return {
        "platform": platform.platform(),
        "processor": _cpu_info("model name") or platform.processor() or platform.machine(),
        "bfloat16_units": bfloat16_units(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": main_memory(),
        "device": choose_device().type,
        "cuda": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
    }
