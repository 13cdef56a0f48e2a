"""`--dry-run` of `birthmark choose`: what each stage would take on each base, here and on other machines; nothing is kept."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Unpack

from birthmark.commands.choose import HELD_OUT, ChooseOptions, contest_of, require_leans
from birthmark.commands.plan import ANSWER_TOKENS, CHARACTERS_A_TOKEN, CONTEXT_TOKENS, plan_runs
from birthmark.models.machine import estimate
from birthmark.models.memory import count_parameters
from birthmark.records import ChoicePlan, TrainingPlan
from birthmark.scoring.declarations import select, with_options
from birthmark.scoring.local import choose_machine
from birthmark.scoring.measure import Measure, make_measure
from birthmark.scoring.options import MeasureOptions, ModelOptions

if TYPE_CHECKING:
    from birthmark.training.contest import Candidate, Contest

LAPTOP_RATE = 5e11  # floating-point operations a second in float32: eight cores of a usual laptop
GPU_RATE = 1.5e14  # of a data-centre GPU in 16 bits, half of what its makers state
GPU_PRICE = 2.0  # US dollars an hour, of a rented one
RAY_GPUS = 8
START = 20.0  # seconds to load a model and look at its tokens, on any machine


@with_options
def plan_choose(
    *bases: str | Path,
    preferences: str | Path,
    pairs: Sequence[int],
    seeds: int = 3,
    held_out: int = HELD_OUT,
    target: str | None = None,
    history: str | Path | None = None,
    heads: int = 0,
    preset: Any = "small",
    out: str | Path = "birthmark-choose",
    **options: Unpack[ChooseOptions],
) -> list[ChoicePlan]:
    """What `choose` would do: a row a stage and base, with the time that is left of it.

    Seconds are 2 × parameters × tokens ÷ half of a machine's matrix-product rate, measured here and assumed elsewhere, and 20
    seconds a run to start. Raises what `choose` raises before it starts.
    """
    from birthmark.commands.plan_training import plan_grid

    measure = make_measure(**select(options, MeasureOptions))
    require_leans(measure)
    labels = select(options, ModelOptions)
    contest = contest_of(bases, preferences, pairs, seeds, held_out, preset, options)
    with TemporaryDirectory() as place:
        grid = contest.write(Path(place))
        runs = plan_grid(grid, out=Path(out) / "train", device=options["device"], catalog=labels["catalog"])
    return [row for item in contest.candidates for row in _rows(item, contest, measure, runs, Path(out))]


def _rows(
    item: "Candidate", contest: "Contest", measure: Measure, runs: Sequence[TrainingPlan], out: Path
) -> list[ChoicePlan]:
    own = [run for run in runs if run.digests.weights == item.model.digests.weights]
    (audit,) = plan_runs([item.name], measure, None)
    audited = (out / "audit" / "scores" / f"{item.model.slug}.parquet").is_file()
    device, dtype = choose_machine(measure.device, measure.dtype, item.model.entry)
    parameters = count_parameters(item.model.path) or 0
    rate = estimate(max(1, parameters), dtype, device, tokens=1).flops_per_second
    left = [run for run in own if run.state != "finished"]
    unread = [run for run in own if not any((out / "held-out").glob(f"{run.run}-*.parquet"))]
    untracked = [
        run for run in own if not any((out / "track" / "scores").glob(f"{run.run}-step-{run.steps:06d}-*.parquet"))
    ]
    words = len(measure.candidates_for("reward").words)
    of_table = len(measure.prompts.prompts) * (CONTEXT_TOKENS + ANSWER_TOKENS * words)
    shared: dict[str, Any] = {
        "base": item.label,
        "device": device,
        "free_bytes": audit["free_bytes"],
    }
    tables = sum(len(run.checkpoint_steps) for run in untracked)
    stages: list[tuple[Any, int, int, float | None, int | None, int]] = [
        ("audit", 1, int(not audited), 0.0 if audited else audit["seconds"], audit["memory_bytes"], int(not audited)),
        (
            "train",
            len(own),
            len(left),
            _sum([run.estimated_seconds for run in left]),
            max((run.memory_bytes or 0 for run in own), default=0) or None,
            len(left),
        ),
        (
            "track",
            len(own),
            len(untracked),
            _seconds(parameters, dtype, device, tables * of_table),
            audit["memory_bytes"],
            tables,
        ),
        (
            "held-out",
            len(own),
            len(unread),
            _seconds(parameters, dtype, device, len(unread) * _tokens(contest)),
            audit["memory_bytes"],
            len(unread),
        ),
    ]
    return [
        ChoicePlan(
            stage=stage, runs=n, left=todo, memory_bytes=memory, **shared, **_elsewhere(seconds, rate, starts, todo)
        )
        for stage, n, todo, seconds, memory, starts in stages
    ]


def _elsewhere(seconds: float | None, rate: float, starts: int, left: int) -> dict[str, Any]:
    """Seconds here, on a laptop, on one GPU and on a cluster's, with the time that it takes to start."""
    if seconds is None:
        return {
            **dict.fromkeys(("seconds", "laptop_seconds", "gpu_seconds", "ray_seconds", "cost")),
            "ray_gpus": RAY_GPUS,
        }
    begun = starts * START
    on_gpu = seconds * min(1.0, rate / GPU_RATE) + begun
    at_once = min(RAY_GPUS, max(1, left))
    return {
        "seconds": round(seconds + begun, 1),
        "laptop_seconds": round(seconds * rate / LAPTOP_RATE + begun, 1),
        "gpu_seconds": round(on_gpu, 1),
        "ray_seconds": round(on_gpu / at_once, 1),
        "ray_gpus": RAY_GPUS,
        "cost": round(on_gpu / 3600 * GPU_PRICE, 4),
    }


def _sum(values: Sequence[float | None]) -> float | None:
    return None if any(value is None for value in values) else float(sum(value or 0.0 for value in values))


def _seconds(parameters: int, dtype: str, device: str, tokens: float) -> float | None:
    return estimate(parameters, dtype, device, tokens=round(tokens)).seconds if parameters else None


def _tokens(contest: "Contest") -> int:
    """About how many tokens the held-out pairs have after the cut: both answers of each, what they share once."""
    total = 0
    for pair in contest.split.held_out:
        chosen, rejected = (
            min(contest.recipe.max_tokens, sum(len(turn.content) for turn in side) // CHARACTERS_A_TOKEN)
            for side in (pair.chosen, pair.rejected)
        )
        total += chosen + rejected
    return total
