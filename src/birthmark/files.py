"""Files on disk: digests, atomic writes, tables, and what a name or a path must be before anything is opened under it.

Every path is taken literally: no name is a pattern, an address or a home folder.
"""

import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, Literal

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line

if TYPE_CHECKING:
    import polars
    from filelock import FileLock

Place = Literal["file", "folder", "out", "name"]

MAX_PART, MAX_PATH = 255, 4_096  # bytes that Linux and macOS allow in one name, and in a whole path
ROOM = 512  # bytes of the paths that are written below an OUT
MAX_CELLS, MAX_TABLE = 500_000_000, 4_000_000_000  # of a Parquet file: rows by columns, and bytes once decompressed
MAX_NAME = 200
MAX_SLUG = 112  # two of them and what stands around them are one file's name
_KEPT = 80  # a longer name is cut: its slug may get a step and a digest behind it
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ------------------------------------------------------------------------------------------------------------ writing


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` atomically if the block succeeds, and is deleted if it fails."""
    path.parent.mkdir(parents=True, exist_ok=True)  # the temporary file is in the same folder: replacing it is atomic
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:40]}{_UNFINISHED}", delete=False) as file:
        temporary = Path(file.name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    for folder, told in list(_watched.items()):
        if path.is_relative_to(folder):
            told(path)


_watched: dict[Path, Callable[[Path], None]] = {}


@contextmanager
def watching(folder: Path, told: Callable[[Path], None]) -> Iterator[None]:
    """Within the block, `told` is called with each file below `folder` as soon as it has been written atomically."""
    _watched[folder] = told
    try:
        yield
    finally:
        del _watched[folder]


LOCK = ".lock"
_UNFINISHED = ".unfinished-"  # in the names of files that are being written


def lock_folder(folder: Path) -> "FileLock":
    """The lock of a folder that one process at a time writes to; held until it is released, collected or the process ends.

    Files of atomic writes that a killed process left in it are deleted. A process may lock a folder again. Raises
    `BirthmarkError` where another process holds the lock.
    """
    from filelock import FileLock, Timeout

    lock: FileLock = FileLock(folder / LOCK, timeout=0, is_singleton=True, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise BirthmarkError(
            f"another process is writing to {folder}: wait until it has finished, or name another folder with --out"
        ) from None
    except (OSError, NotImplementedError):  # a file system without locks: nothing half-written is trusted there either
        return lock
    for left in folder.rglob(f".*{_UNFINISHED}*"):
        left.unlink(missing_ok=True)
    return lock


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_parquet(frame: "polars.DataFrame", path: Path, **options: Any) -> str:
    """Write a table atomically; returns its SHA-256. The same table gives the same bytes."""
    made = BytesIO()  # polars' own writer hides that a disk is full, and takes some names for addresses
    frame.write_parquet(made, compression="zstd", **options)
    with atomic_path(path) as temporary:
        temporary.write_bytes(made.getbuffer())
    return hashlib.sha256(made.getbuffer()).hexdigest()


def read_csv(path: Path, **options: Any) -> "polars.DataFrame":
    """Read a CSV, every cell as text; raises what polars raises. The file is opened here, so that no name is a pattern."""
    import polars as pl

    with path.open("rb") as file:
        return pl.read_csv(file, infer_schema=False, **options)


def read_parquet(path: Path) -> "polars.DataFrame":
    """Read a table. Raises `BirthmarkError` where the file is missing, cannot be read, is not Parquet, or too large.

    Rows and columns are counted before anything is read: a few bytes may stand for billions of rows.
    """
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:  # pyarrow raises on damaged bytes where polars' reader may panic; an open file has no pattern in its name
        with path.open("rb") as file:
            opened = pq.ParquetFile(file)
            _require_size(opened.metadata, path)
            if any("decimal256(" in str(field.type) for field in opened.schema_arrow):  # polars' reader panics over it
                raise BirthmarkError(f"{one_line(path, 200)} has a column of decimal256: write it as float64")
            return pl.DataFrame(pl.from_arrow(opened.read()))
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError, KeyError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BirthmarkError(f"{one_line(path, 200)} cannot be read as Parquet ({one_line(reason)})") from None


def _require_size(metadata: Any, path: Path) -> None:
    rows, columns = metadata.num_rows, metadata.num_columns
    size = sum(metadata.row_group(at).total_byte_size for at in range(metadata.num_row_groups))
    if rows * columns > MAX_CELLS or size > MAX_TABLE:
        raise BirthmarkError(
            f"{one_line(path, 200)} says that it has {rows:,} rows, {columns:,} columns and {size:,} bytes, and a table may "
            f"have {MAX_CELLS:,} cells and {MAX_TABLE:,} bytes: is it the right file?"
        )


# --------------------------------------------------------------------------------------------------- names and paths


def is_slug(text: str) -> bool:
    """Whether a text can be a file's name on every system, and two joined by `..` can be told apart."""
    return (
        len(text) <= MAX_SLUG
        and _PLAIN.fullmatch(text) is not None
        and ".." not in text
        and not text.endswith(".")
        and text.partition(".")[0].lower() not in _RESERVED
    )


def slug_of(name: str) -> str:
    """A name as a file's: unchanged where it can be one on every system, else made so, with a digest of the name.

    Unlike names have unlike slugs, but for capitals, which `require_unlike` is for.
    """
    if is_slug(name) and len(name) <= _KEPT:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    plain = re.sub(r"\.\.+", ".", re.sub(r"[^A-Za-z0-9._-]+", "_", name))[: _KEPT - 13].strip("._-")
    return f"{plain if is_slug(plain) else 'name'}-{digest}"


def check_name(name: str, what: str, *, of_file: bool = False) -> str:
    """The name, where it can be printed and is not overlong; with `of_file` it must also be fit to name a file.

    what: whose name, for the error. Raises `BirthmarkError` for a name that is empty, has over 200 characters or a
    control character and, with `of_file`, one that has a path's separators, is `.` or `..`, begins or ends with a dot or
    a space, or is reserved on Windows.
    """
    problem = None
    if not name.strip():
        problem = "is empty"
    elif len(name) > MAX_NAME:
        problem = f"has {len(name):,} characters, and may have {MAX_NAME}"
    elif (control := _control(name)) is not None:
        problem = f"has the control character {control}"
    elif of_file and re.search(r"[/\\]", name):
        problem = "has a path's separator"
    elif of_file and (name.strip(" .") != name or ".." in name):
        problem = "begins or ends with a dot or a space, or has two dots in a row"
    elif of_file and name.partition(".")[0].lower() in _RESERVED:
        problem = "is reserved on Windows"
    if problem:
        raise BirthmarkError(f'{what} "{one_line(name, 40)}" {problem}: choose another name')
    return name


def require_unlike(names: list[str], what: str) -> None:
    """Raise `BirthmarkError` where two different names would be one on a file system that ignores capitals."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            raise BirthmarkError(f"{what} {one_line(other)} and {one_line(name)} differ in capitals alone: rename one")


STANDS_FOR: dict[str, str] = {}  # a local folder of this process → the address that it stands for


def with_urls(text: str) -> str:
    """A text in which the working folders and local copies of this process go by their addresses."""
    for local, url in STANDS_FOR.items():
        text = text.replace(local, url)
    return text


def is_url(given: object) -> bool:
    """Whether what is given is the address of a store, such as `s3://…`, also where a `Path` has made its slashes one."""
    return isinstance(given, str | Path) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+:(/|$)", str(given)) is not None


def check_path(given: str | Path, place: Place, option: str) -> None:
    """Raise `BirthmarkError` for a path that cannot be what it is given for; nothing is opened or made.

    place: `file`, a regular file that is there; `folder`, a folder that is there; `out`, a folder that is there or can be
    made, and be written to; `name`, a path or something else that goes by name, such as a model. option: what is given.
    """
    text = str(given)
    problem = _malformed(text, ROOM if place == "out" else 0)
    if problem is None and place != "name" and is_url(text):
        problem = "is an address, which is not read here"
    if problem is None:
        try:
            problem = _unfit(Path(text).expanduser() if place == "name" else Path(text), place)
        except (OSError, ValueError) as error:
            problem = f"cannot be opened ({getattr(error, 'strerror', None) or error})"
    if problem:
        wanted = {"file": "a file", "folder": "a folder", "out": "another folder", "name": "another"}[place]
        raise BirthmarkError(f"{one_line(text, 300) or 'a name'} {problem}: name {wanted} {option}")


def _control(text: str) -> str | None:
    """The first character of a text that no terminal, file name or XML can hold, written out; None where there is none."""
    found = next((each for each in text if unicodedata.category(each) in ("Cc", "Cs")), None)
    return None if found is None else f"U+{ord(found):04X}"


def _malformed(text: str, room: int) -> str | None:
    if not text.strip():
        return "is empty"
    if (control := _control(text)) is not None:
        return f"has the control character {control}"
    longest = max((len(os.fsencode(part)) for part in Path(text).parts), default=0)
    if longest > MAX_PART:
        return f"has a part of {longest:,} bytes, and {MAX_PART} are possible"
    whole = len(os.fsencode(os.path.abspath(text)))
    if whole + room >= MAX_PATH:
        return f"has {whole:,} bytes, and {MAX_PATH - room - 1:,} are possible"
    return None


def _unfit(path: Path, place: Place) -> str | None:
    if not path.exists():
        if path.is_symlink():
            return "is a broken link"
        if place == "out":
            return _unmakeable(path)
        return None if place == "name" else "does not exist"
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return "is neither a file nor a folder"
    if place == "file" and stat.S_ISDIR(mode):
        return "is a folder"
    if place in ("folder", "out") and not stat.S_ISDIR(mode):
        return "is a file"
    if not os.access(path, os.R_OK | (os.X_OK if stat.S_ISDIR(mode) else 0)):
        return "cannot be read (Permission denied)"
    if place == "out" and not os.access(path, os.W_OK):
        return "cannot be written to (Permission denied)"
    return None


def _unmakeable(path: Path) -> str | None:
    """Why a folder that is not there cannot be made."""
    above = next((parent for parent in path.absolute().parents if os.path.lexists(parent)), None)
    if above is None or not above.is_dir():
        return f"cannot be made ({one_line(above, 300)} is no folder)"
    return (
        None if os.access(above, os.W_OK | os.X_OK) else f"cannot be made ({one_line(above, 300)} cannot be written to)"
    )
