"""What a comparison is told of its models: families, base checkpoints and teams, or groups other than these.

From a catalog, from options, or from a CSV file of a person's own. Knows nothing of what is compared.
"""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import Catalog, find_entry, load_catalog
from birthmark.inputs.text import MEGABYTE, did_you_mean, read_text
from birthmark.scores import ScoreTable

COLUMNS = ("family", "base_checkpoint", "parent", "team", "data", "parameters", "kind", "stage")
ALIASES = {"size": "parameters"}


def group_models(models: Sequence[str], by: str, catalog: Catalog | None = None) -> dict[str, str]:
    """Model → group, by a catalog column (`team`, `parameters`, `data`, …) or a CSV file with the header `model,group`.

    `size` (or `parameters`) is to two digits, `7.5B`: a head or a tied embedding makes no other size of a model. Raises
    `BirthmarkError` for an unknown column, a file of another layout, or a model without a group.
    """
    by = ALIASES.get(by, by)
    if Path(by).suffix == ".csv":
        groups = _read_groups(Path(by))
        source, cure = by, "add a row for it"
    else:
        if by not in COLUMNS:
            hint = did_you_mean(by, COLUMNS)
            raise BirthmarkError(f'models cannot be grouped by "{by}": {hint}, or name a CSV file with `model,group`')
        entries = {model: find_entry(load_catalog() if catalog is None else catalog, model) for model in models}
        values = {model: getattr(entry, by) if entry else None for model, entry in entries.items()}
        named = _size if by == "parameters" else str
        groups = {model: named(value) for model, value in values.items() if value is not None}
        source, cure = f"the catalog's column {by}", "name it in a --catalog file, or group by a CSV file"
    missing = [model for model in models if model not in groups]
    if missing:
        raise BirthmarkError(f"{source} has nothing for {missing[0]}: {cure}")
    return {model: groups[model] for model in models}


def _size(parameters: int) -> str:
    """`7.5B`, `27B`, `140M`: two significant digits."""
    unit, name = (10**9, "B") if parameters >= 10**9 else (10**6, "M")
    return f"{float(f'{parameters / unit:.2g}'):g}{name}"


def name_bases(
    tables: Sequence[ScoreTable],
    catalog: Catalog,
    families: Mapping[str, str] | None = None,
    base_checkpoints: Mapping[str, str] | None = None,
) -> list[ScoreTable]:
    """The tables with the family and base checkpoint of their models: as given, else as the table has it, else the catalog.

    Raises `BirthmarkError` where a family or base checkpoint is given to a model that no table is of.
    """
    given: dict[str, Mapping[str, str]] = {"family": families or {}, "base_checkpoint": base_checkpoints or {}}
    models = [table.model for table in tables]
    for what, names in given.items():
        for stranger in sorted(set(names) - set(models)):
            said = what.replace("_", " ")
            raise BirthmarkError(
                f"there is no table of {stranger}, whose {said} is given: name one of {', '.join(models)}"
            )
    named = []
    for table in tables:
        entry = find_entry(catalog, table.model)
        known = {
            what: names.get(table.model) or getattr(table.record, what) or (getattr(entry, what) if entry else None)
            for what, names in given.items()
        }
        named.append(ScoreTable(table.frame, table.record.model_copy(update=known)))
    return named


def teams(models: Sequence[str], catalog: Catalog) -> dict[str, str]:
    """Model → the team that made it, of those that the catalog names one for."""
    found = {model: entry.team for model in models if (entry := find_entry(catalog, model))}
    return {model: team for model, team in found.items() if team}


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
