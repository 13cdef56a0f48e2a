"""Work made ready ahead: in its order, one piece ahead, errors in their turn."""

import threading

import pytest

from birthmark.models.packing import prefetch


def test_each_is_made_in_its_order():
    assert list(prefetch(range(5), lambda number: number**2)) == [0, 1, 4, 9, 16]
    assert list(prefetch([], str)) == []


def test_the_next_one_is_made_while_the_caller_has_the_one_before():
    made = [threading.Event() for _ in range(3)]

    def make(number):
        made[number].set()
        return number

    results = prefetch(range(3), make)
    assert next(results) == 0
    assert made[1].wait(10) and not made[2].is_set()


def test_an_error_comes_after_what_was_made_before_it():
    def make(number):
        if number == 1:
            raise ValueError("one")
        return number

    results = prefetch(range(3), make)
    assert next(results) == 0
    with pytest.raises(ValueError, match="one"):
        next(results)
