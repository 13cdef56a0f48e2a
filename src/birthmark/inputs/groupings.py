"""Groups of models other than their base families: by a column of the catalog, or by a CSV file of a person's own.

Knows nothing of what is compared between groups.
"""

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import Catalog, find_entry, load_catalog
from birthmark.inputs.text import MEGABYTE, did_you_mean, read_text

COLUMNS = ("family", "base_checkpoint", "parent", "team", "data", "parameters", "kind", "stage")


def group_models(models: Sequence[str], by: str, catalog: Catalog | None = None) -> dict[str, str]:
    """Model → group, by a catalog column (`team`, `parameters`, `data`, …) or a CSV file with the header `model,group`.

    Raises `BirthmarkError` for an unknown column, a file of another layout, or a model without a group.
    """
    if Path(by).suffix == ".csv":
        groups = _read_groups(Path(by))
        source, cure = by, "add a row for it"
    else:
        if by not in COLUMNS:
            hint = did_you_mean(by, COLUMNS)
            raise BirthmarkError(f'models cannot be grouped by "{by}": {hint}, or name a CSV file with `model,group`')
        entries = {model: find_entry(load_catalog() if catalog is None else catalog, model) for model in models}
        values = {model: getattr(entry, by) if entry else None for model, entry in entries.items()}
        groups = {model: str(value) for model, value in values.items() if value is not None}
        source, cure = f"the catalog's column {by}", "name it in a --catalog file, or group by a CSV file"
    missing = [model for model in models if model not in groups]
    if missing:
        raise BirthmarkError(f"{source} has nothing for {missing[0]}: {cure}")
    return {model: groups[model] for model in models}


def _read_groups(path: Path) -> dict[str, str]:
    rows = list(csv.reader(StringIO(read_text(path, "grouping", MEGABYTE))))
    if not rows or [cell.strip().lower() for cell in rows[0]] != ["model", "group"]:
        raise BirthmarkError(f"{path} has another header than `model,group`: write one model and its group a row")
    groups: dict[str, str] = {}
    for line, cells in enumerate(rows[1:], start=2):
        if not any(cells):
            continue
        if len(cells) != 2 or not all(cell.strip() for cell in cells):
            raise BirthmarkError(f"{path}, line {line}: write one model and its group")
        model, group = (cell.strip() for cell in cells)
        if groups.setdefault(model, group) != group:
            raise BirthmarkError(f"{path}, line {line}: {model} is in two groups: give it one")
    return groups
