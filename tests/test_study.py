"""An OUT folder takes one study; one in which nothing came of a run is still free."""

from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.study import open_study


def test_an_out_in_which_a_run_came_to_nothing_takes_another_study(tmp_path: Path) -> None:
    open_study(tmp_path / "out", "compare", {"tables": ["a"]})
    study = open_study(tmp_path / "out", "map", {"tables": ["b"]})
    assert (study.record.command, study.record.asked) == ("map", {"tables": ["b"]})


def test_an_out_with_results_takes_no_other_study(tmp_path: Path) -> None:
    open_study(tmp_path / "out", "compare", {"tables": ["a"]})
    (tmp_path / "out" / "effects").mkdir()
    with pytest.raises(BirthmarkError, match="holds another study, with tables "):
        open_study(tmp_path / "out", "compare", {"tables": ["b"]})
