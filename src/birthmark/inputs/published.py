"""The study's published score files as score tables: a CSV with `response`, then a column a prompt key.

The model is read off the file's name and described from the catalog. Knows nothing of what the study concluded, and
mends no slip of its files.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.inputs.candidates import Candidates
from birthmark.inputs.fetch import sha256_of
from birthmark.inputs.prompts import STUDY, load_prompts
from birthmark.inputs.text import MEGABYTE, did_you_mean, one_line
from birthmark.records import PromptSetRecord, ScoreRecord
from birthmark.scores import ScoreTable, prompt_set_record

if TYPE_CHECKING:
    from birthmark.inputs.catalog import Entry

MAX_BYTES = 256 * MEGABYTE
MAX_HEADER = 10_000
LAYOUT = "a published score file has the columns `response` and the keys of christian2026"


def read_published_scores(path: Path) -> ScoreTable:
    """Read one of the study's CSV files of rewards: word rows × the prompts of `christian2026` that it has, as float32.

    A file `…_rewards_<org>_<name>.csv` holds the scores of the hub model `<org>/<name>`: where the catalog has it, the
    record takes its name, family, base checkpoint and dtype from there; else the model is the file's stem. Every
    response is text, `null` and `nan` too. Rows that say the same twice count once. What the file does not tell is null.

    Raises `BirthmarkError` where the file is over 256 MB, not UTF-8, not CSV, has a column that is no prompt of the
    study, a cell that is no finite number, or two unlike rows for one response.
    """
    columns = _header(path)
    prompt_set = _prompt_set(columns, path)
    keys = list(prompt_set.prompts)
    scores = _read_csv(path, keys)
    _refuse_bad_cells(scores, keys, path)
    unique = scores.unique(maintain_order=True) if scores["response"].is_duplicated().any() else scores
    repeated = unique.filter(pl.col("response").is_duplicated())
    if repeated.height:
        raise BirthmarkError(
            f'{path} has two unlike rows for "{one_line(repeated["response"][0])}": keep the one that is right'
        )
    frame = unique.select(pl.col("response").alias("candidate"), pl.lit(None, dtype=pl.Int64).alias("token_id"), *keys)
    return ScoreTable(frame, _record(path, frame, prompt_set, repeats=scores.height - frame.height))


def _header(path: Path) -> list[str]:
    """The column names, read from the first few kilobytes."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BirthmarkError(
                f"{path} has {size / MEGABYTE:,.0f} MB, and may have {MAX_BYTES / MEGABYTE:g}: {LAYOUT}"
            )
        with path.open("rb") as file:
            start = file.read(MAX_HEADER)
    except OSError as error:
        raise BirthmarkError(f"{path} cannot be read ({error.strerror}): name a published score file") from None
    line = start.decode("utf-8-sig", errors="replace").partition("\n")[0].rstrip("\r")
    columns = [name.strip().strip('"') for name in line.split(",")]
    if "response" not in columns:
        raise BirthmarkError(f"{path} has no column `response`: {LAYOUT}")
    if len(set(columns)) < len(columns):
        raise BirthmarkError(f"{path} has a column twice: {LAYOUT}")
    return columns


def _prompt_set(columns: list[str], path: Path) -> PromptSetRecord:
    """`christian2026`, restricted to the columns that are there, in the file's order."""
    study = load_prompts(STUDY).prompts
    unknown = [column for column in columns if column != "response" and column not in study]
    if unknown:
        raise BirthmarkError(
            f'{path} has a column "{one_line(unknown[0])}": {did_you_mean(unknown[0], study)}; {LAYOUT}'
        )
    keys = [column for column in columns if column != "response"]
    if not keys:
        raise BirthmarkError(f"{path} has no column of scores: {LAYOUT}")
    return prompt_set_record(STUDY, {key: study[key] for key in keys})


def _read_csv(path: Path, keys: list[str]) -> pl.DataFrame:
    """The response as text, whatever it looks like, and the scores; a cell that is no number is null."""
    _refuse_short_lines(path, len(keys))
    types = {"response": pl.String, **dict.fromkeys(keys, pl.Float32)}
    try:
        scores = pl.read_csv(path, schema_overrides=types, infer_schema=False, ignore_errors=True, glob=False)
    except (
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
        OSError,
    ) as error:  # its parser panics on some bytes
        raise BirthmarkError(f"{path} is not such a table in UTF-8 ({one_line(error, 60)}): {LAYOUT}") from None
    if scores.height == 0:
        raise BirthmarkError(f"{path} has no rows: {LAYOUT}")
    return scores


def _refuse_short_lines(path: Path, n_keys: int) -> None:
    """A table of mostly empty lines would take memory for all the cells that it does not have."""
    lines = 0
    with path.open("rb") as file:
        while block := file.read(MEGABYTE):
            lines += block.count(b"\n")
    shortest = 2 * n_keys + 1  # a comma and a digit a key, the line's end
    if lines > 1_000 and lines * shortest > path.stat().st_size:
        raise BirthmarkError(f"{path} has lines without {n_keys} scores: {LAYOUT}")


def _refuse_bad_cells(scores: pl.DataFrame, keys: list[str], path: Path) -> None:
    nameless = scores["response"].fill_null("") == ""
    if nameless.any():
        row = int(nameless.arg_max() or 0)
        raise BirthmarkError(f"{path}, row {row + 1}: the response is empty: name the word or remove the row")
    for key in keys:
        bad = ~scores[key].is_finite().fill_null(False)
        if bad.any():
            row = int(bad.arg_max() or 0)
            raise BirthmarkError(
                f'{path}, row {row + 1} ("{one_line(scores["response"][row])}"): {key} is not a finite number: '
                "score it again or remove the row"
            )


def _record(path: Path, frame: pl.DataFrame, prompt_set: PromptSetRecord, repeats: int) -> ScoreRecord:
    name, entry = _catalogued(path)
    words = Candidates(False, tuple(frame["candidate"]), path.stem)
    return ScoreRecord(
        model=name,
        slug=name,
        revision=None,
        family=entry.family if entry else None,
        base_checkpoint=entry.base_checkpoint if entry else None,
        kind="reward",
        dtype=(entry.dtype if entry else None) or "unknown",
        device="unknown",
        engine=None,
        attention=None,
        frame="chat",
        protocol="christian2026",
        digests=None,
        prompt_set=prompt_set,
        candidates_sha256=words.sha256,
        n_tokens=0,
        n_words=frame.height,
        template_date=None,
        versions={},
        sha256=sha256_of(path),
        context_ids=None,
        mass=None,
        mass_why="rewards are no probabilities",
        seconds=None,
        load_seconds=None,
        verify_seconds=None,
        verify_max_abs_diff=None,
        verify_why="published scores, not scored here",
        candidates_per_second=None,
        warnings=[f"{repeats} rows of {path.name} repeat another and count once"] if repeats else [],
    )


def _catalogued(path: Path) -> "tuple[str, Entry | None]":
    """The catalog's name and entry of the model that a file's name speaks of; the stem, and None, where it has none."""
    from birthmark.inputs.catalog import find_entry, load_catalog

    found = re.search(r"_rewards_([^_]+)_(.+)$", path.stem)
    entry = find_entry(load_catalog(), f"{found[1]}/{found[2]}") if found else None
    return (entry.name, entry) if entry else (path.stem, None)
