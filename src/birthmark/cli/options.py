"""The options that several commands share, each said once."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from birthmark.errors import BirthmarkError

MODEL_PANEL, QUESTION_PANEL, RUN_PANEL, OUTPUT_PANEL = "The model", "The question", "How it runs", "Output"

Frame = Annotated[
    Literal["auto", "chat", "qa", "bare"],
    typer.Option(
        help="How a prompt becomes the context; auto: chat where all have a template.", rich_help_panel=RUN_PANEL
    ),
]
Protocol = Annotated[
    Literal["birthmark", "christian2026"],
    typer.Option(help="christian2026 does what the study did, its double BOS included.", rich_help_panel=RUN_PANEL),
]
Prompts = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE", help="A prompt set: christian2026 or a YAML file.", rich_help_panel=QUESTION_PANEL
    ),
]
Prompt = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY|TEXT", help="Only this prompt, or one of your own; repeatable.", rich_help_panel=QUESTION_PANEL
    ),
]
Lexicons = Annotated[
    list[str] | None,
    typer.Option(
        "--lexicon",
        metavar="NAME|FILE",
        help="Words by category; repeatable. [default: starter]",
        rich_help_panel=QUESTION_PANEL,
    ),
]
Controls = Annotated[
    list[str] | None,
    typer.Option(
        "--control",
        metavar="frequency,length,tokens|prompt",
        help="Show the effects with this held fixed as well; prompt: against a neutral prompt. Repeatable.",
        rich_help_panel=QUESTION_PANEL,
    ),
]
Candidates = Annotated[
    str | None,
    typer.Option(
        metavar="lexicon|vocabulary|FILE|WORD,WORD",
        help="The one-word answers to score. [default: an LM's vocabulary and the lexicons' words; an RM's the words]",
        rich_help_panel=QUESTION_PANEL,
    ),
]
Engine = Annotated[
    Literal["prefix", "plain"],
    typer.Option(
        help="prefix computes what conversations share once; plain is the slow reference.", rich_help_panel=RUN_PANEL
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        metavar="float32|bfloat16|float16",
        help="[default: float32 on CPU, the catalog's on GPU]",
        rich_help_panel=RUN_PANEL,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(metavar="cpu|cuda|mps", help="[default: the fastest that is there]", rich_help_panel=RUN_PANEL),
]
Quantize = Annotated[
    Literal["8bit", "4bit"] | None,
    typer.Option(
        help="Load the weights in fewer bits (an NVIDIA GPU and the extra `quantized`).", rich_help_panel=RUN_PANEL
    ),
]
DeviceMap = Annotated[
    Literal["auto"] | None,
    typer.Option(
        "--device-map", help="Spread the layers over all GPUs, and the CPU for the rest.", rich_help_panel=RUN_PANEL
    ),
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="Rescore a sample in float32: which differences are smaller than rounding's.",
        rich_help_panel=RUN_PANEL,
    ),
]
TemplateDate = Annotated[
    str | None,
    typer.Option(
        metavar="YYYY-MM-DD",
        help="The date that a dated chat template prints. [default: the template's own, else 2024-07-26]",
        rich_help_panel=RUN_PANEL,
    ),
]
System = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="A system prompt before every question.", rich_help_panel=QUESTION_PANEL),
]
Persona = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="System prompts by name (YAML): ask under each, and under a neutral one.",
        rich_help_panel=QUESTION_PANEL,
    ),
]
Revision = Annotated[
    str | None, typer.Option(help="A hub revision. [default: the catalog's pinned one]", rich_help_panel=MODEL_PANEL)
]
Catalog = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A catalog.toml of your own models.", rich_help_panel=MODEL_PANEL)
]
ChatTemplate = Annotated[
    str | None,
    typer.Option(metavar="plain|FILE", help="A chat template for a model without one.", rich_help_panel=MODEL_PANEL),
]
As = Annotated[
    Literal["reward", "logprob"] | None,
    typer.Option(
        "--as", help="Take the model for an RM or an LM. [default: as its config says]", rich_help_panel=MODEL_PANEL
    ),
]
Family = Annotated[
    str | None, typer.Option(help="Pretraining lineage of a model that the catalog lacks.", rich_help_panel=MODEL_PANEL)
]
BaseCheckpoint = Annotated[
    str | None, typer.Option(help="The released model that it was tuned from.", rich_help_panel=MODEL_PANEL)
]
MixedFrames = Annotated[
    bool,
    typer.Option(
        "--mixed-frames", help="Compare models scored in unlike frames all the same.", rich_help_panel=RUN_PANEL
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of every random draw.", rich_help_panel=RUN_PANEL)]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Say what would be done, its time and memory; do nothing.", rich_help_panel=OUTPUT_PANEL
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and notes.", rich_help_panel=OUTPUT_PANEL)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=OUTPUT_PANEL)]


NAMES = {"lexicon": "lexicons", "control": "controls"}  # where the library's word is the plural
SHARED = (
    *(
        "prompts",
        "prompt",
        "lexicon",
        "control",
        "candidates",
        "frame",
        "protocol",
        "engine",
        "dtype",
        "device",
        "quantize",
        "device_map",
        "verify",
        "template_date",
        "system",
    ),
    *("revision", "catalog", "chat_template", "kind", "family", "base_checkpoint", "seed"),
)


def shared(context: typer.Context) -> dict[str, Any]:
    """The library's options out of a command's: what the person left out is left out."""
    given = {NAMES.get(name, name): context.params[name] for name in SHARED if context.params.get(name) is not None}
    return {**given, "quiet": context.params["quiet"] or context.params["as_json"]}


def numbers(text: str, option: str) -> list[int]:
    """Whole numbers between commas: `5,5`."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise BirthmarkError(f"{option} takes whole numbers between commas, such as 5,5; not {text}") from None
