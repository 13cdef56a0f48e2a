"""How far scores in a model's own precision lie from float32, and which differences are smaller than that.

Arrays in, a record out; knows nothing of models.
"""

import numpy as np
from scipy.stats import rankdata, spearmanr

from birthmark.errors import BirthmarkError
from birthmark.records import PrecisionCheck

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
