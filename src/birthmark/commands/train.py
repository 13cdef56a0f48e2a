"""`birthmark train`: a reward model from a base, with checkpoints to track; one run, or every run of a grid."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, Unpack

from birthmark.commands.models import resolve
from birthmark.records import Recipe, TrainingRecord
from birthmark.scoring.declarations import MODEL, QUESTION, RUN, Option, select, with_options
from birthmark.scoring.measure import ray_address
from birthmark.scoring.options import (
    CatalogOptions,
    LabelOptions,
    MachineOptions,
    ModelOptions,
    QuietOptions,
    RayOptions,
    SeedOptions,
    SourceOptions,
)

if TYPE_CHECKING:
    from birthmark.training.run import RunRequest, TrainingRun

RECIPE = "The recipe (defaults: the preset's)"
MOST_PAIRS = 1_000_000_000

Preset = Literal["study", "small"]
Out = Annotated[
    "str | Path", Option("The run's folder; with --grid, of all runs.", metavar="RUN", command_line=Path, place="out")
]
Device = MachineOptions.__annotations__["device"]
ReportTo = Annotated[
    Sequence[str],
    Option(
        "Log there too, where it is installed; repeatable. [default: tensorboard if it is]",
        RUN,
        metavar="tensorboard|trackio|wandb|none",
        command_line=list[str],
    ),
]
Grid = Annotated[
    "str | Path",
    Option(
        "Many runs: bases, sources, pairs, losses, seeds; finished ones are skipped.",
        QUESTION,
        metavar="YAML",
        command_line=Path,
        place="file",
    ),
]


def _field(name: str, help_: str, metavar: str | None = None, **more: Any) -> Option:
    """An option for a field of the recipe, which says in what range it lies."""
    bounds: dict[str, Any] = {}
    for limit in Recipe.model_fields[name].metadata:
        for sign, end in (("ge", "least"), ("gt", "least"), ("le", "most"), ("lt", "most")):
            if hasattr(limit, sign):
                bounds[end] = getattr(limit, sign)
    return Option(help_, RECIPE, metavar=metavar, show_default=False, **bounds, **more)


class RecipeFields(TypedDict, total=False):
    """The fields of the recipe; None is the preset's."""

    loss: Annotated[
        Literal["bt", "grm-sft", "grm-dpo"] | None,
        _field("loss", "Bradley–Terry, or GRM's, which keep the language head's text likely. [default: bt]"),
    ]
    learning_rate: Annotated[float | None, _field("learning_rate", "AdamW's peak rate. [study: 1e-5, small: 2e-4]")]
    epochs: Annotated[float | None, _field("epochs", "Passes over the pairs. [study: 2, small: 1]")]
    batch: Annotated[int | None, _field("batch", "Pairs a step. [study: 16, small: 8]")]
    micro_batch: Annotated[int | None, _field("micro_batch", "Pairs run at once on one device. [study: 4, small: 2]")]
    max_tokens: Annotated[int | None, _field("max_tokens", "Longer conversations are cut. [study: 1024, small: 192]")]
    cut: Annotated[
        Literal["left", "right"] | None, _field("cut", "Which end of a long one goes. [study: right, small: left]")
    ]
    schedule: Annotated[
        Literal["cosine", "linear", "constant", "constant_with_warmup"] | None, _field("schedule", "[default: cosine]")
    ]
    warmup: Annotated[float | None, _field("warmup", "Share of the steps. [default: 0.03]")]
    weight_decay: Annotated[float | None, _field("weight_decay", "[default: 0]")]
    clip: Annotated[float | None, _field("clip", "Largest norm of the gradient. [default: 5]")]
    lora_rank: Annotated[int | None, _field("lora_rank", "[default: 32]")]
    lora_alpha: Annotated[float | None, _field("lora_alpha", "[default: 64]")]
    lora_dropout: Annotated[float | None, _field("lora_dropout", "[default: 0.05]")]
    lora_targets: Annotated[
        "Sequence[str] | None",
        _field(
            "lora_targets",
            "Layers with adapters; repeatable. [default: q_proj, k_proj, v_proj, o_proj]",
            "NAME",
            flag="--lora-target",
            command_line=list[str],
        ),
    ]
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"] | None,
        _field("precision", "auto: bfloat16 where the hardware has it. [study: auto, small: float32]"),
    ]
    recompute_activations: Annotated[
        bool | None,
        _field(
            "recompute_activations",
            "Spare memory, spend time. [study: yes, small: no]",
            flag="--recompute",
            on_off="--no-recompute",
        ),
    ]
    checkpoint_every: Annotated[
        int | None,
        _field("checkpoint_every", "Checkpoints beside those at powers of two. [study: 500, small: 16]", "K"),
    ]
    text_weight: Annotated[float | None, _field("text_weight", "α of the GRM losses. [default: 0.01]")]
    text_beta: Annotated[float | None, _field("text_beta", "β of the GRM losses. [default: 0.1]")]
    text_plain: Annotated[bool | None, _field("text_plain", "grm-sft with −log π instead.")]
    text_reference: Annotated[bool | None, _field("text_reference", "Take text log-probabilities less the base's.")]


class RecipeOptions(RecipeFields, LabelOptions, SourceOptions, SeedOptions, QuietOptions, total=False):
    """What `train` takes beside base and pairs: the recipe, and of which base."""


class GridOptions(RayOptions, CatalogOptions, QuietOptions, total=False):
    """What `train_grid` shares with other commands."""


Base = Annotated[
    "str | Path", Option("The language model to start from.", MODEL, metavar="MODEL", command_line=str, place="name")
]
Preferences = Annotated[
    "str | Path",
    Option(
        "Preference pairs: TRL's formats, HH dialogues (.jsonl, .jsonl.gz, .json, .parquet), a hub id, or "
        "skywork-80k, unified-feedback, ultrafeedback, ultrafeedback-binarized, hh-rlhf.",
        QUESTION,
        metavar="FILE|HUB_ID",
        command_line=str,
        place="name",
    ),
]
Pairs = Annotated[
    int | None,
    Option("Take a seeded sample of N pairs. [default: all]", QUESTION, metavar="N", least=1, most=MOST_PAIRS),
]
Every = Annotated[int | None, Option("Take each n-th pair.", QUESTION, metavar="n", least=1, most=MOST_PAIRS)]
PresetOption = Annotated[Preset, Option("The study's recipe, or one for a few dozen pairs on a laptop.", RECIPE)]


@with_options
def train(
    base: Base,
    preferences: Preferences,
    *,
    out: Out = "birthmark-train",
    pairs: Pairs = None,
    every: Every = None,
    preset: PresetOption = "study",
    device: Device = None,  # type: ignore[valid-type]
    report_to: ReportTo = (),
    callbacks: Sequence[Any] = (),
    show: Callable[[TrainingRecord], None] | None = None,
    **options: Unpack[RecipeOptions],
) -> "TrainingRun":
    """Train a reward model from a base language model on preference pairs; the same call resumes an interrupted run.

    Parameters
    ----------
    base
        A language model: a catalog name, a hub id or a folder; `chat_template="plain"` for one without a template.
    preferences
        A file (.jsonl, .jsonl.gz, .json, .parquet) or a hub id: TRL's preference formats, raw HH dialogues, and more.
    pairs, every
        A seeded sample of that many pairs, or each n-th pair.
    callbacks
        Transformers callbacks that look on, such as `bm.ValuesCallback()`.
    show
        Called with the run's record before the first step.
    options
        Fields of the recipe (`loss`, `learning_rate`, `epochs`, …; None leaves the preset's), and what `bm.resolve` takes.

    `out/checkpoints/step-…` are adapters with their heads, which `bm.score` takes. Raises `BirthmarkError` for what is
    wrong with base, pairs or recipe, where `out` holds another run, and where the loss is no longer a number.
    """
    from birthmark.training.run import run_training

    asked = ask(base, preferences, pairs, every, preset, device, report_to, options)
    return run_training(asked, Path(out), quiet=options["quiet"], show=show, callbacks=callbacks)


def ask(
    base: str | Path,
    preferences: str | Path,
    pairs: int | None,
    every: int | None,
    preset: Preset,
    device: str | None,
    report_to: Sequence[str],
    options: RecipeOptions,
) -> "RunRequest":
    """What a person asks of one run: the base found, the recipe made."""
    from birthmark.training.recipe import make_recipe
    from birthmark.training.run import RunRequest

    template = options["chat_template"]
    recipe = {name: options.get(name) for name in Recipe.model_fields}
    return RunRequest(
        base=resolve(base, quiet=options["quiet"], **select(options, ModelOptions)),
        preferences=preferences,
        recipe=make_recipe(preset, **recipe),
        preset=preset,
        pairs=pairs,
        every=every,
        seed=options["seed"],
        chat_template=str(template) if template is not None else None,
        device=device,
        report_to=tuple(report_to or ()),
    )


@with_options
def train_grid(
    grid: Grid,
    *,
    out: Out = "birthmark-train",
    device: Device = None,  # type: ignore[valid-type]
    report_to: ReportTo = (),
    show: Callable[[TrainingRecord], None] | None = None,
    **options: Unpack[GridOptions],
) -> "list[TrainingRun]":
    """Train every run of a grid (a YAML of bases, sources, pairs, losses, seeds), each into a folder of its own in `out`.

    Finished runs are skipped, an interrupted one resumes. Raises `BirthmarkError` as `train` does; a run that fails on
    the way is named when the others are finished.
    """
    from birthmark.training.grid import run_grid

    return run_grid(
        Path(grid),
        Path(out),
        device=device,
        catalog=Path(options["catalog"]) if options["catalog"] else None,
        report_to=tuple(report_to),
        show=show,
        ray=ray_address(options["ray"]),
        quiet=options["quiet"],
    )
