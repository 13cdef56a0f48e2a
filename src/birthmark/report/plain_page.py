"""A page of sections (sentences, figures, tables) in one file, without a script: for a replication and for a map.

Knows nothing of what it shows; all text is escaped.
"""

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from birthmark.report.drawing import Figure, Table, save_figure
from birthmark.report.page import embedded, inline_svg, token
from birthmark.scores import write_text

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
