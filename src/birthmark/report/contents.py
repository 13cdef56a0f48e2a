"""What an OUT folder holds, read for drawing: records, where candidates stand, the search box's data.

Score tables are read one at a time. It asks `values` where candidates stand and computes nothing itself.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from birthmark.errors import BirthmarkError
from birthmark.records import Effects, Framing, Implicit, Lineage, Map, Record, ScoreRecord, StudyRecord, read_record
from birthmark.report.search_data import SearchData, search_data
from birthmark.scores import ScoreTable, read_scores
from birthmark.values.extremes import Standings, standings

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


def read_contents(out: Path) -> Contents:
    """Read an OUT folder. Raises `BirthmarkError` where it holds nothing to draw, or a file of it is damaged."""
    if not out.is_dir():
        raise BirthmarkError(f"{out} is not a folder: name the OUT of an audit or a comparison")
    effects = [read_record(path, Effects) for path in sorted((out / "effects").glob("*.json"))]
    implicit = [read_record(path, Implicit) for path in sorted((out / "implicit").glob("*.json"))]
    paths = sorted((out / "scores").glob("*.parquet"))
    if not effects and not paths and not implicit:
        raise BirthmarkError(f"{out} holds no effects, scores or implicit reward: run birthmark audit --out {out}")
    study = read_record(out / "study.json", StudyRecord) if (out / "study.json").is_file() else None
    scores: list[ScoreRecord] = []
    extremes: list[ModelExtremes] = []
    tokens: list[Standings] = []
    words: list[Standings] = []
    for path in paths:
        table = read_scores(path)
        of_tokens, of_words = standings(table, table.tokens), standings(table, table.words)
        scores.append(table.record)
        extremes.append(_model_extremes(table, of_tokens, of_words))
        tokens += of_tokens
        words += of_words
    return Contents(
        study,
        sorted(effects, key=lambda item: (_place(study, item.lexicon), item.kind)),
        [item for item in implicit if item.prompts],
        scores,
        extremes,
        search_data(tokens, words),
        _optional(out / "lineage.json", Lineage),
        _optional(out / "map.json", Map),
    )


def _optional(path: Path, record_type: type[R]) -> R | None:
    return read_record(path, record_type) if path.is_file() else None


def _place(study: StudyRecord | None, lexicon: str) -> int:
    """Lexicons come in the order in which they were asked for, and those that were merely looked at after them."""
    asked = study.asked.get("lexicons") if study else None
    if not isinstance(asked, list):
        return 0
    return asked.index(lexicon) if lexicon in asked else len(asked)


def _model_extremes(table: ScoreTable, tokens: list[Standings], words: list[Standings]) -> ModelExtremes:
    groups = [
        Group(sort, items[0].frame.height, [_extremes(item) for item in items])
        for sort, items in (("tokens", tokens), ("words", words))
        if items
    ]
    return ModelExtremes(table.record.slug, table.record.kind, groups)


def _extremes(item: Standings) -> Extremes:
    """The best and the worst, none of them in both."""
    height = item.frame.height
    top, bottom = min(SHOWN, height - height // 2), min(SHOWN, height // 2)
    columns = ("candidate", "mean_rank")
    return Extremes(
        item.framing, item.top(top).select(columns).to_dicts(), item.bottom(bottom).select(columns).to_dicts()
    )
