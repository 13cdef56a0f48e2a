"""What is asked of every model of one study, and how it is run: prompts, lexicons, candidates, frame, engine."""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Literal, Unpack
from urllib.parse import urlsplit

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.answers import WORDS, crossed, load_answers
from birthmark.inputs.candidates import KEYWORDS, Candidates, CandidateSpec, candidate_spec, load_candidates
from birthmark.inputs.lexicons import INQUIRER_DEFAULT, Lexicon, is_fetched, load_lexicon, load_lexicons
from birthmark.inputs.prompts import load_prompts, prompt_set_record, select_prompts, with_neutral
from birthmark.inputs.text import did_you_mean
from birthmark.plugins import entry_points
from birthmark.records import Kind, PromptSetRecord
from birthmark.scoring.declarations import options_in, with_options
from birthmark.scoring.options import (
    BosOption,
    ChosenFrame,
    EngineName,
    FrameOption,
    MeasureOptions,
    Protocol,
    Read,
    ReadingOptions,
)

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel

CONFOUNDS = ("frequency", "length", "tokens")
NO_FREQUENCY = "wordfreq is not installed: pip install 'birthmark[frequency]'"


@cache
def has_frequency() -> bool:
    """Whether wordfreq is installed."""
    try:
        import wordfreq  # noqa: F401
    except ImportError:
        return False
    return True


NEUTRAL_CONTROL = "prompt"
CONTROLS = (*CONFOUNDS, NEUTRAL_CONTROL)


def parse_control(text: str) -> tuple[str, ...]:
    """`tokens,frequency` → `("frequency", "tokens")`: what one `--control` holds fixed, each once, in a fixed order.

    Raises `BirthmarkError` for a name that is none of `frequency`, `length`, `tokens`, `prompt`, and for `frequency`
    where wordfreq is not installed.
    """
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    for name in wanted:
        if name not in CONTROLS:
            raise BirthmarkError(f'nothing called "{name}" can be controlled for: {did_you_mean(name, CONTROLS)}')
    if not wanted:
        raise BirthmarkError(f"--control names nothing: name one or more of {', '.join(CONTROLS)}")
    if "frequency" in wanted and not has_frequency():
        raise BirthmarkError(f"--control frequency: {NO_FREQUENCY}")
    return tuple(name for name in CONTROLS if name in wanted)


def parse_controls(controls: str | Sequence[str]) -> list[tuple[str, ...]]:
    """Each control once, in the order given; one alone may be given as text."""
    return list(dict.fromkeys(map(parse_control, [controls] if isinstance(controls, str) else controls)))


@dataclass(frozen=True)
class Measure:
    """What is asked of every model of one study, and how it is run."""

    prompts: PromptSetRecord
    lexicons: tuple[Lexicon, ...]
    neighbour: bool  # whether a validated list is shown beside the default one
    candidates: CandidateSpec
    frame: FrameOption
    protocol: Protocol
    engine: EngineName
    dtype: str | None
    device: str | None
    template_date: str | None
    seed: int
    quiet: bool
    backend: str = "local"  # the name of what scores
    ray: str | None = None  # the address of the cluster that the local backend runs on
    server: str | None = None  # the address of what scores, in the place of a backend
    answers: str = WORDS  # the name of the sentences that the prompts are crossed with
    read: Read = "class"
    bos: BosOption = "auto"
    controls: tuple[str, ...] = ()
    quantize: Literal["8bit", "4bit"] | None = None
    device_map: str | None = None  # `auto`
    verify: bool = False  # rescore a sample in float32
    sample: int | None = None  # candidates that the plain engine scores too; where None, those of VERIFY_SAMPLE

    @cached_property
    def beside(self) -> tuple[Lexicon, ...]:
        """Lexicons that are looked at where the tables have their words; they ask for no candidates.

        The General Inquirer's power and affiliation tags, where they have been fetched.
        """
        if not (self.neighbour and is_fetched("general-inquirer")):
            return ()
        return (load_lexicon("general-inquirer").only(INQUIRER_DEFAULT),)

    def candidates_for(self, kind: Kind) -> Candidates:
        return load_candidates(self.candidates, self.lexicons, kind)

    def of_study(self, frame: str | None) -> dict[str, object]:
        """What all models of one OUT have in common; the frame is the language models', null while there are none.

        Holds every option that is declared `of_study`: prompt, answers, system prompt and controls are in the prompts' digest.
        Candidates of a person's own have a digest as well, so that a file that was edited is seen.
        """
        own = self.candidates is not None and self.candidates not in KEYWORDS
        return {
            "prompts": self.prompts.name,
            "prompts_sha256": self.prompts.sha256,
            "lexicons": [lexicon.name for lexicon in self.lexicons],
            "lexicons_sha256": [lexicon.sha256 for lexicon in self.lexicons],
            "candidates": list(self.candidates) if isinstance(self.candidates, tuple) else self.candidates or "default",
            "candidates_sha256": self.candidates_for("reward").sha256 if own else None,
            "frame": frame,
            "protocol": self.protocol,
            "read": self.read,
            "bos": self.bos,
        }

    def bos_for(self, model: "ResolvedModel") -> Literal["one", "two"]:
        """How many beginning-of-text tokens a model's conversations have: as asked, else as the protocol or its authors did."""
        if model.kind == "reward" and self.bos != "auto":
            return self.bos
        if self.protocol == "christian2026":
            return "two"
        stated = model.entry.bos if model.kind == "reward" and model.entry else None
        return stated or "one"


@with_options
def make_measure(**options: Unpack[MeasureOptions]) -> Measure:
    """Read the prompts, lexicons and candidates once; raises `BirthmarkError` for what is not there or malformed."""
    prompt_set = load_prompts(options["prompts"])
    if prompt := options["prompt"]:
        prompt_set = select_prompts(prompt_set, [prompt] if isinstance(prompt, str) else prompt)
    controls = tuple(",".join(control) for control in parse_controls(options["controls"]))
    if any(NEUTRAL_CONTROL in control for control in controls):
        prompt_set = with_neutral(prompt_set)
    if (system := options["system"]) is not None:
        prompt_set = prompt_set_record(prompt_set.name, prompt_set.prompts, system)
    if options["template_date"]:
        from birthmark.models.encoding import parse_template_date

        parse_template_date(options["template_date"])
    lexicons, candidates = load_lexicons(options["lexicons"] or "starter"), candidate_spec(options["candidates"])
    answers = load_answers(options["answers"])
    if answers.templates:
        _require_sentences_can_be_asked(options)
        prompt_set, candidates = crossed(prompt_set, answers), candidates or "lexicon"
    if candidates is not None and candidates not in KEYWORDS:
        load_candidates(candidates, lexicons, "reward")  # what is wrong with them is said before a model is looked up
    return Measure(
        prompts=prompt_set,
        lexicons=lexicons,
        neighbour=not options["lexicons"],
        candidates=candidates,
        answers=answers.name,
        controls=controls,
        frame=options["frame"],
        protocol=options["protocol"],
        read=options["read"],
        bos=options["bos"],
        template_date=options["template_date"],
        ray=ray_address(options["ray"], options["backend"]),
        backend=require_backend(options["backend"]),
        server=_server(options["server"], options["backend"], options["ray"]),
        engine=options["engine"],
        dtype=options["dtype"],
        device=options["device"],
        quantize=options["quantize"],
        device_map=options["device_map"],
        verify=options["verify"],
        seed=options["seed"],
        quiet=options["quiet"],
    )


def _require_sentences_can_be_asked(options: MeasureOptions) -> None:
    """Raise `BirthmarkError` for an option that does not go with answers in sentences."""
    asked = {
        "--server": options["server"] is not None,
        f"--backend {one_line(options['backend'])}": options["backend"] != LOCAL,
        "--ray": bool(options["ray"]),
        "--protocol christian2026": options["protocol"] == "christian2026",
        "--candidates vocabulary": options["candidates"] == "vocabulary",
        "--control prompt": any(NEUTRAL_CONTROL in control for control in parse_controls(options["controls"])),
    }
    for flag in (flag for flag, given in asked.items() if given):
        raise BirthmarkError(f"{flag} does not go with --answers {one_line(options['answers'])}: leave one of them out")


BACKENDS = "birthmark.backends"  # the entry points of other packages' backends
LOCAL = "local"


def require_backend(name: str) -> str:
    """The name; raises `BirthmarkError` where no backend is called that. None is imported."""
    known = {LOCAL, *(point.name for point in entry_points(BACKENDS))}
    if name not in known:
        raise BirthmarkError(
            f'there is no backend "{one_line(name)}": {did_you_mean(name, known)}, or install a package that adds it '
            f"(entry point `{BACKENDS}`)"
        )
    return name


def ray_address(ray: bool | str | None, backend: str = LOCAL) -> str | None:
    """The address that `--ray` comes to: `local` where none is given, None where it is not asked for.

    Raises `BirthmarkError` for a backend beside it: what Ray runs is the local one.
    """
    if ray is None or ray is False:
        return None
    if ray == "":
        raise BirthmarkError(
            "--ray is empty: leave it out, or give an address, or write --ray alone for a Ray of this machine"
        )
    if backend != LOCAL:
        raise BirthmarkError(f"--ray does not go with --backend {one_line(backend)}: leave one of them out")
    return LOCAL if ray is True else ray


def _server(address: str | None, backend: str, ray: bool | str | None) -> str | None:
    """The address of a model server; raises `BirthmarkError` for what does not go with one."""
    if address is None:
        return None
    if backend != LOCAL:
        raise BirthmarkError(f"--server does not go with --backend {one_line(backend)}: leave one of them out")
    if ray:
        raise BirthmarkError("--server does not go with --ray, for the server does the work: leave one of them out")
    return server_address(address)


def server_address(address: str, flag: str = "--server") -> str:
    """`http://HOST:PORT`; raises `BirthmarkError` that names the option for an address that is none, or holds a secret."""
    try:
        parts = urlsplit(address)
        named, _ = parts.hostname, parts.port  # a port that is none is found when it is read
    except ValueError:
        parts, named = urlsplit(""), None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise BirthmarkError(
            f"{flag} takes an address alone, without a user name, a password or parameters: put the key into the "
            "environment variable BIRTHMARK_SERVER_KEY"
        )
    if parts.scheme not in ("http", "https") or not named:
        raise BirthmarkError(
            f"{flag} takes an address such as http://localhost:8000, not {one_line(address.rpartition('@')[2]) or 'nothing'}"
        )
    return address.rstrip("/").removesuffix("/v1")


def under(measure: Measure, persona: str, system: str) -> Measure:
    """The same measurement with a persona's system prompt before every question."""
    prompts = measure.prompts
    return replace(measure, prompts=prompt_set_record(prompts.name, prompts.prompts, system, persona))


def versions() -> dict[str, str]:
    """Versions of what moves a score."""
    packages = ("birthmark", "torch", "transformers", "tokenizers", "peft", "numpy", "polars")
    return {name: _version(name) for name in packages}


_version = cache(importlib.metadata.version)  # what is imported stays as it is, whatever is installed meanwhile


def refuse_reading_options(models: "Sequence[ResolvedModel]", measure: Measure) -> None:
    """Raise `BirthmarkError` for an option on how rewards are read where no model gives any."""
    asked = [f"--{name}" for name, of in options_in(ReadingOptions).items() if getattr(measure, name) != of.default]
    if asked and all(model.kind == "logprob" for model in models):
        raise BirthmarkError(f"{asked[0]} is for reward models, and {models[0].name} is a language model: leave it out")


def choose_frames(models: "Sequence[ResolvedModel]", frame: FrameOption, protocol: Protocol) -> list[ChosenFrame]:
    """The frame of each model: an RM always `chat`; the LMs share one, by default `chat` if all have a template.

    The study's protocol takes `chat` for LMs that have a template and the bare prompt for the others.
    """
    languages = [model for model in models if model.kind == "logprob"]
    shared: ChosenFrame = "chat" if all(model.chat_template for model in languages) else "qa"
    frames: list[ChosenFrame] = []
    for model in models:
        if model.kind == "reward":
            frames.append("chat")
        elif frame != "auto":
            frames.append(frame)
        elif protocol == "christian2026":
            frames.append("chat" if model.chat_template else "bare")
        else:
            frames.append(shared)
    return frames
