"""The values of a reward model beside those of the language models it descends from, stage by stage.

Puts side by side what the effects of each kind of score hold already; rewards and log-probabilities are never pooled,
only their ranks among the same words shown next to each other.
"""

from collections.abc import Mapping, Sequence

from birthmark.records import Effects, Line, LineageCell, LineageOf, LineageStage, Stage


def line_of(
    reward_model: str, models: Sequence[str], stages: Mapping[str, Stage | None], results: Sequence[Effects]
) -> Line:
    """What each lexicon says of `models`, the oldest first and the reward model last.

    `stages` maps models to `pretrained`, `instruct` or `reward`; `results` are the effects of both kinds of score.
    """
    lexicons = list(dict.fromkeys(item.lexicon for item in results))
    return Line(
        reward_model=reward_model,
        models=list(models),
        lexicons=[
            _of_lexicon(models, stages, [item for item in results if item.lexicon == lexicon]) for lexicon in lexicons
        ],
    )


def _of_lexicon(models: Sequence[str], stages: Mapping[str, Stage | None], results: Sequence[Effects]) -> LineageOf:
    found = [_stage(model, stages.get(model), results) for model in models]
    rows = [row for row in found if row is not None]
    return LineageOf(
        lexicon=results[0].lexicon,
        categories=results[0].categories,
        stages=rows,
        sentence=_sentence(results[0], rows),
    )


def _stage(model: str, stage: Stage | None, results: Sequence[Effects]) -> LineageStage | None:
    for effects in results:
        for contrast in effects.models:
            if contrast.model == model:
                return LineageStage(
                    model=model,
                    stage=stage,
                    kind=effects.kind,
                    frame=contrast.frame,  # type: ignore[arg-type]
                    n_candidates=effects.n_candidates,
                    cells=[
                        LineageCell(
                            category=cell.category, framing=cell.framing, mean_median_rank=cell.mean_median_rank
                        )
                        for cell in effects.model_cells
                        if cell.model == model
                    ],
                    contrast=contrast.contrast,
                    mean_rank_contrast=contrast.mean_rank_contrast,
                )
    return None


def _sentence(effects: Effects, rows: Sequence[LineageStage]) -> str:
    """The contrast from stage to stage, in words; with more than two categories, where to look instead."""
    passed = [(row.model, row.mean_rank_contrast) for row in rows if row.mean_rank_contrast is not None]
    if len(effects.categories) != 2 or len(passed) < 2:
        return f"The ranks of {effects.lexicon}'s categories, from the oldest model to the reward model."
    first, second = effects.categories
    values = ", ".join(f"{value:+.1f}".replace("-", "−") + f" in {model}" for model, value in passed)
    return (
        f"How much further down {first} stands than {second} when asked for the best, less the same when asked for the "
        f"worst, in mean ranks: {values}."
    )
