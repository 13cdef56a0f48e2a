"""How words and categories move over the checkpoints of training runs: medians at each step, and the furthest movers."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from birthmark.inputs.lexicons import Lexicon
from birthmark.records import Framing, TrackPoint, WordMoved
from birthmark.scoring.table import ScoreTable
from birthmark.values.durability import Look
from birthmark.values.joined import Joined
from birthmark.values.ranks import category_medians, framing_means, lexicon_scores, membership, rank

SHOWN = 10

TRAJECTORY = {
    "run": pl.String,
    "base": pl.String,
    "family": pl.String,
    "source": pl.String,
    "pairs": pl.Int64,
    "loss": pl.String,
    "seed": pl.Int64,
    "step": pl.Int64,
    "lexicon": pl.String,
    "prompt": pl.String,
    "category": pl.String,
    "median_rank": pl.Float64,
    "n_candidates": pl.Int64,
}
"""The columns of `trajectory.parquet`."""


def trajectory_rows(tables: Sequence[ScoreTable], looks: Sequence[Look], lexicons: Sequence[Lexicon]) -> pl.DataFrame:
    """A row a checkpoint, lexicon, prompt and category: the median rank among the lexicon's words in that table."""
    rows = []
    for table, look in zip(tables, looks, strict=True):
        for lexicon in lexicons:
            scores = lexicon_scores(table, lexicon)
            names = sorted({name for of_word in scores.categories.values() for name in of_word})
            medians = category_medians(rank(scores.scores), membership(scores.categories, names))
            rows += [
                {
                    "run": look.run,
                    "base": look.base,
                    "family": look.family,
                    "source": look.source,
                    "pairs": look.pairs,
                    "loss": look.loss,
                    "seed": look.seed,
                    "step": look.step,
                    "lexicon": lexicon.name,
                    "prompt": prompt,
                    "category": name,
                    "median_rank": float(medians[row, column]),
                    "n_candidates": len(scores.words),
                }
                for column, prompt in enumerate(scores.prompts)
                for row, name in enumerate(names)
            ]
    return pl.DataFrame(rows, schema=TRAJECTORY)


def track_points(joined: Joined, looks: Sequence[Look], lexicon: str) -> list[TrackPoint]:
    """Each checkpoint's mean over a framing's prompts of each category's median rank, among the words that all have."""
    return [
        TrackPoint(
            run=look.run,
            step=look.step,
            lexicon=lexicon,
            category=category,
            framing=framing,
            median_rank=float(framing_means(joined.medians[at, row], joined.framings, framing)),
        )
        for at, look in enumerate(looks)
        for row, category in enumerate(joined.categories)
        for framing in joined.framings_present
    ]


def words_moved(joined: Joined, looks: Sequence[Look], lexicon: str) -> list[WordMoved]:
    """The ten words that rise and the ten that fall most on each base, from its runs' first to their last steps.

    Ranks are means over the prompts that ask for good things (over all where none does) and over the base's runs; rises
    come first, the largest on top, then falls, the largest last. Runs of one step are left out.
    """
    framing: Framing | None = "positive" if "positive" in joined.framings else None
    ranks = joined.ranks.mean(axis=2) if framing is None else framing_means(joined.ranks, joined.framings, framing)
    found = []
    for base in sorted({look.base for look in looks}):
        ends = [
            ends for run in sorted({look.run for look in looks if look.base == base}) if (ends := _ends(looks, run))
        ]
        if not ends:
            continue
        first, last = (ranks[[pair[end] for pair in ends]].mean(axis=0) for end in (0, 1))  # each [words]
        order = np.argsort(last - first, kind="stable")
        half = min(SHOWN, len(order) // 2)
        found += [
            WordMoved(
                lexicon=lexicon,
                base=base,
                word=joined.words[at],
                categories=[joined.categories[row] for row in np.flatnonzero(joined.member[:, at])],
                first_rank=float(first[at]),
                last_rank=float(last[at]),
            )
            for at in (*order[:half], *order[len(order) - half :])
        ]
    return found


def _ends(looks: Sequence[Look], run: str) -> tuple[int, int] | None:
    """Places of a run's first and last checkpoint; None for a run of one."""
    at = sorted((look.step, place) for place, look in enumerate(looks) if look.run == run)
    return (at[0][1], at[-1][1]) if len(at) > 1 else None
