"""A preference file and small runs that several tests of training look at."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from preference_files import pair_rows, write_rows

SMALL = {"preset": "small", "lora_rank": 4, "lora_alpha": 8, "checkpoint_every": 3, "epochs": 2.0}


@pytest.fixture(scope="session")
def pairs_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pairs: 6 steps of 8 in two epochs."""
    return write_rows(tmp_path_factory.mktemp("pairs") / "pairs.jsonl", pair_rows())


@pytest.fixture(scope="session")
def train_small(tiny_lm: Path, pairs_file: Path) -> Callable[..., Any]:
    """`bm.train` on the tiny model, with a small recipe."""
    import birthmark as bm

    def run(out: Path, **asked: Any) -> Any:
        base, preferences = asked.pop("base", tiny_lm), asked.pop("preferences", pairs_file)
        return bm.train(base, preferences, out=out, **{**SMALL, **asked})

    return run


@pytest.fixture(scope="session")
def bt_run(train_small: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished Bradley–Terry run."""
    return train_small(tmp_path_factory.mktemp("runs") / "bt")
