"""Every number and path of every command at its extremes: refused in one line before anything is written, or run.

The cases come from the declarations, so that an option that is added is tried as well.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from test_modes import COMMANDS, chosen, stand_in, words_of

from birthmark.cli.app import all_commands
from birthmark.cli.command import Mode, flag_of, options_of
from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.scoring.declarations import Argument, Option, check_values, option_of, takes_whole
from birthmark.scoring.options import MAX_SEED

NUMBERS = ["-1", "0", "nan", "inf", "-inf", "1e400", "999999999999", str(2**70), "-" + "9" * 40, "1.5", "x", ""]


def kinds_of(annotation: Any) -> set[Any]:
    """The types that the command line takes."""
    declared = option_of(annotation)
    kind = (declared.command_line if declared else None) or get_args(annotation)[0]
    return {kind, *get_args(kind)} if get_origin(kind) is not Literal else {kind}


def declared(wanted: Callable[[Any], bool]) -> list[Any]:
    return [
        pytest.param(name, mode, option, id=f"{name}-{mode.when or 'plain'}-{option}")
        for name, command in all_commands().items()
        for mode in command.modes
        for option, annotation in options_of(mode).items()
        if wanted(annotation)
    ]


def is_number(annotation: Any) -> bool:
    return bool(kinds_of(annotation) & {int, float}) and bool not in kinds_of(annotation)


def is_path(annotation: Any) -> bool:
    return getattr(option_of(annotation), "place", None) in ("file", "folder", "out", "name")


@pytest.mark.parametrize(("name", "mode", "option"), declared(is_number))
def test_every_number_has_a_range_and_is_held_to_it(
    name: str, mode: Mode, option: str, birthmark: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    annotation = options_of(mode)[option]
    of_option = option_of(annotation)
    assert isinstance(of_option, Option) and of_option.least is not None and of_option.most is not None
    monkeypatch.chdir(tmp_path)
    ran: list[Any] = []

    def take(given: dict[str, Any]) -> None:
        check_values({option: annotation}, given)  # what `with_options` and `checked` do first of all
        ran.append(given[option])

    stand_in(monkeypatch, mode, take)
    words = [*name.split(), *words_of(name, mode), *chosen(mode)]
    for value in NUMBERS:
        answer = birthmark(*words, flag_of(option, annotation), value)
        assert answer.code == 0 or answer.is_error(flag_of(option, annotation)), (value, answer.err)
    assert all(of_option.least <= value <= of_option.most for value in ran)
    for value in (float("nan"), float("inf"), -(10**30), 10**30, "1", True, [None]):
        with pytest.raises(BirthmarkError):  # and so from Python
            check_values({option: annotation}, {option: [value]})
    if takes_whole(annotation):
        with pytest.raises(BirthmarkError, match="whole number"):
            check_values({option: annotation}, {option: 1.5})
    assert os.listdir(tmp_path) == []


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a thing of each kind, and with what the other words of a command line name."""
    for name in ("file", "x", "a.parquet", "b.parquet", "file.csv", "file.yaml", "file.parquet"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "mode", "option"), declared(is_path))
def test_every_path_is_refused_where_it_is_not_what_is_wanted(
    name: str, mode: Mode, option: str, birthmark: Callable, world: Path
) -> None:
    annotation = options_of(mode)[option]
    of_option = option_of(annotation)
    assert of_option is not None
    before = sorted(world.rglob("*"))
    wrong = ["a" * 256, "b/" * 2050, "esc\x1b", "line\n", "pipe", "broken", "/dev/zero", "/dev/full"]
    wrong += {"file": ["folder", "none"], "folder": ["file", "none"], "out": ["file", "file/x"], "name": []}[
        of_option.place
    ]
    words = words_of(name, mode)
    for value in wrong:
        if isinstance(of_option, Argument):
            given = [*name.split(), *([value if word != "--" else word for word in words] or [value]), *chosen(mode)]
        else:
            needed = chosen(mode)
            flag = flag_of(option, annotation)
            if "--out" in needed:  # a new folder, which nothing is wrong with
                needed[needed.index("--out") + 1] = "new"
            if flag in needed:  # the option that chooses the mode, or that it cannot do without
                needed[needed.index(flag) + 1] = value
            else:
                needed += [flag, value]
            given = [*name.split(), *words, *needed]
        answer = birthmark(*given)
        assert answer.is_error(one_line(value)[:60]), (value, answer.code, answer.err, answer.out)
    assert sorted(world.rglob("*")) == before


def test_every_option_that_takes_a_path_says_what_kind() -> None:
    """A metavar that speaks of files or folders has a `place`."""
    lost = {
        f"{name} {option}"
        for name, command in COMMANDS.items()
        for mode in command.modes
        for option, annotation in options_of(mode).items()
        if not is_path(annotation)
        and (
            Path in kinds_of(annotation)
            or {"FILE", "DIR", "YAML", "MODEL"} & set(str(option_of(annotation).metavar).split("|"))
        )
    }
    assert {each.split()[-1] for each in lost} <= {"candidates", "target"}  # words or a file, a number or a model


@pytest.mark.parametrize(
    "given", [{"seed": -1}, {"seed": MAX_SEED + 1}, {"seed": 1.5}, {"seed": "0"}, {"seed": float("nan")}]
)
def test_a_seed_out_of_range_is_refused_from_python(given: dict[str, Any]) -> None:
    import birthmark

    with pytest.raises(BirthmarkError, match="--seed takes a whole number"):
        birthmark.score("none", **given)
    with pytest.raises(BirthmarkError, match="--seed takes a whole number"):
        birthmark.train("none", "none.jsonl", **given)


@pytest.mark.parametrize(
    "given", [{"epochs": float("inf")}, {"epochs": 999_999_999_999}, {"batch": 0}, {"lora_alpha": float("nan")}]
)
def test_a_recipe_out_of_range_is_refused_from_python_and_from_a_grid(given: dict[str, Any]) -> None:
    import birthmark
    from birthmark.training.recipe import make_recipe

    (name,) = given
    with pytest.raises(BirthmarkError, match=f"--{name.replace('_', '-')} takes"):
        birthmark.train("none", "none.jsonl", **given)
    with pytest.raises(BirthmarkError, match=f"the recipe's {name} cannot be"):
        make_recipe(**given)
