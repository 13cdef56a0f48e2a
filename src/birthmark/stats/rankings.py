"""Rank-biased overlap, multidimensional scaling and regression on distance matrices.

The entries of a distance matrix are not independent, so nothing here treats them as a sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from birthmark.errors import BirthmarkError

MAX_STEPS = 1_000  # of majorization


@dataclass(frozen=True)
class MatrixTest:
    """One predictor: its coefficient and p given the others (MRQAP), and its correlation and p alone (Mantel)."""

    coefficient: float
    p: float
    simple_r: float
    simple_p: float


def classical_scaling(distance: np.ndarray, dimensions: int = 2) -> np.ndarray:
    """Coordinates [n, dimensions] whose distances approximate `distance` [n, n]: Torgerson's classical scaling.

    Axes are in order of decreasing variance. Each is signed so that its coordinate of largest absolute value is positive.
    Source: Torgerson (1952), Psychometrika 17, 401–419.
    """
    n = len(distance)
    centring = np.eye(n) - 1.0 / n
    inner = -0.5 * centring @ distance**2 @ centring
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    order = np.argsort(values)[::-1][:dimensions]
    places = vectors[:, order] * np.sqrt(np.maximum(values[order], 0.0))
    if places.shape[1] < dimensions:
        places = np.pad(places, ((0, 0), (0, dimensions - places.shape[1])))
    return _signed(places)


def least_stress(distance: np.ndarray) -> np.ndarray:
    """Coordinates [n, 2] of low `stress`, by majorization (SMACOF) starting from `classical_scaling`.

    distance: [n, n]. No step increases the stress; iteration stops when a step decreases it by less than 1e-10. If all
    distances are about equal, classical scaling draws points much too close together; this does not. Axes as in
    `classical_scaling`. Source: de Leeuw (1977); Borg and Groenen (2005), chapter 8.
    """
    places = classical_scaling(distance, 2)
    before = stress(distance, places)
    for _ in range(MAX_STEPS):
        mapped = np.linalg.norm(places[:, None] - places[None, :], axis=-1)
        ratio = np.divide(distance, mapped, out=np.zeros_like(distance), where=mapped > 1e-12)
        np.fill_diagonal(ratio, 0.0)
        places = (np.diag(ratio.sum(axis=1)) - ratio) @ places / len(distance)  # Guttman's transform
        after = stress(distance, places)
        if before - after < 1e-10:
            break
        before = after
    centred = places - places.mean(axis=0)
    return _signed(centred @ np.linalg.svd(centred, full_matrices=False)[2].T)


def _signed(places: np.ndarray) -> np.ndarray:
    """The coordinates, each axis signed so that its coordinate of largest absolute value is positive."""
    signs = np.sign(places[np.abs(places).argmax(axis=0), np.arange(places.shape[1])])
    return np.asarray(places * np.where(signs == 0, 1.0, signs), dtype=np.float64)


def stress(distance: np.ndarray, places: np.ndarray) -> float:
    """Kruskal's stress-1 of a map: √(Σ(d − d̂)² / Σd²) over pairs, with d̂ the map's distances. 0 is a perfect fit.

    distance: [n, n]; places: coordinates [n, dimensions].
    """
    pairs = np.triu_indices_from(distance, 1)
    mapped = np.linalg.norm(places[:, None] - places[None, :], axis=-1)[pairs]
    original = distance[pairs]
    total = float((original**2).sum())
    return float(np.sqrt(((original - mapped) ** 2).sum() / total)) if total else 0.0


def matrix_regression(
    outcome: np.ndarray, predictors: Sequence[np.ndarray], *, shuffles: int = 4_999, seed: int = 0
) -> list[MatrixTest]:
    """Least squares of the pairs of one symmetric matrix on those of others, with p by permuting rows and columns.

    Given the others: double semi-partialling. The predictor's residual on the other predictors is arranged as a matrix, its
    rows and columns are permuted together, and |t| of its coefficient is compared. Alone: the predictor's rows and columns
    are permuted together, and |r| is compared. Both are two-sided, p = (b + 1) / (shuffles + 1).

    outcome, predictors: [n, n] symmetric; the diagonal is ignored.

    Raises `BirthmarkError` if there are too few pairs, or a predictor is constant or determined by the others.
    Source: Dekker, Krackhardt and Snijders (2007), Psychometrika 72; Mantel (1967), Cancer Research 27.
    """
    n = len(outcome)
    pairs = np.triu_indices(n, 1)
    y = outcome[pairs]
    x = np.column_stack([matrix[pairs] for matrix in predictors])  # [pairs, predictors]
    ones = np.ones((len(y), 1))
    if len(y) < x.shape[1] + 3 or np.linalg.matrix_rank(np.hstack([ones, x])) < x.shape[1] + 1:
        raise BirthmarkError("matrix regression needs more pairs than predictors, and none determined by the others")
    rng = np.random.default_rng(seed)
    orders = np.stack([rng.permutation(n) for _ in range(shuffles)])
    return [_test(y, x, at, orders, pairs) for at in range(x.shape[1])]


def _test(
    y: np.ndarray, x: np.ndarray, at: int, orders: np.ndarray, pairs: tuple[np.ndarray, np.ndarray]
) -> MatrixTest:
    others = np.hstack([np.ones((len(y), 1)), np.delete(x, at, axis=1)])
    basis, _ = np.linalg.qr(others)
    y_left = y - basis @ (basis.T @ y)
    x_left = x[:, at] - basis @ (basis.T @ x[:, at])
    coefficient = float(x_left @ y_left / (x_left @ x_left))
    shuffled = _permuted(x_left, orders, pairs)  # [shuffles, pairs]
    shuffled = shuffled - (shuffled @ basis) @ basis.T
    # |t| increases with the partial correlation, so the latter is compared
    partial = np.abs(shuffled @ y_left) / np.linalg.norm(shuffled, axis=1)
    observed = abs(x_left @ y_left) / np.linalg.norm(x_left)
    centred_y, centred_x = y - y.mean(), x[:, at] - x[:, at].mean()
    simple = float(centred_x @ centred_y / np.sqrt((centred_x @ centred_x) * (centred_y @ centred_y)))
    alone = np.abs(_permuted(centred_x, orders, pairs) @ centred_y)
    return MatrixTest(coefficient, _share(partial, observed), simple, _share(alone, abs(float(centred_x @ centred_y))))


def _permuted(values: np.ndarray, orders: np.ndarray, pairs: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The pairs' values with rows and columns of their matrix permuted by each order: [orders, pairs]."""
    n = orders.shape[1]
    matrix = np.zeros((n, n))
    matrix[pairs] = values
    matrix += matrix.T
    return matrix[orders[:, pairs[0]], orders[:, pairs[1]]]


def _share(drawn: np.ndarray, observed: float) -> float:
    return float((np.count_nonzero(drawn >= observed * (1 - 1e-10)) + 1) / (len(drawn) + 1))


NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class OverlapProfile:
    """Probabilities of being among the first d items: `chance` [k, depths] of the `items` [k] that have any; `n` in all."""

    items: np.ndarray
    chance: np.ndarray
    n: int
    p: float


def overlap_profile(ranks: np.ndarray, p: float) -> OverlapProfile:
    """Prepare one ranking for `rank_biased_overlap`.

    ranks: [n] average ranks, 1 is best; p: persistence, between 0 and 1, both excluded. Depths go to n or to where p^depth
    is negligible (1e-12).

    Raises `BirthmarkError` for any other p.
    """
    if not 0 < p < 1:
        raise BirthmarkError(f"the persistence of rank-biased overlap must be between 0 and 1, not {p:g}")
    n = len(ranks)
    depth = min(n, int(np.ceil(np.log(NEGLIGIBLE) / np.log(p))))
    _, inverse, sizes = np.unique(ranks, return_inverse=True, return_counts=True)
    before = np.cumsum(sizes) - sizes  # items ahead of each tie group
    inside = before[inverse] < depth
    items = np.flatnonzero(inside)
    group = inverse[items]
    reached = np.arange(1, depth + 1)[None, :] - before[group][:, None]  # places of the group among the first d
    return OverlapProfile(items, np.clip(reached / sizes[group][:, None], 0.0, 1.0), n, p)


def rank_biased_overlap(a: OverlapProfile, b: OverlapProfile) -> float:
    """Rank-biased overlap of two prepared rankings of the same items, extrapolated, averaged over the orders of ties.

    RBO = (1 − p) Σ_d p^(d−1) A_d + p^D A_D, with A_d the expected overlap of the first d items divided by d and D the last
    depth: items below D are assumed to agree as at D (exactly 1 at D = n). It is 1 for the same order without ties and
    near 0 for opposite tops.

    Raises `BirthmarkError` if the rankings differ in length or p.
    Source: Webber, Moffat and Zobel (2010), ACM Transactions on Information Systems 28.
    """
    if (a.n, a.p) != (b.n, b.p):
        raise BirthmarkError("rank-biased overlap needs two rankings of the same items with the same p")
    _, in_a, in_b = np.intersect1d(a.items, b.items, assume_unique=True, return_indices=True)
    depth = a.chance.shape[1]
    agreement = (a.chance[in_a] * b.chance[in_b]).sum(axis=0) / np.arange(1, depth + 1)
    weights = (1 - a.p) * a.p ** np.arange(depth)
    return float(weights @ agreement + a.p**depth * agreement[-1])
