"""A grid's numbers as tables: Table 1 of every pair as plain text, and what the page's figures show.

Computes nothing.
"""

from birthmark.records import GridLexicon, ImplicitGrid, PairRewards, WordGap
from birthmark.report.drawing import Table
from birthmark.report.formats import p_words, signed
from birthmark.report.visible import visible

TEXT_ROWS = 15
WIDTH = 24


def table_1_text(grid: ImplicitGrid) -> str:
    """A block a pair: what the second model prefers on the left, what the first prefers on the right, by MWLR."""
    blocks = [_block(grid, pair) for pair in grid.pairs]
    return "\n\n".join(blocks) + "\n"


def _block(grid: ImplicitGrid, pair: PairRewards) -> str:
    lines = [
        f"{pair.a} → {pair.b}, after {grid.prompt}",
        f"{pair.n_shared:,} shared candidates hold {pair.mass_a:.1%} and {pair.mass_b:.1%} of the models' probability",
        f"{'the second prefers':<{WIDTH}}  {'MWLR':>11}  {'the first prefers':<{WIDTH}}  {'MWLR':>11}",
    ]
    for best, worst in zip(pair.top[:TEXT_ROWS], pair.bottom[:TEXT_ROWS], strict=True):
        left, right = (f"{visible(item.candidate):<{WIDTH}}  {item.mwlr:>+11.3e}" for item in (best, worst))
        lines.append(f"{left}  {right}")
    return "\n".join(lines)


def pair_table(grid: ImplicitGrid) -> Table:
    """A row a pair: what it shares, and its first candidates at both ends."""
    rows = tuple(
        (
            f"{pair.a} → {pair.b}",
            f"{pair.n_shared:,}",
            f"{pair.mass_a:.0%}, {pair.mass_b:.0%}",
            ", ".join(visible(item.candidate) for item in pair.top[:5]),
            ", ".join(visible(item.candidate) for item in pair.bottom[:5]),
        )
        for pair in grid.pairs
    )
    return Table(
        f"Every pair after {grid.prompt}, by MWLR",
        ("Pair", "Shared candidates", "Their mass in each", "The second prefers", "The first prefers"),
        rows,
        note="All of the top and bottom candidates are in implicit/table_1.csv.",
    )


def word_tests_table(gap: WordGap) -> Table:
    """A row a metric: does the gap between the two words hang on MWLR?"""
    rows = tuple(
        (
            test.metric.replace("_", " "),
            signed(test.mean_gap, 3),
            f"{test.positive} of {test.n_pairs}",
            f"{test.count:,} of {test.n_splits:,}",
            p_words(test.p_exact).removeprefix("p = "),
            p_words(test.p_exact_positive).removeprefix("p = "),
        )
        for test in gap.tests
    )
    return Table(
        f"{gap.second} less {gap.first}, by every metric",
        ("Metric", "Mean gap", "Pairs above zero", "Splits with a gap as large", "p", "p of the sign"),
        rows,
        note="p: the sides' labels are exchanged between units in every way, since pairs share models.",
    )


def anova_table(lexicon: GridLexicon) -> Table | None:
    if lexicon.anova is None:
        return None
    rows = tuple(
        (
            term.term.replace(":", " × "),
            f"{term.sum_sq:,.1f}",
            str(term.df),
            "–" if term.f is None else f"{term.f:,.2f}",
            "–" if term.p is None else p_words(term.p).removeprefix("p = ").removeprefix("p "),
        )
        for term in lexicon.anova
    )
    return Table(
        f"Type II analysis of variance of the median ranks, {lexicon.lexicon}",
        ("Term", "Sum of squares", "df", "F", "p"),
        rows,
        note="As published: every prompt of every model is taken for independent, which it is not.",
    )


def cell_table(lexicon: GridLexicon, sides: tuple[str, str]) -> Table:
    rows = tuple(
        (
            f"{cell.category}, {cell.framing}",
            signed(cell.difference),
            "–" if cell.welch_t is None else f"{signed(cell.welch_t, 2)} ({cell.welch_df:.1f})",
            "–" if cell.p_fdr is None else p_words(cell.p_fdr).removeprefix("p = ").removeprefix("p "),
            f"{cell.model_exact_count:,} of {cell.model_exact_splits:,}",
        )
        for cell in lexicon.cells
    )
    return Table(
        f"{sides[1]} less {sides[0]} in each cell, {lexicon.lexicon}",
        ("Cell", "Difference of median ranks", "Welch's t (df)", "p, FDR over the cells", "Splits as far apart"),
        rows,
        note="The last column exchanges the sides' labels between models or base checkpoints; the others take prompts for "
        "independent.",
    )
