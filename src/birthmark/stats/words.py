"""Two categories compared with words as the sample, models and prompts fixed: one test, and the interval that agrees with it.

Words of one stem are not independent, and categories differ in size and in spread. So whole stems are what is permuted,
and the statistic is studentized: Welch's t, whose standard error adds up deviations within a stem before squaring them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, comb

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.stats.permutation import TIE, label_arrangements

DRAWS = 9_999
ALPHA = 0.05


@dataclass(frozen=True)
class WordTest:
    """mean(first category) − mean(second) with its standard error, 95% interval and two-sided p, in the values' units.

    `p` < .05 exactly where the interval leaves 0 out. `n_stems`: of the first and of the second category. `permuted`: whether
    stems could be permuted; else p is Student's t's.
    """

    estimate: float
    se: float
    df: float
    ci_low: float
    ci_high: float
    p: float
    n_stems: tuple[int, int]
    permuted: bool


def place_values(ranks: np.ndarray, member: np.ndarray) -> np.ndarray:
    """A value for each place of a word in a category: how much the word adds to the difference of the two mean ranks.

    ranks: [models, words, prompts], 1 is best; member: bool [2, words]. Returns [models, places, prompts], in ranks, places
    category by category. The mean over a category's places is its mean rank. The deviations from it take into account
    that a word's rank depends on the other words, which are drawn too: with weights c_w = 1 / n_a in the first category,
    −1 / n_b in the second, both added up, a word adds c_w r_w + Σ_v c_v [w before v] to m_a − m_b = Σ_w c_w r_w (the Hájek
    projection). For a word of the first category that is (n_a + n_b) / n_a times the share of the second's words before
    it, and a constant; where both categories have the same distribution, its rank and a constant.
    Source: Brunner and Munzel (2000), Biometrical Journal 42.
    """
    after = np.stack([_share_after(of_model, member) for of_model in ranks])  # [models, words, prompts]
    n_categories = member.sum(axis=0)
    found = []
    for row, sign in zip(member, (1, -1), strict=True):
        of_category = ranks[:, row]
        added = sign * row.sum() * after[:, row] / n_categories[row, None]  # half to each place of a word of both
        found.append(of_category + added - added.mean(axis=1, keepdims=True))
    return np.concatenate(found, axis=1)


def _share_after(ranks: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Of the first category's words the share ranked after each word, less that of the second's; ties count half."""
    shares = []
    for row in member:
        others = ranks[row][:, None]  # [words of the category, 1, prompts]
        shares.append(((ranks < others).sum(axis=0) + 0.5 * (ranks == others).sum(axis=0)) / row.sum())
    return np.asarray(shares[0] - shares[1])


def word_contrasts(values: np.ndarray, families: Sequence[str], framings: Sequence[str]) -> np.ndarray:
    """For each word, the family difference (b − a) in the framing difference (positive − negative) of mean values.

    values: [models, words, prompts], ranks or `place_values`; families: [models]; framings: [prompts]; two labels each.
    Returns [words], in ranks. The mean over the first category minus the mean over the second is the family difference in
    the mean-rank contrast.

    Raises `BirthmarkError` unless there are exactly two families and two framings.
    """
    family, framing = np.asarray(families, dtype=str), np.asarray(framings, dtype=str)
    a, b = _two("families", family)
    negative, positive = _two("framings", framing)
    by_model = values[:, :, framing == positive].mean(axis=2) - values[:, :, framing == negative].mean(axis=2)
    return np.asarray(by_model[family == b].mean(axis=0) - by_model[family == a].mean(axis=0))


def compare_words(
    word_values: np.ndarray,
    categories: Sequence[str],
    stems: Sequence[str] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> WordTest:
    """Test of mean(first category) − mean(second) over words, with models and prompts fixed; see `compare_words_many`.

    word_values: [words], each already averaged over models and prompts.
    """
    values = np.asarray(word_values, dtype=float)
    return compare_words_many(values[None, :], categories, stems, draws, seed)[0]


def compare_words_many(
    word_values: np.ndarray,
    categories: Sequence[str],
    stems: Sequence[str] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[WordTest]:
    """The test of each row of values, all with the same words and the same permutations.

    word_values: [rows, words]; categories: [words], two values, in alphabetical order; stems: [words] labels, by default
    every word its own. A word of two categories has a place in each. draws: number of random permutations, where there
    are more than that; else all are taken.

    With m the mean and n the number of words of a category (a, b), and k stems in it, a stem adds
    d = √(k_a / (k_a − 1)) Σ (x − m_a) / n_a − √(k_b / (k_b − 1)) Σ (x − m_b) / n_b, sums over its words. Then se² = Σ d²,
    t = (m_a − m_b) / se, and df are Welch and Satterthwaite's over three sorts of stems: in the first category, in the
    second, in both. Each category's mean costs one degree of freedom, shared by its stems.

    How rare a t is is learned from the data. Values are centred within categories; stems of one category change places
    with those of the other, and stems of both exchange their two parts or not. The statistic is the p that Student's t
    distribution gives: with b of m permutations at or below the observed one, p = (b + 1) / (m + 1). The interval is
    estimate ± t(1 − q / 2, df) se, where q is the level that 5% of the permutations fall below. Student's t itself
    stands where fewer than 20 permutations exist or all stems of one category, and not of the other, are in both.

    Raises `BirthmarkError` unless there are exactly two categories, each of two words (or stems) or more.
    Sources: Janssen (1997), Statistics & Probability Letters 36, and Chung and Romano (2013), Annals of Statistics 41:
    studentized permutation. ter Braak (1992), in Bootstrapping and Related Techniques: permuted residuals. Beran (1988),
    Journal of the American Statistical Association 83: p as the statistic. Phipson and Smyth (2010): (b + 1) / (m + 1).
    """
    values, labels = np.asarray(word_values, dtype=float), np.asarray(categories, dtype=str)
    blocks = _blocks(labels, np.arange(len(labels)).astype(str) if stems is None else np.asarray(stems, dtype=str))
    in_first = labels == blocks.names[0]
    means = [values[:, part].mean(axis=1, keepdims=True) for part in (in_first, ~in_first)]
    difference, se, df = (part[0] for part in blocks.welch(_less(values, (means[0] + means[1]) / 2), blocks.observed))
    p = _student(difference, se, df)  # [rows]
    critical = np.full_like(p, ALPHA)
    states = blocks.arrangements(draws, seed)
    m = len(states)
    at = ceil(ALPHA * (m + 1) - TIE) - 1  # p is below .05 where fewer permutations than this are as extreme
    permute = at >= 1 and blocks.can_change_places
    if permute:
        permuted = _student(*blocks.welch(_less(values, np.where(in_first, *means)), states))  # [permutations, rows]
        p = ((permuted <= p * (1 + TIE)).sum(axis=0) + 1) / (m + 1)
        critical = np.partition(permuted, at - 1, axis=0)[at - 1] * (1 - TIE)
    reach = np.where(se > 0, scipy.stats.t.isf(critical / 2, df) * np.where(se > 0, se, 1.0), 0.0)
    if not np.isfinite(reach).all():
        raise BirthmarkError("the words are too few, and too many of them alike, for an interval over words")
    return [
        WordTest(float(d), float(s), float(f), float(d - r), float(d + r), float(of_row), blocks.n_stems, permute)
        for d, s, f, r, of_row in zip(difference, se, df, reach, p, strict=True)
    ]


def _less(values: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Values minus means, where a rounding error counts as zero: [rows, words]."""
    rounding = 1e-12 * np.abs(values).max(axis=1, keepdims=True)
    left = values - means
    return np.where(np.abs(left) <= rounding, 0.0, left)


def _student(difference: np.ndarray, se: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Two-sided p of t = difference / se with df degrees of freedom; 1 where the difference is 0."""
    share = df * se**2
    whole = share + difference**2
    return np.where(difference != 0, scipy.special.betainc(df / 2, 0.5, share / np.where(whole > 0, whole, 1.0)), 1.0)


@dataclass(frozen=True)
class _Blocks:
    """Stems as blocks, each in one of two states that put its words into opposite categories.

    first_in_1, first_in_0: [blocks, words], 1 at the words that are in the first category where the block is in state 1,
    in state 0. A stem of both categories is observed in state 1; one of a single category in state 1 if that is the first.
    """

    names: tuple[str, str]
    n_stems: tuple[int, int]
    first_in_1: np.ndarray
    first_in_0: np.ndarray
    observed: np.ndarray  # [1, blocks] states
    in_both: np.ndarray  # [blocks]

    @property
    def can_change_places(self) -> bool:
        """Whether stems of a single category are in both of them, or in none."""
        n_both = int(self.in_both.sum())
        return (self.n_stems[0] > n_both) == (self.n_stems[1] > n_both)

    def arrangements(self, draws: int, seed: int) -> np.ndarray:
        """States of the blocks, [permutations, blocks]: all if these are at most `draws`, else as many random ones."""
        single, n_both = self.observed[0, ~self.in_both].astype(np.int8), int(self.in_both.sum())
        if comb(len(single), int(single.sum())) * 2**n_both <= draws:
            placed, _ = label_arrangements(single, limit=draws)
            turned = np.array(list(product((0, 1), repeat=n_both)))
            placed, turned = np.repeat(placed, len(turned), axis=0), np.tile(turned, (len(placed), 1))
        else:
            rng = np.random.default_rng(seed)
            placed = rng.permuted(np.tile(single, (draws, 1)), axis=1)
            turned = rng.integers(2, size=(draws, n_both))
        states = np.empty((len(placed), len(self.in_both)))
        states[:, ~self.in_both], states[:, self.in_both] = placed, turned
        return states

    def welch(self, values: np.ndarray, states: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Difference of means, its standard error and df, each [arrangements, rows]; values [rows, words]."""
        single, both = (self._sums(values, states, chosen) for chosen in (~self.in_both, self.in_both))
        n_both = int(self.in_both.sum())
        means, weights, parts, free = [], [], [], []
        for own, shared, k in zip(single.of_category, both.of_category, self.n_stems, strict=True):
            n = own.n + shared.n  # [arrangements, 1]
            means.append((own.x + shared.x) / n)
            weights.append(np.sqrt(k / (k - 1)) / n)
            parts.append(weights[-1] ** 2 * own.squares(means[-1]))
            free.append((k - n_both) * (1 - 1 / k))
        (mean_a, mean_b), (a, b) = means, weights
        of_pairs = both.xx - mean_b * both.xn - mean_a * both.nx + mean_a * mean_b * both.nn
        of_both = [
            weight**2 * of.squares(mean) for weight, of, mean in zip(weights, both.of_category, means, strict=True)
        ]
        parts.append(np.maximum(of_both[0] + of_both[1] - 2 * a * b * of_pairs, 0.0))
        free.append(n_both * (1 - (1 / self.n_stems[0] + 1 / self.n_stems[1]) / 2))
        variance = parts[0] + parts[1] + parts[2]
        squared = sum((part**2 / df for part, df in zip(parts, free, strict=True) if df > 0), np.zeros_like(variance))
        df = np.where(squared > 0, variance**2 / np.where(squared > 0, squared, 1.0), 1.0)
        return mean_a - mean_b, np.sqrt(variance), df

    def _sums(self, values: np.ndarray, states: np.ndarray, chosen: np.ndarray) -> "_Sums":
        """Sums over the chosen blocks: values [rows, words], states [arrangements, blocks]."""
        x1, x0 = (part[chosen] @ values.T for part in (self.first_in_1, self.first_in_0))  # [blocks, rows]
        n1, n0 = (part[chosen].sum(axis=1)[:, None] for part in (self.first_in_1, self.first_in_0))  # [blocks, 1]
        in_1, in_0 = ((x, x * x, x * n, n, n * n) for x, n in ((x1, n1), (x0, n0)))
        turned = (*in_1, x1 * n0), (*in_0, x0 * n1)
        difference = np.concatenate([u - v for u, v in zip(*turned, strict=True)], axis=1)
        widths = np.cumsum([u.shape[1] for u in turned[0]])[:-1]
        moved = np.split(states[:, chosen] @ difference, widths, axis=1)
        first = [part + v.sum(axis=0) for part, v in zip(moved, turned[1], strict=True)]
        second = [(u + v).sum(axis=0) - part for part, u, v in zip(first, *turned, strict=True)]
        rounding = 1e-13 * (x1 * x1 + x0 * x0).sum(axis=0)
        return _Sums(
            (_Sum(rounding, *first[:5]), _Sum(rounding, *second[:5])),
            (x1 * x0).sum(axis=0), first[5], second[5], (n1 * n0).sum(axis=0),
        )  # fmt: skip


@dataclass(frozen=True)
class _Sum:
    """Sums over stems in one category of x (the sum of a stem's values there), x², x n, n (its words there) and n²."""

    rounding: np.ndarray
    x: np.ndarray
    x2: np.ndarray
    xn: np.ndarray
    n: np.ndarray
    n2: np.ndarray

    def squares(self, mean: np.ndarray) -> np.ndarray:
        """Σ (x − mean n)², where a rounding error counts as zero."""
        total = self.x2 - 2 * mean * self.xn + mean**2 * self.n2
        return np.where(total > self.rounding, total, 0.0)


@dataclass(frozen=True)
class _Sums:
    """Sums by category, and of the products of a stem's x and n in the first category with those in the second."""

    of_category: tuple[_Sum, _Sum]
    xx: np.ndarray
    xn: np.ndarray
    nx: np.ndarray
    nn: np.ndarray


def _blocks(labels: np.ndarray, stems: np.ndarray) -> _Blocks:
    first, second = _two("categories", labels)
    distinct, code = np.unique(stems, return_inverse=True)
    of_block = code[None, :] == np.arange(len(distinct))[:, None]  # [blocks, words]
    in_first, in_second = of_block & (labels == first), of_block & (labels == second)
    holds_first, holds_second = in_first.any(axis=1), in_second.any(axis=1)
    for name, holds in ((first, holds_first), (second, holds_second)):
        if holds.sum() < 2:
            raise BirthmarkError(f"{name} has only one word (or stem): an interval over words needs at least two")
    both = holds_first & holds_second
    first_in_1 = np.where(both[:, None], in_first, of_block).astype(float)
    first_in_0 = np.where(both[:, None], in_second, False).astype(float)
    n_stems = int(holds_first.sum()), int(holds_second.sum())
    return _Blocks((first, second), n_stems, first_in_1, first_in_0, holds_first[None, :].astype(float), both)


def _two(what: str, labels: np.ndarray) -> tuple[str, str]:
    names = sorted(set(labels.tolist()))
    if len(names) != 2:
        raise BirthmarkError(f"this analysis compares exactly two {what}; there are {len(names)}")
    return names[0], names[1]
