"""Type II analysis of variance of numbers by three factors.

By statsmodels: ordinary least squares with all products of the factors. Knows nothing of what the factors are. Rows are
taken as independent; where they are not (prompts of one model), its p is about these rows only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from birthmark.errors import BirthmarkError

RESIDUAL = "Residual"


@dataclass(frozen=True)
class AnovaTerm:
    """`f` = (sum_sq / df) / (residual sum_sq / residual df); null for the residual."""

    term: str
    sum_sq: float
    df: int
    f: float | None
    p: float | None


def three_way_anova(values: Sequence[float] | np.ndarray, factors: Mapping[str, Sequence[str]]) -> list[AnovaTerm]:
    """Each term of first × second × third, in order of their number of factors, then `Residual`.

    values: [n]; factors: three names, each with [n] labels, names of letters and underscores. Type II: a term's sum of
    squares is what it adds to a fit of every term that does not contain it; F is on the residual of the full fit. In a
    balanced design all types are equal. `term` is the factors' names joined by `:`.

    Empty where the fit leaves no residual, so that there is no F.

    Raises `BirthmarkError` for another number of factors, a factor of one level, or a value that is not finite.
    Source: Langsrud 2003, Statistics and Computing 13, 163–167.
    """
    import pandas as pd  # as heavy as statsmodels' formulas, which few commands need
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    numbers = np.asarray(values, dtype=float)
    if len(factors) != 3 or not all(name.isidentifier() for name in factors):
        raise BirthmarkError(f"a three-way analysis of variance takes three named factors, not {', '.join(factors)}")
    if not np.isfinite(numbers).all():
        raise BirthmarkError("a value to analyse is missing or infinite: drop or mend it")
    for name, labels in factors.items():
        if len(set(labels)) < 2:
            raise BirthmarkError(f"an analysis of variance needs two levels of {name}; there is one")
    data = pd.DataFrame({"y": numbers, **{name: list(map(str, labels)) for name, labels in factors.items()}})
    fit = ols("y ~ " + " * ".join(f"C({name})" for name in factors), data=data).fit()
    rounding = max(1e-12 * fit.centered_tss, 1e-18 * float(numbers @ numbers))
    if fit.df_resid < 1 or fit.ssr <= rounding:
        return []
    table = anova_lm(fit, typ=2)
    return [
        AnovaTerm(
            term=_plain(str(term)),
            sum_sq=float(row["sum_sq"]),
            df=int(row["df"]),
            f=None if term == RESIDUAL else float(row["F"]),
            p=None if term == RESIDUAL else float(row["PR(>F)"]),
        )
        for term, row in table.iterrows()
    ]


def _plain(term: str) -> str:
    return ":".join(part.removeprefix("C(").removesuffix(")") for part in term.split(":"))
