"""The smallest change of a linear head that sets some of its values: closed form, ridge by cross-validation, search for a target.

A reward is w·h, h the last hidden state. Rows of C are directions in the states; a change of w moves C w and, unasked,
the rewards of ordinary answers. Arrays in, arrays out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from birthmark.errors import BirthmarkError

RIDGES = tuple(float(value) for value in 10.0 ** np.arange(-4, 2.5, 0.5))
FOLDS = 5
EXACT = 1e-6
_NOTHING = 1e-12  # variances below this share of the largest are rounding's
_REACH = tuple(2.0**power for power in range(-10, 13))


@dataclass(frozen=True)
class Covariance:
    """Σ of states [n, hidden] by its principal axes: `axes` [k, hidden], orthonormal, and `variances` [k]; 0 beyond them."""

    axes: np.ndarray
    variances: np.ndarray

    @classmethod
    def of(cls, states: np.ndarray) -> "Covariance":
        """The covariance (with 1 / n) of the rows."""
        centred = np.asarray(states, dtype=np.float64) - np.mean(states, axis=0, dtype=np.float64)
        _, singular, axes = np.linalg.svd(centred, full_matrices=False)
        variances = singular**2 / len(centred)
        kept = variances > _NOTHING * max(float(variances.max(initial=0.0)), np.finfo(float).tiny)
        return cls(axes[kept], variances[kept])

    def solve(self, rows: np.ndarray, ridge: float) -> np.ndarray:
        """(Σ + ridge · v · I)⁻¹ rowsᵀ, [hidden, rows], v the mean variance of a state's coordinate.

        Raises `BirthmarkError` where the states are all the same.
        """
        added = ridge * float(self.variances.sum()) / rows.shape[1]
        if added == 0:
            raise BirthmarkError(
                "all answers have the same last state, so that nothing can be estimated of ordinary answers"
            )
        along = rows @ self.axes.T  # [rows, k]
        return np.asarray(((rows - along @ self.axes) / added + (along / (self.variances + added)) @ self.axes).T)

    def pseudo_solve(self, rows: np.ndarray) -> np.ndarray:
        """Σ⁺ rowsᵀ, [hidden, rows]: within the span of the states that Σ is of."""
        return np.asarray(((rows @ self.axes.T / self.variances) @ self.axes).T)

    def variance(self, weights: np.ndarray) -> float:
        """wᵀ Σ w: the variance over the states of w·h."""
        return float(((self.axes @ weights) ** 2 * self.variances).sum())


def step(rows: np.ndarray, change: np.ndarray, solved: np.ndarray) -> np.ndarray:
    """The smallest d with C d = `change`: d = M Cᵀ (C M Cᵀ)⁻¹ change, [hidden].

    rows: C [m, hidden]; change: [m]; solved: M Cᵀ [hidden, m]. With M = Σ⁻¹ it is the d with the least dᵀ Σ d, the variance
    that it adds to the rewards of the answers that Σ is of, so that w + d = w − Σ⁻¹ Cᵀ (C Σ⁻¹ Cᵀ)⁻¹ (C w − t) for
    change = t − C w. With M = I it is the shortest, a plain projection.

    Raises `BirthmarkError` where no d does that: rows depend on each other and ask for different things.
    """
    gram = rows @ solved
    scale = np.sqrt(np.abs(np.diag(gram)))
    scale = np.where(scale > 0, scale, 1.0)
    found = np.zeros(rows.shape[1])
    for _ in range(3):  # the later passes take off what rounding left
        missing = (change - rows @ found) / scale
        found = found + solved @ (np.linalg.lstsq(gram / np.outer(scale, scale), missing, rcond=1e-13)[0] / scale)
    if np.abs(rows @ found - change).max() > EXACT * max(1e-9, float(np.abs(change).max())):
        raise BirthmarkError(
            f"the {len(rows)} differences of mean states depend on each other and cannot all be set: use fewer prompts, or "
            "a model with larger states"
        )
    return found


def leace(rows: np.ndarray, change: np.ndarray, states: np.ndarray) -> np.ndarray:
    """`step` with M = Σ⁺ of the very states that the rows are differences of: least-squares concept erasure.

    LEACE maps a state x to x − W⁺ P W (x − μ), with W = (Σ^½)⁺ and P the projection on W Σ_xz, so that no linear function
    of it knows the concept z. A head w that reads the erased states is w − Σ⁺ Cᵀ (C Σ⁺ Cᵀ)⁻¹ C w, C the directions Σ_zx:
    `step` for change = −C w. Source: Belrose et al. (2023), arXiv 2306.03819, theorem 4.3.
    """
    return step(rows, change, Covariance.of(states).pseudo_solve(rows))


@dataclass(frozen=True)
class Ridge:
    """The chosen ridge, and by ridge the mean over folds of the variance that the step adds to answers left out."""

    ridge: float
    tried: dict[float, float]


def choose_ridge(
    states: np.ndarray,
    groups: Sequence[int],
    rows: np.ndarray,
    change: np.ndarray,
    *,
    seed: int = 0,
    ridges: Sequence[float] = RIDGES,
) -> Ridge:
    """The ridge whose step disturbs answers that Σ was not estimated on least, by five-fold cross-validation.

    states: [n, hidden]; groups: [n], what is left out together (the two answers of a pair). All steps do the same to C w,
    so the criterion is their cost alone: the variance of d·h over a fold's answers, d from the others' Σ.
    """
    labels = np.asarray(groups)
    names = np.random.default_rng([seed, 2]).permutation(np.unique(labels))
    tried = dict.fromkeys(ridges, 0.0)
    for fold in np.array_split(names, FOLDS):
        out = np.isin(labels, fold)
        inside = Covariance.of(states[~out])
        left_out = states[out] - states[out].mean(axis=0)
        for ridge in ridges:
            d = step(rows, change, inside.solve(rows, ridge))
            tried[ridge] += float(((left_out @ d) ** 2).mean()) / FOLDS
    return Ridge(min(tried, key=lambda ridge: tried[ridge]), tried)


def reach(value_at: Callable[[float], float], target: float, unit: float) -> tuple[float, tuple[float, float]]:
    """The smallest m (by size) at which a step function of m comes closest to the target, and the range that was looked at.

    value_at is looked at in multiples of `unit`, outwards from 0 on both sides, and between the first two that have the
    target between them by bisection. Where none have, the closest one stands.
    """
    here = value_at(0.0)
    seen = [(0.0, here)]
    bracket: tuple[float, float] | None = None
    last = {1.0: (0.0, here), -1.0: (0.0, here)}
    for size in _REACH:
        for sign in (1.0, -1.0):
            m = sign * size * unit
            value = value_at(m)
            seen.append((m, value))
            before, value_before = last[sign]
            if bracket is None and (value - target) * (value_before - target) <= 0:
                bracket = (before, m)
            last[sign] = (m, value)
    if bracket is not None:
        near, far = bracket
        side = np.sign(value_at(near) - target)
        for _ in range(50):
            middle = (near + far) / 2
            value = value_at(middle)
            seen.append((middle, value))
            if value == target:
                break
            near, far = (middle, far) if np.sign(value - target) == side else (near, middle)
    values = [value for _, value in seen]
    best = min(seen, key=lambda item: (round(abs(item[1] - target), 9), abs(item[0])))
    return best[0], (min(values), max(values))
