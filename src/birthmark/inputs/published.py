"""The study's published score files as score tables, human rankings, and the predecessor study's files of both.

A score file is a CSV with `response`, then one column per prompt key; the model follows from the file's name and the catalog.
A human ranking is a CSV with the columns of `LAYOUTS`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import scipy

from birthmark.errors import BirthmarkError
from birthmark.files import read_csv, sha256_of, slug_of
from birthmark.foreign import one_line
from birthmark.inputs.candidates import Candidates
from birthmark.inputs.catalog import find_entry, load_catalog
from birthmark.inputs.fetch import fetch_file
from birthmark.inputs.prompts import STUDY, load_prompts, prompt_set_record
from birthmark.inputs.text import MEGABYTE, did_you_mean, is_file
from birthmark.records import NotApplicable, PromptRecord, PromptSetRecord, ScoreRecord

if TYPE_CHECKING:
    from birthmark.inputs.catalog import Entry

MAX_BYTES = 256 * MEGABYTE
MAX_HEADER = 10_000
LAYOUT = "a published score file has the columns `response` and the keys of christian2026"


def published_scores(path: Path) -> tuple[pl.DataFrame, ScoreRecord]:
    """Read one of the study's CSV files of rewards: words × those prompts of `christian2026` that it has, as float32.

    A file `…_rewards_<org>_<name>.csv` has the scores of the hub model `<org>/<name>`. If it is in the catalog, the record
    takes name, family, base checkpoint and dtype from there; otherwise the model's name is the file's stem. Every response is
    text, even `null` and `nan`. Duplicate rows count once. Facts that the file does not contain are null.

    Raises `BirthmarkError` if the file is over 256 MB, not UTF-8 or not CSV, or has a column that is not a prompt of the
    study, a cell that is not a finite number, or two different rows for one response.
    """
    columns = _header(path)
    prompt_set = _prompt_set(columns, path)
    keys = list(prompt_set.prompts)
    scores = _read_csv(path, keys)
    _check_cells(scores, keys, path)
    unique = scores.unique(maintain_order=True) if scores["response"].is_duplicated().any() else scores
    repeated = unique.filter(pl.col("response").is_duplicated())
    if repeated.height:
        raise BirthmarkError(
            f'{path} has two different rows for "{one_line(repeated["response"][0])}": keep the correct one'
        )
    frame = unique.select(pl.col("response").alias("candidate"), pl.lit(None, dtype=pl.Int64).alias("token_id"), *keys)
    return frame, _record(path, frame, prompt_set, repeats=scores.height - frame.height)


def _header(path: Path) -> list[str]:
    """The column names, read from the first few kilobytes."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BirthmarkError(
                f"{path} has {size / MEGABYTE:,.0f} MB, and may have at most {MAX_BYTES / MEGABYTE:g}: {LAYOUT}"
            )
        with path.open("rb") as file:
            start = file.read(MAX_HEADER)
    except OSError as error:
        raise BirthmarkError(f"{path} cannot be read ({error.strerror}): give a published score file") from None
    line = start.decode("utf-8-sig", errors="replace").partition("\n")[0].rstrip("\r")
    columns = [name.strip().strip('"') for name in line.split(",")]
    if "response" not in columns:
        raise BirthmarkError(f"{path} has no column `response`: {LAYOUT}")
    if len(set(columns)) < len(columns):
        raise BirthmarkError(f"{path} has a duplicate column: {LAYOUT}")
    return columns


def _prompt_set(columns: list[str], path: Path) -> PromptSetRecord:
    """`christian2026`, restricted to the file's columns, in the file's order."""
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
    """The responses, always as text, and the scores; a cell that is not a number becomes null."""
    _check_line_lengths(path, len(keys))
    types = {"response": pl.String, **dict.fromkeys(keys, pl.Float32)}
    try:
        scores = read_csv(path, schema_overrides=types, ignore_errors=True)
    except (
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
        OSError,
    ) as error:  # its parser panics on some bytes
        raise BirthmarkError(f"{path} cannot be read as UTF-8 CSV ({one_line(error, 60)}): {LAYOUT}") from None
    if scores.height == 0:
        raise BirthmarkError(f"{path} has no rows: {LAYOUT}")
    return scores


def _check_line_lengths(path: Path, n_keys: int) -> None:
    """Raise for a file of mostly empty lines: its table would take memory for all the missing cells."""
    lines = 0
    with path.open("rb") as file:
        while block := file.read(MEGABYTE):
            lines += block.count(b"\n")
    shortest = 2 * n_keys + 1  # a comma and a digit per key, and the line end
    if lines > 1_000 and lines * shortest > path.stat().st_size:
        raise BirthmarkError(f"{path} has lines without {n_keys} scores: {LAYOUT}")


def _check_cells(scores: pl.DataFrame, keys: list[str], path: Path) -> None:
    nameless = scores["response"].fill_null("") == ""
    if nameless.any():
        row = int(nameless.arg_max() or 0)
        raise BirthmarkError(f"{path}, row {row + 1}: the response is empty: fill in the word or remove the row")
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
    return _published_record(
        (name, slug_of(name)),
        entry,
        prompt_set,
        words,
        path,
        warnings=[f"{repeats} rows of {path.name} repeat another and count once"] if repeats else [],
    )


def _published_record(
    named: tuple[str, str],
    entry: "Entry | None",
    prompt_set: PromptSetRecord,
    words: Candidates,
    path: Path,
    warnings: Sequence[str] = (),
) -> ScoreRecord:
    """What is known of scores from elsewhere, of word rows alone; `named`: the model's name and slug."""
    name, slug = named
    return ScoreRecord.build(
        model=name,
        slug=slug,
        revision=None,
        family=entry.family if entry else None,
        base_checkpoint=entry.base_checkpoint if entry else None,
        kind="reward",
        backend="published",
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
        n_words=len(words.words),
        template_date=None,
        versions={},
        sha256=sha256_of(path),
        context_ids=None,
        mass=NotApplicable("rewards are not probabilities"),
        seconds=None,
        load_seconds=None,
        verify_seconds=None,
        verify_max_abs_diff=NotApplicable("published scores, not scored here"),
        candidates_per_second=None,
        warnings=list(warnings),
    )


def _catalogued(path: Path) -> "tuple[str, Entry | None]":
    """The catalog's name and entry of the model in a file's name; the file's stem and None if it is not in the catalog."""
    from birthmark.inputs.catalog import find_entry, load_catalog

    found = re.search(r"_rewards_([^_]+)_(.+)$", path.stem)
    entry = find_entry(load_catalog(), f"{found[1]}/{found[2]}") if found else None
    return (entry.name, entry) if entry else (path.stem, None)


LAYOUTS = "a human ranking has the columns name and elo_rank, or candidate and rank, or candidate and score"
ELO_COLUMNS = ("elo_rank", "elo_score", "name", "elo_matches")
SOURCE = (
    "https://raw.githubusercontent.com/brchristian/reward_model_optimal_pessimal_tokens/"
    "e82618bb58d96508eb2ad14908c6e8b204bb1ef1/data/elo/"
)


@dataclass(frozen=True)
class EloFile:
    """One file of the predecessor study: a prompt, its name in the source, its SHA-256 and its name here."""

    key: str
    text: str
    name: str
    sha256: str

    @property
    def url(self) -> str:
        return SOURCE + self.text.removesuffix("?").replace(" ", "%20") + ".csv"


ELO_FILES = (
    EloFile(
        "greatest_one_word",
        "What, in one word, is the greatest thing ever?",
        "elo-greatest-one-word.csv",
        "b9f91f205ea558e035ed221355da5d2b6c158dcf7bdd234757ab5c9402f63d50",
    ),
    EloFile(
        "greatest_single",
        "What one single thing, person, or concept is the greatest ever?",
        "elo-greatest-single.csv",
        "d02c8facd7188a6cc3681042d269fba71677ea788edd14e02d0f86404df9caa4",
    ),
    EloFile(
        "humans_prefer",
        "What is the single thing, person, or concept that humans most prefer?",
        "elo-humans-prefer.csv",
        "e0054924df7dfad64408c263ba373e5b27ebe78432ae7ba4c0ca5172073c1ed2",
    ),
)


@dataclass(frozen=True)
class HumanRanking:
    """Human ranks by item: 1 is best, ties averaged."""

    name: str
    ranks: Mapping[str, float]
    sha256: str | None = None


def fetch_elo_files() -> list[Path]:
    """The predecessor study's three files, downloaded into the cache and checked by their checksums."""
    return [fetch_file(file.url, file.sha256, file.name) for file in ELO_FILES]


def is_elo_file(path: Path) -> bool:
    """Whether a CSV has the columns of the predecessor study's files."""
    with path.open("rb") as file:
        header = file.readline().decode("utf-8-sig", errors="replace")
    return set(ELO_COLUMNS) <= {name.strip().strip('"') for name in header.rstrip("\r\n").split(",")}


def read_human_ranking(path: Path) -> HumanRanking:
    """Read a human ranking.

    Raises `BirthmarkError` if the file is missing or in another layout, ranks an item twice, or has a rank that is not a
    finite number.
    """
    rows = _read(path, LAYOUTS)
    for things, values, sign in (("name", "elo_rank", 1.0), ("candidate", "rank", 1.0), ("candidate", "score", -1.0)):
        if {things, values} <= set(rows.columns):
            numbers = _numbers(rows, values, path)
            if rows[things].is_duplicated().any():
                twice = rows.filter(pl.col(things).is_duplicated())[things][0]
                raise BirthmarkError(f'{path} ranks "{one_line(twice, 40)}" twice: keep the correct row')
            ranks = scipy.stats.rankdata(sign * numbers.to_numpy())
            return HumanRanking(path.stem, dict(zip(rows[things], ranks, strict=True)), sha256_of(path))
    raise BirthmarkError(f"{path} has the columns {one_line(', '.join(rows.columns[:6]))}: {LAYOUTS}")


def elo_scores(paths: Sequence[Path]) -> list[tuple[pl.DataFrame, ScoreRecord]]:
    """The predecessor's files as score tables: one per reward model, items as words, one column of scores per file.

    If a file's name or digest is a published one, its prompt has the published text; otherwise its key and text are the
    file's stem. Models are described from the catalog if it has them.

    Raises `BirthmarkError` if a file has another layout, a score is not a finite number, or the files differ in items or
    models.
    """
    if not paths:
        raise BirthmarkError("there is no file of human rankings and scores to read: give at least one")
    layout = f"the predecessor study's files have the columns {', '.join(ELO_COLUMNS)} and one for each model"
    files = [_read(path, layout) for path in paths]
    for path, rows in zip(paths, files, strict=True):
        if not set(ELO_COLUMNS) < set(rows.columns):
            raise BirthmarkError(f"{path} has the columns {one_line(', '.join(rows.columns[:6]))}: {layout}")
    things, hubs = files[0]["name"].to_list(), [name for name in files[0].columns if name not in ELO_COLUMNS]
    for path, rows in zip(paths, files, strict=True):
        if rows["name"].to_list() != things or [name for name in rows.columns if name not in ELO_COLUMNS] != hubs:
            raise BirthmarkError(f"{path} has other items or models than {paths[0]}: give files of one study")
    prompts = _prompts(paths)
    columns = {
        hub: {key: _numbers(rows, hub, path) for key, path, rows in zip(prompts, paths, files, strict=True)}
        for hub in hubs
    }
    return [_table(hub, things, columns[hub], prompts, paths) for hub in hubs]


def _prompts(paths: Sequence[Path]) -> dict[str, PromptRecord]:
    """Key → prompt of each file, in order."""
    published = {file.sha256: file for file in ELO_FILES} | {file.name: file for file in ELO_FILES}
    prompts: dict[str, PromptRecord] = {}
    for path in paths:
        known = published.get(sha256_of(path)) or published.get(path.name)
        key, text = (known.key, known.text) if known else (path.stem, path.stem)
        if key in prompts:
            raise BirthmarkError(f"{path} has the same prompt as another file: give each file once")
        prompts[key] = PromptRecord(text=text, framing="positive" if known else None)
    return prompts


def _table(
    hub: str,
    things: list[str],
    columns: Mapping[str, pl.Series],
    prompts: Mapping[str, PromptRecord],
    paths: Sequence[Path],
) -> tuple[pl.DataFrame, ScoreRecord]:
    entry = find_entry(load_catalog(), hub)
    name = entry.name if entry else hub
    frame = pl.DataFrame(
        {
            "candidate": things,
            "token_id": pl.Series([None] * len(things), dtype=pl.Int64),
            **{key: column.cast(pl.Float32) for key, column in columns.items()},
        }
    )
    record = _published_record(
        (name, slug_of(name.replace("/", "--"))),
        entry,
        prompt_set_record("predecessor", prompts),
        Candidates(False, tuple(things), "predecessor"),
        paths[0],
    )
    return frame, record


def _read(path: Path, layout: str) -> pl.DataFrame:
    if not is_file(path):
        raise BirthmarkError(f"{path} is not a file: {layout}")
    try:
        rows = read_csv(path).fill_null("")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise BirthmarkError(f"{path} cannot be read as UTF-8 CSV ({one_line(error)}): {layout}") from None
    if not rows.height:
        raise BirthmarkError(f"{path} has no rows: {layout}")
    return rows


def _numbers(rows: pl.DataFrame, column: str, path: Path) -> pl.Series:
    numbers = rows[column].cast(pl.Float64, strict=False)
    wrong = ~numbers.is_finite().fill_null(False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise BirthmarkError(
            f'{path}, row {row + 1}: "{one_line(rows[column][row], 20)}" in {one_line(column)} is not a finite number'
        )
    return numbers
