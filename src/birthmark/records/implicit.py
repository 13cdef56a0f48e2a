"""The implicit reward between two language models: `implicit/<a>..<b>.json`."""

from typing import Literal

from birthmark.records.base import Record
from birthmark.shown import Row, Shown


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
    `words_top` and `words_bottom` are the lexicons' words, forms summed and several tokens by the chain rule.
    """

    prompt: str
    n_shared: int
    mass_a: float
    mass_b: float
    set_aside_mass_a: float = 0.0
    set_aside_mass_b: float = 0.0
    top: list[CandidateReward]
    bottom: list[CandidateReward]
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
