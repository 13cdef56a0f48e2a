"""How results of training look in a terminal: tracks, budgets, stages. Computes nothing."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from birthmark.cli.show import console, print_rows
from birthmark.records import BudgetCheck, Stages, Track, TrainingRecord

if TYPE_CHECKING:
    from birthmark.training.run import TrainingRun


def print_training(record: TrainingRecord) -> None:
    """What a run is about to do: base, pairs, steps, and every value of the recipe."""
    from birthmark.training.recipe import describe_recipe

    counts = record.counts
    console.print(
        f"{record.base} on {counts.trained:,} pairs of {record.source} ({record.source_layout}), seed {record.seed}: "
        f"{record.steps:,} steps, checkpoints at {', '.join(map(str, record.checkpoint_steps))}",
        markup=False,
    )
    console.print(
        f"{counts.read:,} pairs read, {counts.usable:,} usable, {counts.sampled:,} taken, {counts.truncated:,} cut to "
        f"{record.recipe.max_tokens} tokens; {record.precision}, {record.attention} attention, {record.device}",
        markup=False,
    )
    for reason, number in counts.dropped.items():
        console.print(f"Dropped: {number:,} ({reason}), listed in dropped.jsonl", markup=False)
    print_rows(("recipe", record.preset), describe_recipe(record.recipe))


def print_run(run: "TrainingRun") -> None:
    """How a run ended, and what to do with it."""
    console.print(run.summary(), markup=False, style="bold")
    console.print(f"Follow its values with birthmark track {run.out}", markup=False)


def print_runs(runs: "Sequence[TrainingRun]", out: Path) -> None:
    """How the runs of a grid ended."""
    rows = [
        (run.out.name, run.record.counts.trained, run.record.steps, *(run.record.final.get(name) for name in LAST))
        for run in runs
    ]
    print_rows(("run", "pairs", "steps", *LAST), rows)
    console.print(f"Follow their values with birthmark track {out}/*", markup=False)


def launch_line(context: Any) -> str:
    """The command as `accelerate launch` takes it, one process a GPU of the SLURM job."""
    words = []
    for param in context.command.params:
        value = context.params.get(param.name)
        if param.name == "print_command" or value is None or value == param.default:
            continue
        if isinstance(value, bool):
            words.append(param.opts[0] if value else param.secondary_opts[0])
        else:
            for item in value if isinstance(value, (list, tuple)) else [value]:
                words += [param.opts[0], str(item)]
    launch = 'srun accelerate launch --num_processes "${SLURM_GPUS_ON_NODE:-1}" -m birthmark train'
    return f"{launch} {shlex.join(words)}"


LAST = ("loss", "accuracy", "margin")


def print_track(track: Track, out: Path) -> None:
    """How far each run was followed, and how the gaps between bases went."""
    rows = [
        (run.run, run.base, run.source, run.pairs, run.loss, run.seed, len(run.steps), run.steps[-1])
        for run in track.runs
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
