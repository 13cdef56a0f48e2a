"""The cache folder, and files brought into it from a package index or an address, each checked by its SHA-256.

A file is written beside its place and moved there whole once its checksum is right, under a lock, so that a kill
at any time, or a second process, leaves nothing that a later run would wrongly trust. Nothing that is fetched is
imported or run. Knows nothing of models.
"""

import errno
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from birthmark.errors import BirthmarkError
from birthmark.files import sha256_of

Note = Callable[[str], None]


def cache_folder() -> Path:
    """`BIRTHMARK_CACHE` where it is set, else the platform's cache folder of this user; made if absent.

    Raises `BirthmarkError` where the folder cannot be made.
    """
    named = os.environ.get("BIRTHMARK_CACHE")
    folder = Path(named).expanduser().absolute() if named else platformdirs.user_cache_path("birthmark")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BirthmarkError(
            f"the cache folder {folder} cannot be made ({error.strerror}): set BIRTHMARK_CACHE to one that can"
        ) from None
    return folder


def downloads_folder() -> Path:
    """Where fetched files lie, and where a person puts those that this machine cannot fetch."""
    folder = cache_folder() / "downloads"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def hold(name: str, note: Note | None = None) -> Iterator[None]:
    """Hold the lock `name` of the cache; another process that wants it waits (and says so once, by `note`).

    The lock is the operating system's and falls with the process, so a killed run blocks nobody.
    A full disk or an unwritable cache while it is held becomes a `BirthmarkError`.
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
                "make room, or set BIRTHMARK_CACHE to another folder"
            ) from None
        raise


@contextmanager
def workspace(parent: Path, name: str) -> Iterator[Path]:
    """A new folder in `parent` for unfinished work, gone afterwards, with what killed runs left under this name.

    The caller holds the lock of `name`: whatever bears the name is nobody's work any more.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for stale in parent.glob(f".unfinished-{name}-*"):
        shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".unfinished-{name}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fetch_wheel(package: str, version: str, sha256: str, note: Note | None = None) -> Path:
    """The wheel of `package` in this `version`, whose file has this SHA-256: fetched by pip, never installed.

    A file that a person put into the downloads folder is used after the same check. Raises `BirthmarkError` where
    the checksum is another one, and, where pip or the network is absent, says which file to bring and where to.
    """
    stem = f"{package.replace('-', '_').replace('.', '_')}-{version}"
    with hold(stem, note):
        folder = downloads_folder()
        there = sorted(folder.glob(f"{stem}-*.whl"))
        if there:
            return _checked(there[0], sha256, f"remove {there[0]}, it will be fetched anew")
        with workspace(folder, stem) as unfinished:
            if note:
                note(f"fetching {package} {version}")
            wheel = _pip_download(f"{package}=={version}", unfinished, f"{stem}-….whl (SHA-256 {sha256})")
            _checked(wheel, sha256, f"the package index holds another {package} {version} than the pinned one")
            return wheel.replace(folder / wheel.name)


def fetch_file(url: str, sha256: str, filename: str, note: Note | None = None) -> Path:
    """The file at `url`, whose SHA-256 is given, under `filename` in the downloads folder; errors as `fetch_wheel`."""
    with hold(filename, note):
        target = downloads_folder() / filename
        if target.exists():
            return _checked(target, sha256, f"remove {target}, it will be fetched anew")
        with workspace(target.parent, filename) as unfinished:
            if note:
                note(f"fetching {filename}")
            arrived = _retrieve(url, unfinished / filename, f"{filename} from {url} (SHA-256 {sha256})")
            _checked(arrived, sha256, f"{url} holds another file than the pinned one")
            return arrived.replace(target)


def _checked(path: Path, sha256: str, advice: str) -> Path:
    found = sha256_of(path)
    if found != sha256:
        raise BirthmarkError(f"{path.name} has SHA-256 {found}, not the {sha256} that is expected: {advice}")
    return path


def _pip_download(requirement: str, folder: Path, wanted: str) -> Path:
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
    raise BirthmarkError(f"{reason}; bring the file {wanted} and put it into {downloads_folder()}")


def _retrieve(url: str, target: Path, wanted: str) -> Path:
    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    try:
        return Path(pooch.retrieve(url, known_hash=None, fname=target.name, path=target.parent))
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        reason = " ".join(str(error).split())[:200]
        raise BirthmarkError(
            f"{url} cannot be fetched ({reason}); bring the file {wanted} and put it into {downloads_folder()}"
        ) from None
