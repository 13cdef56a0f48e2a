"""How much of reward models' values each earlier stage holds: `stages/<lexicon>.json`.

One number a word and model: its mean rank over positive prompts less that over negative ones; of a gap, that of family
b less that of family a. Correlations and explained variances are over the lexicon's words, after ranking these numbers.
"""

from birthmark.records.base import Record
from birthmark.shown import Row, Shown


class StageFit(Record):
    """What one stage says of the reward model's words, intervals over word stems.

    `spearman` of this stage alone, with its interval and the 95% of the null; `r_squared` explained by this stage and
    those before it, `added` beyond those before it, `added_ci_low` and `…_high` its interval, `added_null` the mean of
    what a random head's words give. `p_null`: how often a random head correlates at least as much, in size.
    """

    stage: str
    models: list[str]
    spearman: float
    ci_low: float
    ci_high: float
    null_low: float | None
    null_high: float | None
    p_null: float | None
    r_squared: float
    added: float
    added_ci_low: float
    added_ci_high: float
    added_null: float | None
    added_p_null: float | None


class StagesOf(Record):
    """The stages of one family's reward models, or of the gap between two families (`of` is then `b − a`).

    `left` is the share of variance that no earlier stage explains: what came with the preference data, and noise.
    """

    of: str
    reward_models: list[str]
    n_words: int
    stages: list[StageFit]
    left: float
    left_ci_low: float
    left_ci_high: float
    n_heads: int | None
    null_why: str | None
    sentence: str


class Stages(Shown, Record):
    """`stages/<lexicon>.json`: families first, then the gap where there are two."""

    lexicon: str
    families: list[str]
    found: list[StagesOf]
    gap_why: str | None = None
    warnings: list[str] = []

    def summary(self) -> str:
        return " ".join(item.sentence for item in self.found)

    def rows(self) -> list[Row]:
        """A row a family (or gap) and stage."""
        return [{"of": item.of, **stage.model_dump()} for item in self.found for stage in item.stages]
