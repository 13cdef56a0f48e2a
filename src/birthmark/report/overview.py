"""The models side by side, one sortable table: what each is, where it stands on every word list, what random heads give."""

from collections.abc import Sequence

from birthmark.records import Effects, ScoreRecord
from birthmark.report.columns import Column, Table
from birthmark.values.formats import SCORES, interval, percent, signed
from birthmark.values.wording import contrast_sign
from birthmark.values.wording_page import mean_mass

FEWEST = 2


def overview_table(effects: Sequence[Effects], scores: Sequence[ScoreRecord]) -> Table | None:
    """A row a model and kind of score; null for a single model, and where nothing was compared."""
    two = [item for item in effects if len(item.categories) == 2]
    models = {(item.kind, model.model): model for item in effects for model in item.models}
    if len(models) < FEWEST:
        return None
    records = {(record.kind, record.model): record for record in scores}
    lists = list(dict.fromkeys(item.lexicon for item in two))
    values = {(item.kind, m.model, item.lexicon): m for item in two for m in item.models}
    with_null = {name for (_, _, name), model in values.items() if model.null is not None}
    with_mass = any(mean_mass(record) is not None for record in scores)
    columns = [Column("model", "Model"), Column("family", "Family"), Column("base", "Base checkpoint")]
    if len({kind for kind, _ in models}) > 1:
        columns.append(Column("kind", "Ranks of", SCORES.__getitem__))
    for at, name in enumerate(lists):
        columns.append(Column(f"contrast {at}", f"Contrast, {name}", signed))
        if name in with_null:
            columns.append(Column((f"low {at}", f"high {at}"), "Random heads, 95%", interval))
    if with_mass:
        columns.append(
            Column("mass", "Probability on the words", lambda mass: "–" if mass is None else percent(mass, 2))
        )
    rows = []
    for (kind, name), model in models.items():
        record = records.get((kind, name))
        row: dict[str, object] = {
            "model": name,
            "family": model.family,
            "base": model.base_checkpoint,
            "kind": kind,
            "mass": mean_mass(record) if record else model.mass,
        }
        for at, lexicon in enumerate(lists):
            found = values.get((kind, name, lexicon))
            null = found.null if found else None
            row |= {f"contrast {at}": found.mean_rank_contrast if found else None}
            row |= {f"low {at}": null.low if null else None, f"high {at}": null.high if null else None}
        rows.append(row)
    note = f"Contrasts are of mean ranks, in places. {contrast_sign(two[0].categories)}" if two else ""
    return Table("The models: a heading sorts by its column", columns, rows, note, sortable=True)
