"""OUT folders to draw (more stand in the fixtures for all tests), and their pages."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from birthmark.records import PromptRecord
from birthmark.report.audit import write_report
from report_outs import table, write_out


@pytest.fixture(scope="session")
def no_framing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One reward model, prompts without a framing, nothing else."""
    prompts = {"prompt_1": PromptRecord(text="What is love?")}
    return write_out(
        tmp_path_factory.mktemp("bare"),
        [table("rm", "Qwen", "Qwen2.5-3B", kind="reward", prompts=prompts, tokens=False)],
    )


@pytest.fixture(scope="session")
def drawn(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """The report of an OUT folder by its fixture's name, drawn once."""
    return cache(lambda name: write_report(request.getfixturevalue(name)))
