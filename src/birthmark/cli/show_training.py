"""How results of training look in a terminal: tracks, budgets, stages. Computes nothing."""

from collections.abc import Sequence
from pathlib import Path

from birthmark.cli.show import console, print_rows
from birthmark.records import BudgetCheck, Stages, Track


def print_track(track: Track, out: Path) -> None:
    """How far each run was followed, and how the gaps between bases went."""
    rows = [
        (run.run, run.base, run.source, run.pairs, run.loss, run.seed, len(run.steps), run.steps[-1]) for run in track.runs
    ]
    print_rows(("run", "base", "source", "pairs", "loss", "seed", "checkpoints", "last step"), rows)
    for sentence in track.sentences:
        console.print(sentence, markup=False, style="bold")
    for warning in track.warnings:
        console.print(f"Note: {warning}", markup=False)
    console.print(f"Written to {out}; look at {out / 'report.html'}", markup=False)


def print_budgets(checks: Sequence[BudgetCheck]) -> None:
    """What moved, and by how much, under each lexicon."""
    for check in checks:
        console.print(check.sentence, markup=False)


def print_stages(stages: Sequence[Stages], out: Path) -> None:
    """A table a lexicon: each stage's correlation with the reward models, and the variance it adds."""
    for item in stages:
        rows = [
            (of.of, fit.stage, fit.spearman, fit.null_low, fit.null_high, fit.added, of.left)
            for of in item.found
            for fit in of.stages
        ]
        header = ("of", "stage", "Spearman", "random heads from", "to", "variance added", "left over")
        print_rows(header, rows, title=item.lexicon)
        for of in item.found:
            console.print(of.sentence, markup=False)
        for warning in item.warnings:
            console.print(f"Note: {warning}", markup=False)
    console.print(f"Written to {out}", markup=False)
