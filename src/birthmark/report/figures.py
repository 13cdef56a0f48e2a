"""All figures of one lexicon and kind of score, the one that leads first."""

from birthmark.records import Effects
from birthmark.report.drawing import Figure
from birthmark.report.lean_figures import adjective_figure, evidence_figure, lean_figure, word_figure
from birthmark.report.rank_figures import FEW_CATEGORIES, family_figure, model_figure

LEADING_MODELS = 4


def lexicon_figures(effects: Effects) -> list[Figure]:
    """All figures of one lexicon and kind of score that its numbers allow; none where no prompt has a framing.

    The one that leads is first: the ranks of a few models, the leanings of many.
    """
    if not effects.cells:
        return []
    several = any(cell.n_models > 1 for cell in effects.cells)
    ranks, leans = model_figure(effects), lean_figure(effects)
    made = (
        *((ranks, leans) if len(effects.models) <= LEADING_MODELS else (leans, ranks)),
        family_figure(effects) if several or len(effects.categories) > FEW_CATEGORIES else None,
        evidence_figure(effects),
        adjective_figure(effects),
        word_figure(effects),
    )
    return [figure for figure in made if figure is not None]
