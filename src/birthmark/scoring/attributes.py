"""A reward model attribute by attribute: the reward of every candidate beside the scores that its head joins to it.

Only the local backend reads heads, so this is not a matter of `--backend`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.files import write_parquet
from birthmark.progress import progress_bar
from birthmark.scoring.backend import Job

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel
    from birthmark.scoring.measure import Measure


@dataclass(frozen=True)
class AttributeScores:
    """One row a prompt and candidate: `prompt`, `candidate`, `token_id` (null for a word), `reward`, one column an attribute.

    `path` is the Parquet file that holds the table, None where none was asked for.
    """

    model: str
    head: str
    attributes: tuple[str, ...]
    frame: pl.DataFrame
    path: Path | None = None

    def best(self, count: int) -> pl.DataFrame:
        """The candidates of the highest mean rewards over the prompts, the best first, with all means."""
        columns = ("reward", *self.attributes)
        means = self.frame.group_by("candidate", "token_id", maintain_order=True).agg(pl.col(columns).mean())
        return means.sort("reward", descending=True, maintain_order=True).head(count)

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "model": self.model,
            "head": self.head,
            "attributes": list(self.attributes),
            "path": str(self.path) if self.path else None,
            "scores": self.frame.to_dicts(),
        }


def score_attributes(model: "ResolvedModel", measure: "Measure", out: Path | None = None) -> AttributeScores:
    """Score every candidate after every prompt, attribute by attribute, in a pass of its own.

    With `out`, the table is written to `out/attributes/<slug>.parquet`. Raises `BirthmarkError` for a language model, a
    head with a single score, and where the weights exceed the memory there is.
    """
    from birthmark.scoring.local import LocalBackend

    if model.kind != "reward":
        raise BirthmarkError(
            f"{model.name} is a language model, and attributes are a reward model's: leave out --attributes"
        )
    job, prompts = Job(model, measure, "chat"), measure.prompts.prompts
    with LocalBackend().open(job) as session:
        head, names = session.facts.head or "", session.attributes
        tables = [
            _table(key, session.candidates, session.score_attributes(prompts[key].text), names)
            for key in progress_bar(list(prompts), model.slug, unit="prompts", quiet=measure.quiet)
        ]
    found = AttributeScores(model.name, head, names, pl.concat(tables))
    return found if out is None else _written(found, out / "attributes" / f"{model.slug}.parquet")


def _table(prompt: str, candidates: pl.DataFrame, scores: Any, names: tuple[str, ...]) -> pl.DataFrame:
    columns = [pl.Series(name, scores[:, index]) for index, name in enumerate(("reward", *names))]
    return candidates.select(pl.lit(prompt).alias("prompt"), "candidate", "token_id").with_columns(columns)


def _written(found: AttributeScores, path: Path) -> AttributeScores:
    write_parquet(found.frame, path)
    return AttributeScores(found.model, found.head, found.attributes, found.frame, path)
