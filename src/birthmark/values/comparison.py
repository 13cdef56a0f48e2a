"""Which score tables may be compared, under which families, bases and groups, and the effects of every lexicon over them.

Groups come from the catalog, from options, or from a CSV file of a person's own.
"""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Required, TypedDict

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.catalog import Catalog, find_entry, load_catalog
from birthmark.inputs.lexicons import Lexicon
from birthmark.inputs.text import MEGABYTE, did_you_mean, read_text
from birthmark.inputs.words import clean_word, merged_names
from birthmark.records import Effects, Kind, ScoreRecord
from birthmark.scoring.table import ScoreTable
from birthmark.values.controls import controlled_effects, without_neutral
from birthmark.values.effects import effects
from birthmark.values.units import adjust_across_lexicons

COLUMNS = ("family", "base_checkpoint", "parent", "team", "data", "parameters", "kind", "stage")
ALIASES = {"size": "parameters"}


def group_models(models: Sequence[str], by: str, catalog: Catalog | None = None) -> dict[str, str]:
    """Model → group, by a catalog column (`team`, `parameters`, `data`, …) or a CSV file with the header `model,group`.

    `size` (or `parameters`) is to two digits, `7.5B`: a head or a tied embedding makes no other size of a model. Raises
    `BirthmarkError` for an unknown column, a file of another layout, or a model without a group.
    """
    by = ALIASES.get(by, by)
    if Path(by).suffix == ".csv":
        listed = _read_groups(Path(by))
        groups = {model: listed[name] for model in models if (name := clean_word(model)) in listed}
        source, cure = by, "add a row for it"
    else:
        if by not in COLUMNS:
            hint = did_you_mean(by, COLUMNS)
            raise BirthmarkError(
                f'models cannot be grouped by "{one_line(by)}": {hint}, or name a CSV file with `model,group`'
            )
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
    text = read_text(path, "grouping", MEGABYTE)
    mark = next((sign for sign in ";\t" if sign in text.partition("\n")[0]), ",")
    try:
        rows = list(csv.reader(StringIO(text, newline=""), delimiter=mark))
    except csv.Error as error:
        raise BirthmarkError(f"{path} is not CSV ({error}): write one model and its group a row") from None
    if not rows or [clean_word(cell).lower() for cell in rows[0]] != ["model", "group"]:
        raise BirthmarkError(f"{path} has another header than `model,group`: write one model and its group a row")
    groups: dict[str, str] = {}
    for line, cells in enumerate(rows[1:], start=2):
        if not any(map(clean_word, cells)):
            continue
        if len(cells) != 2 or not all(map(clean_word, cells)):
            raise BirthmarkError(f"{path}, line {line}: write one model and its group")
        model, group = (clean_word(cell) for cell in cells)
        if groups.setdefault(model, group) != group:
            raise BirthmarkError(f"{path}, line {line}: {one_line(model)} is in two groups: give it one")
    for name, kept in merged_names(list(groups.values())).items():
        if name != kept:
            raise BirthmarkError(
                f"{path}: {one_line(name)} and {one_line(kept)} are one group's name: spell it one way"
            )
    return groups


FLOATS = ("float32", "bfloat16", "float16")  # a table from elsewhere may not say


class EffectsOptions(TypedDict, total=False):
    """How tables are compared: what `all_effects` and `write_effects` take beside tables and lexicons."""

    seed: Required[int]
    mixed_frames: Required[bool]
    controls: str | Sequence[str]
    groups: Mapping[str, str] | None
    teams: Mapping[str, str] | None


def by_kind(tables: Sequence[ScoreTable]) -> dict[Kind, list[ScoreTable]]:
    """The tables of each kind of score that is there: rewards and log-probabilities are never pooled."""
    kinds: tuple[Kind, ...] = ("reward", "logprob")
    groups = {kind: [table for table in tables if table.record.kind == kind] for kind in kinds}
    return {kind: group for kind, group in groups.items() if group}


def all_effects(
    tables: Sequence[ScoreTable],
    lexicons: Sequence[Lexicon],
    *,
    seed: int,
    mixed_frames: bool,
    controls: str | Sequence[str] = (),
    groups: Mapping[str, str] | None = None,
    teams: Mapping[str, str] | None = None,
) -> dict[str, Effects]:
    """Compare the tables under each lexicon, kind by kind; keyed by the name of the effects file."""
    kinds = by_kind(tables)
    _require_one_system(tables)
    warnings = check_frames(kinds.get("logprob", []), mixed_frames)
    results = {}
    for lexicon in lexicons:
        for kind, of_kind in kinds.items():
            plain = [without_neutral(table) for table in of_kind]
            result = effects(plain, lexicon, seed=seed, groups=groups, teams=teams)
            result.controlled = controlled_effects(of_kind, lexicon, controls, seed, groups)
            if kind == "logprob":
                result.warnings.extend(warnings)
            result.warnings.extend(unlike_runs(of_kind))
            results[lexicon.name if len(kinds) == 1 else f"{lexicon.name}.{kind}"] = result
    return dict(zip(results, adjust_across_lexicons(list(results.values())), strict=True))


def _require_one_system(tables: Sequence[ScoreTable]) -> None:
    """Models under different system prompts answer different questions, though these have the same keys: always refused."""
    systems = {table.model: table.record.prompt_set.system for table in tables}
    if len(set(systems.values())) > 1:
        listed = ", ".join(f"{model} {system!r}" if system else f"{model} none" for model, system in systems.items())
        raise BirthmarkError(
            f"these models were scored under different system prompts ({one_line(listed, 200)}): score them under one"
        )


def check_frames(tables: Sequence[ScoreTable], mixed_frames: bool) -> list[str]:
    """Language models in different frames answer different questions: refused unless asked for, and then said."""
    frames = {table.record.frame for table in tables}
    if len(frames) < 2:
        return []
    listed = ", ".join(f"{table.model} {table.record.frame}" for table in tables)
    if not mixed_frames:
        raise BirthmarkError(
            f"these models were scored in different frames ({listed}): score them in one with --frame qa, "
            "or compare them all the same with --mixed-frames"
        )
    return [
        f"Models were scored in different frames ({listed}): part of a difference between them may be due to the frame."
    ]


def unlike_runs(tables: Sequence[ScoreTable]) -> list[str]:
    """What part of a difference between models may be that of how they were run: different precision, different engines."""
    said = []
    precisions = _grouped({table.model: _precision(table.record) for table in tables if table.record.dtype in FLOATS})
    if len(precisions) > 1:
        said.append(
            f"Models were scored in different precision ({_listed(precisions)}): `birthmark score --verify` shows which "
            "differences of ranks are within rounding error."
        )
    engines = _grouped({table.model: table.record.engine for table in tables if table.record.engine})
    if len(engines) > 1:
        said.append(f"Models were scored by different engines ({_listed(engines)}), which agree up to rounding.")
    return said


def _precision(record: ScoreRecord) -> str:
    return record.dtype + (f" with weights in {record.quantized}" if record.quantized else "")


def _grouped(values: Mapping[str, str]) -> dict[str, list[str]]:
    return {value: [name for name in values if values[name] == value] for value in sorted(set(values.values()))}


def _listed(groups: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{value}: {', '.join(models)}" for value, models in groups.items())
