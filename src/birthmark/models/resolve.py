"""From a model's name to a folder that transformers loads offline.

A name is a catalog name, a hub id, a folder, or a folder with an adapter. Only data is downloaded from the hub: safetensors,
configuration and tokenizer, never code or pickles.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.files import slug_of
from birthmark.inputs.catalog import Catalog, Entry, find_entry, load_catalog
from birthmark.inputs.fetch import Note
from birthmark.inputs.text import is_file, suggest
from birthmark.models.adapters import brings_score, kind_of_adapter, read_adapter
from birthmark.models.config_checks import check_folder, check_ranks, check_sizes
from birthmark.models.embedded import prepare_embedded, prepare_gguf
from birthmark.models.folder import (
    ADAPTER_CONFIG,
    about_templates,
    checkpoint_folders,
    digest_of_files,
    digest_of_text,
    has_vocabulary,
    kind_of,
    padding_file,
    read_json,
    remembered_sha256,
    require_tokenizer,
    template_of,
    tokenizer_files,
)
from birthmark.models.hub import fetch_snapshot
from birthmark.models.kinds import kind_by_tensors, require_no_head
from birthmark.models.origin import CARD, Origin, adapter_origin, stated_origin
from birthmark.models.weights import ModelFiles, read_weights, tensor_shapes
from birthmark.progress import tell
from birthmark.records import Digests, Edit, Kind, read_record

EDIT = "birthmark.json"  # in a folder that `birthmark edit` wrote


@dataclass(frozen=True)
class ResolvedModel:
    """A model on this machine.

    `name`: what `resolve` takes again. `path`: a folder with config, safetensors and tokenizer (of the base, if `adapter` is a
    folder too). `chat_template`: the text in effect, which is the user's own if one was given. `remarks`: what lies in the
    folder and is not used, for the table. `origin`: the file of the model's own that family and base checkpoint are read from,
    null where the catalog or a person says them.
    """

    name: str
    slug: str
    path: Path
    adapter: Path | None
    kind: Kind
    family: str | None
    base_checkpoint: str | None
    revision: str | None
    entry: Entry | None
    digests: Digests
    chat_template: str | None
    remarks: tuple[str, ...] = ()
    origin: str | None = None

    @property
    def tokenizer_path(self) -> Path:
        """The folder of the tokenizer: the adapter's if it has its own."""
        return _tokenizer_folder(self.path, self.adapter)


@dataclass(frozen=True)
class _How:
    """How a model is looked for: `as_base` of an adapter; without `weights` they need not be here."""

    catalog: Catalog
    kind: Kind | None
    quiet: bool
    note: Note | None
    as_base: bool = False
    weights: bool = True


def resolve(
    name: str | Path,
    *,
    catalog: str | Path | Catalog | None = None,
    revision: str | None = None,
    kind: Kind | None = None,
    family: str | None = None,
    base_checkpoint: str | None = None,
    chat_template: str | Path | None = None,
    quiet: bool = False,
    note: Note | None = None,
    weights: bool = True,
    says_origin: bool = True,
) -> ResolvedModel:
    """Find a model and make it available: embedded ones are downloaded and converted once, hub ids are downloaded.

    `catalog`: a file that updates the bundled catalog, or a catalog. `kind`, `family` and `base_checkpoint` override known
    values. `chat_template`: `plain` or a file. `note` reports slow steps (None: on stderr), unless `quiet`. Without
    `weights`, for a model that runs elsewhere, they are not downloaded and need not be there. `says_origin`: report where
    family and base checkpoint were read, which the many checkpoints of one run need not.

    Raises `BirthmarkError` for an unknown name (with the closest ones), a folder without weights or tokenizer, pickles, and
    a model that needs its own code; and as `fetch_wheel` and `fetch_snapshot` do.
    """
    known = catalog if isinstance(catalog, Mapping) else load_catalog(Path(catalog) if catalog else None)
    report = None if quiet else (note or tell)
    found = _find(str(name), revision, _How(known, kind, quiet, report, weights=weights))
    if revision is not None and found.revision is None and weights:
        raise BirthmarkError(f"--revision is for a model of the hub, and {name} is not read from there: leave it out")
    found = replace(
        found,
        family=family or found.family,
        base_checkpoint=base_checkpoint or found.base_checkpoint,
        origin=found.origin if family is None or base_checkpoint is None else None,
    )
    if report and says_origin and found.origin and (found.family or found.base_checkpoint):
        report(
            f"{found.slug}: family {found.family or 'not known'}, base checkpoint {found.base_checkpoint or 'not known'} "
            f"({found.origin}); --family and --base-checkpoint say otherwise"
        )
    if chat_template is None:
        return found
    text = read_template(chat_template)
    digests = found.digests.model_copy(update={"template": digest_of_text(text)})
    return replace(found, chat_template=text, digests=digests)


def read_template(name: str | Path) -> str:
    """The text of a chat template: the bundled `plain`, or a file."""
    if str(name) == "plain":
        return resources.files("birthmark.models").joinpath("templates/plain.jinja").read_text(encoding="utf-8")
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BirthmarkError(f"the chat template {name} cannot be read ({error}): give a file, or `plain`") from None


def _find(name: str, revision: str | None, how: _How) -> ResolvedModel:
    folder = Path(name).expanduser()
    entry = find_entry(how.catalog, name)
    if entry is not None and name not in how.catalog and folder.is_dir():
        entry = None  # a folder takes precedence over a hub id, as in transformers
    if entry is not None:
        return _from_entry(entry, revision, how)
    if folder.is_dir():
        path = folder.resolve()
        if (last := last_checkpoint(path)) is not None:
            return _from_run(path, last, how)
        return _from_folder(path, how, name=str(path))
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not name.startswith("."):
        path = fetch_snapshot(name, revision, quiet=how.quiet, weights=how.weights)
        return _from_folder(path, how, name=name, slug=slug_of(name.replace("/", "--")), revision=_commit(path))
    if is_file(folder):
        alone = ", alone in a folder," if folder.suffix.lower() == ".gguf" else ""
        raise BirthmarkError(f"{name} is a file, and a model{alone} is named by its folder: {folder.parent}")
    advice = suggest(name, how.catalog) or "`birthmark models list` shows the known ones"
    raise BirthmarkError(f"no model {name}: neither in the catalog, nor a folder, nor a hub id (OWNER/NAME); {advice}")


def _from_entry(entry: Entry, revision: str | None, how: _How) -> ResolvedModel:
    if not entry.loadable:
        raise BirthmarkError(f"{entry.name} cannot be loaded: {entry.why or 'the catalog does not say why'}")
    commit = None
    if entry.path:
        path = Path(entry.path)
        if not path.is_dir():
            raise BirthmarkError(f"the folder of {entry.name}, {path}, does not exist: fix its `path` in the catalog")
    elif entry.bundled:
        path = _bundled(entry.name, entry.bundled)
    elif entry.embedded:
        path = prepare_embedded(entry, how.note)
    elif entry.hub:
        path = fetch_snapshot(entry.hub, revision or entry.revision, quiet=how.quiet, weights=how.weights)
        commit = _commit(path)
    else:
        raise BirthmarkError(f"the catalog does not say where {entry.name} is: give its entry a `hub`")
    return _from_folder(path, how, name=entry.name, slug=slug_of(entry.name), revision=commit, entry=entry)


def _bundled(name: str, digest: str) -> Path:
    """The folder of an adapter that comes with birthmark; its weights are compared with the catalog's digest."""
    folder = Path(str(resources.files("birthmark.models"))) / "bundled" / name
    if remembered_sha256(folder / "adapter_model.safetensors") != digest:
        raise BirthmarkError(f"{folder} is not what birthmark came with: install birthmark again")
    return folder


def _from_folder(
    folder: Path,
    how: _How,
    *,
    name: str,
    slug: str | None = None,
    revision: str | None = None,
    entry: Entry | None = None,
) -> ResolvedModel:
    if not how.weights and not any(any(folder.glob(pattern)) for pattern in ("*.safetensors", "*.gguf")):
        return _without_weights(folder, how, name, slug, revision, entry)
    edit = read_edit(folder)
    if edit is not None and entry is None and edit.catalog_entry is not None:
        entry = find_entry(how.catalog, edit.catalog_entry)
    files = None if _is_gguf(folder) else read_weights(folder)
    if files is not None and files.is_adapter:
        if how.as_base:
            raise BirthmarkError(
                f"{name} is an adapter itself (or its own base): merge it into its base (PEFT's `merge_and_unload`), save that, "
                "and name the folder as the base"
            )
        found, stated = _adapter(files, how, name, revision, entry)
        digest = found.digests.adapter
    else:
        found = _full_model(folder, how, name, revision, entry)
        stated = found.kind
        digest = found.digests.weights
    if edit is not None:
        found = replace(
            found,
            family=edit.family or found.family,
            base_checkpoint=edit.base_checkpoint or found.base_checkpoint,
        )
    return replace(
        found,
        slug=slug or slug_of(f"{folder.name}-{str(digest)[:8]}"),
        kind=how.kind or (entry.kind if entry else stated),
    )


def read_edit(folder: Path) -> Edit | None:
    """What `birthmark edit` did to the model of a folder; None where it did nothing. Raises as `read_record` does.

    The file of that name in a folder of the cache is a converted model's list of `files`.
    """
    path = folder / EDIT
    return read_record(path, Edit) if path.is_file() and "files" not in read_json(path) else None


def _without_weights(
    folder: Path, how: _How, name: str, slug: str | None, revision: str | None, entry: Entry | None
) -> ResolvedModel:
    """A model of which only configuration and tokenizer are here."""
    check_folder(folder)
    require_tokenizer(folder)
    config = folder / "config.json"
    stated = how.kind or (entry.kind if entry else None) or kind_of(read_json(config))
    if stated is None:
        raise BirthmarkError(f"{config} does not say which kind of model this is: use --as reward or --as logprob")
    origin = None if entry else stated_origin(folder, read_json(config), how.catalog)
    slug = slug or slug_of(f"{folder.name}-{digest_of_files([config])[:8]}")
    return _described(folder, name, slug, stated, revision, entry, origin, weights="")


def _described(
    path: Path,
    name: str,
    slug: str,
    kind: Kind,
    revision: str | None,
    entry: Entry | None,
    origin: Origin | None,
    *,
    weights: str,
    remarks: tuple[str, ...] = (),
) -> ResolvedModel:
    """The model of a folder without an adapter; `weights` is their digest."""
    template, known = template_of(path), entry or origin
    return ResolvedModel(
        name=name,
        slug=slug,
        path=path,
        adapter=None,
        kind=kind,
        family=known.family if known else None,
        base_checkpoint=known.base_checkpoint if known else None,
        revision=revision,
        entry=entry,
        digests=Digests(
            weights=weights,
            tokenizer=digest_of_files(tokenizer_files(path)),
            template=digest_of_text(template) if template else None,
        ),
        chat_template=template,
        remarks=remarks,
        origin=origin.source if origin else None,
    )


def _is_gguf(folder: Path) -> bool:
    return not any(folder.glob("*.safetensors")) and any(folder.glob("*.gguf"))


def last_checkpoint(run: Path) -> Path | None:
    """The last checkpoint of a run that `birthmark train` wrote; None if the folder is not such a run."""
    if not (run / "run.json").is_file():
        return None
    return max(checkpoint_folders(run), default=(0, None))[1]


def _from_run(run: Path, last: Path, how: _How) -> ResolvedModel:
    """A training run's last checkpoint, under the run's name."""
    found = _from_folder(last, how, name=str(run))
    record = read_json(run / "run.json")
    return replace(
        found,
        slug=slug_of(f"{run.name}-{str(found.digests.adapter)[:8]}"),
        family=record.get("family") or found.family,
        base_checkpoint=record.get("base_checkpoint") or found.base_checkpoint,
        origin="run.json" if record.get("family") or record.get("base_checkpoint") else found.origin,
    )


def _full_model(folder: Path, how: _How, name: str, revision: str | None, entry: Entry | None) -> ResolvedModel:
    path = prepare_gguf(folder, how.note) if _is_gguf(folder) else folder
    check_folder(path)
    files = read_weights(path)
    config = read_json(path / "config.json")
    shapes = tensor_shapes(files.all)
    check_sizes(path / "config.json", config, shapes)
    from birthmark.models.heads.known import require_known_class  # imports torch, which a wrong name need not wait for

    require_known_class(path, config, entry, shapes)
    require_tokenizer(path)
    stated = how.kind or (entry.kind if entry else None) or kind_by_tensors(config, shapes)
    if stated is None:
        raise BirthmarkError(
            f"{folder / 'config.json'} does not say whether this is a reward model or a language model: use --as reward or "
            "--as logprob"
        )
    if stated == "logprob" and how.kind is None and not how.as_base:
        require_no_head(files, shapes)
        files = files.checked_on_hub(name, None if entry else revision)
    origin = None if entry else stated_origin(path, config, how.catalog)
    if origin and stated == "logprob" and origin.source.startswith(CARD):
        origin = replace(origin, base_checkpoint=None)  # a language model is its own base checkpoint
    remarks = (*files.remarks, *about_templates(path))
    weights = digest_of_files(files.all)
    return _described(path, name, "", stated, revision, entry, origin, weights=weights, remarks=remarks)


def _adapter(
    files: ModelFiles, how: _How, name: str, revision: str | None, entry: Entry | None
) -> tuple[ResolvedModel, Kind]:
    """The model of an adapter on its base, and whether the two are a reward model."""
    folder = files.folder
    check_folder(folder)
    config = read_adapter(folder)
    check_ranks(folder / ADAPTER_CONFIG, config, tensor_shapes(files.main))
    named = str(config["base_model_name_or_path"])
    beside = folder / named
    where = str(beside) if beside.is_dir() else named
    try:
        base = _find(where, config.get("revision"), replace(how, kind=None, as_base=True, weights=True))
    except BirthmarkError as error:
        raise BirthmarkError(f"the base of the adapter {folder}: {error}") from None
    brought = bool(files.beside) or brings_score(files)
    stated = "reward" if brought else kind_of_adapter(config) or base.kind
    if stated == "logprob" and base.kind == "reward" and how.kind is None and entry is None:
        raise BirthmarkError(
            f"{folder / ADAPTER_CONFIG} is an adapter of a language model, and its base {named} has a reward head: say which of "
            "the two is meant, --as reward or --as logprob"
        )
    if stated == "logprob" and how.kind is None:
        files = files.checked_on_hub(name, None if entry else revision)
    tokenizer_folder = _tokenizer_folder(base.path, folder)
    require_tokenizer(tokenizer_folder)
    template, padding = template_of(folder) or base.chat_template, padding_file(folder)
    origin = adapter_origin(
        Origin(base.family, base.base_checkpoint, base.origin or ADAPTER_CONFIG), named, how.catalog
    )
    found = replace(
        base,
        name=name,
        adapter=folder,
        family=entry.family if entry else origin.family,
        base_checkpoint=entry.base_checkpoint if entry else origin.base_checkpoint,
        origin=None if entry else origin.source,
        revision=revision,
        entry=entry or base.entry,
        digests=Digests(
            weights=base.digests.weights,
            adapter=digest_of_files([*files.all, folder / ADAPTER_CONFIG, *([padding] if padding else [])]),
            tokenizer=digest_of_files(tokenizer_files(tokenizer_folder)),
            template=digest_of_text(template) if template else None,
        ),
        chat_template=template,
        remarks=(*base.remarks, *files.remarks, *about_templates(folder)),
    )
    return found, stated


def _tokenizer_folder(path: Path, adapter: Path | None) -> Path:
    return adapter if adapter is not None and has_vocabulary(adapter) else path


def _commit(snapshot: Path) -> str | None:
    return snapshot.name if re.fullmatch(r"[0-9a-f]{40}", snapshot.name) else None
