"""What reward models choose among a policy's answers: `consequences.json`, and `rewards/*.json`."""

from typing import Literal

from birthmark.records.base import Record, Row, Shown
from birthmark.records.scores import Digests

Rule = Literal["soft", "best"]
Rate = Literal["per_thousand_words", "share_of_answers"]


class AnswerRewards(Record):
    """`rewards/<slug>.json`: what scored the answers. `n_unknown`: answers with text that its tokenizer cannot write."""

    model: str
    slug: str
    family: str | None
    base_checkpoint: str | None
    digests: Digests
    dtype: str
    device: str
    head: str | None
    read_token: str | None
    n_answers: int
    n_unknown: int
    random_heads: int
    seconds: float
    key: str
    warnings: list[str] = []


class PolicyFacts(Record):
    """What answered, and how it was asked. `served`: its answers came from a server."""

    model: str
    weights: str
    served: bool
    n: int
    max_tokens: int
    temperature: float
    seed: int


class AnswerCounts(Record):
    """What the policy said. `cut`: answers that reached the limit; `repeated`: those equal to an earlier one to the same
    question; `in_circles`: over half of their runs of four words stand earlier in them; `settled`: questions to all of which
    answers are equal, so that nothing can be chosen."""

    questions: int
    answers: int
    empty: int
    cut: int
    repeated: int
    in_circles: int
    settled: int
    words: int
    mean_words: float
    mean_tokens: float


class Chooser(Record):
    """One reward model. `beta` sets the KL of its soft choice; `kl_best` is the mean KL of best-of-n, with ties shared.

    `mean_words_…`: of what it chooses softly, as it is and with length held fixed; `length_r`: the correlation of reward and
    log(1 + words) within questions; `length_slope`: reward per unit of the latter.
    """

    model: str
    slug: str
    family: str | None
    base_checkpoint: str | None
    beta: float
    beta_length_fixed: float
    kl_soft: float
    kl_best: float
    reward_sd: float
    length_r: float | None
    length_slope: float
    mean_words_soft: float
    mean_words_best: float
    mean_words_length_fixed: float
    unknown_answers: int
    equal_questions: int


class Shift(Record):
    """How a category's rate differs between what a reward model chooses and what the policy said.

    Rates are words per 1,000 words, or the share (0 to 1) of answers with any. `about`: the group of questions, null for all.
    `se` and the interval are over questions. `p_shuffled`: of shifts with rewards shuffled within questions, the share at
    least as far from 0; `p_adjusted`: Holm's over the reward models and categories of one lexicon, rule, rate and handling of
    length; `p_heads`: the share of random heads on the same states. `detectable`: the true shift that this standard error
    finds at .05 with 80% power.
    """

    model: str
    lexicon: str
    category: str
    rule: Rule
    rate: Rate
    length_fixed: bool
    about: str | None
    policy: float | None
    chosen: float | None
    shift: float | None
    se: float | None
    ci_low: float | None
    ci_high: float | None
    detectable: float | None
    shuffled_low: float | None
    shuffled_high: float | None
    p_shuffled: float | None
    p_adjusted: float | None
    heads_low: float | None
    heads_high: float | None
    p_heads: float | None
    shift_why: str | None
    se_why: str | None


class ShiftDifference(Record):
    """The soft shift of `a` less that of `b`, in words per 1,000; p swaps the two labels within questions."""

    a: str
    b: str
    lexicon: str
    category: str
    length_fixed: bool
    difference: float
    se: float | None
    ci_low: float | None
    ci_high: float | None
    detectable: float | None
    p_swapped: float
    n_swaps: int
    exact: bool
    se_why: str | None


class FamilyShift(Record):
    """Soft shifts of two families, means over base checkpoints, in words per 1,000: `family_b` less `family_a`."""

    lexicon: str
    category: str
    family_a: str
    family_b: str
    n_units: dict[str, int]
    difference: float | None
    p_exact: float | None
    count: int | None
    n_splits: int | None
    min_p: float | None
    difference_why: str | None


class LinkPoint(Record):
    model: str
    contrast: float
    shift: float


class ShiftLink(Record):
    """The one-word contrast of each reward model (ranks) and its soft shift of the first category less the second.

    Spearman's ρ and its permutation p are null with fewer than six reward models.
    """

    lexicon: str
    categories: list[str]
    points: list[LinkPoint]
    points_why: str | None = None
    rho: float | None
    p: float | None
    n_orders: int | None
    rho_why: str | None


class WordRate(Record):
    """A word's rate per 1,000 words in what was said and in what a reward model chooses softly; `t` is shift / se."""

    model: str
    word: str
    categories: list[str]
    n_answers: int
    policy: float
    chosen: float
    shift: float
    t: float | None


class ExamplePair(Record):
    """One question, drawn by the seed: what two reward models choose (best of n), and an answer drawn at random.

    With a single reward model, `b` and its choice are null.
    """

    question: str
    text: str
    a: str
    chosen_by_a: str
    b: str | None
    chosen_by_b: str | None
    same: bool
    policy: str


class Consequences(Shown, Record):
    """`consequences.json`. `kl_target`: nats, the mean KL from the policy that every soft choice has."""

    policy: PolicyFacts
    questions: str
    abouts: dict[str, int]
    lexicons: list[str]
    kl_target: float
    draws: int
    random_heads: int
    counts: AnswerCounts
    choosers: list[Chooser]
    shifts: list[Shift]
    differences: list[ShiftDifference]
    families: list[FamilyShift]
    families_why: str | None
    links: list[ShiftLink]
    words: list[WordRate]
    examples: list[ExamplePair]
    sentences: list[str]
    warnings: list[str] = []

    def summary(self) -> str:
        return " ".join(self.sentences)

    def rows(self) -> list[Row]:
        """A row a shift."""
        return [item.model_dump() for item in self.shifts]


class AnswersPlan(Record):
    """A row of `consequences --dry-run`: what a model would do, about how long and in how much memory."""

    model: str
    role: Literal["policy", "reward model"]
    questions: int
    answers: int
    answers_kept: bool
    device: str
    dtype: str
    parameters: int | None
    seconds: float | None
    memory_bytes: int | None
    free_bytes: int
    fits: bool | None
