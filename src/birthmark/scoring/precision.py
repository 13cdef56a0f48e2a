"""Is a table's precision good enough? A sample of it is scored again in float32 (`--verify`), and compared."""

from time import perf_counter

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.inputs.answers import asked
from birthmark.progress import note
from birthmark.records import Kind, NotApplicable, PrecisionCheck, ScoreRecord
from birthmark.scoring.backend import Backend, CannotRescore, Job
from birthmark.scoring.table import ScoreTable

PROMPTS = 3
SAMPLE: dict[Kind, int] = {"reward": 256, "logprob": 64}  # a word of an LM is up to four sequences
TWO_SIDED_95 = 1.959963984540054  # of the standard normal distribution


def with_precision(table: ScoreTable, job: Job, backend: Backend) -> ScoreTable:
    """The table, its record saying how its scores differ from float32's; where that cannot be told, why."""
    found = ScoreRecord.with_reasons(precision=_measure(table, job, backend))
    return ScoreTable(table.frame, table.record.model_copy(update=found))


def _measure(table: ScoreTable, job: Job, backend: Backend) -> PrecisionCheck | NotApplicable:
    seed = job.measure.seed
    rows = _rows(table, seed)
    if len(rows) < 3:
        return NotApplicable("fewer than three candidates were scored")
    note(f"{job.model.slug}: rescoring {len(rows)} candidates in float32", quiet=job.measure.quiet)
    start = perf_counter()
    keys = sorted(np.random.default_rng(seed).permutation(len(table.prompt_keys))[:PROMPTS])
    columns = [table.prompt_keys[index] for index in keys]
    try:
        reference = backend.rescore(job, [asked(table.prompts[column]) for column in columns], rows)
    except CannotRescore as error:
        return NotApplicable(str(error))
    return compare_precision(
        table.frame[rows.tolist()].select(columns).to_numpy().T,
        reference,
        len(table.words) or len(table.tokens),
        dtype=table.record.dtype,
        quantized=table.record.quantized,
        seconds=perf_counter() - start,
    )


def _rows(table: ScoreTable, seed: int) -> np.ndarray:
    """A seeded sample of row numbers: of words, which are what is ranked, or of tokens where there are no words."""
    words = table.frame["token_id"].is_null().to_numpy()
    pool = np.flatnonzero(words if words.any() else ~words)
    size = min(SAMPLE[table.record.kind], len(pool))
    return np.sort(np.random.default_rng(seed).choice(pool, size, replace=False))


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
    candidates by n_candidates ÷ sample. Raises `BirthmarkError` for fewer than three candidates or different shapes.
    """
    if scored.shape != reference.shape or scored.ndim != 2 or scored.shape[1] < 3:
        raise BirthmarkError("precision is measured on three or more candidates, each scored in both ways")
    found, wanted = scored.astype(np.float64), reference.astype(np.float64)
    errors = found - wanted
    errors = errors - errors.mean(axis=1, keepdims=True)
    moves = scipy.stats.rankdata(-found, axis=1) - scipy.stats.rankdata(-wanted, axis=1)
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
    return float(constant == (True, True)) if any(constant) else float(scipy.stats.spearmanr(a, b).statistic)
