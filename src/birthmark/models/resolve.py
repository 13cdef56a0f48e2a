"""From a model's name to a folder that transformers loads offline, and to its tokenizer.

A name is a catalog name, a hub id, a folder, or a folder with an adapter. Only data is downloaded from the hub: safetensors,
configuration and tokenizer, never code or pickles.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import Catalog, Entry, find_entry, load_catalog
from birthmark.inputs.fetch import Note, cache_folder
from birthmark.inputs.text import suggest
from birthmark.models.config_checks import check_folder, check_ranks, check_sizes
from birthmark.models.embedded import prepare_embedded, prepare_gguf
from birthmark.models.folder import (
    ADAPTER_CONFIG,
    adapter_weights,
    checkpoint_folders,
    digest_of_files,
    digest_of_text,
    kind_of,
    kind_of_adapter,
    read_json,
    require_tokenizer,
    template_of,
    tensor_shapes,
    tokenizer_files,
    weight_files,
)
from birthmark.models.guard import reading_tokenizer, require_tokens
from birthmark.models.heads.known import require_known_class
from birthmark.models.hub import fetch_snapshot
from birthmark.records import Digests, Kind

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class ResolvedModel:
    """A model on this machine.

    `name`: what `resolve` takes again. `path`: a folder with config, safetensors and tokenizer (of the base, if `adapter` is a
    folder too). `chat_template`: the text in effect, which is the user's own if one was given.
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

    @property
    def tokenizer_path(self) -> Path:
        """The folder of the tokenizer: the adapter's if it has its own."""
        return _tokenizer_folder(self.path, self.adapter)


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
) -> ResolvedModel:
    """Find a model and make it available: embedded ones are downloaded and converted once, hub ids are downloaded.

    `catalog`: a file that updates the bundled catalog, or a catalog. `kind`, `family` and `base_checkpoint` override known
    values. `chat_template`: `plain` or a file. `note` reports slow steps (None: on stderr), unless `quiet`.

    Raises `BirthmarkError` for an unknown name (with the closest ones), a folder without weights or tokenizer, pickles, and
    a model that needs its own code; and as `fetch_wheel` and `fetch_snapshot` do.
    """
    known = catalog if isinstance(catalog, Mapping) else load_catalog(Path(catalog) if catalog else None)
    report = None if quiet else (note or _to_stderr)
    found = _find(str(name), known, revision, kind, quiet, report)
    found = replace(
        found,
        family=family or found.family,
        base_checkpoint=base_checkpoint or found.base_checkpoint,
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


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _find(
    name: str, catalog: Catalog, revision: str | None, kind: Kind | None, quiet: bool, note: Note | None
) -> ResolvedModel:
    folder = Path(name).expanduser()
    entry = find_entry(catalog, name)
    if entry is not None and name not in catalog and folder.is_dir():
        entry = None  # a folder takes precedence over a hub id, as in transformers
    if entry is not None:
        return _from_entry(entry, catalog, revision, kind, quiet, note)
    if folder.is_dir():
        path = folder.resolve()
        if (last := last_checkpoint(path)) is not None:
            return _from_run(path, last, catalog, kind, quiet, note)
        return _from_folder(path, catalog, kind, quiet, note, name=str(path))
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not name.startswith("."):
        path = fetch_snapshot(name, revision, quiet=quiet)
        slug = name.replace("/", "--")
        return _from_folder(path, catalog, kind, quiet, note, name=name, slug=slug, revision=_commit(path))
    advice = suggest(name, catalog) or "`birthmark models list` shows the known ones"
    raise BirthmarkError(f"no model {name}: neither in the catalog, nor a folder, nor a hub id (OWNER/NAME); {advice}")


def _from_entry(
    entry: Entry, catalog: Catalog, revision: str | None, kind: Kind | None, quiet: bool, note: Note | None
) -> ResolvedModel:
    if not entry.loadable:
        raise BirthmarkError(f"{entry.name} cannot be loaded: {entry.why or 'the catalog does not say why'}")
    commit = None
    if entry.path:
        path = Path(entry.path)
        if not path.is_dir():
            raise BirthmarkError(f"the folder of {entry.name}, {path}, does not exist: fix its `path` in the catalog")
    elif entry.embedded:
        path = prepare_embedded(entry, note)
    elif entry.hub:
        path = fetch_snapshot(entry.hub, revision or entry.revision, quiet=quiet)
        commit = _commit(path)
    else:
        raise BirthmarkError(f"the catalog does not say where {entry.name} is: give its entry a `hub`")
    return _from_folder(
        path, catalog, kind, quiet, note, name=entry.name, slug=entry.name, revision=commit, entry=entry
    )


def _from_folder(
    folder: Path,
    catalog: Catalog,
    kind: Kind | None,
    quiet: bool,
    note: Note | None,
    *,
    name: str,
    slug: str | None = None,
    revision: str | None = None,
    entry: Entry | None = None,
) -> ResolvedModel:
    if (folder / ADAPTER_CONFIG).is_file() and not (folder / "config.json").is_file():
        found = _adapter(folder, catalog, quiet, note, name, revision, entry)
        stated = kind_of_adapter(read_json(folder / ADAPTER_CONFIG)) or found.kind
        weights = found.digests.adapter
    else:
        found = _full_model(folder, catalog, kind, note, name, revision, entry)
        stated = found.kind
        weights = found.digests.weights
    return replace(
        found,
        slug=slug or f"{folder.name}-{str(weights)[:8]}",
        kind=kind or (entry.kind if entry else stated),
    )


def last_checkpoint(run: Path) -> Path | None:
    """The last checkpoint of a run that `birthmark train` wrote; None if the folder is not such a run."""
    if not (run / "run.json").is_file():
        return None
    return max(checkpoint_folders(run), default=(0, None))[1]


def _from_run(
    run: Path, last: Path, catalog: Catalog, kind: Kind | None, quiet: bool, note: Note | None
) -> ResolvedModel:
    """A training run's last checkpoint, under the run's name."""
    found = _from_folder(last, catalog, kind, quiet, note, name=str(run))
    record = read_json(run / "run.json")
    return replace(
        found,
        slug=f"{run.name}-{str(found.digests.adapter)[:8]}",
        family=record.get("family") or found.family,
        base_checkpoint=record.get("base_checkpoint") or found.base_checkpoint,
    )


def _full_model(
    folder: Path,
    catalog: Catalog,
    kind: Kind | None,
    note: Note | None,
    name: str,
    revision: str | None,
    entry: Entry | None,
) -> ResolvedModel:
    path = folder
    if not any(folder.glob("*.safetensors")) and any(folder.glob("*.gguf")):
        path = prepare_gguf(folder, note)
    check_folder(path)
    weights = weight_files(path)
    config = read_json(path / "config.json")
    shapes = tensor_shapes(weights)
    check_sizes(path / "config.json", config, shapes)
    require_known_class(path, config, entry, shapes)
    require_tokenizer(path)
    stated = kind or kind_of(config, shapes) or (entry.kind if entry else None)
    if stated is None:
        raise BirthmarkError(
            f"{folder / 'config.json'} does not say whether this is a reward model or a language model: use --as reward or "
            "--as logprob"
        )
    origin = entry or _origin(config, catalog)
    template = template_of(path)
    return ResolvedModel(
        name=name,
        slug="",
        path=path,
        adapter=None,
        kind=stated,
        family=origin.family if origin else None,
        base_checkpoint=origin.base_checkpoint if origin else None,
        revision=revision,
        entry=entry,
        digests=Digests(
            weights=digest_of_files(weights),
            tokenizer=digest_of_files(tokenizer_files(path)),
            template=digest_of_text(template) if template else None,
        ),
        chat_template=template,
    )


def _adapter(
    folder: Path, catalog: Catalog, quiet: bool, note: Note | None, name: str, revision: str | None, entry: Entry | None
) -> ResolvedModel:
    check_folder(folder)
    config = read_json(folder / ADAPTER_CONFIG)
    check_ranks(folder / ADAPTER_CONFIG, config, tensor_shapes([adapter_weights(folder)]))
    named = config.get("base_model_name_or_path")
    if not named:
        raise BirthmarkError(f"{folder / ADAPTER_CONFIG} does not name the base model (base_model_name_or_path)")
    beside = folder / str(named)
    where = str(beside) if beside.is_dir() else str(named)
    try:
        base = _find(where, catalog, config.get("revision"), None, quiet, note)
    except BirthmarkError as error:
        raise BirthmarkError(f"the base of the adapter {folder}: {error}") from None
    tokenizer_folder = _tokenizer_folder(base.path, folder)
    template = template_of(folder) or base.chat_template
    return replace(
        base,
        name=name,
        adapter=folder,
        family=entry.family if entry else base.family,
        base_checkpoint=entry.base_checkpoint if entry else base.base_checkpoint,
        revision=revision,
        entry=entry or base.entry,
        digests=Digests(
            weights=base.digests.weights,
            adapter=digest_of_files([adapter_weights(folder), folder / ADAPTER_CONFIG]),
            tokenizer=digest_of_files(tokenizer_files(tokenizer_folder)),
            template=digest_of_text(template) if template else None,
        ),
        chat_template=template,
    )


def _origin(config: dict[str, Any], catalog: Catalog) -> Entry | None:
    """The catalog's entry of the original model that a folder's config names."""
    named = config.get("_name_or_path")
    if not isinstance(named, str) or not named:
        return None
    inside_cache = Path(named).parent == cache_folder() / "models"
    return find_entry(catalog, Path(named).name if inside_cache else named)


def _tokenizer_folder(path: Path, adapter: Path | None) -> Path:
    return adapter if adapter is not None and (adapter / "tokenizer.json").is_file() else path


def _commit(snapshot: Path) -> str | None:
    return snapshot.name if re.fullmatch(r"[0-9a-f]{40}", snapshot.name) else None


def load_tokenizer(resolved: ResolvedModel) -> "PreTrainedTokenizerBase":
    """The model's tokenizer, with the chat template in effect. Raises `BirthmarkError` if it cannot be read."""
    from transformers import AutoTokenizer

    with reading_tokenizer(resolved.tokenizer_path):
        tokenizer = AutoTokenizer.from_pretrained(resolved.tokenizer_path, local_files_only=True)
        require_tokens(tokenizer, resolved.tokenizer_path)
    tokenizer.chat_template = resolved.chat_template
    return tokenizer
