"""Results that the JSON files hold as they are; this module imports no library, so that reading records stays fast."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """A fixed term of a mixed model (a column of X): its estimate, standard error and two-sided t-test."""

    term: str
    estimate: float
    se: float
    df: float
    t: float
    p: float


@dataclass(frozen=True)
class AnovaTerm:
    """A row of a Type II analysis of variance: a term, or `Residual`.

    `f` = (sum_sq / df) / (residual sum_sq / residual df); null for the residual.
    """

    term: str
    sum_sq: float
    df: int
    f: float | None
    p: float | None


@dataclass(frozen=True)
class Without:
    """An estimate with something left out; null, with the reason in `why`, where it cannot be computed then."""

    left_out: str
    estimate: float | None
    why: str | None = None
