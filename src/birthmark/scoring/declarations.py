"""What is declared of an option, and what follows from it: a Python signature with its defaults, and checks at the door.

An `Option` is declared once, in the type of a parameter. `with_options` makes the signature and the list of parameters that
`help` shows, and checks each value when the function is called; an address of a store becomes a local folder or file here.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, ForwardRef, Literal, TypeVar, cast, get_args, get_origin

from birthmark.errors import BirthmarkError
from birthmark.files import Place, check_name, check_path, is_url, with_urls
from birthmark.foreign import one_line

F = TypeVar("F", bound=Callable[..., Any])

MODEL, QUESTION, RUN, OUTPUT = "The model", "The question", "How it runs", "Output"


@dataclass(frozen=True)
class Option:
    """What is said of an option beside its name and type.

    `default` is the default of an option of the classes below; an option in a command's signature has it there.
    `moves_score`: a table that was scored under another value is not reused. `of_study`: all models of one OUT have it in
    common. `flag` is the command line's name where that differs from Python's, `on_off` of a flag with a negation,
    `command_line` the command line's type where that differs, and `convert` makes Python's value of it. A number lies
    between `least` and `most`; `place` says what kind of path a value is, or that it is a `label`, a name that is printed.
    `bare` is the value of an option whose value may be left out: it is taken where what follows is not like `value`, a
    regular expression.
    """

    help: str
    panel: str | None = OUTPUT
    default: Any = None
    moves_score: bool = False
    of_study: bool = False
    metavar: str | None = None
    flag: str | None = None
    on_off: str | None = None
    command_line: Any = None
    convert: Callable[[Any], Any] | None = None
    least: float | None = None
    most: float | None = None
    place: Place | Literal["label"] | None = None
    show_default: bool = True
    bare: str | None = None
    value: str = ""


@dataclass(frozen=True)
class Argument:
    """A positional argument of a command."""

    help: str
    metavar: str
    command_line: Any = str
    required: bool = True
    place: Place | None = None


def option_of(annotation: Any) -> Option | Argument | None:
    """The declaration in an annotated type, or None."""
    found = [item for item in getattr(annotation, "__metadata__", ()) if isinstance(item, Option | Argument)]
    return found[0] if found else None


def options_in(options: type) -> dict[str, Option]:
    """The options of a class above: name → declaration."""
    return {
        name: item for name, type_ in options.__annotations__.items() if isinstance(item := option_of(type_), Option)
    }


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """What of a function's parameters is declared for the command line: name → annotated type."""
    known: dict[str, Any] = getattr(function, "__options__", function.__annotations__)
    return {name: annotation for name, annotation in known.items() if option_of(annotation) is not None}


def select(options: Mapping[str, Any], wanted: type) -> dict[str, Any]:
    """Those of the options that a class declares."""
    return {name: value for name, value in options.items() if name in wanted.__annotations__}


def with_options(function: F) -> F:
    """Turn `**options: Unpack[SomeOptions]` into keyword parameters with their declared defaults.

    `inspect.signature` and `help` show them; the function receives every option, given or by default. Raises
    `BirthmarkError` on unknown options, so that a typo does not fall back to a default.
    """
    signature = inspect.signature(function)
    (spread,) = [item for item in signature.parameters.values() if item.kind is item.VAR_KEYWORD]
    (options,) = get_args(spread.annotation)
    own = {name: item for name, item in signature.parameters.items() if item is not spread}
    defaults = {name: item.default for name, item in options_in(options).items() if name not in own}
    shared = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_plain(options.__annotations__[name])
        )
        for name, default in defaults.items()
    ]
    named = [item.replace(annotation=_plain(item.annotation)) for item in own.values()]
    known = [name for name, item in own.items() if item.kind is not item.VAR_POSITIONAL] + list(defaults)

    @functools.wraps(function)
    def call(*arguments: Any, **given: Any) -> Any:
        for name in given:
            if name not in known:
                from birthmark.inputs.text import did_you_mean

                raise BirthmarkError(f"there is no option {name}: {did_you_mean(name, known)}")
        _check_call(of_call, declared, arguments, given)
        with _local(of_call, declared, arguments, given) as (places, named):
            return function(*places, **{**defaults, **named})

    of_call = signature.replace(parameters=[*named, *shared])
    declared = {
        **{name: item.annotation for name, item in own.items()},
        **{name: options.__annotations__[name] for name in defaults},
    }
    call.__signature__ = of_call  # type: ignore[attr-defined]
    call.__options__ = declared  # type: ignore[attr-defined]
    call.__doc__ = _documented(function, declared)
    return cast(F, call)


def _documented(function: Callable[..., Any], declared: Mapping[str, Any]) -> str:
    """A function's docstring, and what is declared of each of its parameters."""
    listed = [
        f"- `{name}`: {declaration.help}"
        for name, annotation in declared.items()
        if (declaration := option_of(annotation)) is not None
    ]
    return "\n\n".join(
        filter(None, [inspect.getdoc(function) or "", "Parameters:" if listed else "", "\n".join(listed)])
    )


def checked(function: F) -> F:
    """A function whose parameters are declared here, checked when it is called: see `check_values`."""
    signature, declared = inspect.signature(function), annotations_of(function)

    @functools.wraps(function)
    def call(*arguments: Any, **given: Any) -> Any:
        _check_call(signature, declared, arguments, given)
        with _local(signature, declared, arguments, given) as (places, named):
            return function(*places, **named)

    shown = [item.replace(annotation=_plain(item.annotation)) for item in signature.parameters.values()]
    call.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    call.__options__ = declared  # type: ignore[attr-defined]
    call.__doc__ = _documented(function, declared)
    return cast(F, call)


@contextmanager
def _local(
    signature: inspect.Signature, declared: Mapping[str, Any], arguments: Sequence[Any], given: Mapping[str, Any]
) -> Iterator[tuple[Sequence[Any], Mapping[str, Any]]]:
    """The arguments with a local file or working folder in the place of each address of a store."""
    if not any(is_url(item) for value in (*arguments, *given.values()) for item in _each(value)):
        yield arguments, given
        return
    from birthmark.inputs.stores import local_file, opened

    bound = signature.bind(*arguments, **given)
    try:
        with ExitStack() as stack:
            for name, value in bound.arguments.items():
                place = getattr(option_of(declared.get(name)), "place", None)
                if place == "out" and is_url(value):
                    bound.arguments[name] = stack.enter_context(opened(value))
                elif place in ("file", "name"):
                    bound.arguments[name] = _fetched(value, local_file, every=place == "file")
            yield bound.args, bound.kwargs
    except BirthmarkError as error:
        raise type(error)(with_urls(str(error))) from None


def _each(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else [value]


def _fetched(value: Any, fetch: Callable[[Any], Path], *, every: bool) -> Any:
    """A value in which each address is a local file; of what may be a model's name, a table's address alone."""
    if isinstance(value, Mapping):
        return {key: _fetched(item, fetch, every=every) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_fetched(item, fetch, every=every) for item in value)
    if is_url(value) and (every or Path(value).suffix in (".parquet", ".csv")):
        return fetch(value)
    return value


def _check_call(
    signature: inspect.Signature, declared: Mapping[str, Any], arguments: Sequence[Any], given: Mapping[str, Any]
) -> None:
    try:
        values = signature.bind_partial(*arguments, **given).arguments
    except TypeError:  # the function says itself what is wrong with the call
        return
    check_values(declared, values)


def check_values(declared: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raise `BirthmarkError` for a value that its declaration rules out: a number out of range, a path that is none.

    declared: name → annotated type. A list's elements are checked one by one; None is no value.
    """
    for name, value in values.items():
        declaration = option_of(declared.get(name))
        if declaration is None or value is None:
            continue
        flag = declaration.flag or "--" + name.replace("_", "-") if isinstance(declaration, Option) else ""
        items = value.values() if isinstance(value, Mapping) else value
        for item in items if isinstance(value, list | tuple | Mapping) else [value]:
            if isinstance(item, str | Path) and declaration.place == "label":
                check_name(str(item), flag)
            elif isinstance(item, str | Path) and declaration.place is not None:
                where = f"with {flag}" if isinstance(declaration, Option) else f"as {declaration.metavar}"
                if declaration.place in ("file", "out") and is_url(item):
                    _check_url(item, where)
                else:
                    check_path(item, cast(Place, declaration.place), where)
            elif isinstance(declaration, Option) and declaration.least is not None and declaration.most is not None:
                _check_number(item, flag, declaration.least, declaration.most, whole=takes_whole(declared[name]))


def _check_url(item: str | Path, where: str) -> None:
    from birthmark.inputs.stores import check_url

    check_url(item, where)


def takes_whole(annotation: Any) -> bool:
    """Whether a declared number is a whole one."""
    inner = str(get_args(annotation)[0])
    return "int" in inner and "float" not in inner


def _check_number(value: Any, flag: str, least: float, most: float, *, whole: bool) -> None:
    wanted = "a whole number" if whole else "a number"
    fits = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if not fits or not least <= value <= most:  # NaN is not between any two numbers
        raise BirthmarkError(f"{flag} takes {wanted} from {least:,} to {most:,}, not {one_line(value, 40)}")


class _Type(str):
    """The text of a type, shown without quotation marks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _plain(annotation: Any) -> Any:
    """An annotated type without its declaration, as `help` shows it."""
    if isinstance(annotation, str):
        return _Type(annotation)
    if get_origin(annotation) is not Annotated:
        return annotation
    inner = get_args(annotation)[0]
    if isinstance(inner, ForwardRef):
        return _Type(inner.__forward_arg__)
    return _Type(inner) if isinstance(inner, str) else inner
