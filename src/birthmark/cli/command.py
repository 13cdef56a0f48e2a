"""What a command is: its modes, each a public function, and the options that their signatures declare."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from typer.core import TyperCommand

from birthmark.scoring.declarations import Argument, Option, annotations_of, option_of


@dataclass(frozen=True)
class Mode:
    """One way to run a command.

    `run`, `plan` (for --dry-run), `show`, `show_plan` and `watch` are places, `module:function` in this package. `when`
    names the option that chooses the mode, `flag` declares it where it is no parameter of `run`. `places` makes the
    function's arguments of the positional words. `also`: options that only `show` takes. `after` may raise once all is
    printed. `watch` makes what `run` takes as `show`, called while it goes.
    """

    run: str
    show: str
    when: str | None = None
    flag: Any = None
    plan: str | None = None
    show_plan: str = "cli.show:print_plan"
    json: bool = True
    also: Mapping[str, Any] = field(default_factory=dict)
    places: Callable[[Sequence[Any]], Sequence[Any]] | None = None
    after: str | None = None
    watch: str | None = None


@dataclass(frozen=True)
class Command:
    """A command as the help lists it; what it runs is imported when it is called."""

    name: str
    help: str
    modes: tuple[Mode, ...]
    examples: tuple[str, ...]
    panel: str | None = None
    words: type[TyperCommand] | None = None
    launch: Any = None  # declares the flag that prints how to run the command on several GPUs


@dataclass(frozen=True)
class Group:
    """Commands that share a first word."""

    name: str
    help: str
    panel: str
    commands: tuple[Command, ...]


def find(place: str) -> Callable[..., Any]:
    """The function at `module:function`, imported now."""
    module, name = place.split(":")
    return getattr(import_module(f"birthmark.{module}"), name)  # type: ignore[no-any-return]


def options_of(mode: Mode) -> dict[str, Any]:
    """What a mode takes on the command line: name → annotated type, arguments and options alike."""
    declared = {name: item for name, item in annotations_of(find(mode.run)).items() if name != "quiet"}
    own = {mode.when: mode.flag} if mode.when and mode.flag is not None else {}
    return {**declared, **own, **mode.also}


def declared_by(annotation: Any) -> Option | Argument:
    """The declaration in an annotated type that must have one."""
    found = option_of(annotation)
    assert found is not None
    return found


def option_in(annotation: Any) -> Option:
    """The declaration in an annotated type that must be an option's."""
    found = option_of(annotation)
    assert isinstance(found, Option)
    return found


def is_argument(annotation: Any) -> bool:
    return isinstance(option_of(annotation), Argument)


def flags_of(name: str, declared: Option) -> list[str]:
    """Every way to write an option on the command line, as typer takes them."""
    if name == "quiet":
        return ["--quiet", "-q"]
    if name == "as_json":
        return ["--json"]
    flag = declared.flag or "--" + name.replace("_", "-")
    if declared.on_off is not None:
        return [f"{flag}/{declared.on_off}"]
    return [flag]


def flag_of(name: str, annotation: Any) -> str:
    """How an option is written on the command line."""
    declared = option_in(annotation)
    return flags_of(name, declared)[0].split("/")[0]
