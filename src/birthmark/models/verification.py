"""Is a score right? A sample is rescored by the plain engine and held to a bound, or compared with float32.

Knows a scorer only as something that scores rows with an engine of choice.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch
from scipy.stats import rankdata, spearmanr

from birthmark.errors import BirthmarkError
from birthmark.models.engine import Engine, PlainEngine
from birthmark.records import Kind, PrecisionCheck

FLOAT32_BOUND = 1e-4


@dataclass(frozen=True)
class Verification:
    """Largest difference between what was scored and the plain engine, over a sample; NaN where a score is NaN."""

    max_abs_diff: float
    bound: float
    seconds: float

    @property
    def passed(self) -> bool:
        return self.max_abs_diff <= self.bound  # False for NaN


class ScoresRows(Protocol):
    """What is needed of a scorer: its kind, model and engine, and float32 scores of some rows by any engine."""

    kind: Kind

    @property
    def model(self) -> Any: ...

    @property
    def engine(self) -> Engine: ...

    def score_rows(self, prompt_text: str, rows: np.ndarray, engine: Engine) -> np.ndarray: ...


def sample_rows(n_tokens: int, n_words: int, sample: int, seed: int) -> np.ndarray:
    """Row numbers, half of words and half of tokens where there are enough of both, sorted."""
    generator = np.random.default_rng(seed)
    of_words = min(n_words, max(sample // 2, sample - n_tokens))
    words = generator.choice(n_words, of_words, replace=False) if of_words else np.array([], dtype=int)
    of_tokens = min(n_tokens, sample - of_words)
    tokens = generator.choice(n_tokens, of_tokens, replace=False) if of_tokens else np.array([], dtype=int)
    return np.sort(np.concatenate([tokens, words + n_tokens]).astype(np.int64))


def verify_rows(
    scorer: ScoresRows, prompt_texts: Sequence[str], rows: np.ndarray, scored: Mapping[str, np.ndarray]
) -> Verification:
    """Score rows the plain way after each prompt and compare with `scored`, else with the scorer's own engine.

    float32: the bound is 1e-4, of rewards 1e-4 of their standard deviation where that is above one (a reward has no
    scale of its own, and rounding grows with it). Half precision: twice what the plain engine itself differs by, between batches of 1 and
    of 64, and where every layer's states are rounded otherwise (on some machines the first difference is nothing).
    """
    start = perf_counter()
    half = scorer.model.dtype in (torch.float16, torch.bfloat16)
    differences, own, scale = [], [0.0], 1.0
    for text in prompt_texts:
        found = scored[text][rows] if text in scored else scorer.score_rows(text, rows, scorer.engine)
        plain = scorer.score_rows(text, rows, PlainEngine(scorer.model))
        differences.append(np.abs(found - plain).max())
        if scorer.kind == "reward":
            scale = max(scale, float(plain.std()))
        if half:
            single = scorer.score_rows(text, rows, PlainEngine(scorer.model, batch_size=1))
            with perturb_rounding(scorer.model):
                other = scorer.score_rows(text, rows, PlainEngine(scorer.model))
            own += [float(np.abs(single - plain).max()), float(np.abs(other - plain).max())]
    return Verification(
        max_abs_diff=float(np.max(differences)),
        bound=max(FLOAT32_BOUND * scale, 2 * float(np.max(own))),
        seconds=perf_counter() - start,
    )


@contextmanager
def perturb_rounding(model: Any) -> Iterator[None]:
    """Within the block each number that a layer gives is moved by up to half of its last binary place, and rounded."""
    generator = torch.Generator().manual_seed(0)
    step = torch.finfo(model.dtype).eps

    def moved(states: torch.Tensor) -> torch.Tensor:
        shift = torch.rand(states.shape, generator=generator).to(states.device) - 0.5
        return (states.float() * (1 + step * shift)).to(states.dtype)

    def hook(layer: Any, given: Any, out: Any) -> Any:
        return (moved(out[0]), *out[1:]) if isinstance(out, tuple) else moved(out)

    hooks = [layer.register_forward_hook(hook) for layer in model.get_decoder().layers]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()


TWO_SIDED_95 = 1.959963984540054  # of the standard normal distribution


def compare_precision(
    scored: np.ndarray,
    reference: np.ndarray,
    n_candidates: int,
    *,
    dtype: str,
    quantized: str | None = None,
    seconds: float = 0.0,
) -> PrecisionCheck:
    """Compare scores with those of float32, both float [prompts, sample], of candidates out of `n_candidates`.

    A shift that all candidates share moves no rank, so an error is what is left of score − reference once its mean over
    the prompt's sample is taken off; two candidates' difference carries two errors, and its noise floor is
    1.96 · √2 · their standard deviation, of scores and likewise of ranks. Ranks are those in the sample, scaled to all
    candidates by n_candidates ÷ sample. Raises `BirthmarkError` for fewer than three candidates or unlike shapes.
    """
    if scored.shape != reference.shape or scored.ndim != 2 or scored.shape[1] < 3:
        raise BirthmarkError("precision is measured on three or more candidates, each scored in both ways")
    found, wanted = scored.astype(np.float64), reference.astype(np.float64)
    errors = found - wanted
    errors = errors - errors.mean(axis=1, keepdims=True)
    moves = rankdata(-found, axis=1) - rankdata(-wanted, axis=1)
    floor = TWO_SIDED_95 * np.sqrt(2) * float(errors.std())
    first, second = np.triu_indices(found.shape[1], k=1)
    close = np.abs(found[:, first] - found[:, second]) < floor
    return PrecisionCheck(
        dtype=dtype,
        quantized=quantized,
        n_prompts=found.shape[0],
        n_sample=found.shape[1],
        n_candidates=n_candidates,
        spearman=min(_spearman(a, b) for a, b in zip(found, wanted, strict=True)),
        max_abs_diff=float(np.abs(found - wanted).max()),
        noise_floor_score=floor,
        noise_floor_rank=TWO_SIDED_95 * np.sqrt(2) * float(moves.std()) * n_candidates / found.shape[1],
        pairs_below_noise=float(close.mean()),
        seconds=seconds,
    )


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation; 1 of two constant rankings, 0 where only one is constant."""
    constant = (np.ptp(a) == 0, np.ptp(b) == 0)
    return float(constant == (True, True)) if any(constant) else float(spearmanr(a, b).statistic)
