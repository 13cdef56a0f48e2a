"""The page of `birthmark implicit --grid`: figures and tables of all pairs."""

from functools import partial
from pathlib import Path
from typing import Any

import altair as alt

from birthmark.foreign import expression, file_name, legible
from birthmark.records import GridLexicon, ImplicitGrid, PairRewards, WordGap, read_record
from birthmark.report.columns import Column, Table, bare_p, drawn, number, tips
from birthmark.report.figure import (
    FAMILY_HUES,
    FRAMING_TITLES,
    LINE,
    NARROW,
    WIDE,
    Figure,
    by_hue,
    by_shape,
    data,
)
from birthmark.report.implicit import first_candidates
from birthmark.report.layout import Page, Part, Text, Topic, write_page
from birthmark.report.text import visible
from birthmark.values.formats import percent, sentence, signed

CELL_WIDTH, CELL_HEIGHT = 120, 260
DOT = 70

PAIR = Column(("a", "b"), "Pair", lambda a, b: f"{a} → {b}", tip=True)
WORDS = (PAIR, Column("word", "Word", tip=True), Column("mwlr", "MWLR", number("+.3e"), tip=True))
MEDIANS = (
    Column("model", "Model", tip=True),
    Column("prompt", "Prompt", tip=True),
    Column("rank", "Median rank", tip=True),
)
PAIRS = (
    PAIR,
    Column("n_shared", "Shared candidates", number(",")),
    Column(("mass_a", "mass_b"), "Their mass in each", lambda a, b: f"{percent(a)}, {percent(b)}"),
    Column("top", "The second prefers", first_candidates),
    Column("bottom", "The first prefers", first_candidates),
)


TESTS = (
    Column("metric", "Metric", lambda metric: metric.replace("_", " ")),
    Column("mean_gap", "Mean gap", partial(signed, digits=3)),
    Column(("positive", "n_pairs"), "Pairs above zero", lambda n, of: f"{n} of {of}"),
    Column(("count", "n_splits"), "Splits with a gap as large", lambda n, of: f"{n:,} of {of:,}"),
    Column("p_exact", "p", bare_p),
    Column("p_exact_positive", "p of the sign", bare_p),
)
ANOVA = (
    Column("term", "Term", lambda term: term.replace(":", " × ")),
    Column("sum_sq", "Sum of squares", number(",.1f")),
    Column("df", "df"),
    Column("f", "F", number(",.2f")),
    Column("p", "p", bare_p),
)
CELL = Column(("category", "framing"), "Cell", lambda category, framing: f"{category}, {framing}")
CELLS = (
    CELL,
    Column("difference", "Difference of median ranks", signed),
    Column(
        ("welch_t", "welch_df"),
        "Welch's t (df)",
        lambda t, df: "–" if t is None else f"{signed(t, 2)} ({df:.1f})",
    ),
    Column("p_fdr", "p, FDR over the cells", bare_p),
    Column(("model_exact_count", "model_exact_splits"), "Splits as far apart", lambda n, of: f"{n:,} of {of:,}"),
)


def word_figure(grid: ImplicitGrid, gap: WordGap) -> Figure:
    """A row a pair, a dot a word, joined by a line: right of zero the second model of the pair prefers the word."""
    rows = [
        {"pair": f"{pair.a} → {pair.b}", "a": pair.a, "b": pair.b, "word": word, "mwlr": value}
        for pair in sorted(gap.pairs, key=lambda pair: -pair.gap)
        for word, value in ((gap.first, pair.first), (gap.second, pair.second))
    ]
    order = list(dict.fromkeys(str(row["pair"]) for row in rows))
    points = drawn(rows, WORDS)
    gaps = {"first": gap.first, "second": gap.second, "gap": "Gap"}

    def build(narrow: bool) -> Any:
        y = alt.Y(
            "pair:N",
            sort=order,
            title=None,
            axis=alt.Axis(labelLimit=150 if narrow else 330, labelFontSize=10 if narrow else 12),
        )
        x = alt.X("mwlr:Q", title="MWLR", axis=alt.Axis(format="~r", tickCount=3 if narrow else 5))
        base = alt.Chart(data(points)).encode(y=y, x=x)
        lines = base.mark_line(color=LINE, strokeWidth=3).encode(detail="pair:N")
        dots = base.mark_point(filled=True, size=DOT, opacity=1).encode(
            color=by_hue("word", [gap.first, gap.second], narrow=narrow),
            shape=by_shape("word", [gap.first, gap.second], narrow=narrow),
            tooltip=tips(WORDS),
        )
        zero = alt.Chart(data([{"mwlr": 0}])).mark_rule(color=LINE).encode(x="mwlr:Q")
        return alt.layer(zero, lines, dots).properties(
            width=NARROW - 130 if narrow else WIDE - 140, height=alt.Step(22)
        )

    return Figure(
        name=f"words-{file_name(gap.first)}-{file_name(gap.second)}",
        title=f"“{gap.first}” and “{gap.second}” in every pair",
        description=f"MWLR of both words in each of {len(gap.pairs)} pairs of models. {gap.sentence}",
        build=build,
        table=Table(
            f"MWLR of both words after {grid.prompt}, by pair",
            (PAIR, *(Column(key, title, partial(signed, digits=4)) for key, title in gaps.items())),
            gap.pairs,
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
    means = [Column(key, side, number(".1f")) for key, side in zip(("mean_a", "mean_b"), sides, strict=True)]

    def build(narrow: bool) -> Any:
        panels = [_violins(rows, f"{c}, {f}", sides, (low - margin, high + margin), narrow) for c, f in cells]
        return alt.concat(*panels, columns=2 if narrow else 4)

    return Figure(
        name=f"violins-{file_name(lexicon.lexicon)}",
        title=f"How {sides[0]} and {sides[1]} rank the categories of {lexicon.lexicon}",
        description=f"Median ranks of each category's words, one value a model and prompt, by side. {lexicon.sentence}",
        build=build,
        table=Table(
            "Mean of the median ranks",
            (CELL, *means, Column("difference", f"{sides[1]} less {sides[0]}", signed)),
            lexicon.cells,
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
            .transform_calculate(x=f"{sign}datum.density", side=expression(side))
            .mark_area(orient="horizontal", opacity=0.55)
            .encode(y=y, x=x, color=by_hue("side", list(sides), FAMILY_HUES, narrow=narrow)),
            alt.Chart(mine)
            .transform_calculate(x="0")
            .mark_tick(orient="horizontal", thickness=1, size=10, opacity=0.6, xOffset=-6 + 12 * at)
            .encode(
                y=y,
                x=x,
                color=by_hue("side", list(sides), FAMILY_HUES, narrow=narrow),
                tooltip=tips(MEDIANS),
            ),
        ]
    width = (NARROW - 60) // 2 if narrow else CELL_WIDTH
    return alt.layer(*halves).properties(width=width, height=CELL_HEIGHT, title=cell)


TEXT_ROWS = 15
WIDTH = 24


def table_1_text(grid: ImplicitGrid) -> str:
    """A block a pair: what the second model prefers on the left, what the first prefers on the right, by MWLR."""
    blocks = [_block(grid, pair) for pair in grid.pairs]
    return legible("\n\n".join(blocks) + "\n", keep="\n")


def _block(grid: ImplicitGrid, pair: PairRewards) -> str:
    lines = [
        f"{pair.a} → {pair.b}, after {grid.prompt}",
        f"{pair.n_shared:,} shared candidates hold {percent(pair.mass_a, 1)} and {percent(pair.mass_b, 1)} of the models' probability",
        f"{'the second prefers':<{WIDTH}}  {'MWLR':>11}  {'the first prefers':<{WIDTH}}  {'MWLR':>11}",
    ]
    for best, worst in zip(pair.top[:TEXT_ROWS], pair.bottom[:TEXT_ROWS], strict=True):
        left, right = (f"{visible(item.candidate):<{WIDTH}}  {signed(item.mwlr, 5):>11}" for item in (best, worst))
        lines.append(f"{left}  {right}")
    return "\n".join(lines)


def pair_table(grid: ImplicitGrid) -> Table:
    """A row a pair: what it shares, and its first candidates at both ends."""
    note = "All of the top and bottom candidates are in implicit/table_1.csv."
    return Table(f"Every pair after {grid.prompt}, by MWLR", PAIRS, grid.pairs, note)


def word_tests_table(gap: WordGap) -> Table:
    """A row a metric: does the gap between the two words hang on MWLR?"""
    return Table(
        f"{gap.second} less {gap.first}, by every metric",
        TESTS,
        gap.tests,
        note="p: the sides' labels are exchanged between units in every way, since pairs share models.",
    )


def anova_table(lexicon: GridLexicon) -> Table | None:
    if lexicon.anova is None:
        return None
    return Table(
        f"Type II analysis of variance of the median ranks, {lexicon.lexicon}",
        ANOVA,
        lexicon.anova,
        note="As published: every prompt of every model is taken for independent, which it is not.",
    )


def cell_table(lexicon: GridLexicon, sides: tuple[str, str]) -> Table:
    return Table(
        f"{sides[1]} less {sides[0]} in each cell, {lexicon.lexicon}",
        CELLS,
        lexicon.cells,
        note="The last column exchanges the sides' labels between models or base checkpoints; the others take prompts for "
        "independent.",
    )


def write_grid_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from `out/grid.json`; returns the page's path."""
    grid = read_record(out / "grid.json", ImplicitGrid)
    topics = [_words(grid)]
    topics += [_lexicon(grid, item, at) for at, item in enumerate(grid.lexicons, start=1)] or [
        Topic("categories", "Categories", [sentence(grid.lexicons_why or "")])
    ]
    topics.append(Topic("pairs", "The pairs", [pair_table(grid)]))
    if grid.warnings:
        topics.append(Topic("limits", "Limits", [sentence(text) for text in dict.fromkeys(grid.warnings)]))
    title = f"From {grid.a.name} to {grid.b.name}" if grid.a.name != "A" else "From one side to the other"
    return write_page(out, Page(title, [Text(_lead(grid), "lead")], topics))


def _lead(grid: ImplicitGrid) -> str:
    """How many pairs, and the first sentence of what is found of the two words and of each lexicon; sections have the rest."""
    found = [*([grid.words.sentence] if grid.words else []), *(item.sentence for item in grid.lexicons)]
    return " ".join([grid.pairs_said(), *(f"{text.removesuffix('.').partition('. ')[0]}." for text in found)])


def _words(grid: ImplicitGrid) -> Topic:
    found = grid.words
    if found is None:
        return Topic("words", "Two words", [sentence(f"There is no figure: {grid.words_why}")])
    parts: list[Part] = [found.sentence, word_figure(grid, found), word_tests_table(found)]
    return Topic("words", f"“{found.first}” and “{found.second}”", parts)


def _lexicon(grid: ImplicitGrid, lexicon: GridLexicon, at: int) -> Topic:
    sides = (grid.a.name, grid.b.name)
    parts: list[Part] = [lexicon.sentence]
    if lexicon.anova_why:
        parts.append(sentence(lexicon.anova_why))
    parts.append(violin_figure(lexicon, sides))
    if anova := anova_table(lexicon):
        parts.append(anova)
    parts.append(cell_table(lexicon, sides))
    return Topic(f"lexicon-{at}", lexicon.lexicon, parts)
