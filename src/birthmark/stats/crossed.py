"""The uncertainty of a contrast of mean ranks when models, words and prompts are all samples.

R[i, j, k] is the rank of word j by model i under prompt k. Models come in families, words in categories, prompts in
framings, and the contrast is multilinear, with weights that are ±1 / (number in its group):

    θ̂ = Σ_ijk a_i b_j c_k R[i, j, k]          (family b − a) of (category 1 − category 2) of (positive − negative)

Within each family × category × framing, R = μ + M_i + W_j + P_k + MW_ij + MP_ik + WP_jk + MWP_ijk, all random and
independent, with variances of their own in each cell, and each effect may be correlated over the cells that share its
levels (a word is the same word for both families). For a set S of modes let V_S be the variance of θ̂ that one would
report for a sample of S-combinations with the other modes fixed: contract the modes outside S with their weights,
centre the rest within groups along each mode of S, weight, square, sum, and divide by ∏ (1 − 1/n) of each group.
In one stratum of sizes I, J, K, writing σ² for the variances of the contracted effects,

    E V_M  = σ_M²/I + σ_MW²/IJ + σ_MP²/IK + σ_MWP²/IJK        (V_W, V_P alike)
    E V_MW = σ_MW²/IJ + σ_MWP²/IJK                             (V_MP, V_WP alike)
    E V_MWP = σ_MWP²/IJK

so every variance enters once in V = V_M + V_W + V_P − V_MW − V_MP − V_WP + V_MWP, which is therefore unbiased for the
variance of θ̂ in balanced crossings. Degrees of freedom by Satterthwaite over all mean squares. Knows nothing of scores.

Sources: Cornfield and Tukey (1956) for the crossed mean squares; Satterthwaite (1946); Cameron, Gelbach and Miller
(2011) for the same inclusion and exclusion with clusters.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from scipy import stats

from birthmark.errors import BirthmarkError

MODES = ("model", "word", "prompt")


@dataclass(frozen=True)
class Group:
    """The levels of one group of a mode: where they are, the weight of each, and their clusters, numbered from 0."""

    members: np.ndarray  # [n] positions along the axis
    weight: float  # the group's sign / n
    cluster: np.ndarray  # [n]
    n_clusters: int


@dataclass(frozen=True)
class Mode:
    """One axis of the ranks: its two groups, and the weights of all its levels [levels]."""

    name: str
    groups: tuple[Group, Group]
    weights: np.ndarray


@dataclass(frozen=True)
class CrossedVariance:
    """A contrast (b − a) in ranks with its standard error, Satterthwaite df, two-sided t-test and 95% interval.

    `variances`: V_S by name (`model`, `word`, …, `model_word_prompt`), in squared ranks: V is their alternating sum.
    `truncated`: the sum came out at or below zero, and the largest single-mode V, a lower bound in expectation, is used.
    """

    estimate: float
    se: float
    df: float
    t: float
    p: float
    ci_low: float
    ci_high: float
    variances: dict[str, float]
    truncated: bool = False


def crossed_variance(
    ranks: np.ndarray,
    families: Sequence[str],
    categories: Sequence[str],
    framings: Sequence[str],
    *,
    model_clusters: Sequence[str] | None = None,
    word_clusters: Sequence[str] | None = None,
    prompt_clusters: Sequence[str] | None = None,
    random: Collection[str] = MODES,
    pooled: bool = False,
) -> CrossedVariance:
    """Crossed variance of the family difference in the framing contrast of mean ranks.

    ranks: [models, words, prompts]; families [models], categories [words], framings [prompts]: two values each, the
    alphabetical first family and second category counting negative, and `positive` minus `negative`. A word of both
    categories has a row in each.
    …_clusters: labels of what was sampled instead (word stems, prompt adjectives, base checkpoints): deviations are
    added up within a cluster and group before squaring, and n is the number of clusters.
    random: the modes that are samples, the others are fixed. pooled: mean squares are pooled over groups (as a model
    with one variance for all families does), else every family, category and framing has its own.

    Raises `BirthmarkError` where a mode has other than two groups, a group of a random mode has one level (or
    cluster), a rank is missing, or nothing varies.
    """
    values = np.asarray(ranks, dtype=float)
    if not np.isfinite(values).all():
        raise BirthmarkError("the crossed variance needs a rank for every model, word and prompt: drop what lacks some")
    modes = (
        _mode("model", "families", families, model_clusters, (-1, 1)),
        _mode("word", "categories", categories, word_clusters, (1, -1)),
        _mode("prompt", "framings", framings, prompt_clusters, (-1, 1)),  # negative sorts before positive
    )
    chosen = [axis for axis, mode in enumerate(modes) if mode.name in random]
    for axis in chosen:
        _check_sampled(modes[axis])
    estimate = float(_contract(values, modes, range(3)))
    terms: list[tuple[float, int]] = []  # signed contributions of single mean squares to V, with their df
    variances: dict[str, float] = {}
    for size in range(1, len(chosen) + 1):
        for subset in combinations(chosen, size):
            parts = _mean_squares(values, modes, subset, pooled)
            variances["_".join(modes[axis].name for axis in subset)] = sum(part for part, _ in parts)
            terms += [((-1) ** (size + 1) * part, df) for part, df in parts]
    return _summary(estimate, terms, variances)


def _summary(estimate: float, terms: list[tuple[float, int]], variances: dict[str, float]) -> CrossedVariance:
    variance = sum(part for part, _ in terms)
    truncated = variance <= 0
    if truncated:
        variance = max(variances[name] for name in MODES if name in variances)
    if variance <= 0:
        raise BirthmarkError("the crossed variance is zero: the ranks do not vary over models, words or prompts")
    df = variance**2 / sum(part**2 / df for part, df in terms)
    se = float(np.sqrt(variance))
    t = estimate / se
    reach = float(stats.t.ppf(0.975, df)) * se
    p = float(2 * stats.t.sf(abs(t), df))
    return CrossedVariance(estimate, se, float(df), t, p, estimate - reach, estimate + reach, variances, truncated)


def _mode(
    name: str, plural: str, labels: Sequence[str], clusters: Sequence[str] | None, signs: tuple[int, int]
) -> Mode:
    names = np.asarray(labels, dtype=str)
    values = sorted(set(names.tolist()))
    if len(values) != 2:
        raise BirthmarkError(f"the crossed variance compares two {plural}; there are {len(values)}")
    sampled = np.arange(len(names)) if clusters is None else np.asarray(clusters, dtype=str)
    groups, weights = [], np.zeros(len(names))
    for value, sign in zip(values, signs, strict=True):
        members = np.flatnonzero(names == value)
        distinct, cluster = np.unique(sampled[members], return_inverse=True)
        groups.append(Group(members, sign / len(members), cluster, len(distinct)))
        weights[members] = sign / len(members)
    return Mode(name, (groups[0], groups[1]), weights)


def _check_sampled(mode: Mode) -> None:
    if min(group.n_clusters for group in mode.groups) < 2:
        raise BirthmarkError(
            f"the crossed variance needs two {mode.name}s (or clusters of them) in every group; one group has one"
        )


def _contract(values: np.ndarray, modes: Sequence[Mode], axes: Collection[int]) -> np.ndarray:
    """Σ over these axes with the modes' weights; the other axes stay, in order."""
    for axis in sorted(axes, reverse=True):
        values = np.moveaxis(values, axis, -1) @ modes[axis].weights
    return values


def _mean_squares(
    values: np.ndarray, modes: Sequence[Mode], subset: tuple[int, ...], pooled: bool
) -> list[tuple[float, int]]:
    """V_S as its parts, one a combination of groups of the modes in S (or one pooled part): (contribution, df)."""
    table = _contract(values, modes, [axis for axis in range(3) if axis not in subset])
    parts = []
    for groups in product(*(modes[axis].groups for axis in subset)):
        block = table[np.ix_(*(group.members for group in groups))]
        df, share, scale = 1, 1.0, 1.0
        for axis, group in enumerate(groups):
            block = _sum_clusters(block - block.mean(axis=axis, keepdims=True), axis, group)
            df *= group.n_clusters - 1
            share *= group.n_clusters / (group.n_clusters - 1) * group.weight**2
            scale /= len(group.members)
        parts.append((float((block**2).sum()) * share, df, scale))
    if not pooled:
        return [(contribution, df) for contribution, df, _ in parts]
    total_df = sum(df for _, df, _ in parts)
    mean_square = sum(df * contribution / scale for contribution, df, scale in parts) / total_df
    return [(mean_square * sum(scale for _, _, scale in parts), total_df)]


def _sum_clusters(block: np.ndarray, axis: int, group: Group) -> np.ndarray:
    """Sums of `block` along `axis` within the group's clusters: that axis becomes `n_clusters` long."""
    if group.n_clusters == block.shape[axis]:
        return block
    order = np.argsort(group.cluster, kind="stable")
    starts = np.searchsorted(group.cluster[order], np.arange(group.n_clusters))
    return np.add.reduceat(np.take(block, order, axis=axis), starts, axis=axis)
