"""The figures of a grid of implicit rewards: two words in every pair (figure 3 of the study), violins (figure 2).

Computes nothing: a violin's outline is the drawing library's density of the record's median ranks.
"""

from typing import Any

import altair as alt

from birthmark.records import GridLexicon, ImplicitGrid, WordGap
from birthmark.report.drawing import (
    FAMILY_HUES,
    FRAMING_TITLES,
    NARROW,
    WIDE,
    Figure,
    Table,
    by_hue,
    by_shape,
    data,
    file_stem,
    tooltip,
)
from birthmark.report.formats import signed
from birthmark.report.theme import LINE

CELL_WIDTH, CELL_HEIGHT = 120, 260
DOT = 70


def word_figure(grid: ImplicitGrid, gap: WordGap) -> Figure:
    """A row a pair, a dot a word, joined by a line: right of zero the second model of the pair prefers the word."""
    rows = [
        {"pair": f"{pair.a} → {pair.b}", "a": pair.a, "b": pair.b, "word": word, "mwlr": value}
        for pair in sorted(gap.pairs, key=lambda pair: -pair.gap)
        for word, value in ((gap.first, pair.first), (gap.second, pair.second))
    ]
    order = list(dict.fromkeys(str(row["pair"]) for row in rows))

    def build(narrow: bool) -> Any:
        y = alt.Y(
            "pair:N",
            sort=order,
            title=None,
            axis=alt.Axis(labelLimit=150 if narrow else 330, labelFontSize=10 if narrow else 12),
        )
        x = alt.X("mwlr:Q", title="MWLR", axis=alt.Axis(format="~g", tickCount=3 if narrow else 5))
        base = alt.Chart(data(rows)).encode(y=y, x=x)
        lines = base.mark_line(color=LINE, strokeWidth=3).encode(detail="pair:N")
        dots = base.mark_point(filled=True, size=DOT, opacity=1).encode(
            color=by_hue("word", [gap.first, gap.second], narrow=narrow),
            shape=by_shape("word", [gap.first, gap.second], narrow=narrow),
            tooltip=[*tooltip(a="from", b="to", word="word"), alt.Tooltip("mwlr:Q", format="+.3e", title="MWLR")],
        )
        zero = alt.Chart(data([{"mwlr": 0}])).mark_rule(color=LINE).encode(x="mwlr:Q")
        return alt.layer(zero, lines, dots).properties(
            width=NARROW - 130 if narrow else WIDE - 140, height=alt.Step(22)
        )

    return Figure(
        name=f"words-{file_stem(gap.first)}-{file_stem(gap.second)}",
        title=f"“{gap.first}” and “{gap.second}” in every pair",
        description=f"MWLR of both words in each of {len(gap.pairs)} pairs of models. {gap.sentence}",
        build=build,
        table=Table(
            f"MWLR of both words after {grid.prompt}, by pair",
            ("Pair", gap.first, gap.second, "Gap"),
            tuple(
                (f"{pair.a} → {pair.b}", signed(pair.first, 4), signed(pair.second, 4), signed(pair.gap, 4))
                for pair in gap.pairs
            ),
        ),
        note="Right of zero the model that the arrow points to prefers the word. Each word is the mean over its variants: "
        + "; ".join(f"{word}: {', '.join(map(repr, texts))}" for word, texts in gap.variants.items())
        + ".",
    )


def violin_figure(lexicon: GridLexicon, sides: tuple[str, str]) -> Figure:
    """Distributions of the median ranks, a violin a side, a panel a category and framing; 1, the best, is on top."""
    rows = [
        {
            "side": row.side,
            "cell": f"{row.category}, {row.framing}",
            "model": row.model,
            "prompt": row.prompt,
            "rank": row.median_rank,
        }
        for row in lexicon.medians
    ]
    cells = [(category, framing) for category in lexicon.categories for framing in FRAMING_TITLES]
    low, high = (end(row.median_rank for row in lexicon.medians) for end in (min, max))
    margin = max(1.0, (high - low) / 4)

    def build(narrow: bool) -> Any:
        panels = [_violins(rows, f"{c}, {f}", sides, (low - margin, high + margin), narrow) for c, f in cells]
        return alt.concat(*panels, columns=2 if narrow else 4)

    return Figure(
        name=f"violins-{file_stem(lexicon.lexicon)}",
        title=f"How {sides[0]} and {sides[1]} rank the categories of {lexicon.lexicon}",
        description=f"Median ranks of each category's words, one value a model and prompt, by side. {lexicon.sentence}",
        build=build,
        table=Table(
            "Mean of the median ranks",
            ("Cell", *sides, f"{sides[1]} less {sides[0]}"),
            tuple(
                (
                    f"{cell.category}, {cell.framing}",
                    f"{cell.mean_a:.1f}",
                    f"{cell.mean_b:.1f}",
                    signed(cell.difference),
                )
                for cell in lexicon.cells
            ),
        ),
        note=f"Median ranks among {lexicon.n_words} words that all the models' tables have; 1 is the best and on top.",
    )


def _violins(
    rows: list[dict[str, Any]], cell: str, sides: tuple[str, str], extent: tuple[float, float], narrow: bool
) -> Any:
    """The two sides' densities of one cell, the first to the left of the middle and the second to the right."""
    of_cell = [row for row in rows if row["cell"] == cell]
    y = alt.Y("rank:Q", title=None, scale=alt.Scale(domain=list(extent), reverse=True, nice=False))
    halves = []
    for at, side in enumerate(sides):
        mine = data([row for row in of_cell if row["side"] == side])
        sign = "-" if at == 0 else ""
        x = alt.X("x:Q", title=None, axis=None)
        halves += [
            alt.Chart(mine)
            .transform_density("rank", as_=["rank", "density"], extent=list(extent), steps=80)
            .transform_calculate(x=f"{sign}datum.density", side=f"'{side}'")
            .mark_area(orient="horizontal", opacity=0.55)
            .encode(y=y, x=x, color=by_hue("side", list(sides), FAMILY_HUES, narrow=narrow)),
            alt.Chart(mine)
            .transform_calculate(x="0")
            .mark_tick(orient="horizontal", thickness=1, size=10, opacity=0.6, xOffset=-6 + 12 * at)
            .encode(
                y=y,
                x=x,
                color=by_hue("side", list(sides), FAMILY_HUES, narrow=narrow),
                tooltip=[*tooltip(model="model", prompt="prompt"), alt.Tooltip("rank:Q", title="median rank")],
            ),
        ]
    width = (NARROW - 60) // 2 if narrow else CELL_WIDTH
    return alt.layer(*halves).properties(width=width, height=CELL_HEIGHT, title=cell)
