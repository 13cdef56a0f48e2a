"""`report.html`: one file that shows what an OUT folder holds, and its figures as files beside it.

Puts figures, tables and sentences into the template and makes all that people brought safe to show. Knows nothing of
what they say.
"""

import json
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from birthmark.errors import BirthmarkError
from birthmark.inputs.fetch import cache_folder
from birthmark.records import Effects, Line, LineageOf
from birthmark.report.contents import Contents, read_contents
from birthmark.report.drawing import save_figure, svg
from birthmark.report.figures import lexicon_figures
from birthmark.report.formats import p_words
from birthmark.report.implicit_figures import implicit_figure
from birthmark.report.lineage_figures import leading_line, line_figure, line_finding
from birthmark.report.lineage_tables import lineage_tables
from birthmark.report.map_figures import map_figures
from birthmark.report.map_tables import about_predictors, map_sentence, predictor_tables
from birthmark.report.run_tables import run_table
from birthmark.report.tables import lexicon_tables, mean_table
from birthmark.report.visible import pieces, spoken
from birthmark.report.wording import (
    Finding,
    caveats,
    examples,
    finding,
    glossary,
    key_numbers,
    mass_warning,
    sentence,
    system_said,
)
from birthmark.scores import warnings_of, write_text

OPEN_MODELS = 4
FRAMED = {"positive": "Asked for the best", "negative": "Asked for the worst", None: "Asked neither way"}


def write_report(out: Path | str) -> Path:
    """Draw `out/report.html` and `out/figures/*.svg|png` from the files in `out`; returns the page's path.

    Raises `BirthmarkError` where `out` holds nothing to draw, or a file of it is damaged.
    """
    out = Path(out)
    contents = read_contents(out)
    of_lexicons = [lexicon_figures(item) for item in contents.effects]
    of_implicit = [implicit_figure(item) for item in contents.implicit]
    of_map = map_figures(contents.map)[1::-1] if contents.map else []
    line = _leading_line(contents)
    of_line = line_figure(*line) if line else None
    page = (
        _environment()
        .get_template("report.html.jinja")
        .render(
            contents=contents,
            found=line_finding(*line) if line else _found(contents),
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


def _environment() -> Environment:
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
        "examples": examples,
        "key_numbers": key_numbers,
        "framed": FRAMED,
        "open_models": OPEN_MODELS,
        "style": _part("report.css"),
        "script": _part("report.js"),
        "vega": _script_text(_vega()),
    }
    return environment


def _vega() -> str:
    """Vega, Vega-Lite and vega-embed as one script; putting it together takes seconds, so it is kept in the cache."""
    try:
        path = cache_folder() / f"vega-{version('vl-convert-python')}.js"
        if not path.is_file():
            write_text(path, vl_convert.javascript_bundle())  # type: ignore[call-arg]
        return path.read_text(encoding="utf-8")
    except (OSError, BirthmarkError):  # a page can be drawn where nothing can be kept
        return vl_convert.javascript_bundle()  # type: ignore[call-arg]


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


def token(candidate: str) -> Markup:
    """A candidate as HTML: isolated from the text's direction, unseen characters as marks that are also spoken."""
    shown = pieces(candidate)
    inner = Markup("").join(
        Markup('<span class="mark">{}</span>').format(piece.text) if piece.mark else escape(piece.text)
        for piece in shown
    )
    if not any(piece.mark for piece in shown):
        return Markup('<bdi class="token">{}</bdi>').format(inner)
    return Markup('<bdi class="token"><span aria-hidden="true">{}</span><span class="vh">{}</span></bdi>').format(
        inner, spoken(candidate)
    )


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
