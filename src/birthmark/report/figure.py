"""Figures: one look for all (colours, fonts, sizes), as interactive specifications and as SVG and PNG files."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from birthmark.files import atomic_path, write_text
from birthmark.foreign import figure_spec, file_name
from birthmark.records import Effects, ModelContrast
from birthmark.report.columns import Table

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SHAPES = ("circle", "diamond", "square", "triangle-up", "triangle-down", "cross", "triangle-right", "triangle-left")


INK, SOFT, LINE, PAPER = "var(--ink)", "var(--soft)", "var(--line)", "var(--paper)"


HUES = tuple(f"var(--hue-{n})" for n in range(1, 9))
FILE_COLOURS = {
    "ink": "#1d1b18",
    "soft": "#5d5850",
    "line": "#e2dccf",
    "hue-1": "#c2540a",
    "hue-2": "#0a6ca8",
    "hue-3": "#00805c",
    "hue-4": "#a8457c",
    "hue-5": "#8a6a00",
    "hue-6": "#3b8fc4",
    "hue-7": "#6b4fb3",
    "hue-8": "#4d4a45",
}


"""The light page's colours, by the name of their CSS variable."""


CONFIG: Mapping[str, Any] = {
    "background": "transparent",
    "aria": False,  # a page and a document describe a figure themselves; Vega would read titles as expressions
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "titleFontWeight": "normal",
        "titleFontSize": 12,
        "titlePadding": 10,
        "titleLimit": 600,
        "labelFontSize": 12,
        "gridColor": LINE,
        "domain": False,
        "ticks": False,
        "labelPadding": 8,
    },
    "axisX": {"labelOverlap": "greedy", "labelSeparation": 6},
    "axisY": {"grid": False, "labelColor": INK},
    "header": {
        "labelColor": INK,
        "titleColor": SOFT,
        "labelFontSize": 12,
        "labelLimit": 300,
    },  # of a row or a column of panels
    "legend": {
        "orient": "top",
        "title": None,
        "titleColor": SOFT,
        "titleFontWeight": "normal",
        "titleFontSize": 12,
        "labelColor": INK,
        "labelFontSize": 13,
        "symbolSize": 110,
        "symbolStrokeWidth": 0,
        "columnPadding": 18,
        "offset": 14,
        "labelLimit": 300,
    },
    "title": {
        "anchor": "start",
        "color": INK,
        "fontSize": 13,
        "fontWeight": 600,
        "offset": 10,
        "frame": "group",
        "limit": 480,
    },
    "text": {"font": FONT, "color": SOFT, "limit": 560},
    "concat": {"spacing": 28},
}


"""Vega-Lite's config; the background is clear, for the page's paper to show through."""


def hue(index: int) -> str:
    return HUES[index % len(HUES)]


def shape(index: int) -> str:
    """Out of step with the hues after one round, so that no two of 64 look alike."""
    return SHAPES[(index + index // len(HUES)) % len(SHAPES)]


def in_file_colours(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A specification with fixed colours in place of the page's variables."""
    colours = {f"var(--{name})": colour for name, colour in FILE_COLOURS.items()}

    def walk(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return colours.get(value, value) if isinstance(value, str) else value

    return walk(spec)  # type: ignore[no-any-return]


FRAMING_TITLES = {"positive": "Asked for the best thing", "negative": "Asked for the worst thing"}


WIDE, NARROW = 560, 310
ROOM = 16  # around a figure in a file


FAMILY_HUES, FRAMING_HUES = 2, 6


@dataclass(frozen=True, repr=False)
class Figure:
    """`name` is the files' stem, once it is fit for one; `build(narrow)` gives the chart; `description` says in words what it shows."""

    name: str
    title: str
    description: str
    build: Callable[[bool], Any]
    table: Table
    note: str = ""

    @cached_property
    def wide(self) -> dict[str, Any]:
        """Vega-Lite's JSON, in the page's CSS variables, for a desk."""
        return self._spec(narrow=False)

    @cached_property
    def narrow(self) -> dict[str, Any]:
        """The same for a phone."""
        return self._spec(narrow=True)

    def _spec(self, *, narrow: bool) -> dict[str, Any]:
        drawn: dict[str, Any] = self.build(narrow).to_dict(validate=False)
        return figure_spec(drawn | {"description": self.description}) | {"config": CONFIG}

    def __repr__(self) -> str:
        return f"Figure({self.name}: {self.title})"

    def chart(self) -> Any:
        """The altair chart, in fixed colours, wide: to show, to change, or to save."""
        spec = in_file_colours(self.wide)
        kinds: dict[str, Any] = {
            "layer": alt.LayerChart,
            "hconcat": alt.HConcatChart,
            "vconcat": alt.VConcatChart,
            "facet": alt.FacetChart,
        }
        kind: Any = next((kinds[name] for name in kinds if name in spec), alt.Chart)
        return kind.from_dict(spec, validate=False)

    @property
    def stem(self) -> str:
        return file_name(self.name)

    @property
    def widths(self) -> dict[str, Any]:
        """Both specifications with their data once, as `datasets` that either of them names."""
        datasets: dict[str, str] = {}
        drawn = {name: _named(spec, datasets) for name, spec in (("wide", self.wide), ("narrow", self.narrow))}
        return drawn | {"datasets": {name: json.loads(rows) for rows, name in datasets.items()}}

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Any:
        """In a notebook: interactive where the front end draws Vega-Lite itself, else an SVG; nothing is fetched."""
        spec = in_file_colours(self.wide) | {"background": "white", "padding": ROOM}
        interactive = f"application/vnd.vegalite.{alt.SCHEMA_VERSION.partition('.')[0]}+json"
        return {interactive: spec, "image/svg+xml": self.file_svg}

    @cached_property
    def wide_svg(self) -> str:
        """Drawn for a desk, in the page's CSS variables; the ids in it carry the figure's name."""
        return svg(self.wide, self.stem)

    @property
    def narrow_svg(self) -> str:
        """The same for a phone."""
        return svg(self.narrow, f"{self.stem}-narrow")

    @property
    def file_svg(self) -> str:
        """The drawing for a desk in fixed colours, on white with room around it; Vega itself leaves 5 units."""
        coloured = re.sub(r'"var\(--([\w-]+)\)"', lambda found: f'"{FILE_COLOURS[found[1]]}"', self.wide_svg)
        return re.sub(r'width="([\d.]+)" height="([\d.]+)" viewBox="[^"]*">', _with_room, coloured, count=1)


def _with_room(size: re.Match[str]) -> str:
    more = ROOM - 5
    width, height = (float(length) + 2 * more for length in size.groups())
    paper = f'<rect x="{-more}" y="{-more}" width="{width:g}" height="{height:g}" fill="white"/>'
    return f'width="{width:g}" height="{height:g}" viewBox="{-more} {-more} {width:g} {height:g}">{paper}'


def _named(spec: Any, datasets: dict[str, str]) -> Any:
    """A specification whose rows of data are moved to `datasets`: the rows as JSON → their name."""
    if isinstance(spec, list):
        return [_named(item, datasets) for item in spec]
    if not isinstance(spec, dict):
        return spec
    rows = spec.get("data", {}).get("values") if isinstance(spec.get("data"), dict) else None
    rest = {key: _named(value, datasets) for key, value in spec.items() if key != "data"}
    if rows is None:
        return rest | ({"data": spec["data"]} if "data" in spec else {})
    return rest | {"data": {"name": datasets.setdefault(json.dumps(rows), f"data-{len(datasets)}")}}


def by_family(effects: Effects) -> list[ModelContrast]:
    """The models, family by family."""
    return sorted(effects.models, key=lambda item: (item.family, item.base_checkpoint, item.model))


def figure_name(effects: Effects, what: str) -> str:
    """The files' stem of a lexicon's figure."""
    return f"{effects.lexicon}-{effects.kind}-{what}"


def svg(spec: dict[str, Any], name: str) -> str:
    """A specification drawn; the ids in it carry `name`, so that several drawings can stand in one page."""
    drawn = vl_convert.vegalite_to_svg(spec)
    numbers: dict[str, int] = {}
    return re.sub(
        r'(?:(?<=id=")|(?<=url\(#))(?:clip|gradient_)\d+',
        lambda found: f"{name}-{numbers.setdefault(found[0], len(numbers))}",
        drawn,
    )


def save_figure(figure: Figure, folder: Path) -> None:
    """Write `<stem>.svg` and `<stem>.png` (twice the size), on white, into `folder`, each atomically."""
    drawn = figure.file_svg
    write_text(folder / f"{figure.stem}.svg", drawn)
    with atomic_path(folder / f"{figure.stem}.png") as temporary:
        temporary.write_bytes(vl_convert.svg_to_png(drawn, scale=2.0))


# ---------------------------------------------------------------------------------------- parts of a chart


class Rows(alt.Data):
    """A chart's rows; altair copies charts as it joins them, which takes most of the time unless rows are left alone."""

    def __deepcopy__(self, _: object = None) -> "Rows":
        return self


class Chart(alt.Chart):
    """A chart that is copied without its encodings, for the same reason: altair changes none of them as it joins charts."""

    def __deepcopy__(self, _: object = None) -> "Chart":
        return self.copy(deep=False)


def data(rows: list[dict[str, Any]]) -> alt.Data:
    return Rows(values=rows)


WIDER = 1.2  # pixels a letter by which one font is wider than another


def by_hue(field: str, domain: Sequence[str], start: int = 0, *, narrow: bool = False) -> alt.Color:
    """A colour for each of `domain`, the first being hue number `start`."""
    scale = alt.Scale(domain=list(domain), range=[hue(start + at) for at in range(len(domain))])
    return alt.Color(f"{field}:N", scale=scale, title=None, legend=_legend(domain, narrow))


def by_shape(field: str, domain: Sequence[str], *, narrow: bool = False) -> alt.Shape:
    """A shape for each of `domain`, in step with `by_hue`, so that the two make one legend."""
    scale = alt.Scale(domain=list(domain), range=[shape(at) for at in range(len(domain))])
    return alt.Shape(f"{field}:N", scale=scale, title=None, legend=_legend(domain, narrow))


def _legend(domain: Sequence[str], narrow: bool) -> alt.Legend:
    """In one line where it fits, else in columns; with room for a reader's font that is wider than the one measured."""
    length = sum(len(name) + 5 for name in domain)
    longest = max((len(name) for name in domain), default=0)
    room = 44 if narrow else 100
    columns = alt.Undefined if length <= room else max(1, room // (longest + 5))
    return alt.Legend(symbolOpacity=1, columnPadding=14 + WIDER * longest, columns=columns)


def rows_axis(field: str, order: Sequence[str], *, narrow: bool, labels: bool = True) -> alt.Y:
    """One band a row; on a phone without labels, since `names_above` writes them over the rows."""
    axis = alt.Axis(labelLimit=240) if labels and not narrow else None
    scale = alt.Scale(paddingInner=0.35 if narrow else 0.2)
    return alt.Y(f"{field}:N", sort=list(order), title=None, axis=axis, scale=scale)


def names_above(field: str, order: Sequence[str]) -> Any:
    """The rows' names written above them, where a phone has no room beside them; no line of the figure runs through one."""
    named = Chart(data([{field: name} for name in order])).encode(
        y=alt.Y(f"{field}:N", sort=list(order), bandPosition=0), x=alt.value(0), text=f"{field}:N"
    )
    style: Any = {"align": "left", "baseline": "bottom", "fontSize": 12, "dy": 3, "limit": NARROW - 10}
    return alt.layer(
        named.mark_text(**style, stroke=PAPER, strokeWidth=4, color=PAPER), named.mark_text(**style, color=INK)
    )
