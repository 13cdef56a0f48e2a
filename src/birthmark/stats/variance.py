"""Analysis of variance: models nested in base checkpoints, crossed random effects, three fixed factors.

Nested:   y = family + base(family) + rm,   base ~ N(0, σ_b²), rm ~ N(0, σ_r²): how similar models on one base are.
Crossed:  R[i, j, k] is the rank of word j by model i under prompt k. Models, words and prompts are all samples, and levels
may cross (a word is the same word for both families). For a set S of modes, V_S is the variance of the estimate if only
the modes in S were resampled. The V_S are combined by inclusion and exclusion, see `crossed_variance`.
Three-way: Type II sums of squares by statsmodels.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.stats.results import AnovaTerm


@dataclass(frozen=True)
class NestedVariance:
    """sd_base and sd_rm in the values' units; icc = σ_b² / (σ_b² + σ_rm²); F of base within family and its p.

    A negative estimate of σ_b² is set to 0. Without degrees of freedom, results are null: everything but `sd_rm` if no
    family has two bases, everything if no base has two models. Constant values: SDs 0, icc and F null, p 1.
    """

    sd_base: float | None
    sd_rm: float | None
    icc: float | None
    f: float | None
    p: float | None
    df_base: int
    df_rm: int


def effective_number(bases: Sequence[str], families: Sequence[str], icc: float) -> float:
    """Effective sample size: the number of independent models as informative about family means as these clustered ones.

    bases, families: [models]. For a family with n models, n_b of them on base b: 1 / (icc Σ_b (n_b / n)² + (1 − icc) / n),
    the variance of one model's value divided by that of the family's mean; summed over families. It is the number of
    models at icc = 0 and, if all bases of a family have equally many models, the number of bases at icc = 1.
    Source: Kish (1965), Survey Sampling, design effects.
    """
    base, family = np.asarray(bases, dtype=str), np.asarray(families, dtype=str)
    total = 0.0
    for name in sorted(set(family.tolist())):
        sizes = np.unique(base[family == name], return_counts=True)[1]
        n = sizes.sum()
        total += 1.0 / float(icc * ((sizes / n) ** 2).sum() + (1.0 - icc) / n)
    return total


def nested_variance(
    values: Sequence[float] | np.ndarray, bases: Sequence[str], families: Sequence[str]
) -> NestedVariance:
    """Nested ANOVA of values by base checkpoint within family; the design may be unbalanced.

    values, bases, families: [models]. E[MS rm] = σ_rm² and E[MS base] = σ_rm² + n₀ σ_b², with
    n₀ = (N − Σ_f Σ_b∈f n_b² / n_f) / (bases − families).

    Raises `BirthmarkError` if a base is in two families.
    Source: Searle, Casella and McCulloch (1992), Variance Components.
    """
    y = np.asarray(values, dtype=float)
    base, family = np.asarray(bases, dtype=str), np.asarray(families, dtype=str)
    family_of: dict[str, str] = {}
    for b, f in zip(base.tolist(), family.tolist(), strict=True):
        if family_of.setdefault(b, f) != f:
            raise BirthmarkError(f"base checkpoint {b} is in two families ({family_of[b]}, {f}): give it one")
    ss_base = ss_rm = squares = 0.0
    for b, f in sorted(family_of.items()):
        of_base, of_family = y[base == b], y[family == f]
        ss_rm += float(((of_base - of_base.mean()) ** 2).sum())
        ss_base += len(of_base) * float(of_base.mean() - of_family.mean()) ** 2
        squares += len(of_base) ** 2 / len(of_family)
    df_base, df_rm = len(family_of) - len(set(family_of.values())), len(y) - len(family_of)
    floor = 1e-24 * len(y) * float(np.abs(y).max(initial=0.0)) ** 2
    ss_base, ss_rm = (0.0 if ss <= floor else ss for ss in (ss_base, ss_rm))
    if not df_rm:
        return NestedVariance(None, None, None, None, None, df_base, df_rm)
    ms_rm = ss_rm / df_rm
    if not df_base:
        return NestedVariance(None, float(np.sqrt(ms_rm)), None, None, None, df_base, df_rm)
    ms_base = ss_base / df_base
    variance = max(0.0, (ms_base - ms_rm) / ((len(y) - squares) / df_base))
    icc = variance / (variance + ms_rm) if variance + ms_rm > 0 else None
    f_ratio = ms_base / ms_rm if ms_rm > 0 else None
    p = float(scipy.stats.f.sf(f_ratio, df_base, df_rm)) if f_ratio is not None else (1.0 if ms_base == 0 else None)
    return NestedVariance(float(np.sqrt(variance)), float(np.sqrt(ms_rm)), icc, f_ratio, p, df_base, df_rm)


MODES = ("model", "word", "prompt")


@dataclass(frozen=True)
class Group:
    """The levels of one group of a mode: their positions, the weight of each, and their clusters, numbered from 0."""

    members: np.ndarray  # [n] positions along the axis
    weight: float  # the group's sign / n
    cluster: np.ndarray  # [n]
    n_clusters: int


@dataclass(frozen=True)
class Mode:
    """One axis of the ranks: its two groups, and the weight of every level [levels]."""

    name: str
    groups: tuple[Group, Group]
    weights: np.ndarray


@dataclass(frozen=True)
class CrossedVariance:
    """A contrast (b − a) in ranks with its standard error, Satterthwaite df, two-sided t-test and 95% interval.

    `variances`: V_S by name (`model`, `word`, …, `model_word_prompt`), in squared ranks; V is their alternating sum.
    `truncated`: the sum was zero or negative, so the largest single-mode V, a lower bound in expectation, is used instead.
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

    V = Σ_S (−1)^(|S| + 1) V_S over the nonempty sets S of random modes; SE = √V, in ranks; df by Satterthwaite over the
    mean squares.

    ranks: [models, words, prompts]; families [models], categories [words], framings [prompts]: two values each. The
    contrast is second − first family, first − second category (both alphabetical), and `positive` − `negative`. A word in
    both categories has a row in each.
    …_clusters: labels of the sampled units, if these are not the levels (word stems, prompt adjectives, base checkpoints).
    Deviations are summed within a cluster and group before squaring, and n is the number of clusters.
    random: the modes that are samples; the others are fixed. pooled: mean squares are pooled over groups, as in a model with
    one variance for all families; otherwise every family, category and framing has its own.

    Raises `BirthmarkError` if a mode does not have two groups, a group of a random mode has one level (or cluster), a rank
    is missing, or nothing varies.
    """
    values = np.asarray(ranks, dtype=float)
    if not np.isfinite(values).all():
        raise BirthmarkError(
            "the crossed variance needs a rank for every model, word and prompt: remove those with missing ranks"
        )
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
    reach = float(scipy.stats.t.ppf(0.975, df)) * se
    p = float(2 * scipy.stats.t.sf(abs(t), df))
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
            f"the crossed variance needs two {mode.name}s (or clusters of them) in every group; one group has only one"
        )


def _contract(values: np.ndarray, modes: Sequence[Mode], axes: Collection[int]) -> np.ndarray:
    """The weighted sum over these axes, with the modes' weights; the other axes stay, in order."""
    for axis in sorted(axes, reverse=True):
        values = np.moveaxis(values, axis, -1) @ modes[axis].weights
    return values


def _mean_squares(
    values: np.ndarray, modes: Sequence[Mode], subset: tuple[int, ...], pooled: bool
) -> list[tuple[float, int]]:
    """The parts of V_S, one for each combination of groups of the modes in S (or one pooled): (contribution, df)."""
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
    """Sums of `block` along `axis` within the group's clusters; the axis then has length `n_clusters`."""
    if group.n_clusters == block.shape[axis]:
        return block
    order = np.argsort(group.cluster, kind="stable")
    starts = np.searchsorted(group.cluster[order], np.arange(group.n_clusters))
    return np.add.reduceat(np.take(block, order, axis=axis), starts, axis=axis)


RESIDUAL = "Residual"


def three_way_anova(values: Sequence[float] | np.ndarray, factors: Mapping[str, Sequence[str]]) -> list[AnovaTerm]:
    """Type II analysis of variance of first × second × third: each term by its number of factors, then `Residual`.

    values: [n]; factors: three names (Python identifiers) → [n] labels. A term's sum of squares is what it adds to a fit of
    all terms that do not contain it; F uses the residual of the full fit. In a balanced design Types I, II and III are
    equal. `term` is the factors' names joined by `:`. The list is empty if the fit leaves no residual, because F is then
    undefined.

    Raises `BirthmarkError` for any other number of factors, a factor with one level, or a value that is not finite.
    Source: Langsrud (2003), Statistics and Computing 13, 163–167.
    """
    import pandas as pd  # slow to import, like statsmodels' formulas; few commands need them
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    numbers = np.asarray(values, dtype=float)
    if len(factors) != 3 or not all(name.isidentifier() for name in factors):
        raise BirthmarkError(f"a three-way analysis of variance takes three named factors, not {', '.join(factors)}")
    if not np.isfinite(numbers).all():
        raise BirthmarkError("a value to analyse is missing or infinite: remove or fix it")
    for name, labels in factors.items():
        if len(set(labels)) < 2:
            raise BirthmarkError(f"an analysis of variance needs at least two levels of {name}; there is one")
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
