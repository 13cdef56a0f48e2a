"""A reward model beside what it descends from, as tables. Computes nothing."""

from birthmark.records import Line, LineageOf, LineageStage
from birthmark.report.drawing import Table
from birthmark.report.formats import signed

STAGES = {"pretrained": "pretrained", "instruct": "instruction-tuned", "reward": "reward model", None: "–"}
SCORES = {"reward": "rewards", "logprob": "log-probabilities"}
FEW = 3  # categories that are shown by framing; of more, the positive framing only


def lineage_tables(line: Line) -> list[Table]:
    """A table a lexicon: a row a model, the oldest first, with its categories' ranks and its contrast."""
    return [_table(item) for item in line.lexicons]


def _table(item: LineageOf) -> Table:
    framings = ("positive", "negative") if len(item.categories) <= FEW else ("positive",)
    asked = {"positive": "best", "negative": "worst"}
    columns = [(category, framing) for category in item.categories for framing in framings]
    heads = [f"{category}, asked for the {asked[framing]}" for category, framing in columns]
    two = len(item.categories) == 2
    headers = ("Model", "Stage", "Ranks of", "Frame", *heads, *(("Contrast",) if two else ()))
    rows = [
        (
            stage.model,
            STAGES[stage.stage],
            SCORES[stage.kind],
            stage.frame or "–",
            *_ranks(stage, columns),
            *((signed(stage.mean_rank_contrast),) if two else ()),
        )
        for stage in item.stages
    ]
    words = sorted({stage.n_candidates for stage in item.stages})
    note = (
        f"Means of median ranks among {' or '.join(f'{n:,}' for n in words)} words of {item.lexicon}; 1 is best. Ranks of "
        "rewards and of log-probabilities are shown side by side and never pooled."
    )
    if two:
        first, second = item.categories
        note += f" Contrast, of mean ranks: ({first} − {second}, asked for the best) − (the same, asked for the worst)."
    return Table(f"{item.lexicon}: from the oldest model to the reward model", headers, tuple(rows), note)


def _ranks(stage: LineageStage, columns: list[tuple[str, str]]) -> list[str]:
    found = {(cell.category, cell.framing): cell.mean_median_rank for cell in stage.cells}
    return [f"{found[column]:,.1f}" if column in found else "–" for column in columns]
