"""What tests do to a model's folder, and how they ask a model for its numbers."""

import json
from pathlib import Path

import pytest
import torch

from birthmark.errors import BirthmarkError
from birthmark.models.resolve import resolve

IDS = torch.arange(5, 45)[None]


def change(path: Path, **keys: object) -> None:
    """Write keys of a JSON file anew; None takes one out."""
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({k: v for k, v in (document | keys).items() if v is not None}), encoding="utf-8")


def refused(name: str | Path, *words: str, **options: object) -> None:
    """Check that a name is refused in one line with these words."""
    with pytest.raises(BirthmarkError) as caught:
        resolve(name, quiet=True, **options)
    message = str(caught.value)
    assert all(word in message for word in words) and "\n" not in message, message


def logits(model: torch.nn.Module, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.no_grad():
        return model(ids).logits
