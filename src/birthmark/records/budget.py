"""How far a model's values have moved from a reference's: what `compare --budget` prints as JSON."""

from birthmark.records.base import Record


class WordShift(Record):
    """A word's change of mean rank against the reference, negative where it rose; `contrast` is positive − negative."""

    word: str
    categories: list[str]
    positive: float | None
    negative: float | None
    contrast: float | None


class BudgetCheck(Record):
    """One lexicon's quantity in the new model and in the reference; `moved` is |new − reference|, in ranks.

    For `median_rank` the values are those of the category and framing that moved most, named in `cell`. `words` are those
    that pulled most in the direction of the move.
    """

    lexicon: str
    quantity: str
    limit: float
    new: str
    reference: str
    new_value: float
    reference_value: float
    moved: float
    within: bool
    cell: str | None
    n_candidates: int
    words: list[WordShift]
    sentence: str
