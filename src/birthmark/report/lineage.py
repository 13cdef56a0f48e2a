"""A reward model beside what it descends from: tables, a figure."""

from collections.abc import Mapping, Sequence

from birthmark.foreign import file_name
from birthmark.records import Effects, HeadsNull, Line, LineageOf, LineageStage
from birthmark.report.columns import Column, Table, number
from birthmark.report.figure import Figure
from birthmark.report.lean_figures import lollipops
from birthmark.values.formats import SCORES, interval, signed
from birthmark.values.wording_lineage import STAGES, has_leanings, lean_words

STAGE = Column("stage", "Stage", STAGES.__getitem__, tip=True)
KIND = Column("kind", "Ranks of", SCORES.__getitem__, tip=True)
FEW = 3  # categories that are shown by framing; of more, the positive framing only


def lineage_tables(line: Line) -> list[Table]:
    """A table a lexicon: a row a model, the oldest first, with its categories' ranks and its contrast."""
    return [_table(item) for item in line.lexicons]


def _table(item: LineageOf) -> Table:
    framings = ("positive", "negative") if len(item.categories) <= FEW else ("positive",)
    asked = {"positive": "best", "negative": "worst"}
    two = len(item.categories) == 2
    ranks = [
        Column(f"{category} {framing}", f"{category}, asked for the {asked[framing]}", number(",.1f"))
        for category in item.categories
        for framing in framings
    ]
    contrast = [Column("mean_rank_contrast", "Contrast", signed)] if two else []
    words = sorted({stage.n_candidates for stage in item.stages})
    note = (
        f"Mean ranks among {' or '.join(f'{n:,}' for n in words)} words of {item.lexicon}; 1 is best. Ranks of "
        "rewards and of log-probabilities are shown side by side and never pooled."
    )
    if two:
        first, second = item.categories
        note += f" Contrast: ({first} − {second}, asked for the best) − (the same, asked for the worst)."
    return Table(
        f"{item.lexicon}: from the oldest model to the reward model",
        (Column("model", "Model"), STAGE, KIND, Column("frame", "Frame"), *ranks, *contrast),
        [{**dict.fromkeys(column.keys[0] for column in ranks), **_row(stage)} for stage in item.stages],
        note,
    )


def _row(stage: LineageStage) -> dict[str, object]:
    ranks = {f"{cell.category} {cell.framing}": cell.mean_rank for cell in stage.cells}
    return {**stage.model_dump(exclude={"cells"}), **ranks}


KIND_HUES = 4


def leading_lines(lines: Sequence[Line]) -> list[tuple[Line, LineageOf]]:
    """The lines that a page begins with, each under the first word list of two categories by which all its models lean."""
    found: list[tuple[Line, LineageOf]] = []
    for line in lines:
        for item in line.lexicons:
            if has_leanings(item) and (not found or item.lexicon == found[0][1].lexicon):
                found.append((line, item))
                break
    return found


def nulls_of_lines(lines: Sequence[tuple[Line, LineageOf]], effects: Sequence[Effects]) -> dict[str, HeadsNull]:
    """What random heads give in the place of each line's reward model, under the line's word list."""
    lexicons, rewards = {item.lexicon for _, item in lines}, {line.reward_model for line, _ in lines}
    return {
        model.model: model.null
        for item in effects
        if item.lexicon in lexicons
        for model in item.models
        if model.null is not None and model.model in rewards
    }


def lines_figure(lines: Sequence[tuple[Line, LineageOf]], nulls: Mapping[str, HeadsNull]) -> Figure:
    """The leaning of each model of the lines, each line's oldest on top, with what random heads give of its reward model."""
    first, second = lines[0][1].categories
    stages = {stage.model: (item, stage) for _, item in lines for stage in item.stages}
    rows = [
        {
            "row": model,
            "group": SCORES[stage.kind],
            "stage": stage.stage,
            "kind": stage.kind,
            "value": stage.mean_rank_contrast,
            "said": lean_words(item, stage).removeprefix("leans "),
            "low": nulls[model].low if model in nulls else None,
            "high": nulls[model].high if model in nulls else None,
        }
        for model, (item, stage) in stages.items()
    ]
    kinds = list(dict.fromkeys(SCORES[stage.kind] for _, stage in stages.values()))
    table = Table(
        f"Leaning of each model: below zero towards {first}, above towards {second}",
        (
            Column("row", "Model", tip=True),
            STAGE,
            KIND,
            Column("said", "Leans", tip=True, table=False),
            Column("value", "Places", signed),
            *([Column(("low", "high"), "Random heads, 95%", interval, tip=True)] if nulls else []),
        ),
        rows,
    )
    heads = " The thin line beside a reward model spans what 95% of random heads on its base give." if nulls else ""
    return Figure(
        name=f"{file_name(lines[0][0].reward_model)}-{lines[0][1].lexicon}-line",
        title="From the base model to the reward model",
        description=f"Each model's leaning between {first} (left) and {second} (right) in places, the oldest on top.",
        build=lambda narrow: lollipops(table, list(stages), kinds, KIND_HUES, (first, second), narrow),
        table=table,
        note=(
            f"How much further a model puts {first} words ahead of {second} words when asked for the best thing than when "
            f"asked for the worst, in ranks: of rewards, or of log-probabilities.{heads}"
        ),
    )
