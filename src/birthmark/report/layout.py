"""What every page has: the environment of the templates, text made safe for it, and a page of sections."""

import json
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from birthmark.errors import BirthmarkError
from birthmark.files import write_text
from birthmark.inputs.fetch import cache_folder
from birthmark.report.figure import Figure, Table, save_figure, svg
from birthmark.report.text import pieces, spoken
from birthmark.values.formats import p_words
from birthmark.values.wording import examples, finding, key_numbers, lineage_sentence

OPEN_MODELS = 4
FRAMED = {"positive": "Asked for the best", "negative": "Asked for the worst", None: "Asked neither way"}


def environment() -> Environment:
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
        "lineage_sentence": lineage_sentence,
        "framed": FRAMED,
        "open_models": OPEN_MODELS,
        "style": page_part("report.css"),
        "script": page_part("report.js"),
        "vega": script_text(_vega()),
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


def page_part(name: str) -> Markup:
    return Markup((files("birthmark.report") / "templates" / name).read_text(encoding="utf-8"))


def script_text(source: str) -> Markup:
    return Markup(source.replace("</script", "<\\/script").replace("<!--", "<\\!--"))


MOST_ROWS = 40


"""A longer table is folded up, so that what comes after it can be found."""


@dataclass(frozen=True)
class Section:
    """A heading with its sentences, then figures, then tables; `anchor` is its name in the page's address."""

    anchor: str
    heading: str
    sentences: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


def write_plain_page(out: Path, title: str, lead: str, sections: list[Section]) -> Path:
    """Write `out/report.html` and every figure as `out/figures/<name>.svg|png`; returns the page's path."""
    environment = Environment(
        loader=PackageLoader("birthmark.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"embedded": embedded, "token": token}  # the macros name them
    style = (files("birthmark.report") / "templates" / "report.css").read_text(encoding="utf-8")
    environment.globals |= {"inline_svg": inline_svg, "style": Markup(style)}
    page = environment.get_template("plain.html.jinja").render(
        title=title, lead=lead, sections=sections, most_rows=MOST_ROWS
    )
    for section in sections:
        for figure in section.figures:
            save_figure(figure, out / "figures")
    write_text(out / "report.html", page)
    return out / "report.html"
