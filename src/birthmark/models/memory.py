"""Estimates of a model's memory from its number of parameters, without reading weights or importing torch."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Literal, get_args

from birthmark.errors import BirthmarkError
from birthmark.models.weights import tensor_shapes, weight_files

Quantize = Literal["8bit", "4bit"]
BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}  # per parameter
QUANTIZED: dict[Quantize, float] = {"8bit": 1.15, "4bit": 0.7}  # approximate: embeddings, norms, scales stay in 16 bits
WORKING = 2**30  # bytes for intermediate results
QUANTIZATIONS: tuple[Quantize, ...] = get_args(Quantize)


def weight_bytes(parameters: int, dtype: str, quantize: Quantize | None = None) -> int:
    """Bytes of the weights only; approximate in 8 or 4 bits, because embeddings and norms are not quantized."""
    return round(parameters * (QUANTIZED[quantize] if quantize else BYTES[dtype]))


def memory_needed(parameters: int, dtype: str, quantize: Quantize | None = None) -> int:
    """Bytes of memory needed to score with a model: its weights, and 1 GiB for intermediate results."""
    return weight_bytes(parameters, dtype, quantize) + WORKING


def memory_by_precision(parameters: int, dtypes: Sequence[str]) -> dict[str, int]:
    """Precision → bytes, for the given precisions and then 8 and 4 bits."""
    plain = {dtype: memory_needed(parameters, dtype) for dtype in dict.fromkeys(dtypes)}
    return plain | {bits: memory_needed(parameters, "bfloat16", bits) for bits in QUANTIZATIONS}


def count_parameters(folder: Path) -> int | None:
    """Parameters of a folder's safetensors, from their headers; None if there are none or one is damaged."""
    try:
        shapes = tensor_shapes(weight_files(folder))
    except (BirthmarkError, OSError):
        return None
    return sum(map(prod, shapes.values())) or None


def count_model(path: Path, adapter: Path | None) -> int | None:
    """Parameters of a model's folder, and of the adapter that is put on it: both are held."""
    base, added = count_parameters(path), count_parameters(adapter) if adapter else 0
    return None if base is None else base + (added or 0)


def gigabytes(number: int) -> str:
    """Bytes as text: `15.0 GB`."""
    return f"{number / 2**30:.1f} GB"
