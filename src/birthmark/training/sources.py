"""Sources of preference pairs: a file (JSON lines or JSON, optionally gzipped, or Parquet), or a data set on the hub.

Rows are returned unchanged; `data` interprets them. Nothing is unpickled, and no data set's script is run.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.training.data import Drop, Pair, layout_of, read_pair

Row = dict[str, Any]

# Name → hub id, configuration, split. A hub id that is not here is read by its default configuration and `train`.
NAMED: dict[str, tuple[str, str | None, str]] = {
    "skywork-80k": ("Skywork/Skywork-Reward-Preference-80K-v0.2", None, "train"),
    "unified-feedback": ("llm-blender/Unified-Feedback", "all", "train"),
    "ultrafeedback": ("openbmb/UltraFeedback", None, "train"),
    "ultrafeedback-binarized": ("HuggingFaceH4/ultrafeedback_binarized", None, "train_prefs"),
    "hh-rlhf": ("Anthropic/hh-rlhf", None, "train"),
}
_ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet")
LONGEST_ROW = 10_000_000  # bytes or characters; the longest published conversations have some hundred thousand
LARGEST_GROUP = 4_000_000_000
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Source:
    """A preference source: a short name, its file (None for the hub), and a function that iterates over its rows."""

    name: str
    path: Path | None
    sha256: str | None
    rows: Callable[[], Iterator[Row]] = field(compare=False)


@dataclass(frozen=True)
class Scan:
    """The result of one pass over a source: its layout, number of rows, usable rows, and dropped rows with reasons."""

    layout: str
    read: int
    usable: list[int]
    drops: list[Drop]


def open_source(name: str | Path) -> Source:
    """Find a source by file name, hub id, or one of the names in `NAMED`.

    Raises `BirthmarkError` if there is no such file, its ending is unknown, or it is not on the hub.
    """
    path = Path(name).expanduser()
    if path.is_dir():  # datasets would take a folder for a data set
        raise BirthmarkError(f"{path} is a folder: name a file of preferences in it ({', '.join(_ENDINGS)})")
    if path.is_file():
        return _file_source(path)
    text = str(name)
    known = {hub_id.lower(): (hub_id, config, split) for hub_id, config, split in NAMED.values()}
    found = NAMED.get(text) or known.get(text.lower())
    if found is None and _HUB_ID.fullmatch(text) and not text.endswith(_ENDINGS) and not text.startswith("."):
        found = (text, None, "train")
    if found is None:
        raise BirthmarkError(
            f"no preferences {name}: neither a file, nor a hub id (OWNER/NAME), nor one of {', '.join(NAMED)}"
        )
    return _hub_source(*found)


def scan(source: Source) -> Scan:
    """Read every row once. Raises `BirthmarkError` if the source is empty, in an unknown layout, or has no usable pair."""
    return _scanned(source) if source.sha256 is not None else _scan(source)


@lru_cache(maxsize=8)  # a grid asks for the same file run after run
def _scanned(source: Source) -> Scan:
    return _scan(source)


def _scan(source: Source) -> Scan:
    layout, usable, drops, number = "", list[int](), list[Drop](), 0
    for number, row in enumerate(source.rows(), start=1):
        layout = layout or layout_of(row, source.name)
        found = read_pair(row, number)
        if isinstance(found, Drop):
            drops.append(found)
        else:
            usable.append(number)
    if not number:
        raise BirthmarkError(f"{source.path or source.name} is empty: it has no pairs")
    if not usable:
        raise BirthmarkError(no_pairs_left(source, drops))
    return Scan(layout, number, usable, drops)


def no_pairs_left(source: Source, drops: Iterable[Drop]) -> str:
    """The error message if no pair is left: how many were dropped for each reason."""
    reasons = ", ".join(f"{count:,} for '{reason}'" for reason, count in count_drops(drops).items())
    return f"{source.name} has no usable pairs left: {reasons}"


def count_drops(drops: Iterable[Drop]) -> dict[str, int]:
    """Reason → number of drops, by name."""
    counts: dict[str, int] = {}
    for drop in drops:
        counts[drop.reason] = counts.get(drop.reason, 0) + 1
    return dict(sorted(counts.items()))


def read_pairs(source: Source, rows: list[int]) -> list[Pair]:
    """The pairs of some usable rows, in the order given."""
    chosen = set(rows)
    found: dict[int, Pair] = {}
    for number, row in enumerate(source.rows(), start=1):
        if number in chosen:
            pair = read_pair(row, number)
            if isinstance(pair, Pair):
                found[number] = pair
    return [found[number] for number in rows]


def _file_source(path: Path) -> Source:
    from birthmark.files import sha256_of

    ending = next((ending for ending in _ENDINGS if path.name.endswith(ending)), None)
    if ending is None:
        raise BirthmarkError(f"{path} has an unknown ending: preferences are {', '.join(_ENDINGS)}")
    readers: dict[str, Callable[[Path], Iterator[Row]]] = {".parquet": _parquet_rows, ".json": _json_rows}
    reader = readers.get(ending.removesuffix(".gz"), _json_lines)
    resolved = path.resolve()
    return Source(path.name.removesuffix(ending), resolved, sha256_of(resolved), lambda: reader(resolved))


_UNREADABLE = (ValueError, RecursionError, OSError, EOFError, zlib.error)  # bytes, numbers, nesting, compression


def _json_lines(path: Path) -> Iterator[Row]:
    opened: Any = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_ROW + 1), ""), start=1):
                if len(line) > LONGEST_ROW:
                    raise ValueError(f"a line has over {LONGEST_ROW:,} characters")
                if line.strip():
                    yield _row(json.loads(line), path, number)
    except _UNREADABLE as error:
        raise BirthmarkError(
            f"{path} cannot be read as JSON lines (after line {number}): {one_line(error, 200)}"
        ) from None


def _json_rows(path: Path) -> Iterator[Row]:
    opened: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            rows = json.load(file)
    except _UNREADABLE as error:
        raise BirthmarkError(
            f"{path} cannot be read as JSON: {one_line(error, 200)}; JSON lines end in .jsonl"
        ) from None
    if not isinstance(rows, list):
        raise BirthmarkError(f"{path} is not a JSON list of pairs; JSON lines end in .jsonl")
    for number, row in enumerate(rows, start=1):
        yield _row(row, path, number)


def _row(value: Any, path: Path, number: int) -> Row:
    if not isinstance(value, dict):
        raise BirthmarkError(f"{path}: row {number} is not an object with `chosen` and `rejected`")
    return value


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _require_short_rows(path, file.metadata)
            for batch in file.iter_batches(batch_size=128):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise BirthmarkError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())[:200]}") from None


def _require_short_rows(path: Path, metadata: Any) -> None:
    """Raise `BirthmarkError` where a row group, which is read as a whole, is too large by the file's own account."""
    for place in range(metadata.num_row_groups):
        group = metadata.row_group(place)
        if group.total_byte_size > min(LONGEST_ROW * max(group.num_rows, 1), LARGEST_GROUP):
            raise BirthmarkError(
                f"{path} has {group.total_byte_size / 1e6:,.0f} MB in {group.num_rows:,} rows: is it a preference file?"
            )


def _hub_source(hub_id: str, config: str | None, split: str) -> Source:
    import datasets

    try:
        data = datasets.load_dataset(hub_id, config, split=split)
    except Exception as error:  # noqa: BLE001  the library has its own exception class for each failure
        reason = " ".join(str(error).split())[:200]
        raise BirthmarkError(f"the data set {hub_id} (split {split}) cannot be read from the hub: {reason}") from None
    return Source(hub_id, None, None, lambda: iter(data))
