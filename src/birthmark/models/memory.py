"""How much memory a model takes, from its number of parameters: no weight is read and no device asked.

Knows nothing of machines: see `machine` for what is free.
"""

import json
from collections.abc import Sequence
from math import prod
from pathlib import Path
from struct import error as StructError
from struct import unpack
from typing import Literal, get_args

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
    total = 0
    for path in folder.glob("*.safetensors"):
        try:
            with path.open("rb") as file:
                header = json.loads(file.read(unpack("<Q", file.read(8))[0]))
            tensors = [tensor["shape"] for name, tensor in header.items() if name != "__metadata__"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError, OverflowError, StructError):
            return None
        total += sum(prod(shape) for shape in tensors)
    return total or None


def gigabytes(number: int) -> str:
    """Bytes as text: `15.0 GB`."""
    return f"{number / 2**30:.1f} GB"
