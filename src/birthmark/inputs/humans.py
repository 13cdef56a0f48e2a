"""What people prefer: a ranking of things, and the predecessor study's files of it beside ten reward models' scores.

A ranking is read from a CSV with the columns `name` and `elo_rank` (the published layout), `candidate,rank` (1 is best) or
`candidate,score` (higher is better). Knows nothing of how a ranking is compared with anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from scipy.stats import rankdata

from birthmark.errors import BirthmarkError
from birthmark.inputs.candidates import Candidates
from birthmark.inputs.catalog import find_entry, load_catalog
from birthmark.inputs.fetch import fetch_file, sha256_of
from birthmark.records import PromptRecord, ScoreRecord
from birthmark.scores import ScoreTable, prompt_set_record

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
    """People's ranks by thing: 1 is best, ties averaged."""

    name: str
    ranks: Mapping[str, float]
    sha256: str | None = None


def fetch_elo_files() -> list[Path]:
    """The predecessor study's three files, fetched with their checksums into the cache."""
    return [fetch_file(file.url, file.sha256, file.name) for file in ELO_FILES]


def is_elo_file(path: Path) -> bool:
    """Whether a CSV has the columns of the predecessor study's files."""
    with path.open("rb") as file:
        header = file.readline().decode("utf-8-sig", errors="replace")
    return set(ELO_COLUMNS) <= {name.strip().strip('"') for name in header.rstrip("\r\n").split(",")}


def read_human_ranking(path: Path) -> HumanRanking:
    """A ranking of things by people.

    Raises `BirthmarkError` where the file is missing, of another layout, names a thing twice, or has a rank that is no
    finite number.
    """
    rows = _read(path, LAYOUTS)
    for things, values, sign in (("name", "elo_rank", 1.0), ("candidate", "rank", 1.0), ("candidate", "score", -1.0)):
        if {things, values} <= set(rows.columns):
            numbers = _numbers(rows, values, path)
            if rows[things].is_duplicated().any():
                twice = rows.filter(pl.col(things).is_duplicated())[things][0]
                raise BirthmarkError(f'{path} ranks "{twice[:40]}" twice: keep the row that is right')
            ranks = rankdata(sign * numbers.to_numpy())
            return HumanRanking(path.stem, dict(zip(rows[things], ranks, strict=True)), sha256_of(path))
    raise BirthmarkError(f"{path} has the columns {', '.join(rows.columns[:6])}: {LAYOUTS}")


def read_elo_scores(paths: Sequence[Path]) -> list[ScoreTable]:
    """The predecessor's files as score tables: one a reward model, things as words, a column of scores a file.

    Where a file's name or digest is one of the published, its prompt has its published text; else its key and text are the
    file's stem. Models are described from the catalog where it has them. Raises `BirthmarkError` where a file isn't of this
    layout, a score is no finite number, or the files differ in things or models.
    """
    if not paths:
        raise BirthmarkError("there is no file of human rankings and scores to read: name at least one")
    files = [_read(path, "the predecessor study's layout") for path in paths]
    things, hubs = files[0]["name"].to_list(), [name for name in files[0].columns if name not in ELO_COLUMNS]
    for path, rows in zip(paths, files, strict=True):
        if rows["name"].to_list() != things or [name for name in rows.columns if name not in ELO_COLUMNS] != hubs:
            raise BirthmarkError(f"{path} has other things or models than {paths[0]}: give files of one study")
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
            raise BirthmarkError(f"{path} is of the same prompt as another file: give each once")
        prompts[key] = PromptRecord(text=text, framing="positive" if known else None)
    return prompts


def _table(
    hub: str,
    things: list[str],
    columns: Mapping[str, pl.Series],
    prompts: Mapping[str, PromptRecord],
    paths: Sequence[Path],
) -> ScoreTable:
    entry = find_entry(load_catalog(), hub)
    name = entry.name if entry else hub
    frame = pl.DataFrame(
        {
            "candidate": things,
            "token_id": pl.Series([None] * len(things), dtype=pl.Int64),
            **{key: column.cast(pl.Float32) for key, column in columns.items()},
        }
    )
    record = ScoreRecord(
        model=name,
        slug=name.replace("/", "--"),
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
        prompt_set=prompt_set_record("predecessor", prompts),
        candidates_sha256=Candidates(False, tuple(things), "predecessor").sha256,
        n_tokens=0,
        n_words=len(things),
        template_date=None,
        versions={},
        sha256=sha256_of(paths[0]),
        context_ids=None,
        mass=None,
        mass_why="rewards are no probabilities",
        seconds=None,
        load_seconds=None,
        verify_seconds=None,
        verify_max_abs_diff=None,
        verify_why="published scores, not scored here",
        candidates_per_second=None,
    )
    return ScoreTable(frame, record)


def _read(path: Path, layout: str) -> pl.DataFrame:
    if not path.is_file():
        raise BirthmarkError(f"{path} is not a file: {layout}")
    try:
        rows = pl.read_csv(path, infer_schema=False).fill_null("")
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())[:80]
        raise BirthmarkError(f"{path} cannot be read as UTF-8 CSV ({reason}): {layout}") from None
    if not rows.height:
        raise BirthmarkError(f"{path} has no rows: {layout}")
    return rows


def _numbers(rows: pl.DataFrame, column: str, path: Path) -> pl.Series:
    numbers = rows[column].cast(pl.Float64, strict=False)
    wrong = ~numbers.is_finite().fill_null(False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise BirthmarkError(f'{path}, row {row + 1}: "{rows[column][row][:20]}" in {column} is no finite number')
    return numbers
