"""Where one reward model stands among others: `among.json`, and the published ten's values, which come with birthmark."""

from typing import Literal

from birthmark.records.base import Framing, Record, Row, Shown


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


class OtherModel(ModelValues):
    """One of the models that another is placed among, and how far that one is from it.

    `distance`: root mean square of the differences of mean ranks over categories and framings, in ranks. `difference`: mine
    less this one's `mean_rank_contrast`, with a 95% interval over words where both were ranked word by word; `spearman`:
    rank correlation over the words, mean over prompts. These last are null where only published values are there.
    """

    distance: float
    difference: float | None
    difference_ci_low: float | None = None
    difference_ci_high: float | None = None
    spearman: float | None = None


class CategoryPlace(Record):
    """Where a model stands by what a category's mean rank gains when good things are asked for.

    `gain` is the mean rank after negative prompts less that after positive ones; `place` 1 is the largest gain. `others`:
    model → its gain. `percentile`: the share of the others with a smaller gain, in percent, ties half.
    """

    category: str
    gain: float
    place: int
    n_models: int
    percentile: float
    others: dict[str, float]


class Standing(Record):
    """Where one model stands among others under one lexicon; `others` from the nearest to the farthest.

    `place` of `n_models`, `mine` included, counts from the contrast that leans most towards the second category.
    `percentile`: the share of the others with a smaller contrast, in percent, ties half, with a 95% interval over words;
    `percentile_basis` says how. `n_bases_below` of the others' `n_bases` base checkpoints, each the mean of its models,
    have a smaller contrast; `share_low` to `share_high` is the exact 95% interval of that share, were they drawn at random.
    """

    model: str
    lexicon: str
    categories: list[str]
    n_words: int
    n_lexicon_words: int
    basis: Literal["score tables", "published values"]
    mine: ModelValues | None
    mine_why: str | None = None
    others: list[OtherModel]
    nearest: str | None
    place: int | None
    n_models: int
    percentile: float | None
    percentile_low: float | None
    percentile_high: float | None
    percentile_basis: Literal["words drawn again", "own interval"] | None
    n_bases_below: int | None
    n_bases: int
    share_low: float | None
    share_high: float | None
    by_category: list[CategoryPlace]
    sentence: str


class Among(Shown, Record):
    """`among.json`: where each reward model of an audit stands among the published ten, or among other score tables."""

    among: Literal["study", "tables"]
    source: str
    standings: list[Standing]
    warnings: list[str] = []

    def summary(self) -> str:
        return "\n".join(item.sentence for item in self.standings)

    def rows(self) -> list[Row]:
        """A row for each model that one is placed among, nearest first."""
        return [
            {
                "model": item.model,
                "lexicon": item.lexicon,
                "among": other.model,
                **other.model_dump(exclude={"model", "categories"}),
            }
            for item in self.standings
            for other in item.others
        ]


class ScoreDifference(Record):
    """A word's score after one prompt: own less published."""

    word: str
    prompt: str
    own: float
    published: float
    difference: float


class PublishedFile(Record):
    """Own scores beside those of one published file, over the words and prompts of that file.

    `as_published`: whether the file is that of the pinned commit, null where that has none of its name. `spearman` is the mean
    over prompts of the rank correlation over words, `spearman_lowest` that of `lowest_prompt`. `tolerance`: what rounding
    in the published precision and the published files' own differences can make; words that differ by more after some prompt
    are `n_differing`, each with its largest difference in `differing`, largest first.
    """

    file: str
    sha256: str
    as_published: bool | None
    n_words: int
    n_prompts: int
    spearman: float
    spearman_lowest: float
    lowest_prompt: str
    max_abs_diff: float
    mean_abs_diff: float
    tolerance: float
    n_differing: int
    differing: list[ScoreDifference]


class PublishedCheck(Shown, Record):
    """`models check NAME --published`: whether own scores of a published reward model are those that were published.

    `published_repeat`: the largest difference between the published files themselves, over words that two of them have;
    null where no word is in two. `reproduced`: whether `spearman` is .99 or more in every file.
    """

    model: str
    revision: str | None
    weights_sha256: str
    dtype: str
    device: str
    protocol: str
    published_dtype: str | None
    published_repeat: float | None
    files: list[PublishedFile]
    reproduced: bool
    sentence: str

    def summary(self) -> str:
        return self.sentence

    def rows(self) -> list[Row]:
        """A row a published file."""
        return [item.model_dump(exclude={"differing"}) for item in self.files]
