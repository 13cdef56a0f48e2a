"""`report.html`: one file that shows what an OUT folder holds, and its figures as files beside it.

Reads what the steps before wrote and draws it. It asks `values` where candidates stand and computes nothing itself.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from birthmark.errors import BirthmarkError
from birthmark.records import Effects, Framing, Implicit, ScoreRecord, StudyRecord, read_record
from birthmark.report.figures import (
    Figure,
    adjective_figure,
    implicit_figure,
    lean_figure,
    rank_figure,
    save_figure,
    svg,
)
from birthmark.report.search_data import SearchData, search_data
from birthmark.report.visible import pieces, spoken
from birthmark.report.wording import caveats, finding, mass_warning, p_words
from birthmark.scores import read_scores, write_text
from birthmark.values.extremes import Standings, standings

SHOWN = 25
OPEN_MODELS = 4
FRAMED = {"positive": "Asked for the best", "negative": "Asked for the worst", None: "After the prompts"}


@dataclass(frozen=True)
class Extremes:
    """The first and last candidates of one model and framing, as texts with their mean ranks."""

    framing: Framing | None
    n: int
    top: list[dict[str, Any]]
    bottom: list[dict[str, Any]]


@dataclass(frozen=True)
class ModelExtremes:
    model: str
    rows: str
    framings: list[Extremes]


@dataclass(frozen=True)
class Contents:
    """What an OUT folder holds, read, and its figures: `lexicon_figures` one list an effects file."""

    study: StudyRecord | None
    effects: list[Effects]
    implicit: list[Implicit]
    scores: list[ScoreRecord]
    extremes: list[ModelExtremes]
    search: SearchData
    lexicon_figures: list[list[Figure]]
    implicit_figures: list[Figure]

    @property
    def figures(self) -> list[Figure]:
        return [*(figure for group in self.lexicon_figures for figure in group), *self.implicit_figures]


def write_report(out: Path | str) -> Path:
    """Draw `out/report.html` and `out/figures/*.svg|png` from the files in `out`; returns the page's path.

    Raises `BirthmarkError` where `out` holds neither effects nor scores, or a file of them is damaged.
    """
    out = Path(out)
    contents = read_contents(out)
    page = render(contents)
    for figure in contents.figures:
        save_figure(figure, out / "figures")
    path = out / "report.html"
    write_text(path, page)
    return path


def read_contents(out: Path) -> Contents:
    """Read an OUT folder, one score table at a time."""
    if not out.is_dir():
        raise BirthmarkError(f"{out} is not a folder: name the OUT of an audit or a comparison")
    effects = [read_record(path, Effects) for path in sorted((out / "effects").glob("*.json"))]
    implicit = [read_record(path, Implicit) for path in sorted((out / "implicit").glob("*.json"))]
    tables = sorted((out / "scores").glob("*.parquet"))
    if not effects and not tables and not implicit:
        raise BirthmarkError(f"{out} holds no effects, scores or implicit reward: run birthmark audit --out {out}")
    scores, extremes, tokens, words = [], [], [], []
    for path in tables:
        table = read_scores(path)
        scores.append(table.record)
        of_tokens, of_words = standings(table, table.tokens), standings(table, table.words)
        for rows, items in (("tokens", of_tokens), ("words", of_words)):
            if items:
                extremes.append(ModelExtremes(table.record.slug, rows, [_extremes(item) for item in items]))
        tokens += of_tokens
        words += of_words
    study = read_record(out / "study.json", StudyRecord) if (out / "study.json").is_file() else None
    order = [str(name) for name in study.asked.get("lexicons") or []] if study else []  # type: ignore[attr-defined]
    effects.sort(key=lambda item: (order.index(item.lexicon) if item.lexicon in order else len(order), item.kind))
    implicit = [item for item in implicit if item.prompts]
    return Contents(
        study,
        effects,
        implicit,
        scores,
        extremes,
        search_data(tokens, words),
        [lexicon_figures(item) for item in effects],
        [implicit_figure(item) for item in implicit],
    )


def _extremes(item: Standings) -> Extremes:
    n = min(SHOWN, item.frame.height // 2) or item.frame.height
    columns = ("candidate", "mean_rank")
    return Extremes(
        item.framing,
        item.frame.height,
        item.top(n).select(columns).to_dicts(),
        item.bottom(n).select(columns).to_dicts() if item.frame.height > 1 else [],
    )


def lexicon_figures(effects: Effects) -> list[Figure]:
    """The figures of one lexicon and kind of score, those that its numbers allow."""
    if not effects.cells:
        return []
    made = (lean_figure(effects), rank_figure(effects), adjective_figure(effects))
    return [figure for figure in made if figure is not None]


def render(contents: Contents) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=PackageLoader("birthmark.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"token": token, "embedded": embedded, "p": p_words, "thousands": lambda n: f"{n:,}"}
    environment.globals |= {
        "inline_svg": inline_svg,
        "finding": finding,
        "framed": FRAMED,
        "open_models": OPEN_MODELS,
    }
    return environment.get_template("report.html.jinja").render(
        contents=contents,
        title=page_title(contents),
        caveats=caveats(contents.effects, contents.scores),
        warnings=_warnings(contents),
        markers=_markers(contents.effects),
        style=_part("report.css"),
        script=_part("report.js"),
        vega=_script_text(vl_convert.javascript_bundle()),  # type: ignore[call-arg]
    )


def page_title(contents: Contents) -> str:
    names = [record.model for record in contents.scores] or sorted(
        {model.model for item in contents.effects for model in item.models}
    )
    if len(names) <= 2:
        return "What " + " and ".join(names) + " put first"
    return f"What {len(names)} models put first"


def _warnings(contents: Contents) -> list[str]:
    lists = [item.warnings for group in (contents.effects, contents.implicit, contents.scores) for item in group]
    of_files = [text for warnings in lists for text in warnings]
    of_mass = [text for record in contents.scores if (text := mass_warning(record))]
    of_study = contents.study.warnings if contents.study else []
    return list(dict.fromkeys([*of_mass, *of_study, *of_files]))


def _markers(effects: Sequence[Effects]) -> dict[str, tuple[int, str]]:
    """Lexicon words as they are marked among candidates: lower-cased text → number and name of its category."""
    two = [item for item in effects if len(item.categories) == 2]
    if not two:
        return {}
    return {
        word.lower(): (at, category)
        for at, category in enumerate(two[0].categories, start=1)
        for word in two[0].words.get(category, [])
    }


def token(candidate: str) -> Markup:
    """A candidate as HTML: isolated from the text's direction, unseen characters as marks that are also spoken."""
    inner = Markup("").join(
        Markup('<span class="mark">{}</span>').format(piece.text) if piece.mark else escape(piece.text)
        for piece in pieces(candidate)
    )
    if any(piece.mark for piece in pieces(candidate)):
        return Markup('<bdi class="token"><span aria-hidden="true">{}</span><span class="vh">{}</span></bdi>').format(
            inner, spoken(candidate)
        )
    return Markup('<bdi class="token">{}</bdi>').format(inner)


def embedded(value: object) -> Markup:
    """JSON that is safe inside a script element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def inline_svg(spec: dict[str, Any], name: str) -> Markup:
    """A figure in the page's own colours, hidden from screen readers, who have its description and table."""
    return Markup(svg(spec, name).replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))


def _part(name: str) -> Markup:
    return Markup((files("birthmark.report") / "templates" / name).read_text(encoding="utf-8"))


def _script_text(source: str) -> Markup:
    return Markup(source.replace("</script", "<\\/script").replace("<!--", "<\\!--"))
