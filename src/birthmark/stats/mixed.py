"""A linear mixed model with one random intercept, matching R's `nlme::lme` to the last digits.

    y = X β + u[group] + e,   u ~ N(0, σ² θ),   e ~ N(0, σ²)

X is the full factorial of the factors in treatment contrasts. Only θ needs a numerical search: given θ, V = I + θ 11'
within a group has a closed-form inverse, so β, σ² and the likelihood are closed forms of cross-products computed once per
group. The root of the score in θ is bracketed on a grid and found by Brent's method. If the likelihood decreases from
θ = 0, the optimum is the boundary, which is least squares.

Source: Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, chapter 2; degrees of freedom: section 2.4.2.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.stats.results import Term

Method = Literal["REML", "ML"]

# Variance ratios at which the score is evaluated first; the optimum is then found between two of them.
THETA_GRID = np.concatenate([[0.0], np.logspace(-6, 9, 46)])

NOTHING_TO_FIT = "the mixed model cannot be fitted: the response does not vary within models and cells"


@dataclass(frozen=True)
class MixedModelFit:
    """A fitted model. `covariance` [terms, terms] is that of the estimates; `sd_model` is the random intercept's SD.

    `factors`: those that each term is made of, none for the intercept.
    """

    method: Method
    n_obs: int
    n_groups: int
    terms: tuple[Term, ...]
    factors: tuple[frozenset[str], ...]
    covariance: np.ndarray
    sd_model: float
    sd_residual: float
    loglik: float


@dataclass(frozen=True)
class JointF:
    """A joint Wald F test of several terms."""

    f: float
    df_num: int
    df_den: int
    p: float


@dataclass(frozen=True)
class GroupedData:
    """Cross-products of one response by group: the part of a fit that does not depend on the groups' labels.

    With J groups and q columns of the factorial of `within`: `sizes` [J], `wtw` [J, q, q], `wty` [J, q], `wt1` [J, q].
    y is centred on `y_mean`; `yty` is the sum of squares of the centred y.
    """

    groups: tuple[str, ...]
    within: Mapping[str, tuple[str, ...]]
    sizes: np.ndarray
    wtw: np.ndarray
    wty: np.ndarray
    wt1: np.ndarray
    yty: float
    y_mean: float
    y_scale: float


def fit_mixed_model(
    y: Sequence[float] | np.ndarray,
    factors: Mapping[str, Sequence[str]],
    groups: Sequence[str],
    between: Collection[str],
    method: Method = "REML",
    levels: Mapping[str, Sequence[str]] | None = None,
) -> MixedModelFit:
    """Fit y ~ full factorial of `factors` + (1 | groups).

    y: [n] responses; factors: name → [n] labels, in the order of the formula; groups: [n] labels; between: the factors
    that are constant within a group; levels: name → levels in order, the first being the reference (default: sorted).
    Estimates, standard errors and SDs are in the units of y.

    Standard errors are nlme's: under ML they include the factor √(N / (N − p)). Degrees of freedom are by containment: a
    term whose factors are all in `between` has groups − between columns; all others and the intercept have
    N − groups − other columns.

    Raises `BirthmarkError` if y is not finite, a factor has one level, a cell is empty, a `between` factor is unknown or
    varies within a group, no degrees of freedom are left between or within groups, or y has no variance left to fit.
    Source: Pinheiro and Bates (2000), chapter 2.
    """
    unknown = set(between) - set(factors)
    if unknown:
        raise BirthmarkError(f"the between factor {min(unknown)} is not among the factors")
    levels = levels or {}
    labels = {name: np.asarray(values, dtype=str) for name, values in factors.items()}
    data = group_cross_products(
        y, {name: values for name, values in labels.items() if name not in between}, groups, levels
    )
    group_labels = np.asarray(groups, dtype=str)
    of_groups = {name: _label_by_group(name, labels[name], group_labels) for name in labels if name in between}
    return fit_grouped(data, of_groups, method, {**levels}, order=tuple(factors))


def group_cross_products(
    y: Sequence[float] | np.ndarray,
    within: Mapping[str, Sequence[str] | np.ndarray],
    groups: Sequence[str],
    levels: Mapping[str, Sequence[str]] | None = None,
) -> GroupedData:
    """Compute the part of a fit that does not depend on between-group labels once, to call `fit_grouped` many times.

    y: [n]; within: name → [n] labels; groups: [n] labels; levels: as in `fit_mixed_model`.

    Raises `BirthmarkError` if y is not finite or a factor has one level.
    """
    response = np.asarray(y, dtype=float)
    if not np.isfinite(response).all():
        raise BirthmarkError("the mixed model's response has missing or infinite values: remove or fix them")
    columns, level_names = [], {}
    for name, values in within.items():
        level_names[name] = _levels_of(name, values, (levels or {}).get(name))
        columns.append(_treatment_columns(np.asarray(values, dtype=str), level_names[name]))
    design = _factorial(columns, len(response))  # [n, q]
    group_labels = np.asarray(groups, dtype=str)
    names = sorted(set(group_labels.tolist()))
    mean = float(response.mean())
    centred = response - mean
    rows = [group_labels == name for name in names]
    return GroupedData(
        groups=tuple(names),
        within=level_names,
        sizes=np.array([row.sum() for row in rows], dtype=float),
        wtw=np.stack([design[row].T @ design[row] for row in rows]),
        wty=np.stack([design[row].T @ centred[row] for row in rows]),
        wt1=np.stack([design[row].sum(axis=0) for row in rows]),
        yty=float(centred @ centred),
        y_mean=mean,
        y_scale=float(np.abs(response).max()),
    )


def fit_grouped(
    data: GroupedData,
    between: Mapping[str, Mapping[str, str]],
    method: Method = "REML",
    levels: Mapping[str, Sequence[str]] | None = None,
    order: Sequence[str] | None = None,
) -> MixedModelFit:
    """Fit with one label per group: `between` maps factor → group → label.

    order: the factors in the order of the formula (default: those of `between`, then those within). Standard errors,
    degrees of freedom and errors raised are those of `fit_mixed_model`.
    """
    labels = {name: np.array([mapping[group] for group in data.groups]) for name, mapping in between.items()}
    all_levels = dict(data.within)
    for name, values in labels.items():
        all_levels[name] = _levels_of(name, values, (levels or {}).get(name))
    columns = [_treatment_columns(values, all_levels[name]) for name, values in labels.items()]
    rows = _factorial(columns, len(data.groups))  # [J, r]

    storage = _term_grid([*data.within, *between], all_levels)
    terms = _terms_in_r_order(list(order or [*between, *data.within]), all_levels)
    index = [storage.index(frozenset(term.items())) for term in terms]
    p = len(index)
    xtx = np.einsum("jab,jc,jd->acbd", data.wtw, rows, rows).reshape(p, p)[np.ix_(index, index)]
    xty = np.einsum("ja,jc->ac", data.wty, rows).reshape(p)[index]
    sums = np.einsum("ja,jc->jac", data.wt1, rows).reshape(-1, p)[:, index]  # [J, p]: X_j' 1
    _check_rank(xtx)
    between_columns = rows.shape[1]
    return _fit(data, xtx, xty, sums, terms, set(between), between_columns, method)


def joint_f(fit: MixedModelFit, factors: Collection[str]) -> JointF:
    """The joint Wald F test of all terms of the interaction (or main effect) of exactly these factors.

    F = b' C⁻¹ b / k, with b the k estimates and C [k, k] their covariance, on k and the terms' containment df.

    Raises `BirthmarkError` if the model has no such term.
    """
    chosen = [i for i, of_term in enumerate(fit.factors) if of_term == frozenset(factors)]
    if not chosen:
        raise BirthmarkError(f"the mixed model has no term {' × '.join(factors)}")
    estimates = np.array([fit.terms[i].estimate for i in chosen])
    block = fit.covariance[np.ix_(chosen, chosen)]
    f = float(estimates @ np.linalg.solve(block, estimates)) / len(chosen)
    df = int(fit.terms[chosen[0]].df)
    return JointF(f, len(chosen), df, float(scipy.stats.f.sf(f, len(chosen), df)))


def _fit(
    data: GroupedData,
    xtx: np.ndarray,
    xty: np.ndarray,
    sums: np.ndarray,
    terms: list[dict[str, str]],
    between: set[str],
    between_columns: int,
    method: Method,
) -> MixedModelFit:
    n, p, n_groups = int(data.sizes.sum()), len(xty), len(data.groups)
    df_between = n_groups - between_columns
    df_within = n - n_groups - (p - between_columns)
    if df_between < 1 or df_within < 1:
        raise BirthmarkError(
            f"the mixed model needs more models than families: {n_groups} models in {between_columns} leave no "
            "degrees of freedom between models"
            if df_between < 1
            else f"the mixed model needs more observations than {n} for {n_groups} models and {p} terms"
        )
    profile = _Profile(data, xtx, xty, sums, method)
    if profile.solve(THETA_GRID[-1:])[2][0] <= 1e-12 * data.yty + 1e-20 * n * data.y_scale**2:
        raise BirthmarkError(NOTHING_TO_FIT)
    theta = profile.optimum()
    beta, inverse, rss = (found[0] for found in profile.solve(np.array([theta])))
    sigma2 = rss / (n - p if method == "REML" else n)
    covariance = inverse * rss / (n - p)
    se = np.sqrt(np.diag(covariance))
    beta = beta.copy()
    beta[0] += data.y_mean
    fitted = []
    for term, b, s in zip(terms, beta, se, strict=True):
        df = df_between if term and set(term) <= between else max(df_within, df_between if not term else 0)
        name = ":".join(f"{factor}[{level}]" for factor, level in term.items()) or "(Intercept)"
        t = float(b / s)
        fitted.append(Term(name, float(b), float(s), float(df), t, float(2 * scipy.stats.t.sf(abs(t), df))))
    return MixedModelFit(
        method=method,
        n_obs=n,
        n_groups=n_groups,
        terms=tuple(fitted),
        factors=tuple(frozenset(term) for term in terms),
        covariance=covariance,
        sd_model=float(np.sqrt(sigma2 * theta)),
        sd_residual=float(np.sqrt(sigma2)),
        loglik=profile.loglik(theta),
    )


class _Profile:
    """The profile likelihood of θ, with β and σ² at their optimum: deviance up to a constant, and its derivative.

    With c_j = θ / (1 + n_j θ) and s_j = X_j' 1: X'V⁻¹X = X'X − Σ c_j s_j s_j', and likewise for X'y and y'y;
    deviance = Σ log(1 + n_j θ) + m log RSS [+ log |X'V⁻¹X| under REML], m = N − p under REML and N under ML.
    Methods take θ at any number of points: [k].
    """

    def __init__(self, data: GroupedData, xtx: np.ndarray, xty: np.ndarray, sums: np.ndarray, method: Method) -> None:
        self.sizes, self.yty, self.xtx, self.xty, self.sums = data.sizes, data.yty, xtx, xty, sums
        self.outer = np.einsum("jp,jq->jpq", sums, sums)
        self.y_sums = data.wty[:, 0]  # the first column of W is 1
        self.reml = method == "REML"
        self.m = data.sizes.sum() - (len(xty) if self.reml else 0)

    def solve(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """β̂ of centred y [k, p], (X'V⁻¹X)⁻¹ [k, p, p] and the generalised residual sum of squares [k]."""
        c = theta[:, None] / (1 + self.sizes * theta[:, None])  # [k, J]
        a = self.xtx - np.tensordot(c, self.outer, axes=1)
        b = self.xty - (c * self.y_sums) @ self.sums
        beta = np.linalg.solve(a, b[:, :, None])[:, :, 0]
        return beta, np.linalg.inv(a), self.yty - c @ self.y_sums**2 - (b * beta).sum(axis=1)

    def deviance(self, theta: np.ndarray) -> np.ndarray:
        _, inverse, rss = self.solve(theta)
        value = np.log1p(np.outer(theta, self.sizes)).sum(axis=1) + self.m * np.log(rss)
        return value - np.linalg.slogdet(inverse)[1] if self.reml else value

    def score(self, theta: np.ndarray) -> np.ndarray:
        """d deviance / d θ; β̂ is at its optimum, so RSS changes only through V."""
        beta, inverse, rss = self.solve(theta)
        inflation = 1 + np.outer(theta, self.sizes)  # [k, J]
        slope = inflation**-2.0  # d c_j / d θ
        residual_sums = self.y_sums - beta @ self.sums.T
        value = (self.sizes / inflation).sum(axis=1) - self.m * (slope * residual_sums**2).sum(axis=1) / rss
        if self.reml:
            value -= (slope * np.einsum("jpq,kpq->kj", self.outer, inverse)).sum(axis=1)
        return value

    def optimum(self) -> float:
        scores = self.score(THETA_GRID)
        minima = [0.0] if scores[0] >= 0 else []
        for i in np.flatnonzero((scores[:-1] < 0) & (scores[1:] >= 0)):
            low, high = THETA_GRID[i], THETA_GRID[i + 1]
            minima.append(
                scipy.optimize.brentq(lambda x: self.score(np.array([x]))[0], low, high, xtol=1e-16 * high, rtol=1e-14)
            )
        if not minima:
            raise BirthmarkError(NOTHING_TO_FIT)
        return minima[int(np.argmin(self.deviance(np.array(minima))))]

    def loglik(self, theta: float) -> float:
        """At the optimal β and σ², as nlme defines it: under REML without log |X'X|."""
        return float(-0.5 * (self.m * (np.log(2 * np.pi / self.m) + 1) + self.deviance(np.array([theta]))[0]))


def _levels_of(name: str, values: Sequence[str] | np.ndarray, given: Sequence[str] | None) -> tuple[str, ...]:
    seen = sorted({str(value) for value in values})
    levels = tuple(level for level in given if level in seen) if given else tuple(seen)
    if set(levels) != set(seen):
        raise BirthmarkError(f"{name} has a value that is not among its levels: {min(set(seen) - set(levels))}")
    if len(levels) < 2:
        raise BirthmarkError(f"the mixed model needs at least two levels of {name}; there is only {''.join(levels)}")
    return levels


def _treatment_columns(labels: np.ndarray, levels: Sequence[str]) -> np.ndarray:
    """[n, levels]: a column of ones, then an indicator of each level but the first."""
    return np.column_stack([np.ones(len(labels)), *((labels == level).astype(float) for level in levels[1:])])


def _factorial(columns: Sequence[np.ndarray], n: int) -> np.ndarray:
    """All products of one column of each factor, with the last factor's index varying fastest: [n, ∏ levels]."""
    design = np.ones((n, 1))
    for block in columns:
        design = (design[:, :, None] * block[:, None, :]).reshape(n, -1)
    return design


def _term_grid(names: Sequence[str], levels: Mapping[str, Sequence[str]]) -> list[frozenset[tuple[str, str]]]:
    """The terms in the order of the columns of `_factorial`."""
    choices = [[None, *levels[name][1:]] for name in names]
    return [
        frozenset((name, level) for name, level in zip(names, combination, strict=True) if level is not None)
        for combination in product(*choices)
    ]


def _terms_in_r_order(names: Sequence[str], levels: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Intercept, main effects, two-way, …; within an interaction the first factor's levels vary fastest."""
    terms: list[dict[str, str]] = []
    for size in range(len(names) + 1):
        for subset in combinations(names, size):
            for reverse in product(*(levels[name][1:] for name in reversed(subset))):
                terms.append(dict(zip(subset, reversed(reverse), strict=True)))
    return terms


def _label_by_group(name: str, labels: np.ndarray, groups: np.ndarray) -> dict[str, str]:
    by_group: dict[str, str] = {}
    for group, label in zip(groups.tolist(), labels.tolist(), strict=True):
        if by_group.setdefault(group, label) != label:
            raise BirthmarkError(f"{group} has two values of {name} ({by_group[group]}, {label}): give it one")
    return by_group


def _check_rank(xtx: np.ndarray) -> None:
    scale = np.sqrt(np.diag(xtx))
    if (scale == 0).any() or np.linalg.matrix_rank(xtx / np.outer(scale, scale), hermitian=True) < len(xtx):
        raise BirthmarkError("the mixed model has an empty cell: every combination of the factors needs observations")
