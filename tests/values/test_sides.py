"""Who is on which side of a grid, and what its units are."""

import numpy as np
import pytest

from birthmark.errors import BirthmarkError
from birthmark.values.implicit_sides import make_sides


@pytest.fixture
def lm(make_table):
    def make(name: str, family: str | None = "Gemma", base: str | None = None):
        return make_table(name, ["x"], [[-1.0, -1.0]], token_ids=[0], kind="logprob", family=family, base=base)

    return make


def test_sides_bear_the_names_of_their_families(lm) -> None:
    sides = make_sides([lm("a"), lm("b")], [lm("c", "Llama")])
    assert sides.names == ("Gemma", "Llama")
    assert [side.models for side in sides.records] == [["a", "b"], ["c"]]


@pytest.mark.parametrize("families", [("Gemma", "Gemma"), (None, "Llama"), ("Gemma", None)])
def test_sides_that_are_not_two_families_are_a_and_b(lm, families) -> None:
    assert make_sides([lm("a", families[0])], [lm("b", families[1])]).names == ("A", "B")


def test_a_side_of_two_families_is_a_and_b(lm) -> None:
    assert make_sides([lm("a"), lm("b", "Qwen")], [lm("c", "Llama")]).names == ("A", "B")


def test_models_on_one_base_checkpoint_are_one_unit(lm) -> None:
    sides = make_sides([lm("a", base="g"), lm("b", base="g")], [lm("c", "Llama", "l"), lm("d", "Llama", "m")])
    assert (sides.unit, sides.n_units) == ("base_checkpoint", {"Gemma": 1, "Llama": 2})
    np.testing.assert_array_equal(sides.membership @ np.array([1.0, 3.0, 5.0, 7.0]), [2, 5, 7])
    values = np.arange(16.0).reshape(4, 4)
    assert sides.unit_pairs(values)[0, 1] == np.mean([values[0, 2], values[1, 2]])


def test_a_base_checkpoint_on_both_sides_leaves_models_for_units(lm) -> None:
    """A model and its fine-tune: the label of their common base cannot be exchanged."""
    sides = make_sides([lm("a", base="g")], [lm("b", base="g")])
    assert (sides.unit, sides.n_units) == ("model", {"A": 1, "B": 1})


@pytest.mark.parametrize("second", [["a"], []])
def test_a_model_twice_and_an_empty_side_are_refused(lm, second) -> None:
    with pytest.raises(BirthmarkError, match="twice|both sides"):
        make_sides([lm("a")], [lm(name) for name in second])


def test_rewards_are_refused(lm, make_table) -> None:
    with pytest.raises(BirthmarkError, match="gives rewards"):
        make_sides([lm("a")], [make_table("r", ["x"], [[1.0, 1.0]])])
