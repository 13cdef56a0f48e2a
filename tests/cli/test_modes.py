"""Every option under every mode of every command: it reaches the function that honours it, or it is refused by name."""

import inspect
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import pytest

from birthmark.cli import build, command
from birthmark.cli.app import all_commands
from birthmark.cli.command import Command, Mode, flag_of, options_of
from birthmark.scoring.declarations import Argument, Option, option_of

WORDS = {
    "audit": ["model"],
    "score": ["model"],
    "implicit": ["a", "b"],
    "consequences": ["model"],
    "compare": ["a.parquet", "b.parquet"],
    "map": ["a.parquet"],
    "track": ["run"],
    "edit": ["model"],
    "choose": ["a", "b"],
    "models check": ["model"],
    "models fetch": ["model"],
    "models show": ["model"],
    "lexicons show": ["starter"],
    "lexicons check": ["file.csv"],
    "prompts check": ["file.yaml"],
    "scores show": ["file.parquet"],
    "scores check": ["file.parquet"],
    "report": ["out"],
    "card": ["out"],
    "schema": ["effects"],
}
VALUES = {
    "bases": "4,6",
    "pairs": "8",
    "ray": "auto",
    "families": "model=Gemma",
    "base_checkpoints": "model=gemma",
    "controls": "prompt",
}
COMMANDS = all_commands()


def options(mode: Mode) -> dict[str, Any]:
    return {name: item for name, item in options_of(mode).items() if isinstance(option_of(item), Option)}


def written(name: str, annotation: Any) -> list[str]:
    """An option as a person writes it, with a value that it takes."""
    declared = option_of(annotation)
    kind = declared.command_line or get_args(annotation)[0]
    kinds = [kind, *get_args(kind)] if get_origin(kind) is not Literal else [kind]
    flag = flag_of(name, annotation)
    if bool in kinds:
        return [flag]
    if name in VALUES:
        return [flag, VALUES[name]]
    for each in kinds:
        if get_origin(each) is Literal:
            return [flag, str(get_args(each)[-1])]
    return [flag, f"{max(1, declared.least or 1):g}" if {int, float} & set(kinds) else "x"]


def chosen(mode: Mode, *, but: str = "") -> list[str]:
    """What chooses a mode, and what it cannot do without, but for one option."""
    needed = [mode.when] if mode.when else []
    needed += [
        name
        for name, item in inspect.signature(command.find(mode.run)).parameters.items()
        if item.default is item.empty and name in options(mode) and name not in needed
    ]
    return [word for name in needed if name != but for word in written(name, options_of(mode)[name])]


def words_of(name: str, mode: Mode) -> list[str]:
    if name == "implicit" and mode.when == "grid":
        return ["a", "--", "b"]
    return WORDS.get(name, [])


PAIRS = [
    pytest.param(name, mode, option, id=f"{name}-{mode.when or 'plain'}-{option}")
    for name, command in COMMANDS.items()
    for mode in command.modes
    for option in {key: None for other in command.modes for key in options(other)}
    if option != mode.when
]


def stand_in(monkeypatch: pytest.MonkeyPatch, mode: Mode, take: Callable[[dict[str, Any]], None]) -> None:
    """Let the mode's function, with its signature and options, do nothing but take what it is given; nothing is shown."""
    find = command.find

    def found(place: str) -> Callable[..., Any]:
        function = find(place)
        if place != mode.run:
            return (lambda result, **given: None) if place in (mode.show, mode.after) else function

        def run(*words: Any, **given: Any) -> None:
            take(given)

        run.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        run.__options__ = getattr(function, "__options__", function.__annotations__)  # type: ignore[attr-defined]
        return run

    for module in (build, command):
        monkeypatch.setattr(module, "find", found)


def declaration(command: Command, option: str) -> Any:
    return next(options_of(mode)[option] for mode in command.modes if option in options_of(mode))


@pytest.mark.parametrize(("name", "mode", "option"), PAIRS)
def test_an_option_reaches_the_function_of_its_mode_or_is_refused_by_name(
    name: str, mode: Mode, option: str, birthmark: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: dict[str, Any] = {}
    stand_in(monkeypatch, mode, received.update)
    annotation = declaration(COMMANDS[name], option)
    flag, again = flag_of(option, annotation), written(option, annotation)
    answer = birthmark(*name.split(), *words_of(name, mode), *chosen(mode, but=option), *again)
    if option in options_of(mode):
        assert answer.code == 0, answer.err
        assert option in received or option in mode.also
    elif any(other.when == option for other in COMMANDS[name].modes):
        assert mode.when is None or answer.is_error(flag, "give one of them")
    else:
        assert answer.is_error(flag, "leave it out" if mode.when else "only")


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        pytest.param(name, mode, id=f"{name}-{mode.when}")
        for name, command in COMMANDS.items()
        for mode in command.modes
        if mode.plan is None and any(other.plan for other in command.modes)
    ],
)
def test_a_dry_run_of_what_has_none_is_refused(name: str, mode: Mode, birthmark: Callable) -> None:
    assert birthmark(*name.split(), *words_of(name, mode), *chosen(mode), "--dry-run").is_error("--dry-run")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_parameter_of_a_commands_function_has_a_declaration_or_is_for_python_alone(name: str) -> None:
    for mode in COMMANDS[name].modes:
        function = command.find(mode.run)
        declared = {key for key, item in options_of(mode).items() if isinstance(option_of(item), Option | Argument)}
        undeclared = set(inspect.signature(function).parameters) - declared - {"quiet"}
        assert undeclared <= {"b", "second", "callbacks", "show", "few"}
