"""Colours and type of the figures. They are drawn in the page's CSS variables; in files, fixed values take their place.

Hues are Okabe and Ito's, darkened where one would be too faint on paper; shapes change along with them, so that no
figure rests on colour alone. Knows nothing of what is drawn.
"""

import json
from collections.abc import Mapping
from typing import Any

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
SHAPES = ("circle", "diamond", "square", "triangle-up", "triangle-down", "cross", "triangle-right", "triangle-left")
INK, SOFT, LINE = "var(--ink)", "var(--soft)", "var(--line)"
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
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "titleFontWeight": "normal",
        "titleFontSize": 12,
        "titlePadding": 10,
        "labelFontSize": 12,
        "gridColor": LINE,
        "domain": False,
        "ticks": False,
        "labelPadding": 8,
    },
    "axisY": {"grid": False, "labelColor": INK},
    "header": {"labelColor": INK, "titleColor": SOFT, "labelFontSize": 12},  # of a row or a column of panels
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
    "title": {"anchor": "start", "color": INK, "fontSize": 13, "fontWeight": 600, "offset": 10, "frame": "group"},
    "text": {"font": FONT, "color": SOFT},
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
    text = json.dumps(spec)
    for name, colour in FILE_COLOURS.items():
        text = text.replace(f"var(--{name})", colour)
    return json.loads(text)  # type: ignore[no-any-return]
