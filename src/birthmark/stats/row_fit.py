"""Where the ranks of a study vary: by word, base checkpoint, reward model, prompt, and in the leaning between categories.

Ranks become normal scores, on which `simulation`'s terms are fitted by the method of moments, each framing by itself, and
averaged over the framings. Knows nothing of which study it is.

Source: van der Waerden (1952) for normal scores; Searle, Casella and McCulloch (1992) for the moments.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.special import ndtri

from birthmark.errors import BirthmarkError
from birthmark.stats.clustering import nested_variance


@dataclass(frozen=True)
class RowFit:
    """Variances in `simulation.RowVariances`' terms, words' parts adding up to 1; negative estimates count as 0."""

    word: float
    word_by_base: float
    word_by_rm: float
    word_by_prompt: float
    residual: float
    leaning_overall: float
    leaning_prompt: float
    leaning_rm_prompt: float


def fit_rows(
    ranks: np.ndarray,
    is_first: np.ndarray,
    is_positive: np.ndarray,
    bases: Sequence[str],
    families: Sequence[str],
) -> RowFit:
    """Fit ranks [RMs, words, prompts]; is_first [words]: the first category; is_positive [prompts].

    Raises `BirthmarkError` where no base checkpoint has two RMs or there is one base checkpoint only.
    """
    base = np.asarray(bases, dtype=str)
    same = base[:, None] == base[None, :]
    if same.all() or same.sum() == len(base):
        raise BirthmarkError(
            "variances are fitted to reward models of which some share a base checkpoint and some don't"
        )
    n_words = ranks.shape[1]
    scores = ndtri((n_words + 0.5 - ranks) / n_words)  # higher is better
    leaning = scores[:, is_first].mean(axis=1) - scores[:, ~is_first].mean(axis=1)  # [RMs, prompts]
    for part in (is_first, ~is_first):
        scores[:, part] -= scores[:, part].mean(axis=1, keepdims=True)
    luck = 1 / is_first.sum() + 1 / (~is_first).sum()
    framings = [
        _fit_framing(scores[:, :, chosen], leaning[:, chosen], same, luck) for chosen in (is_positive, ~is_positive)
    ]
    mean = {name: float(np.mean([fit[name] for fit in framings])) for name in framings[0]}
    overall = (leaning[:, is_positive].mean(axis=1) + leaning[:, ~is_positive].mean(axis=1)) / 2
    spread = nested_variance(overall, base.tolist(), list(families)).sd_rm or 0.0
    mean["leaning_overall"] = max(0.0, spread**2 - mean["word_by_rm"] * luck / 2)
    return RowFit(**{field.name: mean[field.name] for field in fields(RowFit)})


def _fit_framing(scores: np.ndarray, leaning: np.ndarray, same: np.ndarray, luck: float) -> dict[str, float]:
    """scores [RMs, words, prompts], centred within categories; leaning [RMs, prompts]; same [RMs, RMs]: one base."""
    n_rms, n_words, n_prompts = scores.shape
    by_rm, by_prompt = scores.mean(axis=2), scores.mean(axis=0)
    word = scores.mean(axis=(0, 2))
    rest = scores - by_rm[:, :, None] - by_prompt[None] + word[None, :, None]
    df_words = n_words - 2
    residual = float((rest**2).sum()) / ((n_rms - 1) * df_words * (n_prompts - 1))
    of_prompt = float(((by_prompt - word[:, None]) ** 2).sum()) / (df_words * (n_prompts - 1)) - residual / n_rms
    alike = by_rm @ by_rm.T / df_words  # [RMs, RMs] covariances over words
    own = float(np.diag(alike).mean()) - residual / n_prompts
    others = same & ~np.eye(n_rms, dtype=bool)
    of_base, of_all = float(alike[others].mean()), float(alike[~same].mean())
    parts = {
        "word": of_all - of_prompt / n_prompts,
        "word_by_base": of_base - of_all,
        "word_by_rm": own - of_base,
        "word_by_prompt": of_prompt,
        "residual": residual,
    }
    parts = {name: max(0.0, value) for name, value in parts.items()}
    total = sum(parts.values())

    errors = leaning - leaning.mean(axis=0) - leaning.mean(axis=1, keepdims=True) + leaning.mean()
    of_rm_prompt = float((errors**2).sum()) / ((n_rms - 1) * (n_prompts - 1))
    of_leaning = float(leaning.mean(axis=0).var(ddof=1)) - of_rm_prompt / n_rms
    return {name: value / total for name, value in parts.items()} | {
        "leaning_prompt": max(0.0, of_leaning - parts["word_by_prompt"] * luck) / total,
        "leaning_rm_prompt": max(0.0, of_rm_prompt - residual * luck) / total,
    }
