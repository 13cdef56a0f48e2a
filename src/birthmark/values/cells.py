"""Median ranks averaged over prompts: a cell a family, category and framing, and each model's point in it.

Describes and tests nothing.
"""

import numpy as np
from scipy import stats

from birthmark.records import Cell, ModelCell
from birthmark.values.joined import Joined


def cells(joined: Joined) -> list[Cell]:
    """Mean and SD of median ranks over a family's models × a framing's prompts, category by category.

    The SD is over the model × prompt medians with n − 1, null for a single one.
    """
    found = []
    for family in joined.families:
        models = joined.models_of(family)
        for row, category in enumerate(joined.categories):
            for framing in joined.framings_present:
                prompts = joined.prompts_of(framing)
                medians = joined.medians[models, row][:, prompts]
                found.append(
                    Cell(
                        family=family,
                        category=category,
                        framing=framing,
                        mean_median_rank=float(medians.mean()),
                        sd=float(medians.std(ddof=1)) if medians.size > 1 else None,
                        n_models=len(models),
                        n_prompts=len(prompts),
                    )
                )
    return found


def model_cells(joined: Joined) -> list[ModelCell]:
    """Each model's mean and range of median ranks over a framing's prompts, category by category.

    The interval is 95% over words: see `median_interval`.
    """
    found = []
    for at, (model, family) in enumerate(zip(joined.models, joined.model_families, strict=True)):
        for row, category in enumerate(joined.categories):
            for framing in joined.framings_present:
                prompts = joined.prompts_of(framing)
                medians = joined.medians[at, row, prompts]
                low, high = median_interval(joined.ranks[at][np.ix_(joined.member[row], prompts)])
                found.append(
                    ModelCell(
                        model=model,
                        family=family,
                        category=category,
                        framing=framing,
                        mean_median_rank=float(medians.mean()),
                        prompt_low=float(medians.min()),
                        prompt_high=float(medians.max()),
                        n_prompts=len(medians),
                        ci_low=low,
                        ci_high=high,
                    )
                )
    return found


def median_interval(ranks: np.ndarray) -> tuple[float | None, float | None]:
    """95% interval over words of the mean over prompts of median ranks; ranks [words, prompts], null for a single word.

    Woodruff's way for a quantile, with the quantile function averaged over prompts, Q(q): a word's share of prompts in
    which it ranks at or above the median has mean ½ and a standard error s over words, and the interval runs from
    Q(½ − t s) to Q(½ + t s). Woodruff (1952), Journal of the American Statistical Association 47.
    """
    n = len(ranks)
    if n < 2:
        return None, None
    above = (ranks < np.median(ranks, axis=0)).mean(axis=1) + (ranks == np.median(ranks, axis=0)).mean(axis=1) / 2
    reach = float(stats.t.ppf(0.975, n - 1) * above.std(ddof=1) / np.sqrt(n))
    low, high = np.quantile(ranks, np.clip([0.5 - reach, 0.5 + reach], 0, 1), axis=0).mean(axis=1)
    return float(low), float(high)
