"""`birthmark models`: the models that go by name, a model's folder, and everything that can falsify its scores, tried."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Unpack

from birthmark.errors import BirthmarkError, CheckFailed
from birthmark.inputs.catalog import Entry, find_entry, load_catalog, load_set, load_sets, suggest
from birthmark.inputs.catalog import select as select_entries
from birthmark.scoring.declarations import Argument, Option, select, with_options
from birthmark.scoring.options import (
    CatalogOptions,
    EngineOptions,
    KindOptions,
    MachineOptions,
    ModelOptions,
    PlacementOptions,
    QuietOptions,
    SourceOptions,
    TemplateDateOptions,
)

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel
    from birthmark.records import ModelCheck, PublishedCheck
    from birthmark.scoring.measure import Measure

Name = Annotated[str | Path, Argument("A catalog name or hub id.", "MODEL", place="name")]
Entries = Annotated[str | Path, Argument("A catalog name or hub id.", "NAME", place="name")]
Checked = Annotated[str | Path, Argument("A catalog name, a hub id or a folder.", "MODEL", place="name")]


class FetchOptions(SourceOptions, QuietOptions, total=False):
    """What `fetch` takes: which files of a model are taken."""


class ResolveOptions(ModelOptions, QuietOptions, total=False):
    """All that `resolve` takes beside the name."""


class CheckOptions(SourceOptions, KindOptions, MachineOptions, TemplateDateOptions, QuietOptions, total=False):
    """What `check_model` takes of a model, and where it runs."""


class PublishedOptions(
    SourceOptions,
    MachineOptions,
    PlacementOptions,
    EngineOptions,
    TemplateDateOptions,
    QuietOptions,
    total=False,
):
    """What `check_published` takes of a model, and how it is run; the protocol is the study's."""


@with_options
def resolve(name: Checked, **options: Unpack[ResolveOptions]) -> "ResolvedModel":
    """Find a model: a catalog name, a hub id, a folder, or an adapter's folder; fetched and converted where needed.

    The result's `.path` is a folder that transformers loads offline. Raises `BirthmarkError` where the model is unknown,
    not there, or could only be run with foreign code or a pickle.
    """
    from birthmark.models.resolve import resolve as find

    return find(name, **options)


def resolve_for(measure: "Measure", name: str | Path, **options: Any) -> "ResolvedModel":
    """The model of a command's options; of one that a server runs the weights need not be here.

    Such a model may also go by the server's own name for it, where the server says which folder or hub id that is.
    """
    from birthmark.models.resolve import resolve as find

    asked = select(options, ModelOptions)
    if measure.server is None:
        return resolve(name, quiet=measure.quiet, **asked)
    from birthmark.scoring.server import source_of

    return find(source_of(measure.server, str(name)), quiet=measure.quiet, weights=False, **asked)


@with_options
def fetch_model(name: Name, **options: Unpack[FetchOptions]) -> Path:
    """Fetch a model into the cache; returns its folder."""
    return resolve(name, **options).path


@with_options
def list_models(
    *,
    kind: Annotated[str | None, Option("Only models of this kind.", None, metavar="reward|logprob")] = None,
    family: Annotated[str | None, Option("Only models of this family.", None)] = None,
    head: Annotated[str | None, Option("Only reward models with this head: linear, armorm, …", None)] = None,
    stage: Annotated[str | None, Option("Only this stage.", None, metavar="pretrained|instruct|reward")] = None,
    team: Annotated[str | None, Option("Only models of this team.", None)] = None,
    base_checkpoint: Annotated[str | None, Option("Only models that were tuned from this one.", None)] = None,
    catalog_set: Annotated[str | None, Option("Only those of a set.", None, metavar="NAME", flag="--set")] = None,
    search: Annotated[str | None, Option("Only models with this in any fact.", None, metavar="TEXT")] = None,
    loadable: Annotated[
        bool, Option("Leave out those that need foreign code or pickles.", None, on_off="--all")
    ] = False,
    **options: Unpack[CatalogOptions],
) -> list[Entry]:
    """List the catalog; several filters hold together, capitals do not matter."""
    catalog = options["catalog"]
    wanted = {
        "kind": kind,
        "family": family,
        "head": head,
        "stage": stage,
        "team": team,
        "base_checkpoint": base_checkpoint,
    }
    members = load_set(catalog_set, _path(catalog)) if catalog_set else None
    return select_entries(load_catalog(_path(catalog)), wanted, members=members, text=search, loadable=loadable)


@with_options
def model_facts(name: Entries, **options: Unpack[CatalogOptions]) -> dict[str, Any]:
    """All that the catalog knows of one model, the sets that it is in, and bytes of memory by precision.

    Raises `BirthmarkError` for a name that is not in the catalog, with the nearest ones.
    """
    from birthmark.models.memory import memory_by_precision

    path = _path(options["catalog"])
    known = load_catalog(path)
    entry = find_entry(known, str(name))
    if entry is None:
        raise BirthmarkError(
            f"no model named {name} in the catalog: {suggest(str(name), known) or 'see birthmark models list'}"
        )
    dtypes = [*([entry.dtype] if entry.dtype else []), "float32"]
    return {
        **entry.model_dump(mode="json"),
        "memory_bytes": memory_by_precision(entry.parameters, dtypes) if entry.parameters else None,
        "sets": [title for title, members in load_sets(path).items() if entry.name in members],
    }


@with_options
def list_sets(**options: Unpack[CatalogOptions]) -> dict[str, list[str]]:
    """The named sets of models that `birthmark audit --catalog-set NAME` runs one after another."""
    return {name: list(members) for name, members in load_sets(_path(options["catalog"])).items()}


@with_options
def check_model(model: Checked, **options: Unpack[CheckOptions]) -> "ModelCheck":
    """Try on one model everything that can falsify scores: its template, tokenizer, head and weights, and both engines.

    What is wrong is a finding; raises `BirthmarkError` only where the model cannot be found.
    """
    found = resolve(model, **select(options, ResolveOptions))
    # these import torch, which a wrong name need not wait for
    from birthmark.models.template_checks import check_model as run
    from birthmark.scoring.local import choose_machine

    device, dtype = choose_machine(options["device"], options["dtype"], found.entry)
    return run(found, dtype=dtype, device=device, template_date=options["template_date"])


@with_options
def check_published(
    model: Checked,
    published: Annotated[
        str | Path,
        Option(
            "Compare own scores with the published ones: a clone of the study's repository, or a published score file.",
            None,
            metavar="DIR|FILE",
            command_line=Path,
            place="name",
        ),
    ],
    **options: Unpack[PublishedOptions],
) -> "PublishedCheck":
    """Score a published reward model on the published words, as the study did, and compare with the published scores.

    Spearman's ρ, the largest difference, and the words that differ by more than rounding. Raises `BirthmarkError` where
    `published` has no file of the model.
    """
    from birthmark.paper.data import published_checksums
    from birthmark.scoring.measure import make_measure
    from birthmark.scoring.options import MeasureOptions
    from birthmark.scoring.run import score_model
    from birthmark.scoring.table import read_scores
    from birthmark.values.reproduced import check_reproduced

    found = resolve(model, **select(options, ResolveOptions))
    if found.kind != "reward":
        raise BirthmarkError(
            f"{found.name} is a language model, and what is published are rewards: name a reward model"
        )
    tables = {path: read_scores(path) for path in published_files(found, Path(published))}
    words = dict.fromkeys(word for table in tables.values() for word in table.frame["candidate"])
    keys = dict.fromkeys(key for table in tables.values() for key in table.prompt_keys)
    measure = make_measure(
        **select(options, MeasureOptions), candidates=list(words), prompt=list(keys), protocol="christian2026"
    )
    own = score_model(found, measure, "chat")
    pinned: dict[str, set[str]] = {}
    for name, digest in published_checksums().items():
        pinned.setdefault(Path(name).name, set()).add(digest)
    known = {path: table.record.sha256 in pinned[path.name] for path, table in tables.items() if path.name in pinned}
    return check_reproduced(own, tables, known)


def published_files(model: "ResolvedModel", place: Path) -> list[Path]:
    """The published score files of a model: `place` is such a file, or a folder somewhere in which they lie.

    A file `…_rewards_<org>_<name>.csv` is of the hub model `<org>/<name>`.
    """
    if place.is_file():
        return [place]
    hub = model.entry.hub if model.entry and model.entry.hub else model.name
    stem = hub.replace("/", "_")
    found = sorted(path for path in place.rglob("*.csv") if path.stem.endswith(f"_rewards_{stem}"))
    if not found:
        where = f"no score file of {hub}: a file is called …_rewards_{stem}.csv" if place.is_dir() else "no such folder"
        raise BirthmarkError(f"{place} has {where}; name a clone of the study's repository, or the file itself")
    return found


def require_reproduced(found: "PublishedCheck") -> None:
    """Raise `CheckFailed` where the scores are not the published ones."""
    if not found.reproduced:
        raise CheckFailed(found.sentence)


def require_right(found: "ModelCheck") -> None:
    """Raise `CheckFailed` where a finding is wrong."""
    if found.wrong:
        raise CheckFailed(f"{found.model}: {found.wrong} of {len(found.findings)} findings are wrong")


def token_texts(model: str | Path) -> frozenset[str]:
    """The texts of a model's decodable tokens, spaces included."""
    from birthmark.models.tokenizer import load_tokenizer
    from birthmark.models.vocabulary import read_vocabulary

    tokenizer = load_tokenizer(resolve(model))
    return frozenset(read_vocabulary(tokenizer, len(tokenizer)).texts)


def _path(catalog: str | Path | None) -> Path | None:
    return Path(catalog) if catalog else None
