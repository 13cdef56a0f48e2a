"""A reward model beside what it descends from: tables, a figure."""

from birthmark.foreign import file_name
from birthmark.records import Line, LineageOf, LineageStage
from birthmark.report.columns import Column, Table, number
from birthmark.report.figure import Figure
from birthmark.report.lean_figures import lollipops
from birthmark.values.formats import signed
from birthmark.values.wording_lineage import STAGES, has_leanings, lean_words
from birthmark.values.wording_page import SCORES

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
        f"Means of median ranks among {' or '.join(f'{n:,}' for n in words)} words of {item.lexicon}; 1 is best. Ranks of "
        "rewards and of log-probabilities are shown side by side and never pooled."
    )
    if two:
        first, second = item.categories
        note += f" Contrast, of mean ranks: ({first} − {second}, asked for the best) − (the same, asked for the worst)."
    return Table(
        f"{item.lexicon}: from the oldest model to the reward model",
        (Column("model", "Model"), STAGE, KIND, Column("frame", "Frame"), *ranks, *contrast),
        [{**dict.fromkeys(column.keys[0] for column in ranks), **_row(stage)} for stage in item.stages],
        note,
    )


def _row(stage: LineageStage) -> dict[str, object]:
    ranks = {f"{cell.category} {cell.framing}": cell.mean_median_rank for cell in stage.cells}
    return {**stage.model_dump(exclude={"cells"}), **ranks}


KIND_HUES = 4


def leading_line(lines: list[Line]) -> tuple[Line, LineageOf] | None:
    """The first line and word list of two categories by which every model of it, two or more, has a leaning."""
    for line in lines:
        for item in line.lexicons:
            if has_leanings(item):
                return line, item
    return None


def line_figure(line: Line, item: LineageOf) -> Figure:
    """The leaning of each model of a line, the oldest on top."""
    first, second = item.categories
    rows = [
        {
            "row": stage.model,
            "group": SCORES[stage.kind],
            "stage": stage.stage,
            "kind": stage.kind,
            "value": stage.mean_rank_contrast,
            "said": lean_words(item, stage).removeprefix("leans "),
        }
        for stage in item.stages
    ]
    kinds = list(dict.fromkeys(SCORES[stage.kind] for stage in item.stages))
    order = [stage.model for stage in item.stages]
    table = Table(
        f"Leaning of each model: below zero towards {first}, above towards {second}",
        (
            Column("row", "Model", tip=True),
            STAGE,
            KIND,
            Column("said", "Leans", tip=True, table=False),
            Column("value", "Places", signed),
        ),
        rows,
    )
    return Figure(
        name=f"{file_name(line.reward_model)}-{item.lexicon}-line",
        title="From the base model to the reward model",
        description=f"Each model's leaning between {first} (left) and {second} (right) in places, the oldest on top.",
        build=lambda narrow: lollipops(table, order, kinds, KIND_HUES, (first, second), narrow),
        table=table,
        note=(
            f"How much further a model puts {first} words ahead of {second} words when asked for the best thing than when "
            "asked for the worst, in ranks: of rewards, or of log-probabilities."
        ),
    )
