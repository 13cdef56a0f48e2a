"""Readers of the oracles' files, for the tests of this room."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

ORACLES = Path(__file__).parents[1] / "oracles"


@pytest.fixture(scope="session")
def oracle() -> Callable[[str], pl.DataFrame]:
    """An oracle's CSV by its stem."""
    return lambda stem: pl.read_csv(ORACLES / f"{stem}.csv", null_values=["NA"])
