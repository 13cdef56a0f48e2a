"""How often the intervals that take words, prompts or all three as samples hold what they are about.

Some hundreds of studies of the published layout, ranked in full; each interval comes from the function that a report's
comes from. Targets are known: families do not differ, and what a model would say with words without end follows from
its drawn leaning.
"""

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.stats.intervals import column_differences
from birthmark.stats.simulation import Drawn, RowVariances, all_ranks, draw_family, draw_shared, tuned
from birthmark.stats.unit_tests import average_by_unit
from birthmark.stats.variance import crossed_variance
from birthmark.stats.words import compare_words, place_values, word_contrasts
from birthmark.values.calibration import ICCS, PUBLISHED, Results, Setting, Truth, add_coverage, add_rate, generator
from birthmark.values.effects import median_interval

DRAWS = 999  # permutations of words, a tenth of a report's
ADJECTIVES = 3  # a framing


FAMILIES, CATEGORIES, FRAMINGS = ("a", "b"), ("first", "second"), ("positive", "negative")


def full_intervals(truth: Truth, icc: float, studies: int, seed: int) -> Results:
    """Coverage of every interval, and the rate of false positives of the crossed test, at one clustering."""
    results = Results()
    rng = generator(seed, 3, ICCS.index(icc))
    rows, _ = tuned(rng, truth.rows(icc, full=True), *truth.sds(icc), studies=min(40, studies))
    setting = Setting(icc, 1.0, False, f"full icc={icc:g}")
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    p_values: dict[str, list[float]] = {}
    for _ in range(studies):
        shared = draw_shared(rng, 1, rows)
        a, b = (draw_family(rng, shared, rms, rows) for rms in PUBLISHED)
        study = _Study(a, b, rows)
        for name, target, share, width in study.intervals(int(rng.integers(2**31))):
            found.setdefault((name, target), []).append((share, width))
        for name, p in study.p_values.items():
            p_values.setdefault(name, []).append(p)
    for (name, target), values in found.items():
        share, width = np.array(values).T
        covered = share.astype(bool) if set(share.tolist()) <= {0.0, 1.0} else share
        add_coverage(results, "published", PUBLISHED, setting, name, target, covered, width)
    for name, of_test in p_values.items():
        add_rate(results, "published", PUBLISHED, setting, name, "model", np.array(of_test), None)
    return results


class _Study:
    """One drawn study as a report would have it: ranks [RMs, words, prompts] and the labels of its axes."""

    def __init__(self, a: Drawn, b: Drawn, rows: RowVariances) -> None:
        self.drawn, self.rows = (a, b), rows
        self.ranks = np.concatenate([all_ranks(side.latent)[0] for side in (a, b)])
        sizes = [sum(rms) for rms in PUBLISHED]
        self.families = np.repeat(FAMILIES, sizes).tolist()
        self.bases = [f"{family}{at}" for family, rms in zip(FAMILIES, PUBLISHED, strict=True) for at in _numbered(rms)]
        self.categories = np.repeat(CATEGORIES, rows.words).tolist()
        self.framings = np.repeat(FRAMINGS, rows.prompts).tolist()
        self.p_values: dict[str, float] = {}

    def intervals(self, seed: int) -> list[tuple[str, str, float, float]]:
        """Name, target, whether (or how many of) the intervals hold it, and their width."""
        return [*self._crossed(), *self._fixed(seed), self._cells(), self._words()]

    def _crossed(self) -> list[tuple[str, str, float, float]]:
        by_adjective = [
            f"{framing}{at * ADJECTIVES // self.rows.prompts}"
            for framing in FRAMINGS
            for at in range(self.rows.prompts)
        ]
        clusters: dict[str, dict[str, list[str]]] = {
            "crossed": {},
            "crossed_clustered_by_adjective": {"prompt_clusters": by_adjective},
            "crossed_clustered_by_base": {"model_clusters": self.bases},
        }
        found = []
        for name, given in clusters.items():
            try:
                one = crossed_variance(self.ranks, self.families, self.categories, self.framings, **given)  # type: ignore[arg-type]
            except BirthmarkError:  # too few prompts a framing for three adjectives
                continue
            self.p_values[name] = one.p
            target = "families; models, words and prompts the samples"
            found.append((name, target, float(one.ci_low <= 0 <= one.ci_high), one.ci_high - one.ci_low))
        return found

    def _fixed(self, seed: int) -> list[tuple[str, str, float, float]]:
        member = np.array([[name == category for name in self.categories] for category in CATEGORIES])
        values = word_contrasts(place_values(self.ranks, member), self.families, self.framings)
        interval = compare_words(values, self.categories, draws=DRAWS, seed=seed)
        means = [side.mean_rank_contrasts(self.rows.words).mean() for side in self.drawn]
        targets = {"these models, words the sample": float(means[1] - means[0]), "families (not what it is for)": 0.0}
        return [
            (
                "models_fixed",
                name,
                float(interval.ci_low <= value <= interval.ci_high),
                interval.ci_high - interval.ci_low,
            )
            for name, value in targets.items()
        ]

    def _cells(self) -> tuple[str, str, float, float]:
        """Each model's median rank of the first category after positive prompts."""
        half, n = self.rows.prompts, self.rows.words[0]
        targets = np.concatenate([side.median_ranks_of_all_words(self.rows.words)[0] for side in self.drawn])
        held, widths = [], []
        for ranks, target in zip(self.ranks, targets[:, :half].mean(axis=1), strict=True):
            low, high = median_interval(ranks[:n, :half])
            if low is not None and high is not None:
                held.append(low <= target <= high)
                widths.append(high - low)
        return "model_cells", "each model's median rank, words the sample", float(np.mean(held)), float(np.mean(widths))

    def _words(self) -> tuple[str, str, float, float]:
        """Each word's difference between families over base checkpoints."""
        ranks, _, families = average_by_unit(self.ranks, self.bases, self.families)
        half = self.rows.prompts
        by_word = ranks[..., :half].mean(axis=-1) - ranks[..., half:].mean(axis=-1)
        one = column_differences(by_word, np.array(families) == "b")
        share = float(((one.ci_low <= 0) & (one.ci_high >= 0)).mean())
        return (
            "word_effects",
            "each word's family difference, base checkpoints the sample",
            share,
            float((one.ci_high - one.ci_low).mean()),
        )


def _numbered(rms: tuple[int, ...]) -> list[int]:
    return np.repeat(np.arange(len(rms)), rms).tolist()
