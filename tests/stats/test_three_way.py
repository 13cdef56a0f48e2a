"""Type II analysis of variance against car's in R, against sums of squares by hand, and for what it cannot analyse."""

import csv
from pathlib import Path

import numpy as np
import pytest

from birthmark.errors import BirthmarkError
from birthmark.stats.unit_tests import adjust, compare_groups
from birthmark.stats.variance import three_way_anova

ORACLES = Path(__file__).parents[1] / "oracles"


def read(name: str) -> list[dict[str, str]]:
    with (ORACLES / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


ROWS = read("three_way.csv")
Y = np.array([float(row["y"]) for row in ROWS])
FACTORS = {name: [row[name] for row in ROWS] for name in ("side", "category", "framing")}


def test_every_term_of_an_unbalanced_design_equals_r() -> None:
    found = three_way_anova(Y, FACTORS)
    expected = read("three_way_anova.csv")
    assert [term.term for term in found] == [row["term"].replace("Residuals", "Residual") for row in expected]
    for term, row in zip(found, expected, strict=True):
        assert (term.sum_sq, term.df) == (pytest.approx(float(row["sum_sq"]), rel=1e-9), int(row["df"]))
        if term.term != "Residual":
            assert (term.f, term.p) == (
                pytest.approx(float(row["f"]), rel=1e-9),
                pytest.approx(float(row["p"]), rel=1e-7),
            )


def test_cells_and_their_false_discovery_rate_equal_r() -> None:
    expected = read("three_way_cells.csv")
    found = []
    for row in expected:
        cell = np.array(
            [
                (c, f) == (row["category"], row["framing"])
                for c, f in zip(FACTORS["category"], FACTORS["framing"], strict=True)
            ]
        )
        llama = np.array(FACTORS["side"]) == "Llama"
        found.append(compare_groups(Y[cell & ~llama], Y[cell & llama]))
        assert found[-1].welch_t == pytest.approx(float(row["welch_t"]), rel=1e-9)
    adjusted = adjust([item.welch_p for item in found], "fdr_bh")
    assert adjusted == pytest.approx([float(row["p_fdr"]) for row in expected], rel=1e-9)


def test_a_terms_sum_of_squares_is_what_it_adds_to_all_terms_without_it() -> None:
    """Type II by hand: residual sums of squares of two least-squares fits, for the term side."""
    code = {name: (np.array(labels) == sorted(set(labels))[1]).astype(float) for name, labels in FACTORS.items()}
    one, b, c = np.ones_like(Y), code["category"], code["framing"]

    def rss(*columns: np.ndarray) -> float:
        x = np.column_stack(columns)
        return float(((Y - x @ np.linalg.lstsq(x, Y, rcond=None)[0]) ** 2).sum())

    without = rss(one, b, c, b * c)
    added = without - rss(one, b, c, b * c, code["side"])
    assert three_way_anova(Y, FACTORS)[0].sum_sq == pytest.approx(added)


def test_more_than_two_levels_take_their_degrees_of_freedom() -> None:
    rng = np.random.default_rng(0)
    labels = [(a, b, c) for a in "xy" for b in "klm" for c in "pn" for _ in range(4)]
    factors = {name: [row[at] for row in labels] for at, name in enumerate(("side", "category", "framing"))}
    found = {term.term: term.df for term in three_way_anova(rng.normal(size=len(labels)), factors)}
    assert (found["category"], found["side:category:framing"], found["Residual"]) == (2, 2, 36)


@pytest.mark.parametrize("values", [np.arange(8.0), np.zeros(8)])
def test_a_fit_that_leaves_no_residual_has_no_f(values: np.ndarray) -> None:
    labels = [(a, b, c) for a in "xy" for b in "kl" for c in "pn"]
    factors = {name: [row[at] for row in labels] for at, name in enumerate(("side", "category", "framing"))}
    assert three_way_anova(values, factors) == []


def test_values_that_do_not_vary_have_no_f() -> None:
    assert three_way_anova(np.full(len(Y), 3.0), FACTORS) == []


@pytest.mark.parametrize(
    ("values", "factors", "message"),
    [
        (Y, {**FACTORS, "side": ["a"] * len(Y)}, "two levels of side"),
        (np.where(np.arange(len(Y)) == 3, np.nan, Y), FACTORS, "missing or infinite"),
        (Y, {"side": FACTORS["side"]}, "three named factors"),
    ],
)
def test_what_cannot_be_analysed_raises(values, factors, message) -> None:
    with pytest.raises(BirthmarkError, match=message):
        three_way_anova(values, factors)
