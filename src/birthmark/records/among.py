"""Where one reward model stands among others: `among.json`, and the published ten's values, which come with birthmark."""

from birthmark.records.base import Framing, Record


class CategoryRank(Record):
    """A category's rank in one model, over the prompts of a framing: means over prompts of mean and of median ranks."""

    category: str
    framing: Framing
    mean_rank: float
    mean_median_rank: float


class ModelValues(Record):
    """One model's values under a lexicon, its words ranked among themselves; 1 is best.

    `mean_rank_contrast` is of mean ranks, with its 95% interval over words (`ci_low`, `ci_high`); `contrast` is of median
    ranks, as the study published it. Both are null where the lexicon has more than two categories.
    """

    model: str
    family: str | None
    base_checkpoint: str | None
    contrast: float | None
    mean_rank_contrast: float | None
    ci_low: float | None
    ci_high: float | None
    categories: list[CategoryRank]


class LexiconValues(Record):
    """The values of several models under one lexicon.

    `sha256` is the lexicon's. `words` are those that were ranked, where not all of the lexicon's words were.
    """

    lexicon: str
    sha256: str
    categories: list[str]
    n_words: int
    words: list[str] | None
    models: list[ModelValues]


class PublishedValues(Record):
    """The published reward models' values, computed from the study's score files: facts, and none of the files' rows.

    `files`: path in the authors' repository → SHA-256 of what was read; `prompts`: the keys of the study's prompts.
    """

    source: str
    commit: str
    made_by: str
    files: dict[str, str]
    prompts: list[str]
    lexicons: list[LexiconValues]
