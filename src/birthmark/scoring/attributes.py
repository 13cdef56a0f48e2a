"""A reward model attribute by attribute: the reward of every candidate beside the scores that its head joins to it.

Knows a model, what is asked of it (`Measure`) and where the table goes; which attributes there are is the head's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.files import atomic_path
from birthmark.progress import note, progress_bar

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
    from birthmark.models.loading import load_if_it_fits
    from birthmark.models.machine import choose_device, choose_dtype, release_memory
    from birthmark.models.resolve import load_tokenizer
    from birthmark.models.scorers import RewardScorer, make_scorer

    if model.kind != "reward":
        raise BirthmarkError(
            f"{model.name} is a language model, and attributes are a reward model's: leave out --attributes"
        )
    device = choose_device(measure.device)
    dtype = choose_dtype(measure.dtype, device, model.entry.dtype if model.entry else None)
    candidates = measure.candidates_for("reward")
    note(f"{model.slug}: loading", quiet=measure.quiet)
    try:
        scorer = make_scorer(
            load_if_it_fits(
                model, dtype=dtype, device=device, quantize=measure.quantize, device_map=measure.device_map
            ),
            load_tokenizer(model),
            kind="reward",
            words=candidates.words,
            vocabulary=candidates.vocabulary,
            frame="chat",
            protocol=measure.protocol,
            engine="plain" if measure.device_map else measure.engine,
            template_date=measure.template_date,
            system=measure.prompts.system,
        )
        assert isinstance(scorer, RewardScorer)
        names = scorer.head.attributes
        prompts = measure.prompts.prompts
        tables = [
            _table(key, scorer.candidates, scorer.score_attributes(prompts[key].text), names)
            for key in progress_bar(list(prompts), model.slug, unit="prompts", quiet=measure.quiet)
        ]
    finally:
        release_memory()
    found = AttributeScores(model.name, scorer.head.name, names, pl.concat(tables))
    return found if out is None else _written(found, out / "attributes" / f"{model.slug}.parquet")


def _table(prompt: str, candidates: pl.DataFrame, scores: Any, names: tuple[str, ...]) -> pl.DataFrame:
    columns = [pl.Series(name, scores[:, index]) for index, name in enumerate(("reward", *names))]
    return candidates.select(pl.lit(prompt).alias("prompt"), "candidate", "token_id").with_columns(columns)


def _written(found: AttributeScores, path: Path) -> AttributeScores:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        found.frame.write_parquet(temporary)
    return AttributeScores(found.model, found.head, found.attributes, found.frame, path)
