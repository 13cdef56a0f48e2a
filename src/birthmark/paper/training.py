"""The study's own training runs: median ranks at saved steps (figures 4a, 4b, A5b), and the largest moves (5, A6)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.files import read_csv, read_parquet
from birthmark.inputs.lexicons import Lexicon
from birthmark.paper.data import TRAINING, StudyData
from birthmark.paper.verdicts import untestable
from birthmark.records import Claim, Figure4bPoint, Loss, PairSource, TrainingPoint, WordMove
from birthmark.values.ranks import rank

FAMILIES = {"gem": "Gemma", "lla": "Llama", "qwe": "Qwen"}
"""Part of a published model id → family, for rows without a base model."""


COLUMNS = ("model_id", "Category", "checkpoint", "base_model", "sum_value")


BATCH, EPOCHS = 16, 2
"""Pairs per step and epochs of the published recipe: pairs seen = last step × 16 / 2."""


@dataclass(frozen=True)
class RankFile:
    """One published file of ranks, and its pairs (in thousands), source and loss according to figure 4b."""

    name: str
    pairs_thousands: int
    source: PairSource
    loss: Loss


RANK_FILES = (
    RankFile("rank_results_uf_13.csv", 13, "uf", "BT"),
    RankFile("rank_results_uf_27.csv", 27, "uf", "BT"),
    RankFile("rank_results_uf_54.csv", 53, "uf", "BT"),
    RankFile("rank_results_sky_80k.csv", 77, "skywork", "BT"),
    RankFile("rank_results_uf_100.csv", 106, "uf", "BT"),
    RankFile("rank_results_grm_80k.csv", 550, "uf+skywork", "GRM"),
)


SKYWORK = "rank_results_sky_80k.csv"


def read_rank_rows(path: Path) -> pl.DataFrame:
    """A rank file's rows, every cell as text. Raises `BirthmarkError` if it cannot be read or a column is missing."""
    try:
        rows = read_csv(path).fill_null("")
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())[:80]
        raise BirthmarkError(f"{path} cannot be read as CSV ({reason}): fetch it again") from None
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        raise BirthmarkError(f"{path} has no column {missing[0]}: a file of ranks has {', '.join(COLUMNS)}")
    return rows


def read_training_points(path: Path) -> list[TrainingPoint]:
    """A rank file's points, in file order, without duplicate rows.

    The family is the row's `base_model`; if that is `NA`, it is taken from the `model_id`.

    Raises `BirthmarkError` if a number cannot be parsed, a family is unknown, or one point has two values.
    """
    unique = read_rank_rows(path).select(COLUMNS).unique(maintain_order=True)
    points = [_point(path, row) for row in unique.iter_rows(named=True)]
    seen = {(point.model_id, point.category, point.step) for point in points}
    if len(seen) < len(points):
        raise BirthmarkError(f"{path} has two values for one model, category and step: keep the correct one")
    return points


def _point(path: Path, row: dict[str, str]) -> TrainingPoint:
    family = row["base_model"] if row["base_model"] not in ("", "NA") else family_of_id(row["model_id"])
    if family is None:
        raise BirthmarkError(f'{path} has a model "{row["model_id"][:40]}" of unknown family: fill in its base_model')
    try:
        step, median_rank = int(float(row["checkpoint"])), float(row["sum_value"])
    except ValueError:
        raise BirthmarkError(f"{path} has a checkpoint or rank that is not a number: fetch it again") from None
    return TrainingPoint(
        file=path.name,
        model_id=row["model_id"],
        family=family,
        category=row["Category"],
        step=step,
        median_rank=median_rank,
    )


def family_of_id(model_id: str) -> str | None:
    """The family in a published model id, or None."""
    return next((family for part, family in FAMILIES.items() if part in model_id.lower()), None)


def training_points(study: StudyData) -> dict[str, list[TrainingPoint]]:
    """File name → points, for the rank files that are present, in the order of figure 4b."""
    paths = ((file.name, study.path(TRAINING / file.name)) for file in RANK_FILES)
    return {name: read_training_points(path) for name, path in paths if path}


def last_points(points: Sequence[TrainingPoint]) -> list[TrainingPoint]:
    """The points at each model's last saved step."""
    last: dict[str, int] = {}
    for point in points:
        last[point.model_id] = max(point.step, last.get(point.model_id, 0))
    return [point for point in points if point.step == last[point.model_id]]


def figure_4b(points: dict[str, list[TrainingPoint]]) -> list[Figure4bPoint]:
    """The last saved step of every run, with the pairs, source and loss of its file according to the study's figure."""
    return [
        Figure4bPoint(
            pairs_thousands=file.pairs_thousands,
            source=file.source,
            loss=file.loss,
            family=point.family,
            category=point.category,
            final_step=point.step,
            median_rank=point.median_rank,
            model_id=point.model_id,
            file=file.name,
        )
        for file in RANK_FILES
        for point in sorted(last_points(points.get(file.name, [])), key=lambda p: (p.family, p.category))
    ]


def leaning(points: Sequence[TrainingPoint], family: str) -> dict[int, float]:
    """Step → median rank of agency − median rank of communion: positive if communion is preferred (1 is best).

    Only steps with both categories are included.
    """
    ranks = {(p.step, p.category): p.median_rank for p in points if p.family == family}
    steps = sorted({step for step, _ in ranks})
    return {
        step: ranks[step, "Agency"] - ranks[step, "Communion"]
        for step in steps
        if (step, "Agency") in ranks and (step, "Communion") in ranks
    }


def gap(points: Sequence[TrainingPoint], family: str, other: str) -> dict[int, float]:
    """Step → leaning of `family` − leaning of `other`, in ranks: positive if `family` prefers communion more."""
    own, reference = leaning(points, family), leaning(points, other)
    return {step: own[step] - reference[step] for step in own if step in reference}


def last_gap(points: Sequence[TrainingPoint], family: str, other: str) -> float | None:
    """The gap at each family's last saved step (the steps may differ); None if a family is missing."""
    own, reference = leaning(points, family), leaning(points, other)
    return own[max(own)] - reference[max(reference)] if own and reference else None


def pairs_of_steps(final_step: int) -> float:
    """Thousands of pairs that a run with this last step has seen, under the published recipe."""
    return final_step * BATCH / EPOCHS / 1000


TOKEN_SCORES = "greatest_ever_one_across_checkpoints_{}.parquet"
MOVER_FAMILIES = ("Gemma", "Llama", "Qwen")
SHOWN = 10


def word_moves(study: StudyData) -> list[WordMove]:
    """Every noun's rank at the first and last saved step, for the families whose file is present."""
    paths = {family: study.path(TRAINING / TOKEN_SCORES.format(family.lower())) for family in MOVER_FAMILIES}
    nouns = study.lexicon("dict_big2_nouns")
    return [move for family, path in paths.items() if path for move in read_moves(path, family, nouns)]


def read_moves(path: Path, family: str, nouns: Lexicon) -> list[WordMove]:
    """The moves of one run, computed as published.

    Non-ASCII letters are deleted, texts are trimmed and lower-cased, the variants of a word are averaged, and nouns are
    ranked. Raises `BirthmarkError` if the file has no token texts, no noun, or fewer than two steps.
    """
    table = read_parquet(path)
    steps = sorted((name for name in table.columns if re.fullmatch(r"step-\d+", name)), key=lambda name: int(name[5:]))
    if "token_decoded" not in table.columns or len(steps) < 2:
        raise BirthmarkError(f"{path} needs the column token_decoded and two or more columns step-<n>")
    word = pl.col("token_decoded").str.replace_all(r"[^\x00-\x7f]", "").str.strip_chars().str.to_lowercase()
    chosen = (
        table.select(word.alias("word"), pl.col(steps[0]).alias("first"), pl.col(steps[-1]).alias("last"))
        .filter(pl.col("word").is_in(list(nouns.entries)))
        .group_by("word")
        .agg(pl.col("first", "last").mean())
        .sort("word")
    )
    if not chosen.height:
        raise BirthmarkError(f"{path} has no token that is a noun of {nouns.name}")
    ranks = rank(chosen.select("first", "last").to_numpy())
    return [
        WordMove(family=family, word=name, category=nouns.entries[name][0], first_rank=float(a), last_rank=float(b))
        for name, (a, b) in zip(chosen["word"], ranks, strict=True)
    ]


def most_moved(moves: Sequence[WordMove], family: str) -> tuple[list[WordMove], list[WordMove]]:
    """The ten words of one family that rise most and the ten that fall most, the largest moves first."""
    mine = [move for move in moves if move.family == family]
    change = np.array([move.first_rank - move.last_rank for move in mine])
    order = np.argsort(-change, kind="stable").tolist()
    return [mine[at] for at in order[:SHOWN]], [mine[at] for at in order[::-1][:SHOWN]]


def movers_claim(moves: Sequence[WordMove]) -> Claim:
    """The claim `movers`: the moves follow from the files, but the published words are only shown in a figure."""
    if not moves:
        return untestable(
            "movers", "The scores of tokens by checkpoint are not among the files; the files of ranks hold no words."
        )
    parts = []
    for family in dict.fromkeys(move.family for move in moves):
        up, down = most_moved(moves, family)
        parts.append(f"{family} up {', '.join(move.word for move in up)}; down {', '.join(move.word for move in down)}")
    return untestable(
        "movers", f"The published words are drawn, not listed, so none can be checked; here: {'. '.join(parts)}."
    )
