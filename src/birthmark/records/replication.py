"""The published study done again: `replication.json`."""

from typing import Literal

from birthmark.records.base import Framing, Record, Row, Shown
from birthmark.records.effects import Effects

Verdict = Literal["holds", "partly", "fails", "not testable here"]
PairSource = Literal["uf", "skywork", "uf+skywork"]
Loss = Literal["BT", "GRM"]


class Claim(Record):
    """One claim of the published study. `reproduced`: do its numbers come out of the published files; `supported`: does
    it hold at the level of base checkpoints (null where it doesn't speak of model families, or the files cannot say).
    """

    id: str
    claim: str
    published: str
    reproduced: bool | None
    supported: bool | None
    verdict: Verdict
    sentence: str


class DataNote(Record):
    """An issue in a published file, found by a check: what was found, and what it changes in the result."""

    check: str
    file: str
    column: str | None
    words: list[str] = []
    finding: str
    effect: str


class Figure4bPoint(Record):
    """The last saved step of one trained reward model, in one category."""

    pairs_thousands: int
    source: PairSource
    loss: Loss
    family: str
    category: str
    final_step: int
    median_rank: float
    model_id: str
    file: str


class TrainingPoint(Record):
    """Median rank of a category at one saved step of one of the study's own training runs."""

    file: str
    model_id: str
    family: str
    category: str
    step: int
    median_rank: float


class PromptMedians(Record):
    """A model's median ranks of one category after each prompt of a framing: the dots of figure A1."""

    model: str
    family: str
    category: str
    framing: Framing
    median_ranks: list[float]


class LogprobMedian(Record):
    """Figure 2: one language model's median rank of a category after one prompt."""

    model: str
    family: str
    stage: Literal["pretrained", "instruct"]
    category: str
    framing: Framing
    prompt: str
    median_rank: float


class MwlrPair(Record):
    """Figure 3: mean MWLR of the forms of two words, Llama over Gemma, for one pair of language models."""

    gemma: str
    llama: str
    freedom: float
    love: float


class MwlrToken(Record):
    """Table 1: a token's place by MWLR, from 1 (most preferred by Llama 3.2 3B over Gemma 2 2B) down."""

    place: int
    token: str
    mwlr: float


class WordMove(Record):
    """Figure 5: a noun's rank at the first and at the last saved step of a training run."""

    family: str
    word: str
    category: str
    first_rank: float
    last_rank: float


class Replication(Shown, Record):
    """`replication.json`: the published study done again. Figures whose files are absent are empty lists."""

    data: str
    not_as_published: list[str] = []
    figure_1a: Effects
    figure_1b_as_published: Effects
    figure_1b_all_columns: Effects
    figure_a1a: list[PromptMedians]
    figure_a1b: list[PromptMedians]
    figure_2: list[LogprobMedian] = []
    figure_3: list[MwlrPair] = []
    table_1: list[MwlrToken] = []
    figure_4a: list[TrainingPoint]
    figure_4b: list[Figure4bPoint]
    figure_5: list[WordMove] = []
    claims: list[Claim]
    data_notes: list[DataNote]

    def summary(self) -> str:
        verdicts = [claim.verdict for claim in self.claims]
        said = ", ".join(f"{verdicts.count(name)} {name}" for name in dict.fromkeys(verdicts))
        return f"{len(verdicts)} claims: {said}; {len(self.data_notes)} issues in the published files"

    def rows(self) -> list[Row]:
        """A row a claim."""
        return [claim.model_dump() for claim in self.claims]
