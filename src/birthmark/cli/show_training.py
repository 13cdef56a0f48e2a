"""How results of training look in a terminal: tracks, budgets, stages. Computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from birthmark.cli.show import gigabytes
from birthmark.cli.terminal import print_rows, say
from birthmark.values.formats import interval, minutes, percent, signed

if TYPE_CHECKING:
    from birthmark.commands.edit import EditResult
    from birthmark.records import (
        BudgetCheck,
        Choice,
        ChoicePlan,
        Recipe,
        Stages,
        Track,
        TrackPlan,
        TrainingPlan,
        TrainingRecord,
    )
    from birthmark.training.run import TrainingRun


def print_each_training() -> Callable[[TrainingRecord], None]:
    """`print_training` for one run after another: a recipe that was printed is not printed again."""
    printed: list[Recipe] = []

    def show(record: TrainingRecord) -> None:
        print_training(record, recipe=record.recipe not in printed)
        printed.append(record.recipe)

    return show


def print_training(record: TrainingRecord, *, recipe: bool = True) -> None:
    """What a run is about to do: base, pairs, steps, and every value of the recipe."""
    from birthmark.training.recipe import describe_recipe

    counts = record.counts
    say(
        f"{record.base} on {counts.trained:,} pairs of {record.source} ({record.source_layout}), seed {record.seed}: "
        f"{record.steps:,} steps, checkpoints at {', '.join(map(str, record.checkpoint_steps))}"
    )
    say(
        f"{counts.read:,} pairs read, {counts.usable:,} usable, {counts.sampled:,} taken, {counts.truncated:,} cut to "
        f"{record.recipe.max_tokens} tokens; {record.precision}, {record.attention} attention, {record.device}"
    )
    for reason, number in counts.dropped.items():
        say(f"Dropped: {number:,} ({reason}), listed in dropped.jsonl")
    if recipe:
        print_rows(("recipe", record.preset), describe_recipe(record.recipe))


STATES = {
    "new": "nothing of it is there yet",
    "begun": "it was started, and resumes",
    "finished": "it is finished already",
    "another run": "the folder holds another run: name another with --out",
}


def print_training_plan(plan: TrainingPlan) -> None:
    """What a run would do and take; nothing is trained."""
    print_training(plan)
    say(f"It would take {_takes(plan)}; {STATES[plan.state]}. Nothing was done.")


def print_grid_plan(plans: Sequence[TrainingPlan]) -> None:
    """A row a run of a grid: what it would do and take, and whether it is done."""
    columns = ("run", "pairs", "dropped", "cut", "steps", "minutes, about", "memory, about", "state")
    rows = [
        (
            plan.run,
            plan.counts.trained,
            sum(plan.counts.dropped.values()),
            plan.counts.truncated,
            plan.steps,
            minutes(plan.estimated_seconds),
            gigabytes(plan.memory_bytes),
            plan.state,
        )
        for plan in plans
    ]
    print_rows(columns, rows)
    left = [plan for plan in plans if plan.state in ("new", "begun")]
    total = sum(plan.estimated_seconds or 0 for plan in left)
    say(
        f"{len(left)} of {len(plans)} runs are left, about {total / 60:.0f} minutes, good to a factor of two. "
        "Nothing was done."
    )


def _takes(plan: TrainingPlan) -> str:
    if plan.estimated_seconds is None or plan.memory_bytes is None:
        return "as long as a base of unknown size takes"
    free = "" if plan.free_bytes is None else f" ({gigabytes(plan.free_bytes)} are free)"
    return (
        f"about {minutes(plan.estimated_seconds)} minutes on {plan.device}, good to a factor of two, and "
        f"{gigabytes(plan.memory_bytes)} of memory{free}"
    )


def print_run(run: TrainingRun) -> None:
    """How a run ended, and what to do with it."""
    say(run.summary(), bold=True)
    say(f"Follow its values with birthmark track {run.out}")


def print_runs(runs: Sequence[TrainingRun], out: Path) -> None:
    """How the runs of a grid ended."""
    rows = [
        (run.out.name, run.record.counts.trained, run.record.steps, *(run.record.final.get(name) for name in LAST))
        for run in runs
    ]
    print_rows(("run", "pairs", "steps", *LAST), rows)
    say(f"Follow their values with birthmark track {out}/*")


LAST = ("loss", "accuracy", "margin")


def print_track(track: Track, out: Path) -> None:
    """How far each run was followed, and how the gaps between bases went."""
    rows = [
        (run.run, run.base, run.source, run.pairs, run.loss, run.seed, len(run.steps), run.steps[-1])
        for run in track.runs
    ]
    print_rows(("run", "base", "source", "pairs", "loss", "seed", "checkpoints", "last step"), rows)
    for sentence in track.sentences:
        say(sentence, bold=True)
    for warning in track.warnings:
        say(f"Note: {warning}")
    say(f"Written to {out}; look at {out / 'report.html'}")


def print_track_plan(plans: Sequence[TrackPlan]) -> None:
    """What a track would score and take, run by run."""
    columns = ("run", "base", "checkpoints", "scored", "prompts", "words", "device", "minutes, about", "memory, about")
    rows = [
        (
            *(plan.run, plan.base and Path(plan.base).name, len(plan.steps), plan.scored, plan.prompts, plan.words),
            *(plan.device, minutes(plan.seconds), gigabytes(plan.memory_bytes)),
        )
        for plan in plans
    ]
    print_rows(columns, rows)
    say("Nothing was done. Times are good to a factor of two.")


def print_choice(choice: Choice, out: Path) -> None:
    """Accuracy and lean of each base and pair count, what is told apart, and which base may be named."""
    leans = {(item.base, item.pairs, item.lexicon): item for item in choice.leans}
    header = (
        "base",
        "pairs",
        "seeds",
        "accuracy",
        "over pairs",
        "over seeds",
        "lean",
        "over words",
        "over seeds",
        "random heads",
    )
    for lexicon in choice.lexicons:
        rows = [
            (
                *(item.base, item.pairs, len(item.seeds), percent(item.accuracy, 1)),
                *(interval(100 * item.pairs_low, 100 * item.pairs_high), _shares(item.seeds_low, item.seeds_high)),
                *(signed(lean.lean), interval(lean.words_low, lean.words_high)),
                *(interval(lean.seeds_low, lean.seeds_high), interval(lean.heads_low, lean.heads_high)),
            )
            for item in choice.accuracies
            for lean in [leans[item.base, item.pairs, lexicon]]
        ]
        print_rows(header, rows, title=f"{choice.held_out:,} held-out pairs; leans on {lexicon}, in ranks")
    for at, sentence in enumerate(choice.sentences):
        say(sentence, bold=at == 0)
    for warning in choice.warnings:
        say(f"Note: {warning}")
    say(f"Written to {out}; look at {out / 'report.html'}")


def _shares(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else interval(100 * low, 100 * high)


def print_choice_plan(plans: Sequence[ChoicePlan]) -> None:
    """What each stage would take on each base, here and on other machines."""
    header = (
        "stage",
        "base",
        "runs",
        "left",
        "here, minutes",
        "laptop",
        "one GPU",
        f"Ray, {plans[0].ray_gpus} GPUs",
        "US dollars",
        "memory, about",
    )
    rows = [
        (
            *(plan.stage, plan.base, plan.runs, plan.left, minutes(plan.seconds), minutes(plan.laptop_seconds)),
            *(minutes(plan.gpu_seconds), minutes(plan.ray_seconds)),
            None if plan.cost is None else f"{plan.cost:.2f}",
            gigabytes(plan.memory_bytes),
        )
        for plan in plans
    ]
    print_rows(header, rows)
    free = (
        ""
        if plans[0].free_bytes is None
        else f"; {gigabytes(plans[0].free_bytes)} of memory are free on {plans[0].device}"
    )
    parts = [
        f"{name} {sum(value or 0 for value in values) / 60:.0f} minutes"
        for name, values in (
            ("here", [plan.seconds for plan in plans]),
            ("a laptop", [plan.laptop_seconds for plan in plans]),
            ("one GPU", [plan.gpu_seconds for plan in plans]),
            (f"Ray with {plans[0].ray_gpus} GPUs", [plan.ray_seconds for plan in plans]),
        )
    ]
    cost = sum(plan.cost or 0 for plan in plans)
    say(
        f"In all: {', '.join(parts)}; about {cost:.2f} US dollars of GPU time{free}. Good to a factor of two. Nothing was done."
    )


def print_budgets(checks: Sequence[BudgetCheck]) -> None:
    """What moved, and by how much, under each lexicon; what is past its budget ends in the error."""
    for check in checks:
        if check.within:
            say(check.sentence)
        for warning in check.warnings:
            say(f"Note: {warning}")


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
            say(of.sentence)
        for warning in item.warnings:
            say(f"Note: {warning}")
    say(f"Written to {out}")


def print_edit(result: EditResult) -> None:
    """What was done to a head, what is left of the lean and what it cost."""
    from birthmark.values.formats import interval, minus, percent, signed
    from birthmark.values.wording_edit import NAMES

    for line in result.record.sentences:
        say(line)
    rows = [
        (
            NAMES[way.method],
            f"{lean.words} words, {lean.prompts} prompts",
            minus(lean.before),
            minus(lean.after),
            f"{signed(lean.change)} ({interval(lean.change_ci_low, lean.change_ci_high)})",
            percent(lean.remains) if lean.remains is not None else "–",
        )
        for way in result.record.methods
        for lean in way.lean
    ]
    print_rows(("way", "measured on", "before", "after", "change (95%)", "remains"), rows)
    for warning in result.record.warnings:
        say(f"Note: {warning}")
    say(f"Written to {result.out}; the page is {result.report}")
