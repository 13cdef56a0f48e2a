"""Simulated studies with known variances (base checkpoint → reward model → word × prompt), and a fit of these variances.

The latent score (higher is better) of a word is a sum of normal effects of word, base, model and prompt, and the
category's shift; ranks are taken of latent scores. A leaning ℓ is a shift between the categories: +ℓ/2 for words of the
first, −ℓ/2 for words of the second. The fit takes normal scores of published ranks and estimates the same variances.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.stats.variance import nested_variance

DENSITY = 1 / np.sqrt(2 * np.pi)  # of the standard normal distribution at 0
WORD_SHARE_BASE, WORD_SHARE_RM = 0.3, 0.9  # shares of the contrast's variances that come from single words


@dataclass(frozen=True)
class RowVariances:
    """Variances of the latent score's terms. words: their number in each category; prompts: their number per framing."""

    words: tuple[int, int]
    prompts: int
    word: float
    word_by_base: float
    word_by_rm: float
    word_by_prompt: float = 0.0
    residual: float = 0.0
    leaning_base: float = 0.0
    leaning_rm: float = 0.0
    leaning_overall: float = 0.0
    leaning_prompt: float = 0.0
    leaning_rm_prompt: float = 0.0

    @property
    def slope(self) -> float:
        """Change of the contrast, in ranks, per unit of leaning."""
        return float(sum(self.words) * DENSITY)

    def word_variances(self) -> tuple[float, float]:
        """Variance of the contrast due to words, in ranks²: between base checkpoints, and between RMs on one base."""
        same = 1 - self.word_by_prompt - self.residual
        own = _over_prompts(1.0, same, self.prompts)
        base = _over_prompts(self.word + self.word_by_base + self.word_by_prompt, same - self.word_by_rm, self.prompts)
        other = _over_prompts(self.word + self.word_by_prompt, self.word, self.prompts)
        scale = self.slope**2 * 2 * sum(1 / n for n in self.words)
        return scale * (base - other), scale * (own - base)

    def contrast_sds(self) -> tuple[float, float]:
        """SDs of the median contrast, in ranks, between base checkpoints and between RMs on one base, to first order."""
        of_base, of_rm = self.word_variances()
        of_prompts = 2 * self.leaning_rm_prompt / self.prompts
        return (
            float(np.sqrt(of_base + self.slope**2 * self.leaning_base)),
            float(np.sqrt(of_rm + self.slope**2 * (self.leaning_rm + of_prompts))),
        )

    def scaled(self, ratio: float) -> "RowVariances":
        """Variances with contrast SDs `ratio` ≥ 1 times as large; only the variances of leanings change."""
        extra = ratio**2 - 1
        of_base, of_rm = (sd**2 * extra / self.slope**2 for sd in self.contrast_sds())
        return replace(self, leaning_base=self.leaning_base + of_base, leaning_rm=self.leaning_rm + of_rm)


@dataclass(frozen=True)
class Shared:
    """Effects shared by all RMs of a study: words [studies, framings, words], words by prompt [studies, prompts, words],
    prompts' leanings [studies, prompts]."""

    word: np.ndarray
    word_by_prompt: np.ndarray | None
    leaning_prompt: np.ndarray


@dataclass(frozen=True)
class Drawn:
    """A family's RMs: latent scores [studies, RMs, prompts, words] and their leanings ℓ [studies, RMs, prompts]."""

    latent: np.ndarray
    leaning: np.ndarray

    def shifted(self, shift: float, variances: RowVariances) -> "Drawn":
        """The same RMs with contrasts higher by `shift` ranks, to first order: they prefer the first category less."""
        by_prompt = np.repeat(np.array([0.5, -0.5], dtype=np.float32), variances.prompts) * (-shift / variances.slope)
        moved = np.broadcast_to(by_prompt, self.leaning.shape).astype(np.float32)
        return Drawn(_lean(self.latent.copy(), moved, variances.words), self.leaning + moved)

    def mean_rank_contrasts(self, words: tuple[int, int]) -> np.ndarray:
        """The mean-rank contrast of these RMs and prompts in the limit of infinitely many words: [studies, RMs].

        A word of the first category outranks one of the second with probability Φ(ℓ / √2).
        """
        lead = -sum(words) * scipy.special.ndtr(self.leaning / np.sqrt(2))
        half = lead.shape[-1] // 2
        return np.asarray(lead[..., :half].mean(axis=-1) - lead[..., half:].mean(axis=-1))

    def median_ranks_of_all_words(self, words: tuple[int, int]) -> np.ndarray:
        """Median ranks of the first category in the limit of infinitely many words, scaled to these numbers of words:
        [studies, RMs, prompts]."""
        return np.asarray((words[0] + 1) / 2 + words[1] * scipy.special.ndtr(-self.leaning))


def row_variances(
    sd_base: float,
    sd_rm: float,
    words: tuple[int, int],
    prompts: int,
    *,
    word_by_prompt: float = 0.0,
    residual: float = 0.0,
    leaning_overall: float = 0.0,
    leaning_prompt: float = 0.0,
    leaning_rm_prompt: float = 0.0,
) -> RowVariances:
    """Variances that give contrast SDs of `sd_base` between base checkpoints and `sd_rm` between RMs on one base, in ranks.

    words: numbers of words of the two categories; prompts: per framing. The shares `WORD_SHARE_BASE` and `WORD_SHARE_RM` of
    these variances come from single words, as far as possible, and the rest from leanings.

    Raises `BirthmarkError` if the other terms alone give RMs an SD above `sd_rm`.
    """
    start = RowVariances(
        words, prompts, 1 - word_by_prompt - residual, 0.0, 0.0, word_by_prompt, residual,
        0.0, 0.0, leaning_overall, leaning_prompt, leaning_rm_prompt,
    )  # fmt: skip
    of_prompts = start.contrast_sds()[1] ** 2
    if of_prompts > sd_rm**2 + 1e-9:
        raise BirthmarkError(
            f"prompts and residual alone give reward models an SD of {np.sqrt(of_prompts):.1f} ranks, above {sd_rm:.1f}"
        )

    def with_words(by_base: float, by_rm: float) -> RowVariances:
        return replace(start, word=start.word - by_base - by_rm, word_by_base=by_base, word_by_rm=by_rm)

    target_rm = max(WORD_SHARE_RM * sd_rm**2, start.word_variances()[1])
    target_base = WORD_SHARE_BASE * sd_base**2
    by_rm = _solve(lambda x: with_words(0.0, x).word_variances()[1] - target_rm, start.word)
    by_base = _solve(lambda x: with_words(x, by_rm).word_variances()[0] - target_base, start.word - by_rm)
    found = with_words(by_base, by_rm)
    of_base, of_rm = (sd**2 for sd in found.contrast_sds())
    return replace(
        found,
        leaning_base=max(0.0, sd_base**2 - of_base) / found.slope**2,
        leaning_rm=max(0.0, sd_rm**2 - of_rm) / found.slope**2,
    )


def tuned(
    rng: np.random.Generator, variances: RowVariances, sd_base: float, sd_rm: float, studies: int = 500
) -> tuple[RowVariances, tuple[float, float]]:
    """Correct the variances of leanings for the error of the first-order formulas, by a pilot simulation.

    A pilot draws and ranks `studies` families of ten base checkpoints with two RMs each. What its contrasts lack in variance
    is added to the leanings. Returns the corrected variances and the contrast SDs (base, RM), in ranks, of a second pilot.
    """
    target = np.array([sd_base, sd_rm]) ** 2
    missing = (target - _pilot(rng, variances, studies) ** 2) / variances.slope**2
    found = replace(
        variances,
        leaning_base=max(0.0, variances.leaning_base + float(missing[0])),
        leaning_rm=max(0.0, variances.leaning_rm + float(missing[1])),
    )
    of_base, of_rm = _pilot(rng, found, studies)
    return found, (float(of_base), float(of_rm))


def _pilot(rng: np.random.Generator, variances: RowVariances, studies: int) -> np.ndarray:
    """SDs of simulated contrasts between base checkpoints and between the two RMs on one base: [2]."""
    n_bases = 10
    chunk = min(studies, max(1, 20_000 // (40 * variances.prompts)))
    mean_squares = []
    for _ in range(0, studies, chunk):
        drawn = draw_family(rng, draw_shared(rng, chunk, variances), [2] * n_bases, variances)
        values = contrasts(median_ranks(drawn.latent, variances.words)).reshape(chunk, n_bases, 2)
        of_rm = values.var(axis=2, ddof=1).mean()
        mean_squares.append((values.mean(axis=2).var(axis=1, ddof=1).mean() - of_rm / 2, of_rm))
    return np.sqrt(np.maximum(np.mean(mean_squares, axis=0), 0.0))


def draw_shared(rng: np.random.Generator, studies: int, variances: RowVariances) -> Shared:
    """Draw the words and prompts of this number of studies."""
    n_words, n_prompts = sum(variances.words), 2 * variances.prompts
    return Shared(
        _normal(rng, (studies, 2, n_words), variances.word),
        _normal(rng, (studies, n_prompts, n_words), variances.word_by_prompt) if variances.word_by_prompt else None,
        _normal(rng, (studies, n_prompts), variances.leaning_prompt),
    )


def draw_family(
    rng: np.random.Generator, shared: Shared, rms: Sequence[int], variances: RowVariances, skewed: bool = False
) -> Drawn:
    """Draw one family's RMs; latent scores are float32, positive prompts and the first category's words come first.

    rms: the number of RMs of each base checkpoint; RMs are ordered by base. skewed: the leanings of bases and RMs are
    shifted exponentials (skewness 2) of the same SD, instead of normal.
    """
    studies, n_bases, n_rms = len(shared.word), len(rms), sum(rms)
    half, n_words = variances.prompts, sum(variances.words)
    base_of = np.repeat(np.arange(n_bases), rms)
    leaning = _leaning(rng, (studies, n_bases), variances.leaning_base, skewed)[:, base_of]
    leaning = leaning + _leaning(rng, (studies, n_rms), variances.leaning_rm, skewed)
    overall = _normal(rng, (studies, n_rms), variances.leaning_overall)
    turned = np.repeat(np.array([0.5, -0.5], dtype=np.float32), half)
    by_prompt = leaning[:, :, None] * turned + overall[:, :, None] + shared.leaning_prompt[:, None, :]
    by_prompt += _normal(rng, (studies, n_rms, 2 * half), variances.leaning_rm_prompt)

    of_words = _normal(rng, (studies, n_bases, 2, n_words), variances.word_by_base)
    of_words += shared.word[:, None]
    of_words = of_words[:, base_of] + _normal(rng, (studies, n_rms, 2, n_words), variances.word_by_rm)
    if variances.residual:
        y = _normal(rng, (studies, n_rms, 2 * half, n_words), variances.residual)
        y[:, :, :half] += of_words[:, :, :1]
        y[:, :, half:] += of_words[:, :, 1:]
    else:
        y = np.repeat(of_words, half, axis=2) if half > 1 else of_words
    if shared.word_by_prompt is not None:
        y += shared.word_by_prompt[:, None]
    return Drawn(_lean(y, by_prompt, variances.words), by_prompt)


def median_ranks(latent: np.ndarray, words: tuple[int, int]) -> np.ndarray:
    """Median ranks of each category among all words, 1 for the highest score: [..., prompts, words] → [..., 2, prompts].

    Equal to ranking all words and taking medians if no scores tie.
    """
    first, second = latent[..., : words[0]], latent[..., words[0] :]
    return np.stack([_median_rank(first, second), _median_rank(second, first)], axis=-2)


def all_ranks(latent: np.ndarray) -> np.ndarray:
    """Ranks of all words, 1 for the highest score: [..., prompts, words] → float64 [..., words, prompts]."""
    order = np.argsort(np.argsort(-latent, axis=-1), axis=-1)
    return np.moveaxis(order, -1, -2) + 1.0


def contrasts(medians: np.ndarray) -> np.ndarray:
    """(first − second category, positive prompts) − (the same, negative): [..., 2, prompts] → [...]."""
    difference = medians[..., 0, :] - medians[..., 1, :]
    half = difference.shape[-1] // 2
    return np.asarray(difference[..., :half].mean(axis=-1) - difference[..., half:].mean(axis=-1))


def _lean(latent: np.ndarray, by_prompt: np.ndarray, words: tuple[int, int]) -> np.ndarray:
    """Add ℓ/2 to the first category's words and subtract it from the second's, in place: [..., prompts, words], ℓ [..., prompts]."""
    half = by_prompt[..., None] / 2
    latent[..., : words[0]] += half
    latent[..., words[0] :] -= half
    return latent


def _median_rank(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    n = own.shape[-1]
    ordered = np.sort(own, axis=-1)
    middle = {(n - 1) // 2, n // 2}
    ranks = [n - at + np.count_nonzero(other > ordered[..., at, None], axis=-1) for at in middle]
    return np.asarray(sum(ranks) / len(ranks), dtype=np.float64)


def _over_prompts(same_prompt: float, other_prompt: float, prompts: int) -> float:
    """Mean of arcsin(correlation) over pairs of prompts of one framing."""
    return float((np.arcsin(min(1.0, same_prompt)) + (prompts - 1) * np.arcsin(other_prompt)) / prompts)


def _solve(excess: Callable[[float], float], upper: float) -> float:
    """The root of a function that increases on [0, upper]; an end of the range if the root is outside."""
    function = excess
    if function(0.0) >= 0:
        return 0.0
    if function(upper) <= 0:
        return upper
    return float(scipy.optimize.brentq(function, 0.0, upper, xtol=1e-12))


def _normal(rng: np.random.Generator, shape: tuple[int, ...], variance: float) -> np.ndarray:
    if not variance:
        return np.zeros(shape, dtype=np.float32)
    drawn = rng.standard_normal(shape, dtype=np.float32)
    drawn *= np.float32(np.sqrt(variance))
    return drawn


def _leaning(rng: np.random.Generator, shape: tuple[int, ...], variance: float, skewed: bool) -> np.ndarray:
    if not skewed:
        return _normal(rng, shape, variance)
    return ((rng.standard_exponential(shape) - 1) * np.sqrt(variance)).astype(np.float32)


@dataclass(frozen=True)
class RowFit:
    """Variances, named as in `RowVariances`; those of words sum to 1, and negative estimates are set to 0."""

    word: float
    word_by_base: float
    word_by_rm: float
    word_by_prompt: float
    residual: float
    leaning_overall: float
    leaning_prompt: float
    leaning_rm_prompt: float


def fit_rows(
    ranks: np.ndarray,
    is_first: np.ndarray,
    is_positive: np.ndarray,
    bases: Sequence[str],
    families: Sequence[str],
) -> RowFit:
    """Estimate the variances of `RowVariances` from ranks, by equating moments of normal scores.

    ranks: [RMs, words, prompts]; is_first: [words], which are in the first category; is_positive: [prompts]; bases, families:
    [RMs]. Normal scores are Φ⁻¹((n + ½ − rank) / n) of n words. Estimates are means over the two framings.

    Raises `BirthmarkError` if no base checkpoint has two RMs or there is only one base checkpoint.
    """
    base = np.asarray(bases, dtype=str)
    same = base[:, None] == base[None, :]
    if same.all() or same.sum() == len(base):
        raise BirthmarkError(
            "fitting variances needs some reward models that share a base checkpoint and some that do not"
        )
    n_words = ranks.shape[1]
    scores = scipy.special.ndtri((n_words + 0.5 - ranks) / n_words)  # higher is better
    leaning = scores[:, is_first].mean(axis=1) - scores[:, ~is_first].mean(axis=1)  # [RMs, prompts]
    for part in (is_first, ~is_first):
        scores[:, part] -= scores[:, part].mean(axis=1, keepdims=True)
    sampling = 1 / is_first.sum() + 1 / (~is_first).sum()  # variance of a category difference, in variances of a word
    framings = [
        _fit_framing(scores[:, :, chosen], leaning[:, chosen], same, sampling) for chosen in (is_positive, ~is_positive)
    ]
    mean = {name: float(np.mean([fit[name] for fit in framings])) for name in framings[0]}
    overall = (leaning[:, is_positive].mean(axis=1) + leaning[:, ~is_positive].mean(axis=1)) / 2
    spread = nested_variance(overall, base.tolist(), list(families)).sd_rm or 0.0
    mean["leaning_overall"] = max(0.0, spread**2 - mean["word_by_rm"] * sampling / 2)
    return RowFit(**{field.name: mean[field.name] for field in fields(RowFit)})


def _fit_framing(scores: np.ndarray, leaning: np.ndarray, same: np.ndarray, sampling: float) -> dict[str, float]:
    """scores [RMs, words, prompts], centred within categories; leaning [RMs, prompts]; same [RMs, RMs]: share a base."""
    n_rms, n_words, n_prompts = scores.shape
    by_rm, by_prompt = scores.mean(axis=2), scores.mean(axis=0)
    word = scores.mean(axis=(0, 2))
    rest = scores - by_rm[:, :, None] - by_prompt[None] + word[None, :, None]
    df_words = n_words - 2
    residual = float((rest**2).sum()) / ((n_rms - 1) * df_words * (n_prompts - 1))
    of_prompt = float(((by_prompt - word[:, None]) ** 2).sum()) / (df_words * (n_prompts - 1)) - residual / n_rms
    alike = by_rm @ by_rm.T / df_words  # [RMs, RMs] covariances over words
    own = float(np.diag(alike).mean()) - residual / n_prompts
    others = same & ~np.eye(n_rms, dtype=bool)
    of_base, of_all = float(alike[others].mean()), float(alike[~same].mean())
    parts = {
        "word": of_all - of_prompt / n_prompts,
        "word_by_base": of_base - of_all,
        "word_by_rm": own - of_base,
        "word_by_prompt": of_prompt,
        "residual": residual,
    }
    parts = {name: max(0.0, value) for name, value in parts.items()}
    total = sum(parts.values())

    errors = leaning - leaning.mean(axis=0) - leaning.mean(axis=1, keepdims=True) + leaning.mean()
    of_rm_prompt = float((errors**2).sum()) / ((n_rms - 1) * (n_prompts - 1))
    of_leaning = float(leaning.mean(axis=0).var(ddof=1)) - of_rm_prompt / n_rms
    return {name: value / total for name, value in parts.items()} | {
        "leaning_prompt": max(0.0, of_leaning - parts["word_by_prompt"] * sampling) / total,
        "leaning_rm_prompt": max(0.0, of_rm_prompt - residual * sampling) / total,
    }
