"""Median ranks averaged over prompts: a cell a family, category and framing, and each model's point in it.

Describes and tests nothing.
"""

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
    """Each model's mean and range of median ranks over a framing's prompts, category by category."""
    found = []
    for at, (model, family) in enumerate(zip(joined.models, joined.model_families, strict=True)):
        for row, category in enumerate(joined.categories):
            for framing in joined.framings_present:
                medians = joined.medians[at, row, joined.prompts_of(framing)]
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
                    )
                )
    return found
