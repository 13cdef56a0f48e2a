"""How fast oneDNN and MKL multiply what the prefix engine multiplies: `linear` beside `torch.nn.functional.linear`.

The shapes are those of the two embedded models: a pass's states through a gate of the MLP, and the states of an audit's
words through the vocabulary, [rows, in] · weightᵀ [out, in]. `packed` is oneDNN with weights that were put into its own
order beforehand, which needs their memory a second time.
"""

from collections.abc import Callable
from typing import Any

import torch
from measured import Shape, flops, timed

from birthmark.models.packing import linear

SHAPES: dict[str, Shape] = {
    "gemma-3-270m, a layer": (1024, 640, 2048),
    "smollm2-135m-instruct, a layer": (1024, 576, 1536),
    "gemma-3-270m, vocabulary": (83, 640, 262_144),
    "smollm2-135m-instruct, vocabulary": (189, 576, 49_152),
}


def rate(product: Callable[..., torch.Tensor], states: torch.Tensor, weight: Any, shape: Shape) -> float:
    """The best of a few runs, in GFLOP/s."""
    return flops(shape) / min(timed(lambda: product(states, weight))[0] for _ in range(7)) / 1e9


def packed(states: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.ops.mkldnn._linear_pointwise(states, weight, None, "none", [], "")


@torch.inference_mode()
def main() -> None:
    print("| shape | MKL, GFLOP/s | birthmark, GFLOP/s | packed, GFLOP/s |\n| --- | ---: | ---: | ---: |")
    for name, shape in SHAPES.items():
        rows, inner, outer = shape
        states, weight = torch.randn(rows, inner), torch.randn(outer, inner)
        ordered = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        ways = ((torch.nn.functional.linear, weight), (linear, weight), (packed, ordered))
        rates = [f"{rate(product, states, given, shape):.0f}" for product, given in ways]
        print(f"| {name}: {rows} × {inner} × {outer:,} | {' | '.join(rates)} |")


if __name__ == "__main__":
    main()
