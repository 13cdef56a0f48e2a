"""A page: topics made of parts, each part drawn by its own piece of the one template, and text made safe for it."""

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from types import CodeType
from typing import Any, TypeAlias
from urllib.parse import quote

import vl_convert
from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from birthmark.errors import BirthmarkError
from birthmark.files import write_text
from birthmark.foreign import file_name, html, html_text, legible, script_json, shortened
from birthmark.inputs.fetch import cache_folder
from birthmark.report.columns import Table
from birthmark.report.figure import Figure, save_figure
from birthmark.report.text import pieces, spoken

PROJECT, PAPER = "https://pypi.org/project/birthmark/", "https://arxiv.org/abs/2601.20838"
MOST_WARNINGS, LONGEST_NOTE, LONGEST_DESCRIPTION = 4, 300, 300
MOST_ROWS = 40  # a longer table is folded up, so that what comes after it can be found


# ------------------------------------------------------------------------------------------ what a page is made of


@dataclass(frozen=True)
class Text:
    """A paragraph; `look` is a class of the style sheet: `note`, `missing`, `lead`, `lead second`."""

    text: str
    look: str = "note"


@dataclass(frozen=True)
class Heading:
    """A heading within a topic; `small` for one that is no topic of its own in what follows."""

    text: str
    small: bool = False


@dataclass(frozen=True)
class Items:
    """A list of texts."""

    items: Sequence[str]
    look: str = "prose"


@dataclass(frozen=True)
class Terms:
    """Terms, each with its meaning."""

    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Warnings:
    """What must be read together with the rest, in a box."""

    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    """A command line to be copied."""

    text: str


@dataclass(frozen=True)
class Fold:
    """Parts that are folded up behind a summary."""

    summary: str
    parts: "Sequence[Part]"


@dataclass(frozen=True)
class Custom:
    """A part with a template of its own, `templates/<template>.html.jinja`, which is given `values`."""

    template: str
    values: dict[str, Any]


Part: TypeAlias = str | Text | Heading | Items | Terms | Warnings | Code | Fold | Custom | Figure | Table


@dataclass(frozen=True)
class Topic:
    """A heading and its parts in reading order, a plain text being a paragraph; `anchor` is its name in the page's address.

    `link` is what the page's contents call it, where that is not the heading.
    """

    anchor: str
    heading: str
    parts: Sequence[Part] = ()
    link: str = ""


@dataclass(frozen=True)
class Page:
    """A title with the parts that open the page, then topics."""

    title: str
    opening: Sequence[Part]
    topics: Sequence[Topic]
    kicker: str = ""

    @property
    def figures(self) -> list[Figure]:
        return list(_figures([*self.opening, *(part for topic in self.topics for part in topic.parts)]))


def _figures(parts: Sequence[Part]) -> Iterator[Figure]:
    for part in parts:
        if isinstance(part, Figure):
            yield part
        elif isinstance(part, Fold):
            yield from _figures(part.parts)


def write_page(out: Path, page: Page) -> Path:
    """Write `out/report.html` and every figure as `out/figures/<name>.svg|png`; returns the page's path."""
    text = environment(page).get_template("page.html.jinja").render(page=page)
    for figure in page.figures:
        save_figure(figure, out / "figures")
    write_text(out / "report.html", text)
    return out / "report.html"


# ------------------------------------------------------------------------------------------------ the template


class Compiled(BytecodeCache):
    """The compiled templates: each is compiled once, whatever number of pages is drawn."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self.kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self.kept[bucket.key, bucket.checksum] = bucket.code


COMPILED = Compiled()


def environment(page: Page) -> Environment:
    """The templates with what they call."""
    environment = Environment(
        loader=PackageLoader("birthmark.report"),
        bytecode_cache=COMPILED,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=html_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = page.figures
    ids = {figure.name: f"figure-{at}" for at, figure in enumerate(figures, start=1)}
    environment.filters |= {"token": token, "embedded": script_json, "thousands": lambda n: f"{n:,}", "code": code}
    environment.globals |= {
        "kind": lambda part: "str" if isinstance(part, str) else type(part).__name__,
        "custom": lambda part: Markup(environment.get_template(f"{part.template}.html.jinja").render(part.values)),
        "figure_id": lambda figure: ids[figure.name],
        "csv_link": csv_link,
        "inline_svg": inline_svg,
        "most_rows": MOST_ROWS,
        "most_warnings": MOST_WARNINGS,
        "longest_note": LONGEST_NOTE,
        "first_sentence": first_sentence,
        "description": description(page),
        "image": social_image(figures[0]) if figures else "",
        "project": PROJECT,
        "paper": PAPER,
        "style": page_part("report.css"),
        "script": page_part("report.js"),
        "vega": script_text(_vega()) if figures else "",
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


def description(page: Page) -> str:
    """What the page found, for those who share its address: its leading text, cut."""
    lead = next((part.text for part in page.opening if isinstance(part, Text)), page.title)
    return shortened(legible(str(lead)), LONGEST_DESCRIPTION)


def social_image(figure: Figure) -> str:
    """The leading figure as a PNG in an address of its own, on white."""
    drawn = vl_convert.svg_to_png(figure.file_svg, scale=1.0)
    return f"data:image/png;base64,{b64encode(drawn).decode()}"


def first_sentence(text: str) -> str:
    """Up to the first full stop, colon or semicolon that a space follows, past a few words."""
    found = re.search(r"^.{24,}?[.:;](?= )", str(text))
    return found[0] if found else shortened(str(text), LONGEST_NOTE)


def csv_link(table: Table, name: str = "", label: str = "Download CSV") -> Markup:
    """A link that saves the table's values as a CSV file; the values are in the link itself."""
    address = Markup("data:text/csv;charset=utf-8,") + quote(table.csv)
    return html(
        '<a download="{}.csv" href="{}">{}<span class="vh">: {}</span></a>',
        name or file_name(table.caption[:60]),
        address,
        label,
        table.caption,
    )


def token(candidate: str) -> Markup:
    """A candidate as HTML: isolated from the text's direction, unseen characters as marks that are also spoken."""
    shown = pieces(candidate)
    inner = Markup("").join(html('<span class="mark">{}</span>' if piece.mark else "{}", piece.text) for piece in shown)
    if not any(piece.mark for piece in shown):
        return html('<bdi class="token">{}</bdi>', inner)
    spoken_html = html("{}", spoken(candidate))
    return html(
        '<bdi class="token"><span aria-hidden="true">{}</span><span class="vh">{}</span></bdi>', inner, spoken_html
    )


def inline_svg(drawn: str) -> Markup:
    """A figure in the page's own colours, hidden from screen readers, who have its description and table."""
    return Markup(drawn.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))


def code(text: str) -> Markup:
    """A command line, whole, since it is to be copied."""
    return Markup("{}").format(legible(text, keep="\n"))


def page_part(name: str) -> Markup:
    return Markup((files("birthmark.report") / "templates" / name).read_text(encoding="utf-8"))


def script_text(source: str) -> Markup:
    return Markup(source.replace("</script", "<\\/script").replace("<!--", "<\\!--"))
