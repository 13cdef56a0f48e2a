"""The implicit reward of a pair of language models (`implicit/*.json`) and of a grid of pairs (`grid.json`)."""

from typing import Literal

from birthmark.records.base import Framing, Record, Row, Shown
from birthmark.stats.results import AnovaTerm


class CandidateReward(Record):
    candidate: str
    logprob_a: float
    logprob_b: float
    log_ratio: float
    mwlr: float


class ImplicitPrompt(Record):
    """The implicit reward after one prompt: what `b` prefers over `a` is on top.

    `mass_a` and `mass_b`: each model's probability on the `n_shared` candidates that are compared; `set_aside_mass_…`: on
    shared candidates that are not (Markdown, punctuation or white space on request, or impossible in one model).
    `text_top` and `text_bottom`: the ends of those with a letter, a digit or another sign of a script and without a line
    break; `n_signs`: the others, punctuation, white space and line breaks. `words_top` and `words_bottom` are the lexicons' words, forms summed and several tokens by the chain rule.
    """

    prompt: str
    n_shared: int
    mass_a: float
    mass_b: float
    set_aside_mass_a: float = 0.0
    set_aside_mass_b: float = 0.0
    top: list[CandidateReward]
    bottom: list[CandidateReward]
    text_top: list[CandidateReward] = []
    text_bottom: list[CandidateReward] = []
    n_signs: int = 0
    words_top: list[CandidateReward] = []
    words_bottom: list[CandidateReward] = []
    category_means: dict[str, dict[str, dict[str, float]]]


class Implicit(Shown, Record):
    """`implicit/<a>..<b>.json`; `category_means`: lexicon → category → metric → mean over the words' rows.

    `set_aside`: rows (candidate × prompt) with probability zero in one of the models, `set_aside_texts`: candidates left out
    on request, by sort. `folded`: every row is the mean over the variants of a text in case and leading space.
    """

    a: str
    b: str
    slug_a: str | None = None
    slug_b: str | None = None
    frame_a: str | None
    frame_b: str | None
    metrics: list[str]
    duplicates: Literal["max", "sum"]
    folded: bool = False
    prompts: list[ImplicitPrompt]
    n_only_a: int
    n_only_b: int
    set_aside: int = 0
    set_aside_texts: dict[str, int] = {}
    identical: bool = False
    warnings: list[str] = []

    def summary(self) -> str:
        held = "; ".join(f"{p.prompt}: {p.n_shared:,} shared candidates" for p in self.prompts)
        return f"what {self.b} prefers over {self.a} ({held})"

    def rows(self) -> list[Row]:
        """The candidates on top and at the bottom after each prompt, best first; the Parquet file has all of them."""
        return [
            {"prompt": prompt.prompt, "end": end, **reward.model_dump()}
            for prompt in self.prompts
            for end, rewards in (("top", prompt.top), ("bottom", prompt.bottom))
            for reward in rewards
        ]


class GridSide(Record):
    """`name` is the models' family where they are all of one, and of another than the other side's."""

    name: str
    models: list[str]
    base_checkpoints: list[str]


class PairRewards(Record):
    """One pair after the grid's `prompt`; `file` is the stem of its Parquet and JSON in `implicit/`."""

    a: str
    b: str
    file: str
    n_shared: int
    mass_a: float
    mass_b: float
    top: list[CandidateReward]
    bottom: list[CandidateReward]


class WordPair(Record):
    """MWLR of the two words in one pair of models; `gap` is the second word's less the first's."""

    a: str
    b: str
    first: float
    second: float
    gap: float


class PairTest(Record):
    """The mean gap of one metric over all pairs, and how many of them it is above zero in.

    `p_exact` and `p_exact_positive`: the share of all splits of the units into two sides of these sizes that give a mean,
    or a surplus of pairs of one sign, at least this far from zero. `p_if_independent`: the sign test that takes the pairs
    for independent, for comparison only.
    """

    metric: str
    mean_gap: float
    positive: int
    n_pairs: int
    unit: Literal["base_checkpoint", "model"]
    n_units: dict[str, int]
    p_exact: float
    count: int
    n_splits: int
    min_p: float
    p_exact_positive: float
    p_if_independent: float


class WordGap(Record):
    """Two words in every pair of models (figure 3): `source` says whether `tokens` or whole `words` were looked up.

    `variants`: word → the token texts that it is the mean of; all are in every vocabulary.
    """

    first: str
    second: str
    source: Literal["tokens", "words"]
    variants: dict[str, list[str]]
    n_shared: int
    pairs: list[WordPair]
    tests: list[PairTest]
    sentence: str


class GridMedian(Record):
    """Median rank of a category's words in one model after one prompt, among the words that all models' tables have."""

    model: str
    side: str
    category: str
    framing: Framing
    prompt: str
    median_rank: float


class GridCell(Record):
    """Second side less first, in median ranks: over model × prompt (Welch), and over models (labels permuted)."""

    category: str
    framing: Framing
    mean_a: float
    mean_b: float
    difference: float
    cohens_d: float | None
    welch_t: float | None
    welch_df: float | None
    welch_p: float | None
    p_fdr: float | None
    model_exact_p: float
    model_exact_count: int
    model_exact_splits: int


class GridLevel(Record):
    """The three-way interaction over units: each has one framing contrast a category, and the sides' labels are permuted.

    `estimate`: with two categories, second side less first of (first − second category, positive − negative), in ranks.
    """

    unit: Literal["base_checkpoint", "model"]
    n_units: dict[str, int]
    estimate: float | None
    p_exact: float
    count: int
    n_splits: int
    min_p: float


class GridLexicon(Record):
    """Median ranks of a lexicon's words after every prompt with a framing (figure 2)."""

    lexicon: str
    source: Literal["tokens", "words"]
    n_words: int
    categories: list[str]
    medians: list[GridMedian]
    anova: list[AnovaTerm] | None
    anova_why: str | None
    cells: list[GridCell]
    level: GridLevel | None
    sentence: str


class ImplicitGrid(Shown, Record):
    """`grid.json`. `prompt` is that of the pairs and the words; the lexicons take all prompts that have a framing."""

    a: GridSide
    b: GridSide
    frames: dict[str, str | None]
    prompts: list[str]
    prompt: str
    duplicates: Literal["max", "sum"]
    folded: bool
    set_aside: list[str]
    pairs: list[PairRewards]
    words: WordGap | None
    words_why: str | None
    lexicons: list[GridLexicon]
    lexicons_why: str | None = None
    warnings: list[str] = []

    def pairs_said(self) -> str:
        if len(self.pairs) == 1:
            return "One pair of models."
        return f"{len(self.pairs)} pairs of {len(self.a.models)} × {len(self.b.models)} models."

    def summary(self) -> str:
        said = [self.words.sentence] if self.words else []
        return " ".join([self.pairs_said(), *said, *(item.sentence for item in self.lexicons)])

    def rows(self) -> list[Row]:
        """Table 1 of every pair: the candidates on top and at the bottom, from the end inwards."""
        return [
            {"a": pair.a, "b": pair.b, "prompt": self.prompt, "end": end, "place": place, **reward.model_dump()}
            for pair in self.pairs
            for end, rewards in (("top", pair.top), ("bottom", pair.bottom))
            for place, reward in enumerate(rewards, start=1)
        ]
