"""How much memory a model takes, from its number of parameters: no weight is read, no device asked, no torch imported."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Literal, get_args

from birthmark.errors import BirthmarkError
from birthmark.models.folder import tensor_shapes

Quantize = Literal["8bit", "4bit"]
BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}  # a parameter
QUANTIZED: dict[Quantize, float] = {"8bit": 1.15, "4bit": 0.7}  # about: embeddings, norms and scales stay in 16 bits
WORKING = 2**30  # bytes for what is computed at a time
QUANTIZATIONS: tuple[Quantize, ...] = get_args(Quantize)


def weight_bytes(parameters: int, dtype: str, quantize: Quantize | None = None) -> int:
    """Bytes of the weights alone; in 8 or 4 bits about, since embeddings and norms are not quantized."""
    return round(parameters * (QUANTIZED[quantize] if quantize else BYTES[dtype]))


def memory_needed(parameters: int, dtype: str, quantize: Quantize | None = None) -> int:
    """Bytes of memory to score with a model: its weights, and 1 GiB for what is computed at a time."""
    return weight_bytes(parameters, dtype, quantize) + WORKING


def memory_by_precision(parameters: int, dtypes: Sequence[str]) -> dict[str, int]:
    """Precision → bytes: those asked for, then 8 and 4 bits."""
    plain = {dtype: memory_needed(parameters, dtype) for dtype in dict.fromkeys(dtypes)}
    return plain | {bits: memory_needed(parameters, "bfloat16", bits) for bits in QUANTIZATIONS}


def count_parameters(folder: Path) -> int | None:
    """Parameters of a folder's safetensors, from their headers alone; None where there are none or one is damaged."""
    try:
        shapes = tensor_shapes(folder.glob("*.safetensors"))
    except (BirthmarkError, OSError):
        return None
    return sum(map(prod, shapes.values())) or None


def gigabytes(number: int) -> str:
    """Bytes as text: `15.0 GB`."""
    return f"{number / 2**30:.1f} GB"
