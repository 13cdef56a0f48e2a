"""The study's own training runs: median ranks of agency and communion at the saved steps, and figures 4a, 4b and A5b.

A file of ranks is read as it is published, repeated rows counted once. Knows nothing of what was claimed of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.paper.data import TRAINING, StudyData
from birthmark.records import Figure4bPoint, Loss, PairSource, TrainingPoint

FAMILIES = {"gem": "Gemma", "lla": "Llama", "qwe": "Qwen"}
"""How the published model ids are told apart where a row names no base model."""
COLUMNS = ("model_id", "Category", "checkpoint", "base_model", "sum_value")
BATCH, EPOCHS = 16, 2
"""Pairs a step and epochs of the published recipe: pairs seen = last step × 16 / 2."""


@dataclass(frozen=True)
class RankFile:
    """One published file of ranks, and the pairs (in thousands), source and loss that figure 4b gives it."""

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
    """A rank file's rows as they stand, every cell as text. Raises `BirthmarkError` where it lacks a column."""
    try:
        rows = pl.read_csv(path, infer_schema=False).fill_null("")
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())[:80]
        raise BirthmarkError(f"{path} cannot be read as CSV ({reason}): fetch it again") from None
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        raise BirthmarkError(f"{path} has no column {missing[0]}: a file of ranks has {', '.join(COLUMNS)}")
    return rows


def read_training_points(path: Path) -> list[TrainingPoint]:
    """A rank file's points, in file order, rows that say the same twice once.

    The family is the row's `base_model`; where that is `NA` it is read off the `model_id`. Raises `BirthmarkError` where
    a number is none, a family cannot be told, or one point has two values.
    """
    unique = read_rank_rows(path).select(COLUMNS).unique(maintain_order=True)
    points = [_point(path, row) for row in unique.iter_rows(named=True)]
    seen = {(point.model_id, point.category, point.step) for point in points}
    if len(seen) < len(points):
        raise BirthmarkError(f"{path} gives one model, category and step two values: keep the one that is right")
    return points


def _point(path: Path, row: dict[str, str]) -> TrainingPoint:
    family = row["base_model"] if row["base_model"] not in ("", "NA") else family_of_id(row["model_id"])
    if family is None:
        raise BirthmarkError(f'{path} has a model "{row["model_id"][:40]}" of no known family: fill in its base_model')
    try:
        step, median_rank = int(float(row["checkpoint"])), float(row["sum_value"])
    except ValueError:
        raise BirthmarkError(f"{path} has a checkpoint or rank that is no number: fetch it again") from None
    return TrainingPoint(
        file=path.name,
        model_id=row["model_id"],
        family=family,
        category=row["Category"],
        step=step,
        median_rank=median_rank,
    )


def family_of_id(model_id: str) -> str | None:
    """The family that a published model id speaks of, or None."""
    return next((family for part, family in FAMILIES.items() if part in model_id.lower()), None)


def training_points(study: StudyData) -> dict[str, list[TrainingPoint]]:
    """File name → points, of the rank files that are there, in the order of figure 4b."""
    paths = ((file.name, study.path(TRAINING / file.name)) for file in RANK_FILES)
    return {name: read_training_points(path) for name, path in paths if path}


def last_points(points: Sequence[TrainingPoint]) -> list[TrainingPoint]:
    """The points at each model's last saved step."""
    last: dict[str, int] = {}
    for point in points:
        last[point.model_id] = max(point.step, last.get(point.model_id, 0))
    return [point for point in points if point.step == last[point.model_id]]


def figure_4b(points: dict[str, list[TrainingPoint]]) -> list[Figure4bPoint]:
    """The last saved step of every run, with the pairs, source and loss that the study's figure gives its file."""
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
    """Step → agency's median rank − communion's, in ranks: positive where communion is preferred (1 is best).

    Only steps that have both categories.
    """
    ranks = {(p.step, p.category): p.median_rank for p in points if p.family == family}
    steps = sorted({step for step, _ in ranks})
    return {
        step: ranks[step, "Agency"] - ranks[step, "Communion"]
        for step in steps
        if (step, "Agency") in ranks and (step, "Communion") in ranks
    }


def gap(points: Sequence[TrainingPoint], family: str, other: str) -> dict[int, float]:
    """Step → leaning of `family` − leaning of `other`: positive where `family` prefers communion more, in ranks."""
    mine, theirs = leaning(points, family), leaning(points, other)
    return {step: mine[step] - theirs[step] for step in mine if step in theirs}


def last_gap(points: Sequence[TrainingPoint], family: str, other: str) -> float | None:
    """The gap at the last saved steps, which may differ between the two; None where one of them is absent."""
    mine, theirs = leaning(points, family), leaning(points, other)
    return mine[max(mine)] - theirs[max(theirs)] if mine and theirs else None


def pairs_of_steps(final_step: int) -> float:
    """Thousands of pairs that a run with this last step has seen, by the published recipe."""
    return final_step * BATCH / EPOCHS / 1000
