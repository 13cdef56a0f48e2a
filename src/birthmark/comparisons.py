"""Comparisons that are not of families: a model held to a budget against a reference, reward models against what came before.

Reads score tables and random heads, writes `stages/<lexicon>.json` and its page; computes nothing itself.
"""

from collections.abc import Sequence
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.head_words import read_head_words
from birthmark.inputs.catalog import load_catalog
from birthmark.inputs.lexicons import Lexicon, load_lexicons
from birthmark.records import BudgetCheck, Stages, to_json
from birthmark.scores import ScoreTable, read_scores, write_text
from birthmark.study import check_frames, open_study
from birthmark.values.budget import check_budget, parse_budget
from birthmark.values.stages import stages


def hold_to_budget(
    tables: Sequence[str | Path | ScoreTable],
    budget: str,
    *,
    lexicons: Sequence[str | Path | Lexicon] = ("starter",),
) -> list[BudgetCheck]:
    """Hold the values of a new model to a reference's: `tables` are NEW and REFERENCE, `budget` is `contrast<=10` or the like.

    A check a lexicon; nothing is written. Raises `BirthmarkError` for another number of tables, a budget that cannot be
    read, and tables that cannot be compared.
    """
    allowed = parse_budget(budget)
    if len(tables) != 2:
        raise BirthmarkError(
            f"a budget holds one model to one reference, NEW REFERENCE; {len(tables)} tables are named"
        )
    new, reference = (table if isinstance(table, ScoreTable) else read_scores(table) for table in tables)
    return [check_budget(new, reference, item, allowed) for item in load_lexicons(lexicons)]


def compare_stages(
    tables: Sequence[str | Path | ScoreTable],
    *,
    lexicons: Sequence[str | Path | Lexicon] = ("starter",),
    null: str | Path | None = None,
    out: str | Path | None = None,
    mixed_frames: bool = False,
    catalog: str | Path | None = None,
    seed: int = 0,
) -> list[Stages]:
    """How much of reward models' values each earlier stage holds: see `values.stages`; a record a lexicon.

    `null` is the OUT of a track, whose random heads are the null; with `out`, `stages/<lexicon>.json`, a figure and a page
    are written there. Raises `BirthmarkError` as `values.stages` does, and for language models in unlike frames unless
    `mixed_frames`.
    """
    loaded = [table if isinstance(table, ScoreTable) else read_scores(table) for table in tables]
    known = load_catalog(Path(catalog) if catalog else None)
    read = load_lexicons(lexicons)
    heads = {item.name: read_head_words(Path(null), item.name) if null else [] for item in read}
    if null and not any(heads.values()):
        raise BirthmarkError(f"{null} holds no random heads of {read[0].name}: name the --out of a track with --heads")
    warnings = check_frames([table for table in loaded if table.record.kind == "logprob"], mixed_frames)
    found = [stages(loaded, item, heads[item.name], catalog=known, seed=seed) for item in read]
    for item in found:
        item.warnings.extend(warnings)
    if out is not None:
        _write_stages(loaded, found, Path(out))
    return found


def _write_stages(tables: Sequence[ScoreTable], found: Sequence[Stages], out: Path) -> None:
    from birthmark.report.stages_page import write_stages_report

    study = open_study(out, "compare", {"stages": [table.record.sha256 for table in tables]})
    for table in tables:
        study.add_input("score table", table.record.slug, table.record.sha256)
    for item in found:
        write_text(out / "stages" / f"{item.lexicon}.json", to_json(item))
    study.record.warnings = sorted({text for item in found for text in item.warnings})
    study.save()
    write_stages_report(out)
