"""What is asked of every model of one study: refused before any model is fetched."""

from importlib.metadata import EntryPoint

import pytest

from birthmark.errors import BirthmarkError
from birthmark.scoring import measure as measures
from birthmark.scoring.measure import make_measure, parse_controls


def test_a_backend_that_is_not_installed_is_refused_with_the_nearest_name(monkeypatch):
    points = [EntryPoint("server", "no_such_module:Backend", "birthmark.backends")]
    monkeypatch.setattr(measures, "entry_points", lambda group: points)
    assert make_measure(backend="server").backend == "server"  # nothing is imported yet
    with pytest.raises(BirthmarkError, match="did you mean server"):
        make_measure(backend="sever")


def test_controls_are_each_there_once_in_a_fixed_order():
    assert parse_controls(["tokens,length", "length,tokens", "prompt"]) == [("length", "tokens"), ("prompt",)]
    for wrong in ("lenght", ","):
        with pytest.raises(BirthmarkError):
            parse_controls(wrong)
