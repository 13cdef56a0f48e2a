"""What the OUT folder of an audit or a comparison holds, read for its page and its card; models by short names."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from birthmark.errors import BirthmarkError
from birthmark.records import (
    Among,
    AnswerFormats,
    Effects,
    Framing,
    Implicit,
    Lineage,
    Map,
    Record,
    ScoreRecord,
    StudyRecord,
    read_record,
)
from birthmark.report.models import SearchData, search_data
from birthmark.report.text import renamed, short_names
from birthmark.scoring.table import ScoreTable, read_scores
from birthmark.values.ranks import Standings, standings

SHOWN = 25
R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Extremes:
    """The first and last candidates of one model and framing, each {candidate, mean_rank}."""

    framing: Framing | None
    top: list[dict[str, Any]]
    bottom: list[dict[str, Any]]


@dataclass(frozen=True)
class Group:
    """A model's candidates of one sort, `n` of them: its vocabulary's tokens, or words."""

    sort: str
    n: int
    framings: list[Extremes]


@dataclass(frozen=True)
class ModelExtremes:
    model: str
    kind: str
    groups: list[Group]


@dataclass(frozen=True)
class Contents:
    """Everything that a report is drawn from; empty lists where a part is missing."""

    study: StudyRecord | None
    effects: list[Effects]
    implicit: list[Implicit]
    scores: list[ScoreRecord]
    extremes: list[ModelExtremes]
    search: SearchData
    lineage: Lineage | None = None
    map: Map | None = None
    among: Among | None = None
    answers: AnswerFormats | None = None


def read_contents(out: Path, tables: Sequence[ScoreTable] = ()) -> Contents:
    """Read an OUT folder. Raises `BirthmarkError` where it holds nothing to draw, or a file of it is damaged."""
    if not out.is_dir():
        raise BirthmarkError(f"{out} is not a folder: name the OUT of an audit or a comparison")
    study = _optional(out / "study.json", StudyRecord)
    effects = _read_effects(out, study)
    implicit = [read_record(path, Implicit) for path in sorted((out / "implicit").glob("*.json"))]
    paths = sorted((out / "scores").glob("*.parquet"))
    if not effects and not paths and not implicit:
        raise BirthmarkError(f"{out} holds no effects, scores or implicit reward: run birthmark audit --out {out}")
    scores: list[ScoreRecord] = []
    extremes: list[ModelExtremes] = []
    tokens: list[Standings] = []
    words: list[Standings] = []
    known = {table.record.slug: table for table in tables}
    names = _names(effects, implicit, [read_record(path.with_suffix(".json"), ScoreRecord) for path in paths])
    for path in paths:
        table = known.get(path.stem) or read_scores(path)
        model = names.get(table.model, table.model)
        of_tokens, of_words = (
            [replace(item, model=model) for item in standings(table, rows)] for rows in (table.tokens, table.words)
        )
        scores.append(renamed(table.record, names))
        extremes.append(ModelExtremes(model, table.record.kind, _groups(of_tokens, of_words)))
        tokens += of_tokens
        words += of_words
    lineage, relations = _optional(out / "lineage.json", Lineage), _optional(out / "map.json", Map)
    among, answers = _optional(out / "among.json", Among), _optional(out / "answers.json", AnswerFormats)
    return Contents(
        _as_shown(study, names),
        [renamed(item, names) for item in effects],
        [renamed(item, names) for item in implicit if item.prompts],
        scores,
        extremes,
        search_data(tokens, words),
        renamed(lineage, names) if lineage else None,
        renamed(relations, names) if relations else None,
        renamed(among, names) if among else None,
        renamed(answers, names) if answers else None,
    )


def read_summary(out: Path) -> tuple[StudyRecord | None, list[Effects], list[ScoreRecord]]:
    """What a card needs: the study, the effects and the scores' records, without the scores; models by short names."""
    study = _optional(out / "study.json", StudyRecord)
    effects = _read_effects(out, study)
    scores = [read_record(path, ScoreRecord) for path in sorted((out / "scores").glob("*.json"))]
    names = _names(effects, [], scores)
    return (
        _as_shown(study, names),
        [renamed(item, names) for item in effects],
        [renamed(item, names) for item in scores],
    )


def read_lineage(out: Path) -> Lineage | None:
    """The lines of descent that an audit wrote, models by short names; None where it was not asked for them."""
    found = _optional(out / "lineage.json", Lineage)
    return renamed(found, short_names(name for line in found.lines for name in line.models)) if found else None


def read_among(out: Path) -> Among | None:
    """Where an audit placed its models among others, by short names; None where it was not asked to."""
    found = _optional(out / "among.json", Among)
    return renamed(found, short_names(item.model for item in found.standings)) if found else None


def _optional(path: Path, record_type: type[R]) -> R | None:
    return read_record(path, record_type) if path.is_file() else None


def _names(effects: list[Effects], implicit: list[Implicit], scores: list[ScoreRecord]) -> dict[str, str]:
    compared = (model.model for item in effects for model in item.models)
    return short_names(
        [*compared, *(name for item in implicit for name in (item.a, item.b)), *(r.model for r in scores)]
    )


def _as_shown(study: StudyRecord | None, names: dict[str, str]) -> StudyRecord | None:
    """The study with short names, but for the command line, which is to be run again."""
    return renamed(study, names).model_copy(update={"command_line": study.command_line}) if study else None


def _read_effects(out: Path, study: StudyRecord | None) -> list[Effects]:
    """By lexicon in the order of `_place`, then by kind."""
    effects = [read_record(path, Effects) for path in sorted((out / "effects").glob("*.json"))]
    return sorted(effects, key=lambda item: (_place(study, item.lexicon), item.kind))


def _place(study: StudyRecord | None, lexicon: str) -> int:
    """Lexicons come in the order in which they were asked for, and those that were merely looked at after them."""
    asked = study.asked.get("lexicons") if study else None
    if not isinstance(asked, list):
        return 0
    return asked.index(lexicon) if lexicon in asked else len(asked)


def _groups(tokens: list[Standings], words: list[Standings]) -> list[Group]:
    return [
        Group(sort, items[0].frame.height, [_extremes(item) for item in items])
        for sort, items in (("words", words), ("tokens", tokens))
        if items
    ]


def _extremes(item: Standings) -> Extremes:
    """The best and the worst, none of them in both."""
    height = item.frame.height
    top, bottom = min(SHOWN, height - height // 2), min(SHOWN, height // 2)
    columns = ("candidate", "mean_rank")
    return Extremes(
        item.framing, item.top(top).select(columns).to_dicts(), item.bottom(bottom).select(columns).to_dicts()
    )
