"""A model into memory, once it is known that it fits: what is asked for is checked before a weight is read."""

from typing import TYPE_CHECKING, Any

import torch

from birthmark.models.machine import require_memory
from birthmark.models.memory import Quantize, count_parameters
from birthmark.models.placement import check_placement
from birthmark.models.weights import load_model

if TYPE_CHECKING:
    from birthmark.models.weights import ResolvedModel


def load_if_it_fits(
    model: "ResolvedModel",
    *,
    dtype: str,
    device: torch.device,
    quantize: Quantize | None = None,
    device_map: str | None = None,
) -> Any:
    """`load_model`, after the checks of `check_placement` and `require_memory`; raises what those raise."""
    check_placement(device, quantize, device_map)
    parameters = count_parameters(model.path)
    require_memory(model.name, parameters, dtype, device, quantize=quantize, device_map=device_map)
    return load_model(model, dtype=dtype, device=device, quantize=quantize, device_map=device_map)
