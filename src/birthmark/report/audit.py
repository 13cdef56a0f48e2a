"""The page of an audit or a comparison: what an OUT folder holds, read for drawing, and `report.html` made of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from birthmark.errors import BirthmarkError
from birthmark.files import write_text
from birthmark.records import (
    Effects,
    Framing,
    Implicit,
    Line,
    Lineage,
    LineageOf,
    Map,
    Record,
    ScoreRecord,
    StudyRecord,
    read_record,
)
from birthmark.report.figure import save_figure
from birthmark.report.implicit import implicit_figure
from birthmark.report.layout import environment
from birthmark.report.lexicon_figures import lexicon_figures
from birthmark.report.lexicon_tables import lexicon_tables, mean_table
from birthmark.report.lineage import leading_line, line_figure, lineage_tables
from birthmark.report.map import map_figures, predictor_tables
from birthmark.report.models import SearchData, run_table, search_data
from birthmark.report.text import renamed, short_names
from birthmark.scoring.table import ScoreTable, read_scores, warnings_of
from birthmark.values.formats import sentence
from birthmark.values.ranks import Standings, standings
from birthmark.values.wording import Finding, caveats, finding, glossary, line_finding, mass_warning, system_said
from birthmark.values.wording_pairs import about_predictors, map_sentence

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
    return Contents(
        _as_shown(study, names),
        [renamed(item, names) for item in effects],
        [renamed(item, names) for item in implicit if item.prompts],
        scores,
        extremes,
        search_data(tokens, words),
        renamed(lineage, names) if lineage else None,
        renamed(relations, names) if relations else None,
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
        for sort, items in (("tokens", tokens), ("words", words))
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


def write_report(out: Path | str, tables: Sequence[ScoreTable] = ()) -> Path:
    """Draw `out/report.html` and `out/figures/*.svg|png` from the files in `out`; returns the page's path.

    Raises `BirthmarkError` where `out` holds nothing to draw, or a file of it is damaged.
    """
    out = Path(out)
    contents = read_contents(out, tables)
    of_lexicons = [lexicon_figures(item) for item in contents.effects]
    of_implicit = [implicit_figure(item) for item in contents.implicit]
    of_map = map_figures(contents.map)[1::-1] if contents.map else []
    line = _leading_line(contents)
    of_line = line_figure(*line) if line else None
    page = (
        environment()
        .get_template("report.html.jinja")
        .render(
            contents=contents,
            found=line_finding(line[1]) if line else _found(contents),
            lead=contents.effects[0] if contents.effects else None,
            line_figure=of_line,
            lexicon_figures=of_lexicons,
            lexicon_tables=[lexicon_tables(item) for item in contents.effects],
            implicit_figures=of_implicit,
            mean_tables=[mean_table(item) for item in contents.implicit],
            implied=bool(contents.implicit) or sum(record.kind == "logprob" for record in contents.scores) > 1,
            run_table=run_table(contents.scores),
            line_tables=[lineage_tables(line) for line in contents.lineage.lines] if contents.lineage else [],
            map_lead=map_sentence(contents.map) if contents.map else "",
            map_drawn=of_map,
            map_tables=predictor_tables(contents.map.predictors) if contents.map else [],
            map_about=about_predictors(contents.map) if contents.map else [],
            caveats=caveats(contents.effects, contents.scores),
            glossary=glossary(contents.effects, contents.implicit),
            system=system_said(contents.scores),
            warnings=_warnings(contents),
            marked=_marked(contents.effects),
            markers=_markers(contents.effects),
            prompt_texts={
                key: prompt.text for record in contents.scores for key, prompt in record.prompt_set.prompts.items()
            },
        )
    )
    of_lists = [figure for group in of_lexicons for figure in group]
    for figure in [*([of_line] if of_line else []), *of_lists, *of_implicit, *of_map]:
        save_figure(figure, out / "figures")
    write_text(out / "report.html", page)
    return out / "report.html"


def _leading_line(contents: Contents) -> tuple[Line, LineageOf] | None:
    """The line of descent that the page is about: where one was asked for and no families are tested."""
    tested = any(item.headline is not None and item.headline.estimate is not None for item in contents.effects)
    return leading_line(contents.lineage.lines) if contents.lineage and not tested else None


def _found(contents: Contents) -> Finding:
    if contents.effects:
        return finding(contents.effects[0])
    names = [record.model for record in contents.scores]
    title = f"What {' and '.join(names)} put first" if 0 < len(names) <= 2 else f"What {len(names)} models put first"
    return Finding(title, "No word list was compared here, so there is no finding yet.", "birthmark audit makes one.")


def _warnings(contents: Contents) -> list[str]:
    lists = [item.warnings for group in (contents.effects, contents.implicit) for item in group]
    of_mass = mass_warning(contents.scores)
    of_study = contents.study.warnings if contents.study else []
    said = [*([of_mass] if of_mass else []), *of_study, *(text for warnings in lists for text in warnings)]
    known = {text for record in contents.scores for text in record.warnings if any(text in line for line in said)}
    said += [text for text in warnings_of(contents.scores) if not any(text.startswith(line) for line in known)]
    return list(dict.fromkeys(sentence(text) for text in said))


def _marked(effects: Sequence[Effects]) -> dict[str, list[str]]:
    """The two categories of the first list of two, whose words are marked among the candidates."""
    two = [item for item in effects if len(item.categories) == 2 and item.words]
    return {category: two[0].words.get(category, []) for category in two[0].categories} if two else {}


def _markers(effects: Sequence[Effects]) -> dict[str, tuple[int, str]]:
    """Marked words in lower case → number and name of their category."""
    marked = _marked(effects).items()
    return {word.lower(): (at, name) for at, (name, words) in enumerate(marked, start=1) for word in words}
