"""What the benchmarks share: speeds of given matrix products, peak memory of a process, and tables without NaN."""

import json
import math
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from birthmark.models.packing import linear

Shape = tuple[int, int, int]  # rows, in, out


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result of one call."""
    start = perf_counter()
    result = run()
    return perf_counter() - start, result


@torch.inference_mode()
def product_seconds(shape: Shape, dtype: torch.dtype = torch.float32, times: int = 5) -> float:
    """The best of a few products [rows, in] · [out, in]ᵀ, as the prefix engine multiplies."""
    rows, inner, outer = shape
    states, weight = torch.randn(rows, inner, dtype=dtype), torch.randn(outer, inner, dtype=dtype)
    linear(states, weight)
    return min(timed(lambda: linear(states, weight))[0] for _ in range(times))


def flops(shape: Shape) -> int:
    rows, inner, outer = shape
    return 2 * rows * inner * outer


def layer_products(decoder: Any, rows: int) -> Counter[Shape]:
    """The products of a decoder's linear layers for so many tokens, and how many of each there are."""
    layers = [layer for layer in decoder.modules() if isinstance(layer, torch.nn.Linear)]
    return Counter((rows, layer.in_features, layer.out_features) for layer in layers)


def tokens_during(decoder: Any, run: Callable[[], Any]) -> int:
    """How many tokens the model takes in while something runs: a prefix once, then suffixes."""
    counts: list[int] = []
    hook = decoder.register_forward_pre_hook(
        lambda layer, given, named: counts.append(named["input_ids"].numel()), with_kwargs=True
    )
    run()
    hook.remove()
    return sum(counts)


def products_during(decoder: Any, run: Callable[[], Any]) -> Counter[Shape]:
    """The products of a decoder's linear layers while something runs, and how many of each there are."""
    found: Counter[Shape] = Counter()

    def count(layer: torch.nn.Linear, given: tuple[torch.Tensor, ...]) -> None:
        found[given[0].numel() // layer.in_features, layer.in_features, layer.out_features] += 1

    layers = [layer for layer in decoder.modules() if isinstance(layer, torch.nn.Linear)]
    hooks = [layer.register_forward_pre_hook(count) for layer in layers]
    run()
    for hook in hooks:
        hook.remove()
    return found


def seconds_alone(products: Mapping[Shape, int]) -> float:
    """What products would take with nothing else, each at the speed measured here for its shape."""
    return sum(count * product_seconds(shape, times=3) for shape, count in products.items())


def peak_bytes() -> int:
    """The largest memory that this process has had.

    On Linux as /proc tells it: getrusage begins with the largest that the process that started this one had.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")]
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def child(program: str, *arguments: object) -> Any:
    """What a benchmark prints as JSON in a process of its own."""
    command = [sys.executable, program, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The exponent b of seconds = a · sizeᵇ by least squares of the logarithms."""
    x, y = ([math.log(value) for value in values] for values in (sizes, seconds))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def require_numbers(rows: Iterable[Mapping[str, Any]]) -> None:
    """Raise SystemExit where a figure is NaN or infinite."""
    for row in rows:
        for name, value in row.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise SystemExit(f"error: {name} is {value} in {row}")


def markdown(columns: Mapping[str, Callable[[Any], str]], rows: Iterable[Any]) -> str:
    """A table; a column whose name begins with a blank is of text, the others of numbers."""
    head = "| " + " | ".join(name.strip() for name in columns) + " |"
    rule = "| " + " | ".join("---" if name.startswith(" ") else "---:" for name in columns) + " |"
    return "\n".join([head, rule, *("| " + " | ".join(show(row) for show in columns.values()) + " |" for row in rows)])
