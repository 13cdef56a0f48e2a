"""What `birthmark track` writes beside `trajectory.parquet`: `track.json` (what is drawn) and `random-heads/*.json`."""

from birthmark.records.base import Framing, Kind, Record
from birthmark.shown import Row, Shown


class TrackedRun(Record):
    """One series of checkpoints; what nobody recorded of its training is null. `batch` counts pairs a step.

    `tables` are the score tables' slugs, one a step.
    """

    run: str
    path: str
    kind: Kind
    base: str
    family: str
    source: str | None
    pairs: int | None
    loss: str | None
    seed: int | None
    batch: int | None
    steps: list[int]
    tables: list[str]


class TrackPoint(Record):
    """Mean over a framing's prompts of a category's median rank at one step."""

    run: str
    step: int
    lexicon: str
    category: str
    framing: Framing
    median_rank: float


class WordMoved(Record):
    """A word's mean rank where good things are asked for, at the first and the last step; means over a base's runs."""

    lexicon: str
    base: str
    word: str
    categories: list[str]
    first_rank: float
    last_rank: float


class RandomHeads(Record):
    """Random heads on one base: the Parquet file of this name has `word`, then a column a head.

    A value is the word's mean rank over positive prompts less that over negative ones, under a head drawn from a normal
    distribution.
    """

    base: str
    family: str
    lexicon: str
    n_heads: int
    seed: int
    prompts: list[str]
    key: str


class Track(Shown, Record):
    """`track.json`: the runs, their points and the words that moved most (a base's rises, then its falls)."""

    runs: list[TrackedRun]
    lexicons: list[str]
    points: list[TrackPoint]
    moved: list[WordMoved]
    heads: list[RandomHeads]
    sentences: list[str] = []
    warnings: list[str] = []

    def summary(self) -> str:
        looks = sum(len(run.steps) for run in self.runs)
        return " ".join([f"{looks} checkpoints of {len(self.runs)} runs.", *self.sentences])

    def rows(self) -> list[Row]:
        """A row a run, step, lexicon, category and framing."""
        return [point.model_dump() for point in self.points]


class TrackPlan(Record):
    """What a dry run of `track` says of one run: its checkpoints' steps, how many are scored, what the rest would take.

    Null where nobody recorded the base, or its size is not known before it is fetched.
    """

    run: str
    base: str | None
    steps: list[int]
    scored: int
    prompts: int
    words: int | None
    device: str
    seconds: float | None
    memory_bytes: int | None
    free_bytes: int | None
