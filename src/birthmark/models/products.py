"""The linear maps of a transformer on a CPU, by the faster of PyTorch's two libraries.

PyTorch gives float32 products to MKL, which on processors of other makers than its own is slower than oneDNN, built
into PyTorch as well (`benchmarks/products.py`). Which of the two is used depends on the build alone, so that the same run
gives the same numbers. Log-probabilities are computed so; rewards keep to MKL's order of addition, since a reward's
scale, and with it what a rounding is worth, is its head's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None


def linear(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """states [..., in] · weightᵀ [out, in] + bias [out], without a gradient; float32 on a CPU goes to oneDNN."""
    if _ONEDNN is None or states.device.type != "cpu" or states.dtype != torch.float32 or weight.dtype != torch.float32:
        return torch.nn.functional.linear(states, weight, bias)
    return _ONEDNN(states, weight, bias, "none", [], "")


@contextmanager
def fast_linear_layers(decoder: Any) -> Iterator[None]:
    """Within the block the decoder's plain linear layers go through `linear`; afterwards they are as they were."""
    layers = [layer for layer in decoder.modules() if type(layer) is torch.nn.Linear and "forward" not in vars(layer)]
    for layer in layers:
        layer.forward = partial(_forward, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward(layer: torch.nn.Linear, states: torch.Tensor) -> torch.Tensor:
    return linear(states, layer.weight, layer.bias)
