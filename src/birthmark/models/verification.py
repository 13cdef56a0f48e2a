"""Self-checks of scores: a sample is rescored with the plain engine and compared with a bound, or compared with float32."""

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
    """Largest difference between the scores and those of the plain engine, over a sample; NaN if a score is NaN."""

    max_abs_diff: float
    bound: float
    seconds: float

    @property
    def passed(self) -> bool:
        return self.max_abs_diff <= self.bound  # False for NaN


class ScoresRows(Protocol):
    """The part of a scorer that the checks need: kind, model, engine, and float32 scores of some rows by any engine."""

    kind: Kind

    @property
    def model(self) -> Any: ...

    @property
    def engine(self) -> Engine: ...

    def score_rows(self, prompt_text: str, rows: np.ndarray, engine: Engine) -> np.ndarray: ...


def sample_rows(n_tokens: int, n_words: int, sample: int, seed: int) -> np.ndarray:
    """Sorted row numbers, half words and half tokens if there are enough of both."""
    generator = np.random.default_rng(seed)
    of_words = min(n_words, max(sample // 2, sample - n_tokens))
    words = generator.choice(n_words, of_words, replace=False) if of_words else np.array([], dtype=int)
    of_tokens = min(n_tokens, sample - of_words)
    tokens = generator.choice(n_tokens, of_tokens, replace=False) if of_tokens else np.array([], dtype=int)
    return np.sort(np.concatenate([tokens, words + n_tokens]).astype(np.int64))


def verify_rows(
    scorer: ScoresRows, prompt_texts: Sequence[str], rows: np.ndarray, scored: Mapping[str, np.ndarray]
) -> Verification:
    """Score rows with the plain engine after each prompt, and compare with `scored` or else with the scorer's own engine.

    float32: the bound is 1e-4; for rewards with a standard deviation above one, 1e-4 times that (rewards have no fixed
    scale, and rounding errors grow with it). Half precision: twice the difference of the plain engine from itself, between
    batches of 1 and of 64, and with perturbed rounding in every layer (on some machines the first difference is zero).
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
    """Within the block, every output of a layer is changed by up to half a unit in its last binary place, and rounded."""
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
    """Compare scores with those of float32, both float [prompts, sample], for a sample out of `n_candidates`.

    A shift shared by all candidates changes no rank, so the error is score − reference minus its mean over the prompt's
    sample. A difference between two candidates has two errors, so its noise floor is 1.96 · √2 · their standard deviation,
    for scores and for ranks. Ranks are within the sample, scaled to all candidates by n_candidates ÷ sample.

    Raises `BirthmarkError` for fewer than three candidates or different shapes.
    """
    if scored.shape != reference.shape or scored.ndim != 2 or scored.shape[1] < 3:
        raise BirthmarkError("measuring precision needs at least three candidates, each scored in both ways")
    found, expected = scored.astype(np.float64), reference.astype(np.float64)
    errors = found - expected
    errors = errors - errors.mean(axis=1, keepdims=True)
    moves = rankdata(-found, axis=1) - rankdata(-expected, axis=1)
    floor = TWO_SIDED_95 * np.sqrt(2) * float(errors.std())
    first, second = np.triu_indices(found.shape[1], k=1)
    close = np.abs(found[:, first] - found[:, second]) < floor
    return PrecisionCheck(
        dtype=dtype,
        quantized=quantized,
        n_prompts=found.shape[0],
        n_sample=found.shape[1],
        n_candidates=n_candidates,
        spearman=min(_spearman(a, b) for a, b in zip(found, expected, strict=True)),
        max_abs_diff=float(np.abs(found - expected).max()),
        noise_floor_score=floor,
        noise_floor_rank=TWO_SIDED_95 * np.sqrt(2) * float(moves.std()) * n_candidates / found.shape[1],
        pairs_below_noise=float(close.mean()),
        seconds=seconds,
    )


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation; 1 if both rankings are constant, 0 if only one is."""
    constant = (np.ptp(a) == 0, np.ptp(b) == 0)
    return float(constant == (True, True)) if any(constant) else float(spearmanr(a, b).statistic)
