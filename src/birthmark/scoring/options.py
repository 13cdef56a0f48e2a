"""Every option that several commands share, declared once: type, default, help, panel, and whether it moves a score.

The command line (`cli.command`), the Python signatures (`with_options`), `study.json` and the resume key (`measure`) are
derived from these declarations. An option that only one command has is declared in that command's signature, by the
same `Option`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Literal,
    TypedDict,
)

from birthmark.scoring.declarations import MODEL, OUTPUT, QUESTION, RUN, Option

if TYPE_CHECKING:
    from birthmark.inputs.lexicons import Lexicon

MAX_SEED = 2**32 - 1  # numpy's and transformers' largest

FrameOption = Literal["auto", "chat", "qa", "bare"]
ChosenFrame = Literal["chat", "qa", "bare"]
Protocol = Literal["birthmark", "christian2026"]
EngineName = Literal["prefix", "plain"]
Read = Literal["class", "end"]
BosOption = Literal["auto", "one", "two"]


class PromptSetOptions(TypedDict, total=False):
    prompts: Annotated[
        str | Path,
        Option(
            "A prompt set: christian2026 or a YAML file.",
            QUESTION,
            default="christian2026",
            metavar="NAME|FILE",
            moves_score=True,
            of_study=True,
            command_line=str,
            place="name",
        ),
    ]


class PromptOptions(TypedDict, total=False):
    prompt: Annotated[
        "str | Sequence[str]",
        Option(
            "Only this prompt, or one of your own; repeatable.",
            QUESTION,
            default=(),
            metavar="KEY|TEXT",
            moves_score=True,
            of_study=True,
            command_line=list[str],
        ),
    ]


class CandidateOptions(TypedDict, total=False):
    lexicons: Annotated[
        "str | Path | Lexicon | Sequence[str | Path | Lexicon]",
        Option(
            "Words by category; repeatable. [default: starter]",
            QUESTION,
            default=(),
            metavar="NAME|FILE",
            flag="--lexicon",
            moves_score=True,
            of_study=True,
            command_line=list[str],
            place="name",
        ),
    ]
    candidates: Annotated[
        "str | Sequence[str] | None",
        Option(
            "The one-word answers to score. [default: an LM's vocabulary and the lexicons' words; an RM's the words]",
            QUESTION,
            metavar="lexicon|vocabulary|FILE|WORD,WORD",
            moves_score=True,
            of_study=True,
            command_line=str,
        ),
    ]


class AnswerOptions(TypedDict, total=False):
    answers: Annotated[
        str | Path,
        Option(
            "What a candidate stands in: alone, or in each of a set of sentences too; a YAML file of your own.",
            QUESTION,
            default="words",
            metavar="words|sentences|FILE",
            moves_score=True,
            of_study=True,
            command_line=str,
            place="name",
        ),
    ]


class QuestionOptions(PromptSetOptions, PromptOptions, CandidateOptions, total=False):
    """What is asked, and which answers are scored."""


class SystemOptions(TypedDict, total=False):
    system: Annotated[
        str | None,
        Option(
            'A system prompt before every question; "" is an empty system turn.',
            QUESTION,
            metavar="TEXT",
            moves_score=True,
            of_study=True,
        ),
    ]


class ControlOptions(TypedDict, total=False):
    """What effects are shown with held fixed as well."""

    controls: Annotated[
        "str | Sequence[str]",
        Option(
            "Show the effects with this held fixed as well; prompt: against a neutral prompt. Repeatable.",
            QUESTION,
            default=(),
            metavar="frequency,length,tokens|prompt",
            flag="--control",
            moves_score=True,
            of_study=True,
            command_line=list[str],
        ),
    ]


class FrameOptions(TypedDict, total=False):
    """How a prompt becomes the model's context."""

    frame: Annotated[
        FrameOption,
        Option(
            "How a prompt becomes the context; auto: chat where all have a template.",
            RUN,
            default="auto",
            moves_score=True,
            of_study=True,
        ),
    ]


class TemplateDateOptions(TypedDict, total=False):
    template_date: Annotated[
        str | None,
        Option(
            "The date that a dated chat template prints. [default: the template's own, else 2024-07-26]",
            RUN,
            metavar="YYYY-MM-DD",
            moves_score=True,
        ),
    ]


class ProtocolOptions(TemplateDateOptions, total=False):
    """Whose procedure is followed, and what a dated chat template prints."""

    protocol: Annotated[
        Protocol,
        Option(
            "christian2026 does what the study did, its double BOS included.",
            RUN,
            default="birthmark",
            moves_score=True,
            of_study=True,
        ),
    ]


class ReadingOptions(TypedDict, total=False):
    """What a reward model reads, and where its reward is read; a language model has neither."""

    read: Annotated[
        Read,
        Option(
            "Where a reward is read: where the model's own class does, or at the end.",
            RUN,
            default="class",
            moves_score=True,
            of_study=True,
        ),
    ]
    bos: Annotated[
        BosOption,
        Option(
            "Beginning-of-text tokens of a reward model's conversations; auto: as its authors had them.",
            RUN,
            default="auto",
            moves_score=True,
            of_study=True,
        ),
    ]


class MachineOptions(TypedDict, total=False):
    """Where and in which precision a model runs."""

    dtype: Annotated[
        str | None,
        Option(
            "Precision of the weights. [default: float32 on CPU, the catalog's on GPU]",
            RUN,
            metavar="float32|bfloat16|float16",
            moves_score=True,
        ),
    ]
    device: Annotated[
        str | None,
        Option(
            "Where the model runs. [default: the fastest that is there]", RUN, metavar="cpu|cuda|mps", moves_score=True
        ),
    ]


class EngineOptions(TypedDict, total=False):
    engine: Annotated[
        EngineName,
        Option(
            "prefix computes what conversations share once; plain is the slow reference.",
            RUN,
            default="prefix",
            moves_score=True,
        ),
    ]


class PlacementOptions(TypedDict, total=False):
    """How the weights of a large model are held."""

    device_map: Annotated[
        Literal["auto"] | None,
        Option("Spread the layers over all GPUs, and the CPU for the rest.", RUN, moves_score=True),
    ]
    quantize: Annotated[
        Literal["8bit", "4bit"] | None,
        Option("Load the weights in fewer bits (an NVIDIA GPU and the extra `quantized`).", RUN, moves_score=True),
    ]


class BackendOptions(TypedDict, total=False):
    """Where a model runs: in this machine's memory, or elsewhere."""

    backend: Annotated[
        str,
        Option(
            "What scores: local, or one that an installed package adds.",
            RUN,
            default="local",
            metavar="NAME",
            moves_score=True,
        ),
    ]


class RayOptions(TypedDict, total=False):
    """Whether the work is done by a Ray cluster."""

    ray: Annotated[
        "bool | str | None",
        Option(
            "Run on a Ray cluster: auto, HOST:PORT or ray://HOST:PORT; without ADDRESS on a local one.",
            RUN,
            metavar="[ADDRESS]",
            command_line=str,
            bare="local",
            value=r"auto|local|\S+://\S+|[^\s/]+:\d+",
        ),
    ]


class ServerOptions(TypedDict, total=False):
    server: Annotated[
        str | None,
        Option(
            "A server that runs the model: vLLM, SGLang, text-embeddings-inference, or one with OpenAI's API.",
            RUN,
            metavar="URL",
            moves_score=True,
        ),
    ]


class CheckOptions(TypedDict, total=False):
    verify: Annotated[
        bool,
        Option("Rescore a sample in float32: which differences are smaller than rounding's.", RUN, default=False),
    ]


class SeedOptions(TypedDict, total=False):
    seed: Annotated[int, Option("Seed of every random draw.", RUN, default=0, least=0, most=MAX_SEED)]


class QuietOptions(TypedDict, total=False):
    """Nothing is shown while a function runs, unless asked for; on the command line it is the other way round."""

    quiet: Annotated[bool, Option("No progress and notes.", OUTPUT, default=True)]


class CatalogOptions(TypedDict, total=False):
    catalog: Annotated[
        "str | Path | None",
        Option("A catalog.toml of your own models.", MODEL, metavar="FILE", command_line=Path, place="file"),
    ]


class ChatTemplateOptions(TypedDict, total=False):
    chat_template: Annotated[
        "str | Path | None",
        Option(
            "A chat template for a model without one.",
            MODEL,
            metavar="plain|FILE",
            moves_score=True,
            command_line=str,
            place="name",
        ),
    ]


class SourceOptions(CatalogOptions, ChatTemplateOptions, total=False):
    """Which files of a model are taken."""

    revision: Annotated[
        str | None,
        Option("A hub revision. [default: the catalog's pinned one]", MODEL, moves_score=True, place="label"),
    ]


class KindOptions(TypedDict, total=False):
    kind: Annotated[
        Literal["reward", "logprob"] | None,
        Option(
            "Take the model for an RM or an LM. [default: as its config says]", MODEL, flag="--as", moves_score=True
        ),
    ]


class LabelOptions(TypedDict, total=False):
    """What a person says of a model that the catalog does not know."""

    family: Annotated[
        str | None, Option("Pretraining lineage of a model that the catalog lacks.", MODEL, place="label")
    ]
    base_checkpoint: Annotated[str | None, Option("The released model that it was tuned from.", MODEL, place="label")]


class ModelOptions(SourceOptions, KindOptions, LabelOptions, total=False):
    """What `resolve` takes beside a name."""


class RunOptions(
    FrameOptions,
    ProtocolOptions,
    ReadingOptions,
    BackendOptions,
    RayOptions,
    ServerOptions,
    EngineOptions,
    MachineOptions,
    PlacementOptions,
    CheckOptions,
    SeedOptions,
    QuietOptions,
    total=False,
):
    """How a model is framed and run."""


class PersonaOptions(QuestionOptions, RunOptions, total=False):
    """What is asked of every model under a persona, whose system prompt is the persona's."""


class MeasureOptions(PersonaOptions, AnswerOptions, SystemOptions, ControlOptions, total=False):
    """What `measure.make_measure` takes: what is asked of every model, and how it is run."""


class ScoringOptions(MeasureOptions, ModelOptions, total=False):
    """All that `score` and `audit` share."""


def out_option(default: str | None = None, panel: str | None = None) -> Option:
    """`--out`; `default` is the command line's where Python, asked for no folder, writes nothing."""
    said = "Where everything is written: a folder, or an address such as s3://bucket/study."
    folder = Path(default) if default else None
    return Option(said, panel, default=folder, metavar="DIR", command_line=Path, place="out")


Out = Annotated["str | Path", out_option(panel=OUTPUT)]
MixedFrames = Annotated[bool, Option("Compare models scored in different frames all the same.", RUN)]
Lexicons = CandidateOptions.__annotations__["lexicons"]
