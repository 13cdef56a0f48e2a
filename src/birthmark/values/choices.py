"""A policy's answers and the reward models that choose among them: weights by each rule, and a lexicon's words counted.

A reward model chooses by one of two rules: the best of the n answers, or softly, by weights ∝ exp(reward / β) with the β at
which the mean KL from the policy is the same for every reward model. Each is also done with rewards less what length explains.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import AnswerCounts, AnswerRewards, Chooser, Rate, Rule
from birthmark.stats.selection import (
    SoftChoice,
    best_of_n,
    best_of_n_kl,
    kl_from_policy,
    soft_choice,
    soft_weights,
    within_correlation,
    without_covariate,
)
from birthmark.values.answer_words import AnswerWords, category_words, goes_in_circles

PER_THOUSAND = 1_000.0


@dataclass(frozen=True)
class Said:
    """A policy's answers: texts [questions][n], whether each is finished, and each question's group."""

    keys: tuple[str, ...]
    questions: tuple[str, ...]
    abouts: tuple[str | None, ...]
    texts: list[list[str]]
    tokens: np.ndarray
    finished: np.ndarray

    @cached_property
    def words(self) -> AnswerWords:
        return AnswerWords.of(self.texts)

    @property
    def n(self) -> int:
        return len(self.texts[0])

    @property
    def lengths(self) -> np.ndarray:
        """log(1 + words) [questions, n]."""
        return np.log1p(self.words.totals)

    @property
    def uniform(self) -> np.ndarray:
        """The policy's own weights."""
        return np.full(self.words.totals.shape, 1 / self.n)

    def counts(self) -> AnswerCounts:
        """What the policy said, with what is of little use. Raises `BirthmarkError` where there is nothing to choose among."""
        flat = [text for group in self.texts for text in group]
        settled = sum(len(set(group)) == 1 for group in self.texts)
        if not any(flat):
            raise BirthmarkError(
                "the policy's answers are all empty: try another policy or chat template (--chat-template)"
            )
        if settled == len(self.texts):
            raise BirthmarkError(
                "the policy gives one answer to each question, again and again, so that nothing can be chosen: raise "
                "--temperature, or try another policy"
            )
        if not self.words.totals.sum():
            raise BirthmarkError("the policy's answers have no words at all: try another policy or chat template")
        return AnswerCounts(
            questions=len(self.texts),
            answers=len(flat),
            empty=sum(not text for text in flat),
            cut=int((~self.finished).sum()),
            repeated=sum(len(group) - len(set(group)) for group in self.texts),
            in_circles=sum(goes_in_circles(answer) for group in self.words.words for answer in group),
            settled=settled,
            words=int(self.words.totals.sum()),
            mean_words=float(self.words.totals.mean()),
            mean_tokens=float(self.tokens.mean()),
        )


@dataclass(frozen=True)
class Judge:
    """One reward model with its rewards [questions, n] and those of random heads [heads, questions, n]."""

    record: AnswerRewards
    rewards: np.ndarray
    heads: np.ndarray
    lengths: np.ndarray
    kl: float
    name: str
    weights: dict[tuple[Rule, bool], np.ndarray] = field(init=False)
    soft: SoftChoice = field(init=False)
    soft_fixed: SoftChoice = field(init=False)

    def __post_init__(self) -> None:
        try:
            soft = soft_choice(self.rewards, self.kl)
            fixed = soft_choice(self.fixed, self.kl)
        except BirthmarkError as error:
            raise BirthmarkError(f"{self.name}: {error}") from None
        object.__setattr__(self, "soft", soft)
        object.__setattr__(self, "soft_fixed", fixed)
        weights = {
            ("soft", False): soft.weights,
            ("soft", True): fixed.weights,
            ("best", False): best_of_n(self.rewards),
            ("best", True): best_of_n(self.fixed),
        }
        object.__setattr__(self, "weights", weights)

    @cached_property
    def fixed(self) -> np.ndarray:
        """The rewards less what length explains."""
        return without_covariate(self.rewards, self.lengths)[0]

    def head_weights(self, rule: Rule, length_fixed: bool) -> np.ndarray:
        """What random heads choose [heads, questions, n]; heads whose rewards are too equal for the KL are left out."""
        values = self.heads
        if length_fixed:
            values = np.array([without_covariate(rewards, self.lengths)[0] for rewards in self.heads])
        if rule == "best":
            return np.array([best_of_n(rewards) for rewards in values])
        weights, betas = soft_weights(values, self.kl)
        return weights[np.isfinite(betas)]

    def chooser(self, said: Said) -> Chooser:
        words = said.words.totals

        def mean_words(rule: Rule, fixed: bool) -> float:
            return float((self.weights[rule, fixed] * words).sum(axis=1).mean())

        return Chooser(
            model=self.name,
            slug=self.record.slug,
            family=self.record.family,
            base_checkpoint=self.record.base_checkpoint,
            beta=self.soft.beta,
            beta_length_fixed=self.soft_fixed.beta,
            kl_soft=self.soft.kl,
            kl_best=float(kl_from_policy(self.weights["best", False]).mean()),
            reward_sd=float(self.rewards.std(axis=1, ddof=1).mean()),
            length_r=within_correlation(self.rewards, self.lengths),
            length_slope=without_covariate(self.rewards, self.lengths)[1],
            mean_words_soft=mean_words("soft", False),
            mean_words_best=mean_words("best", False),
            mean_words_length_fixed=mean_words("soft", True),
            unknown_answers=self.record.n_unknown,
            equal_questions=int((np.ptp(self.rewards, axis=1) == 0).sum()),
        )


def make_judges(
    records: Sequence[AnswerRewards], rewards: Sequence[tuple[np.ndarray, np.ndarray]], said: Said
) -> list[Judge]:
    """A judge a reward model; all choose softly at the KL of the best of n. Raises `BirthmarkError` that names the model.

    Models of one name, such as a folder whose weights were replaced, go by their slugs, which hold digits of their weights.
    """
    shape, kl = said.words.totals.shape, best_of_n_kl(said.n)
    names = Counter(record.model for record in records)
    return [
        Judge(
            record,
            values.reshape(shape),
            heads.reshape(-1, *shape),
            said.lengths,
            kl,
            record.model if names[record.model] == 1 else record.slug,
        )
        for record, (values, heads) in zip(records, rewards, strict=True)
    ]


@dataclass(frozen=True)
class Counted:
    """The words of a lexicon's categories in the answers: counts [categories, questions, n], and the words of each."""

    lexicon: str
    categories: tuple[str, ...]
    words: Mapping[str, frozenset[str]]
    counts: np.ndarray
    sizes: Mapping[str, int]

    @classmethod
    def of(cls, lexicon: Lexicon, said: Said) -> "Counted":
        words = category_words(lexicon, said.words.vocabulary)
        categories = lexicon.categories
        counts = said.words.counts([words[category] for category in categories])
        return cls(lexicon.name, categories, words, counts, lexicon.sizes())

    def rate(self, rate: Rate, totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is counted [categories, questions, n], and out of what [questions, n]."""
        if rate == "per_thousand_words":
            return PER_THOUSAND * self.counts, totals
        return (self.counts > 0).astype(float), np.ones_like(totals)
