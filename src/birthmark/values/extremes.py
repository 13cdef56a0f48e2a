"""Where every candidate stands within a model and framing: its ranks over the framing's prompts, the best and the worst.

Vocabulary rows rank among vocabulary rows and words among words: a word's probability is a sum over its forms, a
token's is its own. Knows nothing of lexicons, families or of how a standing is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from birthmark.records import Framing
from birthmark.scores import ScoreTable
from birthmark.values.ranks import rank

QUANTILE_SHARES = np.unique(np.concatenate([np.linspace(0.0, 1.0, 101), np.geomspace(1e-5, 1e-2, 31)]))


@dataclass(frozen=True)
class Standings:
    """One model's candidates after one framing's prompts (null: prompts without a framing).

    `frame` has a row a candidate in the table's order: `candidate`, `token_id`, float64 `mean_rank`, `median_rank` over
    the prompts, and `mean_score`. Ranks are among these `frame.height` candidates, 1 is best.
    """

    model: str
    framing: Framing | None
    prompts: tuple[str, ...]
    frame: pl.DataFrame

    def top(self, n: int) -> pl.DataFrame:
        """The `n` candidates with the best mean rank, best first; equal ones in the table's order."""
        return self.frame.sort("mean_rank", maintain_order=True).head(n)

    def bottom(self, n: int) -> pl.DataFrame:
        """The `n` candidates with the worst mean rank, worst first; equal ones in the table's order."""
        return self.frame.sort("mean_rank", descending=True, maintain_order=True).head(n)

    def quantiles(self) -> np.ndarray:
        """`median_rank` at `QUANTILE_SHARES` of the candidates, best first: float64, one a share.

        A share is that of the candidates with a better median rank; the shares are closest together at the top.
        """
        return np.quantile(self.frame["median_rank"].to_numpy(), QUANTILE_SHARES)


def framings(table: ScoreTable) -> list[Framing | None]:
    """The framings of a table's prompts: `positive`, `negative`, null, in this order, those that occur."""
    given = {table.prompts[key].framing for key in table.prompt_keys}
    order: list[Framing | None] = ["positive", "negative", None]
    return [framing for framing in order if framing in given]


def standings(table: ScoreTable, rows: pl.DataFrame) -> list[Standings]:
    """The standings of `rows` (`table.tokens` or `table.words`) within each of the table's framings.

    Scores become ranks within each prompt (ties averaged); a candidate's standing is their mean and their median over
    the framing's prompts. No rows, no standings. Raises `BirthmarkError` for scores that are NaN or infinite.
    """
    if rows.is_empty():
        return []
    return [_standing(table, rows, framing) for framing in framings(table)]


def _standing(table: ScoreTable, rows: pl.DataFrame, framing: Framing | None) -> Standings:
    prompts = tuple(key for key in table.prompt_keys if table.prompts[key].framing == framing)
    scores = rows.select(prompts).to_numpy()  # [candidates, prompts]
    ranks = rank(scores)
    frame = rows.select("candidate", "token_id").with_columns(
        mean_rank=pl.Series(ranks.mean(axis=1)),
        median_rank=pl.Series(np.median(ranks, axis=1)),
        mean_score=pl.Series(scores.mean(axis=1, dtype=np.float64)),
    )
    return Standings(table.record.slug, framing, prompts, frame)


def shared_candidates(frames: Sequence[pl.DataFrame]) -> list[str]:
    """Texts that occur as a candidate in every one of `frames`, in the first one's order, each once."""
    if not frames:
        return []
    shared = frames[0]["candidate"].unique(maintain_order=True)
    for frame in frames[1:]:
        shared = shared.filter(shared.is_in(frame["candidate"].unique().to_list()))
    return shared.to_list()


def best_of_each(frame: pl.DataFrame, candidates: Sequence[str]) -> np.ndarray:
    """The median rank of each of `candidates`, of duplicates the best: float64 [candidates]; each must be in `frame`."""
    best = frame.group_by("candidate").agg(pl.col("median_rank").min())
    wanted = pl.DataFrame({"candidate": list(candidates)}, schema={"candidate": pl.String})
    return wanted.join(best, on="candidate", how="left", maintain_order="left")["median_rank"].to_numpy()
