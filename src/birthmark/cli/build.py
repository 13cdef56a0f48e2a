"""From a command's functions to the command line: options from their signatures, one mode chosen, what it cannot honour refused.

A command has one mode or several (`compare`, `compare --budget`, `compare --stages`), each a public function. The options
of a mode are the parameters of its function, so an option that no chosen function takes is refused, never dropped.
"""

import inspect
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup

from birthmark.cli.command import (
    Command,
    Group,
    Mode,
    declared_by,
    find,
    flag_of,
    flags_of,
    is_argument,
    option_in,
    options_of,
)
from birthmark.errors import BirthmarkError
from birthmark.files import is_url
from birthmark.scoring.declarations import (
    MODEL,
    OUTPUT,
    QUESTION,
    RUN,
    Argument,
    Option,
    annotations_of,
    check_values,
)

JSON = Annotated[bool, Option("Print the result as JSON.")]
QUIET = Annotated[bool, Option("No progress and notes.")]
DRY_RUN = Annotated[bool, Option("Say what would be done, its time and memory; do nothing.")]
REPEATABLE = ("--lexicon",)  # by most commands, not by all
OWN = ("as_json", "quiet", "dry_run", "print_command")  # the command line's own


class Words(TyperCommand):
    """A command some of whose options may be written without their value; `bare` has those, by flag."""

    bare: Mapping[str, Option] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        found: list[str] = []
        for at, word in enumerate(args):
            if word == "--out=" or (
                word == "--out" and args[at + 1 : at + 2] == [""]
            ):  # as a path the folder one stands in
                raise BirthmarkError("--out is empty: name a folder")
            option = self.bare.get(word) if "--" not in args[:at] else None
            following = args[at + 1] if at + 1 < len(args) else ""
            has_value = option is not None and re.fullmatch(option.value, following)
            found.append(f"{word}={option.bare}" if option is not None and not has_value else word)
        self._require_once(found)
        return super().parse_args(ctx, found)

    def _require_once(self, args: Sequence[str]) -> None:
        """Raise `BirthmarkError` where one value is taken of an option that most commands take repeatedly, and two are given:
        click would drop the first."""
        single = {flag for option in self.params if not getattr(option, "multiple", True) for flag in option.opts}
        for flag in single & set(REPEATABLE):
            if sum(word.partition("=")[0] == flag for word in args) > 1:
                raise BirthmarkError(f"{flag} is given twice, and this command takes one: leave one out")


class Lazy(TyperGroup):
    """A group that lists its commands without importing what they run; a command is built when it is called."""

    members: tuple[Command | Group, ...] = ()
    _listing = False

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {member.name: stub(member) for member in self.members}
        self._built: set[str] = set()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in self.commands and cmd_name not in self._built and not self._listing:
            (member,) = [item for item in self.members if item.name == cmd_name]
            self.commands[cmd_name] = build(member)
            self._built.add(cmd_name)
        return self.commands.get(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


def group_of(members: Sequence[Command | Group]) -> type[Lazy]:
    """The class of a group with these members."""
    return type("Members", (Lazy,), {"members": tuple(members)})


def stub(member: Command | Group) -> TyperCommand:
    """A command as the help lists it."""
    return TyperCommand(name=member.name, help=member.help, rich_help_panel=member.panel)


def build(member: Command | Group) -> Any:
    """The command that typer runs."""
    settings: dict[str, Any] = {"rich_markup_mode": "markdown", "pretty_exceptions_enable": False}
    if isinstance(member, Group):
        app = typer.Typer(
            cls=group_of(member.commands), help=member.help, no_args_is_help=True, add_completion=False, **settings
        )
        app.callback()(lambda: None)
        found: Any = typer.main.get_command(app)
        found.name, found.rich_help_panel, found.help = member.name, member.panel, member.help
        return found
    app = typer.Typer(add_completion=False, **settings)
    words = type("Command", (member.words or Words,), {"bare": _bare(member)})
    app.command(
        member.name, cls=words, help=member.help, epilog=_examples(member.examples), rich_help_panel=member.panel
    )(_callback(member))
    return typer.main.get_command(app)


def _examples(lines: Sequence[str]) -> str:
    """The end of a command's help: one example a line, each run by a test."""
    return "Examples:\n\n" + "\n\n".join(f"`{line}`" for line in lines)


# ---------------------------------------------------------------------------------------------------------- options


def _bare(command: Command) -> dict[str, Option]:
    """The options of a command that may be written without their value, by flag."""
    every = {name: item for mode in command.modes for name, item in options_of(mode).items()}
    options = {name: item for name, item in every.items() if not is_argument(item)}
    return {flag_of(name, item): option_in(item) for name, item in options.items() if option_in(item).bare is not None}


def _parameters(command: Command) -> dict[str, inspect.Parameter]:
    """The parameters of the callback that typer reads: all modes' options, each once, then the command line's own."""
    default = options_of(command.modes[0])
    found: dict[str, inspect.Parameter] = {}
    for mode in command.modes:
        function = inspect.signature(find(mode.run)).parameters
        for name, annotation in options_of(mode).items():
            if name in found or (name not in default and is_argument(annotation)):
                continue
            given = function[name].default if name in function else inspect.Parameter.empty
            found[name] = _parameter(name, annotation, given)
    own = {"quiet": QUIET, "as_json": JSON}
    if command.launch is not None:
        own = {"print_command": command.launch, **own}
    if any(mode.plan for mode in command.modes):
        own = {"dry_run": DRY_RUN, **own}
    if not any("quiet" in annotations_of(find(mode.run)) for mode in command.modes):
        del own["quiet"]
    if not any(mode.json for mode in command.modes):
        del own["as_json"]
    found |= {name: _parameter(name, annotation, False) for name, annotation in own.items()}
    return dict(sorted(found.items(), key=lambda item: _place(item[1])))


def _place(parameter: inspect.Parameter) -> int:
    """Arguments first, then the panels in the order in which a person thinks of them."""
    where = get_args(parameter.annotation)[1]
    if isinstance(where, typer.models.ArgumentInfo):
        return -1
    panels = (None, MODEL, QUESTION, *({where.rich_help_panel} - {RUN, OUTPUT}), RUN, OUTPUT)
    return panels.index(where.rich_help_panel)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    declared = declared_by(annotation)
    kind = declared.command_line or get_args(annotation)[0]
    if isinstance(declared, Argument):
        where: Any = typer.Argument(metavar=declared.metavar, help=declared.help)
        default = inspect.Parameter.empty if declared.required else None
        kind = kind if declared.required else kind | None
    else:
        flags = flags_of(name, declared)
        where = typer.Option(
            *flags,
            help=declared.help,
            rich_help_panel=declared.panel,
            metavar=declared.metavar,
            min=declared.least,
            max=declared.most,
            show_default=declared.show_default,
        )
        if declared.default not in (None, ()):
            default = declared.default
        elif default in (inspect.Parameter.empty, ()):
            default = None
        if default is None:
            kind = kind | None
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=Annotated[kind, where]
    )


# -------------------------------------------------------------------------------------------------------------- call


def _callback(command: Command) -> Callable[..., None]:
    def run(context: typer.Context, **values: Any) -> None:
        call(command, values, _given(context))

    parameters = _parameters(command)
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    run.__signature__ = inspect.Signature([context, *parameters.values()])  # type: ignore[attr-defined]
    run.__annotations__ = {"context": typer.Context, **{name: item.annotation for name, item in parameters.items()}}
    return run


def _given(context: typer.Context) -> list[str]:
    """Names of the options that a person wrote on the command line."""
    options = [param.name for param in context.command.params if param.param_type_name == "option"]
    sources = {name: context.get_parameter_source(name) for name in context.params if name in options}
    return [name for name, source in sources.items() if source is not None and source.name != "DEFAULT"]


def call(command: Command, values: Mapping[str, Any], given: Sequence[str]) -> None:
    """Run the chosen mode with what was given, and print its result."""
    from birthmark.cli.show import as_json
    from birthmark.cli.terminal import print_json, print_text

    mode = choose_mode(command, given)
    plans = bool(values.get("dry_run"))
    require_honoured(command, mode, given, plans=plans)
    if values.get("print_command"):
        print_text(launch_line(command.name, mode, values, given))
        return
    function = find(mode.plan if plans and mode.plan else mode.run)
    silent = bool(values.get("quiet") or values.get("as_json"))
    words, named = _passed(mode, values, given, _words(command, values))
    _require(command, mode, named)
    if plans:  # what runs checks its own
        check_values(options_of(mode), {**dict.fromkeys(_argument_names(mode), _flat(words)), **named})
    if "quiet" in inspect.signature(function).parameters:
        named["quiet"] = silent
    if mode.watch and not silent and not plans:
        named["show"] = find(mode.watch)()
    result = function(*words, **named)
    if is_url(values.get("out")):
        from birthmark.inputs.stores import working_folder

        values = {**values, "out": working_folder(values["out"])}
    if mode.watch and not find("training.run:is_main")():  # of several processes one speaks
        return
    if values.get("as_json"):
        print_json(as_json(result, **_taken(as_json, values)))
    else:
        show = find(mode.show_plan if plans else mode.show)
        show(result, **_taken(show, values))
    if mode.after and not plans:
        find(mode.after)(result)


def choose_mode(command: Command, given: Sequence[str]) -> Mode:
    """The mode that the given options ask for, else the first; `BirthmarkError` where they ask for two."""
    asked = [mode for mode in command.modes if mode.when in given]
    if len(asked) > 1:
        flags = " and ".join(_when(mode) for mode in asked)
        raise BirthmarkError(f"{flags} ask for different things: give one of them")
    return asked[0] if asked else command.modes[0]


def require_honoured(command: Command, mode: Mode, given: Sequence[str], *, plans: bool) -> None:
    """Raise `BirthmarkError` that names the first given option that this mode has no use for."""
    if plans and mode.plan is None:
        raise BirthmarkError(f"--dry-run does not go with {_when(mode)}: leave it out")
    honoured = {*options_of(mode), *OWN}
    for name in given:
        if name in honoured:
            continue
        others = [other for other in command.modes if name in options_of(other)]
        flag = flag_of(name, options_of(others[0])[name])
        if mode.when is not None:
            raise BirthmarkError(f"{flag} does not go with {_when(mode)}: leave it out")
        raise BirthmarkError(f"{flag} goes with {' or '.join(_when(other) for other in others)} only")
    if mode.json is False and "as_json" in given:
        raise BirthmarkError(f"--json does not go with {_when(mode)}: leave it out")


def _when(mode: Mode) -> str:
    assert mode.when is not None
    return flag_of(mode.when, options_of(mode)[mode.when])


def _words(command: Command, values: Mapping[str, Any]) -> list[Any]:
    """What stands on the command line without a flag; all modes of a command share it."""
    names = _argument_names(command.modes[0])
    value = values.get(names[0]) if names else None
    return value if isinstance(value, list) else [] if value is None else [value]


def _argument_names(mode: Mode) -> list[str]:
    return [name for name, annotation in options_of(mode).items() if is_argument(annotation)]


def _flat(words: Sequence[Any]) -> list[Any]:
    return [each for word in words for each in (word if isinstance(word, list) else [word])]


def _passed(
    mode: Mode, values: Mapping[str, Any], given: Sequence[str], places: Sequence[Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The function's arguments in order and its named ones: what a person wrote, the rest is by default."""
    words: list[Any] = []
    named: dict[str, Any] = {}
    for name, annotation in options_of(mode).items():
        declared = declared_by(annotation)
        if isinstance(declared, Argument):
            words += mode.places(places) if mode.places else _arranged(mode, name, declared, places)
        elif name in mode.also or (name == mode.when and mode.flag is not None):
            continue
        elif name in given or (declared.default not in (None, ()) and values.get(name) is not None):
            named[name] = declared.convert(values[name]) if declared.convert else values[name]
    return words, named


def _arranged(mode: Mode, name: str, declared: Argument, places: Sequence[Any]) -> Sequence[Any]:
    """The words one by one (`*models`), as one list (`tables`), or the only one; none where none was given."""
    parameter = inspect.signature(find(mode.run)).parameters[name]
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL or not places:
        return places
    return [list(places)] if get_origin(declared.command_line) is list else places


def _require(command: Command, mode: Mode, named: Mapping[str, Any]) -> None:
    """Raise `BirthmarkError` where an option is missing that the mode's function cannot do without."""
    parameters = inspect.signature(find(mode.run)).parameters
    needed = {
        name: annotation
        for name, annotation in options_of(mode).items()
        if not is_argument(annotation) and name in parameters and parameters[name].default is inspect.Parameter.empty
    }
    missing = [name for name in needed if name not in named]
    if missing:
        flags = " and ".join(
            f"{flag_of(name, annotation)} {_metavar(annotation)}" for name, annotation in needed.items()
        )
        others = [
            f" or {_when(other)} {_metavar(options_of(other)[other.when])}"
            for other in command.modes
            if other is not mode and other.when and other.flag is None
        ]
        raise BirthmarkError(f"say {flags}{','.join(['', *others])}")


def _metavar(annotation: Any) -> str:
    return option_in(annotation).metavar or "VALUE"


def _taken(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that a function takes by name, its result aside."""
    names = list(inspect.signature(function).parameters)[1:]
    return {name: values[name] for name in names if name in values}


def launch_line(name: str, mode: Mode, values: Mapping[str, Any], given: Sequence[str]) -> str:
    """The command as `accelerate launch` takes it, one process a GPU of the SLURM job."""
    words: list[str] = []
    for option, annotation in options_of(mode).items():
        if option not in given:
            continue
        value = values[option]
        declared = option_in(annotation)
        if isinstance(value, bool):
            words.append(flag_of(option, annotation) if value or declared.on_off is None else declared.on_off)
        else:
            for item in value if isinstance(value, list | tuple) else [value]:
                words += [flag_of(option, annotation), str(item)]
    launch = 'srun accelerate launch --num_processes "${SLURM_GPUS_ON_NODE:-1}" -m birthmark'
    return f"{launch} {name} {shlex.join(words)}"
