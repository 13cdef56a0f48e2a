"""Addresses of stores (`s3://…`, `gs://…`, `memory://…`, `file://…`): a file is fetched, an OUT gets a working folder.

The working folder lies in the cache. It takes over what the store has, and each file that is finished in it is put into
the store at once; unfinished work, whose names begin with a dot, stays local. So another machine goes on from what is finished.
"""

import hashlib
import json
import os
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from birthmark.errors import NO_SPACE, BirthmarkError
from birthmark.files import STANDS_FOR, atomic_path, is_url, lock_folder, sha256_of, watching, write_text
from birthmark.foreign import one_line
from birthmark.inputs.fetch import cache_folder

LOCK_OBJECT = ".birthmark-lock"
ASIDE = ".unfinished-"  # in the names of files that are being put into a store where a put is not atomic
_ONE_PUT = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory")  # a put appears whole or not at all
_NOT_WRITABLE = ("http", "https", "data", "github", "git", "zip", "tar", "reference", "libarchive", "cached")
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
_CREDENTIALS = {"s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE", "gs": "gcloud auth login"}
_ended: set[str] = set()  # runs of this process that are over, whether their lock could be deleted or not


def url_of(given: str | Path) -> str:
    """The address as it is written, two slashes and all, which a `Path` makes one."""
    scheme, _, rest = str(given).partition(":")
    return f"{scheme.lower()}://{'/' if scheme.lower() in ('file', 'local') else ''}{rest.strip('/')}"


def check_url(given: str | Path, option: str) -> None:
    """Raise `BirthmarkError` for an address that is malformed, of an unknown or read-only kind, or needs a package."""
    from fsspec import available_protocols, get_filesystem_class

    url = url_of(given)
    scheme, rest = url.split("://", 1)
    shown, known = one_line(re.sub(r"://[^/]*@", "://…@", url), 300), "s3://, gs://, file:// or memory://"
    problem = None
    if "@" in rest.partition("/")[0]:
        problem = "has credentials in it: leave them out and set them in the environment"
    elif re.search(r"[?#*\[\]\x00-\x1f\x7f]", rest) or "::" in rest or ".." in rest.split("/"):
        problem = f"has a query, a pattern or a control character: name a plain address {option}"
    elif not rest.strip("/"):
        problem = f"names no bucket or folder: write it after {scheme}:// {option}"
    elif scheme not in available_protocols():
        problem = f"begins with {scheme}://, which is unknown: name {known} {option}"
    elif scheme in _NOT_WRITABLE:
        problem = f"begins with {scheme}://, where nothing can be written: name {known} {option}"
    if problem is None:
        try:
            get_filesystem_class(scheme)
        except (ImportError, ValueError):
            package = f'"birthmark[{_EXTRAS[scheme]}]"' if scheme in _EXTRAS else f"the fsspec package of {scheme}://"
            problem = f"needs a package that is not installed: pip install {package}"
    if problem:
        raise BirthmarkError(f"{shown} {problem}")


def working_folder(given: str | Path) -> Path:
    """The local folder of an OUT that is an address; of one that is none, itself."""
    return _place(url_of(given)) / "out" if is_url(given) else Path(given)


def local_file(given: str | Path) -> Path:
    """A file on this machine: an address is fetched into the cache, a table with the JSON beside it."""
    if not is_url(given):
        return Path(given)
    check_url(given, "as the file")
    url = url_of(given)
    name = PurePosixPath(url).name
    folder = _place(url.rsplit("/", 1)[0]) / "files"
    STANDS_FOR[str(folder)] = url.rsplit("/", 1)[0]
    store = Store(url.rsplit("/", 1)[0], folder)
    target = folder / name
    if target.suffix == ".parquet":
        record = target.with_suffix(".json")
        store.fetch(record.name)
        with suppress(OSError, ValueError, KeyError, TypeError):
            if sha256_of(target) == json.loads(record.read_text("utf-8"))["sha256"]:
                return target
    store.fetch(name)
    return target


def _place(url: str) -> Path:
    server = [os.environ.get(name, "") for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")]
    digest = hashlib.sha256("\n".join([url, *server]).encode()).hexdigest()[:16]
    return cache_folder() / "stores" / digest


@contextmanager
def opened(given: str | Path) -> Iterator[Path]:
    """The working folder of an OUT that is an address, held against other machines; what is finished is in the store after.

    Raises `BirthmarkError` where the store cannot be reached or written to, or another run writes there.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BirthmarkError(
            f"{url_of(given)}: several processes write one local folder: name one, and copy it afterwards"
        )
    folder = working_folder(given)
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(url_of(given), folder)
    STANDS_FOR[str(folder)] = store.url
    with ExitStack() as stack:
        stack.callback(lock_folder(folder).release)
        stack.enter_context(store.held())
        store.pull()
        store.push()  # what an earlier run could not
        stack.enter_context(watching(folder, store.put))
        try:
            yield folder
        except BirthmarkError as error:
            if not isinstance(error, StoreError):
                store.push()
            raise
        store.push()


class StoreError(BirthmarkError):
    """A store that cannot be reached, read or written."""


@dataclass
class Store:
    """An address and its local folder. `_known`: what was last put or fetched, by name → [mark in the store, mark here]."""

    url: str
    folder: Path
    _known: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import fsspec

        self.scheme = self.url.split("://")[0]
        options: dict[str, Any] = {"use_listings_cache": False}
        if self.scheme in ("s3", "s3a"):
            options["config_kwargs"] = {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 2}}
        with self._reached("reached"):
            self.fs, self.root = fsspec.url_to_fs(self.url, **options)
        if self.scheme in ("s3", "s3a"):
            vars(self.fs)["retries"] = 2
        with suppress(OSError, ValueError):
            self._known = json.loads(self._notes.read_text("utf-8"))

    @property
    def _notes(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.json")

    def _at(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"

    @contextmanager
    def _reached(self, verb: str) -> Iterator[None]:
        """Whatever a store's library raises, in one line that says what to do."""
        try:
            yield
        except (BirthmarkError, FileExistsError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in NO_SPACE and self.scheme in ("file", "local"):
                raise
            kept = "; what is finished is kept on this machine, and the same command puts it there"
            raise StoreError(
                f"{self.url} cannot be {verb}: {self._advice(error)}{kept if verb == 'written to' else ''}"
            ) from None

    def _advice(self, error: Exception) -> str:
        kind, said = type(error).__name__, one_line(error, 160)
        cloud = _EXTRAS.get(self.scheme)
        if "Credentials" in kind or "DefaultCredentials" in said:
            return f"no credentials were found: set {_CREDENTIALS.get(cloud or '', 'them in the environment')}"
        if isinstance(error, PermissionError) or "Forbidden" in said or "Access Denied" in said:
            return f"no rights there ({said}): use credentials that may list, read, write and delete under it"
        if isinstance(error, FileNotFoundError):
            return "there is no such bucket, folder or file: check the name, or make the bucket first"
        if any(word in kind for word in ("Connect", "Timeout", "Endpoint", "Proxy", "SSL", "HTTPClient")):
            return f"no answer ({said}): check the network and, for S3, AWS_ENDPOINT_URL"
        return f"{said or kind}: check the address and the credentials"

    # ---------------------------------------------------------------------------------------------------------- lock

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the address by an object that can be made once. A run of this machine that was killed holds nothing."""
        run, since = uuid.uuid4().hex, datetime.now(UTC).isoformat(timespec="seconds")
        mine = {"host": socket.gethostname(), "pid": os.getpid(), "run": run, "since": since}
        path = self._at(LOCK_OBJECT)
        if not self._made(path, mine):
            holder = self._holder(path)
            if _is_dead(holder):
                with self._reached("written to"), suppress(FileNotFoundError):
                    self.fs.rm_file(path)
            if not _is_dead(holder) or not self._made(path, mine):
                raise BirthmarkError(
                    f"{self.url} is written to by {one_line(holder.get('host', 'another machine'), 80)}, process "
                    f"{one_line(holder.get('pid', '?'), 20)}, since {one_line(holder.get('since', '?'), 40)}: wait until "
                    f"it has finished; if it was killed, delete {self.url}/{LOCK_OBJECT}"
                )
        try:
            yield
        finally:
            _ended.add(run)
            with suppress(Exception):
                if self._holder(path).get("run") == run:
                    self.fs.rm_file(path)

    def _made(self, path: str, mine: dict[str, Any]) -> bool:
        with self._reached("written to"):
            try:
                self._parents(path)
                self.fs.pipe_file(path, json.dumps(mine).encode(), mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                if "PreconditionFailed" in repr(error) or "pre-conditions" in str(error):
                    return False
                raise
        return True

    def _holder(self, path: str) -> dict[str, Any]:
        try:
            found = json.loads(self.fs.cat_file(path))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    # ---------------------------------------------------------------------------------------------------------- files

    def pull(self) -> None:
        """Take over what the store has: what it got since, in place of what is here; and lose what was deleted there."""
        with self._reached("read"):
            there = self.fs.find(self.root, detail=True)
        begin = self.root.rstrip("/") + "/"
        found = {path[len(begin) :]: facts for path, facts in there.items() if path.startswith(begin)}
        for name in found:
            if ASIDE in PurePosixPath(name).name:
                with self._reached("written to"), suppress(FileNotFoundError):
                    self.fs.rm_file(self._at(name))
        names = [name for name in found if _is_finished(name)]
        for name in sorted(names, key=_order):
            mark = _mark(found[name])
            if name not in self._known or self._known[name][0] != mark or not (self.folder / name).is_file():
                self.fetch(name, mark)
        for name in [name for name in self._known if name not in names]:
            if _stamp(self.folder / name) == self._known.pop(name)[1]:
                (self.folder / name).unlink(missing_ok=True)
        self._remember()

    def fetch(self, name: str, mark: str | None = None) -> None:
        """Bring a file of the store here, whole or not at all."""
        with atomic_path(self.folder / name) as temporary, self._reached("read"):
            try:
                self.fs.get_file(self._at(name), str(temporary))
            except FileNotFoundError:
                raise BirthmarkError(f"{self.url}/{name} does not exist: check the address") from None
        self._known[name] = [mark, _stamp(self.folder / name)]

    def put(self, path: Path) -> None:
        """Put a finished file into the store, whole or not at all."""
        name = path.relative_to(self.folder).as_posix()
        if not _is_finished(name):
            return
        stamp, target = _stamp(path), self._at(name)
        with self._reached("written to"):
            self._parents(target)
            if self.scheme in _ONE_PUT:
                self.fs.put_file(str(path), target)
            else:
                aside = f"{target.rpartition('/')[0]}/{ASIDE}{uuid.uuid4().hex[:8]}"
                self.fs.put_file(str(path), aside)
                self.fs.mv(aside, target)
            self._known[name] = [_mark(self.fs.info(target)), stamp]
        self._remember()

    def push(self) -> None:
        """Put what is finished here and not in the store, tables before the JSON that vouches for them; delete what is gone."""
        here = [path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()]
        for name in sorted(filter(_is_finished, here), key=_order):
            if name not in self._known or self._known[name][1] != _stamp(self.folder / name):
                self.put(self.folder / name)
        for name in [name for name in self._known if name not in here]:
            with self._reached("written to"), suppress(FileNotFoundError):
                self.fs.rm_file(self._at(name))
            del self._known[name]
        self._remember()

    def _parents(self, path: str) -> None:
        if self.scheme not in _ONE_PUT:
            self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)

    def _remember(self) -> None:
        write_text(self._notes, json.dumps(self._known))


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether a lock is of a process of this machine that is no more, or of a run of this process that is over."""
    import psutil

    if holder.get("run") in _ended:
        return True
    if holder.get("host") != socket.gethostname() or not isinstance(holder.get("pid"), int):
        return False
    return not psutil.pid_exists(holder["pid"])


def _is_finished(name: str) -> bool:
    return not any(part.startswith(".") for part in PurePosixPath(name).parts)


def _order(name: str) -> tuple[bool, bool, str]:
    return name.endswith("study.json"), name.endswith(".json"), name


def _mark(facts: dict[str, Any]) -> str:
    """What changes whenever a store's file does."""
    names = ("ETag", "etag", "generation", "md5Hash", "mtime", "created", "size")
    return "|".join(str(facts[name]) for name in names if facts.get(name) is not None)


def _stamp(path: Path) -> list[int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]
