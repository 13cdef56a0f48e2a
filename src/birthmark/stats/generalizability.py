"""Generalizability of words' values over prompts and answer templates: a word × template × prompt random-effects design.

y[i, j, k] = μ + w_i + t_j + p_k + (wt)_ij + (wp)_ik + (tp)_jk + e_ijk, one value in each cell, all effects random. The words
are what is measured; templates and prompts are the conditions. Source: Brennan (2001), Generalizability Theory, ch. 3–6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import ceil, prod

import numpy as np
import scipy

from birthmark.errors import BirthmarkError

AXES = ("word", "template", "prompt")
RESIDUAL = "word_template_prompt"


@dataclass(frozen=True)
class Coefficient:
    """A generalizability coefficient in [0, 1] with its 95% interval, and how many conditions a coefficient of `target` needs.

    `needed`: the conditions resampled, the others as they are; 1 or more, null where no number reaches the target.
    The interval is null, with a reason, where the jackknife has none.
    """

    coefficient: float
    ci_low: float | None
    ci_high: float | None
    interval_why: str | None
    target: float
    needed: int | None


@dataclass(frozen=True)
class Generalizability:
    """`variances`: components by name (`word`, `word_template`, …), negative estimates set to 0; `shares` of their sum.

    `over_prompts` holds the templates fixed, `over_templates` the prompts; `over_both` holds neither, and its `needed` is
    the number of templates with as many prompts as there are.
    """

    mean_squares: dict[str, float]
    variances: dict[str, float]
    shares: dict[str, float]
    over_prompts: Coefficient
    over_templates: Coefficient
    over_both: Coefficient


def generalizability(
    values: np.ndarray, *, word_clusters: Sequence[str] | None = None, target: float = 0.8
) -> Generalizability:
    """Variance components, generalizability coefficients with intervals, and the decision study.

    values: [words, templates, prompts], for example ranks of one model under prompts of one framing. Ranks within a template
    and prompt have the same mean in each, so the components of template, prompt and their interaction are then 0.

    With mean squares MS, the coefficients for relative decisions are 1 − MS_wp / MS_w over prompts (Cronbach's α of the means
    over templates), 1 − MS_wt / MS_w over templates, and 1 − (MS_wp + MS_wt − MS_wtp) / MS_w over both. The interval
    is a delete-one-cluster jackknife of log(1 − coefficient) with Student's t. word_clusters: the words' stems, by
    default each word by itself. target: in (0, 1).

    Raises `BirthmarkError` for a missing value, fewer than two words, templates or prompts, or words that do not differ.
    """
    y = np.asarray(values, dtype=float)
    if y.ndim != 3 or min(y.shape) < 2:
        raise BirthmarkError("generalizability needs two or more words, answer templates and prompts: add some")
    if not np.isfinite(y).all():
        raise BirthmarkError("generalizability needs a value for every word, template and prompt: remove missing ones")
    if not 0 < target < 1:
        raise BirthmarkError("the target of a generalizability coefficient is between 0 and 1")
    squares = mean_squares(y)
    if squares["word"] <= 1e-24 * float(np.abs(y).max(initial=0.0)) ** 2:
        raise BirthmarkError("the words do not differ on average, so nothing can be generalized: use other words")
    components = _components(squares, y.shape)
    variances = {name: max(0.0, value) for name, value in components.items()}
    total = sum(variances.values())
    clusters = np.arange(len(y)) if word_clusters is None else np.asarray(word_clusters, dtype=str)
    errors = np.array(_errors(squares))
    intervals = _jackknife(y, clusters, errors)
    _, n_templates, n_prompts = y.shape
    word, constant = components["word"], components["word_prompt"] / n_prompts
    per_template = components["word_template"] + components[RESIDUAL] / n_prompts
    needed = (
        _spearman_brown(errors[0], n_prompts, target),
        _spearman_brown(errors[1], n_templates, target),
        _conditions(word * (1 - target) / target - max(0.0, constant), per_template),
    )
    over = [
        Coefficient(float(np.clip(1 - error, 0, 1)), *interval, target, number)
        for error, interval, number in zip(errors, intervals, needed, strict=True)
    ]
    return Generalizability(squares, variances, {name: part / total for name, part in variances.items()}, *over)


def mean_squares(y: np.ndarray) -> dict[str, float]:
    """The seven mean squares of a balanced three-way layout with one value in each cell, by name; y: [a, b, c]."""
    found = {}
    for size in (1, 2, 3):
        for axes in combinations(range(3), size):
            others = tuple(axis for axis in range(3) if axis not in axes)
            effect = y.mean(axis=others, keepdims=True)
            for axis in axes:
                effect = effect - effect.mean(axis=axis, keepdims=True)
            repeats = prod([y.shape[axis] for axis in others])  # 1 where no axis is averaged over
            df = prod([y.shape[axis] - 1 for axis in axes])
            found["_".join(AXES[axis] for axis in axes)] = float(repeats * (effect**2).sum() / df)
    return found


def _components(squares: dict[str, float], shape: tuple[int, ...]) -> dict[str, float]:
    """Variance components by equating mean squares to their expectations; they may be negative."""
    size = dict(zip(AXES, shape, strict=True))
    found = {RESIDUAL: squares[RESIDUAL]}
    for first, second, other in (AXES, (AXES[0], AXES[2], AXES[1]), (AXES[1], AXES[2], AXES[0])):
        name = f"{first}_{second}"
        found[name] = (squares[name] - squares[RESIDUAL]) / size[other]
    for axis in AXES:
        pairs = sum(squares[name] for name in squares if name.count("_") == 1 and axis in name.split("_"))
        rest = prod([size[other] for other in AXES if other != axis])
        found[axis] = float((squares[axis] - pairs + squares[RESIDUAL]) / rest)
    return {name: found[name] for name in squares}


def _errors(squares: dict[str, float]) -> tuple[float, float, float]:
    """1 − coefficient over prompts, over templates and over both, not truncated."""
    prompt, template = squares["word_prompt"], squares["word_template"]
    both = prompt + template - squares[RESIDUAL]
    return prompt / squares["word"], template / squares["word"], both / squares["word"]


def _jackknife(
    y: np.ndarray, clusters: np.ndarray, errors: np.ndarray
) -> list[tuple[float | None, float | None, str | None]]:
    """For each coefficient its 95% interval (low, high, why there is none)."""
    names = np.unique(clusters)
    n = len(names)
    if n < 3 or min(int((clusters != name).sum()) for name in names) < 2:
        return [(None, None, "fewer than three stems")] * len(errors)
    with np.errstate(divide="ignore", invalid="ignore"):
        left_out = np.array([_errors(mean_squares(y[clusters != name])) for name in names])
        logs, whole = np.log(left_out), np.log(errors)
    reach = scipy.stats.t.ppf(0.975, n - 1)
    found: list[tuple[float | None, float | None, str | None]] = []
    for column, at in zip(logs.T, whole, strict=True):
        if not (np.isfinite(column).all() and np.isfinite(at)):
            found.append((None, None, "the error variance is estimated as zero or negative"))
            continue
        half = reach * float(np.sqrt((n - 1) / n * ((column - column.mean()) ** 2).sum()))
        low, high = (float(np.clip(1 - np.exp(at + sign * half), 0, 1)) for sign in (1, -1))
        found.append((low, high, None))
    return found


def _spearman_brown(error: float, n: int, target: float) -> int | None:
    """How many conditions give a coefficient of `target`, where n of them have 1 − coefficient = error."""
    return _conditions((1 - error) * (1 - target) / target, max(0.0, error) * n) if error < 1 else None


def _conditions(allowed: float, each: float) -> int | None:
    """The smallest number of conditions whose mean error, `each` / number, is at most `allowed`."""
    if each <= 0:
        return 1 if allowed >= 0 else None
    return max(1, ceil(each / allowed - 1e-9)) if allowed > 0 else None
