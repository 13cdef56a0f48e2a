"""A tiny language model's folder whose language head gives way to a reward head, for tests of heads."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from birthmark.errors import BirthmarkError
from birthmark.models.loading import load_model
from birthmark.models.resolve import resolve

HIDDEN = 32  # of the tiny models


def draw(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return 0.3 * torch.randn(shape, generator=generator)


def layer(stem: str, inputs: int, outputs: int) -> dict[str, torch.Tensor]:
    return {f"{stem}.weight": draw(outputs, inputs), f"{stem}.bias": draw(outputs)}


def write_head(
    base: Path, folder: Path, head: Mapping[str, torch.Tensor], config: Mapping[str, Any], language_head: bool = False
) -> Path:
    """A copy of a tiny language model's folder whose language head gives way to a reward head."""
    shutil.copytree(base, folder, dirs_exist_ok=True)
    kept = load_file(folder / "model.safetensors")
    tensors = {name: tensor for name, tensor in kept.items() if language_head or not name.startswith("lm_head")}
    save_file({**tensors, **head}, folder / "model.safetensors", metadata={"format": "pt"})
    change(folder, **config)
    return folder


def change(folder: Path, **keys: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def load(folder: Path, **options: Any) -> Any:
    return load_model(resolve(folder, quiet=True, **options))


def refused(folder: Path, *words: str, **options: Any) -> None:
    with pytest.raises(BirthmarkError) as caught:
        load(folder, **options)
    message = str(caught.value)
    assert all(word in message for word in words) and "\n" not in message, message
