"""How fast a hundred states meet a vocabulary: `torch.nn.functional.linear` (MKL) beside `birthmark`'s own choice (oneDNN).

The shapes are those of an audit of the two embedded models: states [rows, hidden] · weightᵀ [vocabulary, hidden].
"""

from collections.abc import Callable
from time import perf_counter

import torch

from birthmark.models.packing import linear

SHAPES = {"gemma-3-270m": (83, 640, 262_144), "smollm2-135m-instruct": (189, 576, 49_152)}


def rate(product: Callable[..., torch.Tensor], states: torch.Tensor, weight: torch.Tensor, times: int = 5) -> float:
    """The best of a few runs, in GFLOP/s."""
    best = float("inf")
    for _ in range(times):
        start = perf_counter()
        product(states, weight)
        best = min(best, perf_counter() - start)
    return 2 * states.numel() * weight.shape[0] / best / 1e9


@torch.inference_mode()
def main() -> None:
    print("| shape | MKL, GFLOP/s | birthmark, GFLOP/s |\n| --- | ---: | ---: |")
    for name, (rows, hidden, vocabulary) in SHAPES.items():
        states, weight = torch.randn(rows, hidden), torch.randn(vocabulary, hidden)
        own, chosen = (rate(product, states, weight) for product in (torch.nn.functional.linear, linear))
        print(f"| {name}: {rows} × {hidden} × {vocabulary:,} | {own:.0f} | {chosen:.0f} |")


if __name__ == "__main__":
    main()
