"""How long a value gap between two bases lasts: `durability.json`.

A gap is b − a of mean-rank contrasts, in ranks, means over the runs of each base; bases are in the order of their
families. Intervals are 95% over word stems, with models and prompts fixed.
"""

from birthmark.records.base import Record


class GapPoint(Record):
    """The gap at one step. `pairs_seen` counts different pairs, `sd_seeds` is that of the gap's runs.

    `gap_of_medians` is the same of the contrast of median ranks. `outside_null`: beyond 95% of the random heads' gaps.
    """

    step: int
    pairs_seen: int | None
    gap: float
    ci_low: float | None
    ci_high: float | None
    gap_of_medians: float
    sd_seeds: float | None
    outside_null: bool | None


class HeadNull(Record):
    """Gaps between random heads on the two bases, averaged over as many heads as there are runs: 95% of them, and p.

    `p_final`: how often such a gap is at least as large as the last step's, (b + 1) / (m + 1).
    """

    n_heads: int
    low: float
    high: float
    p_final: float


class GapCurve(Record):
    """The gap over the steps that all runs of the two bases share, same source, pair count and loss.

    `start_step` is the first step after 0 whose gap is outside the null (without a null the first step of all). `below_step` and
    `below_pairs`: from there on the gap stays below `fraction` of that at the start. `settled_step`: from there on it stays
    within `tolerance` of its range around the last step's.
    """

    lexicon: str
    base_a: str
    base_b: str
    family_a: str
    family_b: str
    source: str | None
    pairs: int | None
    loss: str | None
    runs_a: list[str]
    runs_b: list[str]
    points: list[GapPoint]
    null: HeadNull | None
    null_why: str | None
    start_step: int | None
    start_gap: float | None
    start_why: str | None
    fraction: float
    below_step: int | None
    below_pairs: int | None
    below_why: str | None
    tolerance: float
    settled_step: int | None
    settled_pairs: int | None
    settled_why: str | None
    sentence: str


class FinalGap(Record):
    """The gap at the last shared step of the runs with this many pairs."""

    pairs: int
    step: int
    gap: float
    ci_low: float | None
    ci_high: float | None
    outside_null: bool | None


class QuantityCurve(Record):
    """Final gaps by pair count; `below_pairs`: from there on they stay below `fraction` of the smallest count's."""

    lexicon: str
    base_a: str
    base_b: str
    family_a: str
    family_b: str
    source: str | None
    loss: str | None
    finals: list[FinalGap]
    fraction: float
    below_pairs: int | None
    below_why: str | None


class Durability(Record):
    """`durability.json`."""

    unit: str = "ranks, b − a of mean-rank contrasts"
    curves: list[GapCurve]
    curves_why: str | None = None
    quantities: list[QuantityCurve]
    warnings: list[str] = []
