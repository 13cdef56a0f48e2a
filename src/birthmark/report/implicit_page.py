"""The report of `birthmark implicit` on pairs of models, drawn from `implicit/*.json`.

Computes nothing.
"""

from pathlib import Path

from birthmark.records import Implicit, ImplicitPrompt, read_record
from birthmark.report.drawing import Table
from birthmark.report.formats import signed
from birthmark.report.implicit_figures import implicit_figure
from birthmark.report.plain_page import Section, write_plain_page
from birthmark.report.tables import mean_table
from birthmark.report.visible import visible
from birthmark.report.wording import sentence

FIRST = 5
FEW = 3


def write_implicit_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from the pairs in `out/implicit/`; returns the page's path."""
    pairs = [read_record(path, Implicit) for path in sorted((out / "implicit").glob("*.json"))]
    sections = [_section(at, pair) for at, pair in enumerate(pairs, start=1)]
    first = pairs[0]
    title = f"From {first.a} to {first.b}" if len(pairs) == 1 else f"The implicit rewards of {len(pairs)} pairs"
    lead = "The reward that preference training would have needed to turn the first model into the second."
    if len(pairs) == 1:
        lead += _most_preferred(first)
    return write_plain_page(out, title, lead, sections)


def _section(at: int, pair: Implicit) -> Section:
    first = pair.prompts[0]
    held = (
        f"After {first.prompt}, the {first.n_shared:,} candidates compared hold {first.mass_a:.1%} of {pair.a}'s next-token "
        f"probability and {first.mass_b:.1%} of {pair.b}'s"
    )
    if pair.set_aside or pair.set_aside_texts:
        held += f"; shared candidates that were set aside hold {first.set_aside_mass_a:.1%} and {first.set_aside_mass_b:.1%}"
    held += "."
    said = [held]
    if pair.set_aside_texts:
        counts = ", ".join(f"{count:,} of {sort}" for sort, count in pair.set_aside_texts.items())
        said.append(f"Set aside on request: {counts}.")
    if pair.folded:
        said.append("Each row is the mean over the variants of a text in case and leading space.")
    said += [sentence(text) for text in pair.warnings]
    tables = [] if pair.identical else [_word_table(pair, first), mean_table(pair), _prompt_table(pair)]
    figures = [] if pair.identical or not first.top else [implicit_figure(pair)]
    return Section(f"pair-{at}", f"{pair.a} → {pair.b}", said, figures, [table for table in tables if table])


def _most_preferred(pair: Implicit) -> str:
    """What each model prefers most after the first prompt, of the words where there are any."""
    first = pair.prompts[0]
    if pair.identical:
        return " The two give every candidate the same probability: it is zero throughout."
    best, worst = (first.words_top or first.top)[:FEW], (first.words_bottom or first.bottom)[:FEW]
    if not best:
        return ""
    of = "Of the lists' words" if first.words_top else "Of all candidates"
    preferred, other = (", ".join(f"“{visible(item.candidate)}”" for item in end) for end in (best, worst))
    return f" {of}, {pair.b} prefers {preferred} most by MWLR, {pair.a} {other}."


def _word_table(pair: Implicit, prompt: ImplicitPrompt) -> Table | None:
    if not prompt.words_top:
        return None
    rows = tuple(
        (visible(best.candidate), signed(best.mwlr, 4), visible(worst.candidate), signed(worst.mwlr, 4))
        for best, worst in zip(prompt.words_top, prompt.words_bottom, strict=True)
    )
    headers = (f"{pair.b} prefers", "MWLR", f"{pair.a} prefers", "MWLR")
    note = "Whole words: several tokens by the chain rule, forms summed."
    return Table(f"Of the lists' words, after {prompt.prompt}", headers, rows, note=note)


def _prompt_table(pair: Implicit) -> Table | None:
    if len(pair.prompts) < 2:
        return None
    rows = tuple(
        (
            prompt.prompt,
            f"{prompt.n_shared:,}",
            f"{prompt.mass_a:.1%}, {prompt.mass_b:.1%}",
            ", ".join(visible(item.candidate) for item in prompt.top[:FIRST]),
            ", ".join(visible(item.candidate) for item in prompt.bottom[:FIRST]),
        )
        for prompt in pair.prompts
    )
    headers = ("Prompt", "Candidates", "Their mass in each", f"{pair.b} prefers", f"{pair.a} prefers")
    return Table("After every prompt, by MWLR", headers, rows)
