"""Fixtures for the tests of models: the published tokenizers, each unpacked and read once."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from birthmark.models import tokenizer
from published_tokenizers import published_tokenizer


@pytest.fixture
def own_cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own for every test but those of real models, which are made once."""
    if not request.node.get_closest_marker("real_model"):
        monkeypatch.setenv("BIRTHMARK_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Path], Path]:
    """A copy of a model's folder that a test may harm."""

    def copied(source: Path, name: str = "model") -> Path:
        return Path(shutil.copytree(source, tmp_path / name))

    return copied


@pytest.fixture(scope="session")
def tokenizer_files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`tokenizer_files("gemma2")`: a folder with a published tokenizer and its chat template."""
    return cache(lambda name: published_tokenizer(name, tmp_path_factory.mktemp("tokenizers") / name))


@pytest.fixture(scope="session")
def published(tokenizer_files: Callable[[str], Path]) -> Callable[[str], Any]:
    """`published("gemma2")`: that tokenizer as transformers loads it."""
    from transformers import AutoTokenizer

    return cache(lambda name: AutoTokenizer.from_pretrained(tokenizer_files(name), local_files_only=True))


@pytest.fixture(scope="session")
def _read_tokenizers() -> dict[str, Any]:
    return {}


@pytest.fixture
def tokenizers_read_once(monkeypatch: pytest.MonkeyPatch, _read_tokenizers: dict[str, Any]) -> None:
    """Many tiny models have the same real tokenizer, and configs that do not concern it."""

    def read_once(source: tokenizer._Source) -> Any:
        if source.digest not in _read_tokenizers:
            _read_tokenizers[source.digest] = tokenizer.read_tokenizer(source.model)
        return _read_tokenizers[source.digest]

    monkeypatch.setattr(tokenizer, "_read_once", read_once)
