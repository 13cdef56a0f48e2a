"""The published files, as they are and as copies that a test may change; what a replication finds in them, once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from birthmark.commands.replicate import replicate_study
from birthmark.paper.data import StudyData, study_data
from birthmark.paper.scores import Figures, figures
from birthmark.records import Replication

Edit = Callable[[str, Callable[[str], str]], None]


@pytest.fixture(scope="session")
def published(shared: Path) -> Path:
    return shared / "paper-data"


@pytest.fixture(scope="session")
def study(published: Path) -> StudyData:
    return study_data(published)


@pytest.fixture(scope="session")
def found(study: StudyData) -> Figures:
    return figures(study)


@pytest.fixture(scope="session")
def replication(published: Path) -> Replication:
    return replicate_study(published)


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    """A copy of the published files in a folder of its own, for a test to change."""
    target = tmp_path / "clone"
    shutil.copytree(published, target)
    return target


@pytest.fixture
def edit(copy: Path) -> Edit:
    """Change a file of the copy: its path there, and a function of its text."""

    def change(relative: str, function: Callable[[str], str]) -> None:
        path = copy / relative
        before = path.read_bytes().decode("utf-8", errors="surrogateescape")
        after = function(before)
        assert after != before
        path.write_bytes(after.encode("utf-8", errors="surrogateescape"))

    return change
