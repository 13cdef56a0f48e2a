"""How much reward models that share a base checkpoint resemble each other: nested analysis of variance.

    y = family + base(family) + rm,   base ~ N(0, σ_b²), rm ~ N(0, σ_rm²)

Knows nothing of where a model's value comes from.
Source: Searle, Casella and McCulloch (1992), Variance Components, section 3.6 (unbalanced one-way) within families.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from birthmark.errors import BirthmarkError


@dataclass(frozen=True)
class NestedVariance:
    """sd_base and sd_rm in the values' units; icc = σ_b² / (σ_b² + σ_rm²); F of base within family and its p.

    A negative estimate of σ_b² counts as 0. Null where a degree of freedom is missing: everything but `sd_rm` where no
    family has two bases, everything where no base has two models. Constant values: SDs 0, icc and F null, p 1.
    """

    sd_base: float | None
    sd_rm: float | None
    icc: float | None
    f: float | None
    p: float | None
    df_base: int
    df_rm: int


def effective_number(bases: Sequence[str], families: Sequence[str], icc: float) -> float:
    """How many independent models would tell as much of their families' means as these, which cluster by base.

    Of a family with n models, n_b on base b: 1 / (icc Σ_b (n_b / n)² + (1 − icc) / n), the variance of one model's value
    over that of the family's mean; summed over families. From the number of bases, where icc is 1 and each has as many
    models, up to the number of models, where it is 0.
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
    """Nested ANOVA of [n] values by base checkpoint within family, unbalanced.

    E[MS base] = σ_rm² + n₀ σ_b², n₀ = (N − Σ_f Σ_b∈f n_b² / n_f) / (bases − families); E[MS rm] = σ_rm².
    Raises `BirthmarkError` where a base is in two families.
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
    p = float(stats.f.sf(f_ratio, df_base, df_rm)) if f_ratio is not None else (1.0 if ms_base == 0 else None)
    return NestedVariance(float(np.sqrt(variance)), float(np.sqrt(ms_rm)), icc, f_ratio, p, df_base, df_rm)
