"""What scoring gives: the scores after one prompt, and how far a sample of them lies from another way. No torch."""

from dataclasses import dataclass

import numpy as np

from birthmark.records import Mass


@dataclass(frozen=True)
class PromptScores:
    """Scores after one prompt, float32 [candidates]; `context_ids` of an RM are those common to all candidates."""

    scores: np.ndarray
    context_ids: list[int]
    mass: Mass | None = None


@dataclass(frozen=True)
class Sample:
    """One answer of a language model; `tokens` counts those drawn before its end, and `finished` is false at the limit."""

    text: str
    tokens: int
    finished: bool


@dataclass(frozen=True)
class Sampling:
    """How many answers to each question are drawn, how long each may be, and how."""

    n: int
    max_tokens: int
    temperature: float
    seed: int


@dataclass(frozen=True)
class Verification:
    """Largest difference between what was scored and another way, over a sample; NaN where a score is NaN."""

    max_abs_diff: float
    bound: float
    seconds: float

    @property
    def passed(self) -> bool:
        return self.max_abs_diff <= self.bound  # False for NaN


def sample_rows(n_tokens: int, n_words: int, sample: int, seed: int) -> np.ndarray:
    """Row numbers, half of words and half of tokens where there are enough of both, sorted."""
    generator = np.random.default_rng(seed)
    of_words = min(n_words, max(sample // 2, sample - n_tokens))
    words = generator.choice(n_words, of_words, replace=False) if of_words else np.array([], dtype=int)
    of_tokens = min(n_tokens, sample - of_words)
    tokens = generator.choice(n_tokens, of_tokens, replace=False) if of_tokens else np.array([], dtype=int)
    return np.sort(np.concatenate([tokens, words + n_tokens]).astype(np.int64))
