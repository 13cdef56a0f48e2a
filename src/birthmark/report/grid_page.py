"""The report of a grid of implicit rewards, drawn from `grid.json`: two words in every pair, categories, Table 1.

Computes nothing.
"""

from pathlib import Path

from birthmark.records import GridLexicon, ImplicitGrid, read_record
from birthmark.report.grid_figures import violin_figure, word_figure
from birthmark.report.grid_tables import anova_table, cell_table, pair_table, word_tests_table
from birthmark.report.plain_page import Section, write_plain_page
from birthmark.report.wording import sentence


def write_grid_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from `out/grid.json`; returns the page's path."""
    grid = read_record(out / "grid.json", ImplicitGrid)
    sections = [_words(grid)]
    sections += [_lexicon(grid, item) for item in grid.lexicons] or [
        Section("categories", "Categories", [sentence(grid.lexicons_why or "")])
    ]
    sections.append(Section("pairs", "The pairs", tables=[pair_table(grid)]))
    if grid.warnings:
        sections.append(Section("limits", "Limits", [sentence(text) for text in dict.fromkeys(grid.warnings)]))
    title = f"From {grid.a.name} to {grid.b.name}" if grid.a.name != "A" else "From one side to the other"
    return write_plain_page(out, title, _lead(grid), sections)


def _lead(grid: ImplicitGrid) -> str:
    """How many pairs, and the first sentence of what is found of the two words and of each lexicon; sections have the rest."""
    found = [*([grid.words.sentence] if grid.words else []), *(item.sentence for item in grid.lexicons)]
    return " ".join([grid.pairs_said(), *(f"{text.removesuffix('.').partition('. ')[0]}." for text in found)])


def _words(grid: ImplicitGrid) -> Section:
    if grid.words is None:
        return Section("words", "Two words", [sentence(f"There is no figure: {grid.words_why}")])
    return Section(
        "words",
        f"“{grid.words.first}” and “{grid.words.second}”",
        [grid.words.sentence],
        [word_figure(grid, grid.words)],
        [word_tests_table(grid.words)],
    )


def _lexicon(grid: ImplicitGrid, lexicon: GridLexicon) -> Section:
    sides = (grid.a.name, grid.b.name)
    said = [lexicon.sentence, *([sentence(lexicon.anova_why)] if lexicon.anova_why else [])]
    tables = [table for table in (anova_table(lexicon), cell_table(lexicon, sides)) if table]
    return Section(f"lexicon-{lexicon.lexicon}", lexicon.lexicon, said, [violin_figure(lexicon, sides)], tables)
