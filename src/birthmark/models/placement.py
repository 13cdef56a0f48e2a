"""Where a model's weights go and in how many bits: one device, several, part of it on the CPU, 8 or 4 bits.

Gives what `from_pretrained` is told; knows nothing of files or of scoring.
"""

import importlib.util
from typing import Any

import torch

from birthmark.errors import BirthmarkError
from birthmark.models.memory import QUANTIZATIONS, Quantize

KEPT = ["lm_head", "score"]  # heads are never quantized: their rounding is not averaged out by later layers


def check_placement(device: "str | torch.device", quantize: str | None, device_map: str | None) -> None:
    """Raise `BirthmarkError` where 8 or 4 bits or a device map are asked for and cannot be had here."""
    if device_map not in (None, "auto"):
        raise BirthmarkError(f"'{device_map}' is not a device map: write --device-map auto, or leave it out")
    if quantize is None:
        return
    if quantize not in QUANTIZATIONS:
        raise BirthmarkError(f"'{quantize}' is not a quantization: write --quantize {' or '.join(QUANTIZATIONS)}")
    if torch.device(device).type != "cuda" or not torch.cuda.is_available():
        raise BirthmarkError(
            f"--quantize {quantize} needs an NVIDIA GPU, and this runs on {torch.device(device).type}: leave it out, or "
            "use --dtype bfloat16 to halve the memory"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise BirthmarkError(
            f"--quantize {quantize} needs bitsandbytes, which is not installed: pip install 'birthmark[quantized]'"
        )


def placement(
    device: "str | torch.device", dtype: torch.dtype, quantize: Quantize | None = None, device_map: str | None = None
) -> dict[str, Any]:
    """Keyword arguments of `from_pretrained`. Raises as `check_placement` does.

    `device_map` `auto` spreads the layers over all GPUs, and what does not fit on them over the CPU's memory.
    """
    check_placement(device, quantize, device_map)
    where: Any = {"": device} if str(device) != "cpu" else None
    arguments: dict[str, Any] = {"device_map": device_map or where}
    if quantize is not None:
        from transformers import BitsAndBytesConfig

        bits = (
            {"load_in_8bit": True}
            if quantize == "8bit"
            else {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
        )
        arguments["quantization_config"] = BitsAndBytesConfig(llm_int8_skip_modules=KEPT, **bits)
    return arguments


def is_spread(model: Any) -> bool:
    """Whether a model's layers lie on several devices; such a model runs with the plain engine only."""
    return len(set((getattr(model, "hf_device_map", None) or {}).values())) > 1
