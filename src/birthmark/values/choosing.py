"""Reward models on several bases compared: accuracy on held-out pairs and lean, what tells two bases apart, what it would take.

It takes arrays of what was measured; it reads no file and runs no model. Seeds are the same for all bases, so that
differences over seeds are of pairs of runs with the same pairs in the same order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import NotApplicable
from birthmark.records.choice import BaseLean, ChoiceAccuracy, ChoiceLean, Difference, Distance, Nearer, Needed
from birthmark.scoring.table import ScoreTable
from birthmark.stats.means import detectable, mean_of, needed, wilson
from birthmark.stats.power import TARGET_POWER, welch_power
from birthmark.stats.unit_tests import adjust
from birthmark.stats.words import WordTest, compare_words
from birthmark.values.joined import Joined, join_tables
from birthmark.values.planning import MOST_BASES, SD_BASE
from birthmark.values.ranks import framing_contrast, stems
from birthmark.values.wording_choice import difference_sentence, needed_sentence

Cell = tuple[str, int]  # a base and a pair count
WORDS_OF_SD = 263  # `SD_BASE` is in ranks of so many words
NULL_DRAWS = 9_999
MOST_SEEDS = 1_000
ONE_SEED = "an interval over seeds needs two or more: --seeds 3"
ALIKE = "all seeds give the same, so that their spread is not known"


@dataclass(frozen=True)
class Trained:
    """The reward models of a base and pair count, a seed each; `correct` is float [seeds, held-out pairs], 0, ½ or 1."""

    base: str
    pairs: int
    trained: int
    seeds: tuple[int, ...]
    runs: tuple[str, ...]
    correct: np.ndarray

    @property
    def cell(self) -> Cell:
        return self.base, self.pairs


@dataclass(frozen=True)
class Leanings:
    """A lexicon's contrasts of mean ranks: by seed [seeds] and, as a mean over seeds, what each word adds [places].

    `heads`: base → contrasts under random heads on it [heads].
    """

    lexicon: str
    by_seed: Mapping[Cell, np.ndarray]
    of_words: Mapping[Cell, np.ndarray]
    seeds: tuple[int, ...]
    categories: tuple[str, ...]
    stems: tuple[str, ...]
    words: int
    heads: Mapping[str, np.ndarray]

    @classmethod
    def of(
        cls,
        joined: Joined,
        lexicon: str,
        rows: Mapping[Cell, Sequence[int]],
        seeds: Sequence[int],
        heads: Mapping[str, np.ndarray],
    ) -> "Leanings":
        """`rows`: the models of a base and pair count, in the order of the seeds. Raises `BirthmarkError` where there is
        no contrast."""
        if joined.no_contrast_why is not None or joined.mean_rank_contrasts is None:
            raise BirthmarkError(f"the lexicon {lexicon} has no lean to compare: {joined.no_contrast_why}")
        values = framing_contrast(joined.place_values, joined.framings)  # [models, places]
        contrasts = np.asarray(joined.mean_rank_contrasts)
        at, categories = joined.places
        return cls(
            lexicon,
            {cell: contrasts[list(of_cell)] for cell, of_cell in rows.items()},
            {cell: values[list(of_cell)].mean(axis=0) for cell, of_cell in rows.items()},
            tuple(seeds),
            tuple(categories),
            tuple(stems(joined.words[word] for word in at)),
            len(joined.words),
            heads,
        )

    def over_words(self, values: np.ndarray, seed: int) -> WordTest | NotApplicable:
        """The test and interval over words, stems kept together, of what each word adds [places]."""
        try:
            return compare_words(values, self.categories, self.stems, seed=seed)
        except BirthmarkError as error:
            return NotApplicable(str(error).partition(":")[0])

    def band(self, base: str, seed: int) -> np.ndarray | None:
        """Means of as many random heads on a base as there are seeds, [draws]; None without heads."""
        if base not in self.heads:
            return None
        rng = np.random.default_rng([seed, sorted(self.heads).index(base)])
        return np.asarray(rng.choice(self.heads[base], size=(NULL_DRAWS, len(self.seeds))).mean(axis=1))


# ------------------------------------------------------------------------------------------------------ a base alone


def language_leans(languages: Sequence[tuple[str, ScoreTable]], lexicon: Lexicon, seed: int = 0) -> list[BaseLean]:
    """The lean of each base as a language model (its name here and its table), with its interval over words."""
    joined = join_tables([table for _, table in languages], lexicon)
    rows = {(base, 0): [row] for row, (base, _) in enumerate(languages)}
    leaning = Leanings.of(joined, lexicon.name, rows, (), {})
    found = []
    for cell, by_seed in leaning.by_seed.items():
        words = leaning.over_words(leaning.of_words[cell], seed)
        found.append(
            BaseLean.build(
                base=cell[0],
                lexicon=lexicon.name,
                lean=float(by_seed[0]),
                words_low=words if isinstance(words, NotApplicable) else words.ci_low,
                words_high=words if isinstance(words, NotApplicable) else words.ci_high,
            )
        )
    return found


def accuracies(trained: Sequence[Trained]) -> list[ChoiceAccuracy]:
    """The accuracy of each base and pair count, with its intervals over pairs and over seeds."""
    found = []
    for item in trained:
        by_seed = item.correct.mean(axis=1)
        share = float(by_seed.mean())
        low, high = wilson(share, item.correct.shape[1])
        found.append(
            ChoiceAccuracy.build(
                base=item.base,
                pairs=item.pairs,
                trained=item.trained,
                seeds=list(item.seeds),
                runs=list(item.runs),
                by_seed=by_seed.tolist(),
                accuracy=share,
                held_out=item.correct.shape[1],
                pairs_low=low,
                pairs_high=high,
                **_over_seeds(by_seed),
            )
        )
    return found


def leans(leanings: Leanings, seed: int = 0) -> list[ChoiceLean]:
    """The lean of each base and pair count, with its intervals over words and over seeds and the random heads' band."""
    found = []
    for (base, pairs), by_seed in leanings.by_seed.items():
        words = leanings.over_words(leanings.of_words[base, pairs], seed)
        band = leanings.band(base, seed)
        ends = (
            NotApplicable(f"no random heads were scored on {base}")
            if band is None
            else np.quantile(band, [0.025, 0.975])
        )
        lean = float(by_seed.mean())
        low, high = (ends, ends) if isinstance(ends, NotApplicable) else (float(ends[0]), float(ends[1]))
        found.append(
            ChoiceLean.build(
                base=base,
                lexicon=leanings.lexicon,
                pairs=pairs,
                seeds=list(leanings.seeds),
                by_seed=by_seed.tolist(),
                lean=lean,
                words_low=words if isinstance(words, NotApplicable) else words.ci_low,
                words_high=words if isinstance(words, NotApplicable) else words.ci_high,
                **_over_seeds(by_seed),
                heads=None if isinstance(ends, NotApplicable) else len(leanings.heads[base]),
                heads_low=low,
                heads_high=high,
                outside_heads=ends if isinstance(ends, NotApplicable) else not ends[0] <= lean <= ends[1],
            )
        )
    return found


def _over_seeds(values: np.ndarray) -> dict[str, Any]:
    found = mean_of(values)
    if found is None:
        why = NotApplicable(ONE_SEED if len(values) < 2 else ALIKE)
        return {"seeds_low": why, "seeds_high": why}
    return {"seeds_low": found.ci_low, "seeds_high": found.ci_high}


# --------------------------------------------------------------------------------------------------------- two bases


def differences(trained: Sequence[Trained], leanings: Sequence[Leanings], seed: int = 0) -> list[Difference]:
    """Every two bases after as many pairs: accuracy over held-out pairs and seeds, each lean over words and seeds.

    The two bases are told apart where p < .05, after Holm over all pairs of bases: p is the larger of the two samples' p
    (an intersection-union test: the difference has to hold for other pairs or words, and for other seeds).
    """
    found: list[Difference] = []
    for pairs in sorted({item.pairs for item in trained}):
        of_count = {item.base: item for item in trained if item.pairs == pairs}
        found += _held([_of_accuracy(a, b) for a, b in combinations(of_count.values(), 2)])
        for leaning in leanings:
            found += _held([_of_lean(leaning, pairs, a, b, seed) for a, b in combinations(of_count, 2)])
    return found


def _of_accuracy(a: Trained, b: Trained) -> Difference:
    of_pairs = mean_of((b.correct - a.correct).mean(axis=0))
    alike = NotApplicable("the two are right on the same held-out pairs")
    return Difference.build(
        measured="accuracy",
        lexicon=None,
        pairs=a.pairs,
        base_a=a.base,
        base_b=b.base,
        difference=float((b.correct - a.correct).mean()),
        sample_low=alike if of_pairs is None else of_pairs.ci_low,
        sample_high=alike if of_pairs is None else of_pairs.ci_high,
        p_sample=alike if of_pairs is None else of_pairs.p,
        **_seed_difference(b.correct.mean(axis=1) - a.correct.mean(axis=1)),
    )


def _of_lean(leaning: Leanings, pairs: int, a: str, b: str, seed: int) -> Difference:
    words = leaning.over_words(leaning.of_words[b, pairs] - leaning.of_words[a, pairs], seed)
    by_seed = leaning.by_seed[b, pairs] - leaning.by_seed[a, pairs]
    bands = leaning.band(a, seed), leaning.band(b, seed)
    low = high = None
    if bands[0] is not None and bands[1] is not None:
        low, high = (float(end) for end in np.quantile(bands[1] - bands[0], [0.025, 0.975]))
    value = float(by_seed.mean())
    return Difference.build(
        measured="lean",
        lexicon=leaning.lexicon,
        pairs=pairs,
        base_a=a,
        base_b=b,
        difference=value,
        sample_low=words if isinstance(words, NotApplicable) else words.ci_low,
        sample_high=words if isinstance(words, NotApplicable) else words.ci_high,
        p_sample=words if isinstance(words, NotApplicable) else words.p,
        **_seed_difference(by_seed),
        heads_low=low,
        heads_high=high,
        outside_heads=None if low is None or high is None else not low <= value <= high,
    )


def _seed_difference(by_seed: np.ndarray) -> dict[str, Any]:
    found = mean_of(by_seed)
    more = {"p": None, "p_holm": None, "told_apart": False, "sentence": ""}
    if found is None:
        why = NotApplicable(ONE_SEED if len(by_seed) < 2 else ALIKE)
        return more | {"seeds_low": why, "seeds_high": why, "p_seeds": why}
    return more | {"seeds_low": found.ci_low, "seeds_high": found.ci_high, "p_seeds": found.p}


def _held(rows: Sequence[Difference]) -> list[Difference]:
    """The rows with p, its adjustment over them, and what they say."""
    p_values = [
        None if None in (row.p_sample, row.p_seeds) else max(row.p_sample or 0, row.p_seeds or 0) for row in rows
    ]
    found = []
    for row, p, p_holm in zip(rows, p_values, adjust(p_values, "holm"), strict=True):
        judged = row.model_copy(update={"p": p, "p_holm": p_holm, "told_apart": p_holm is not None and p_holm < 0.05})
        found.append(judged.model_copy(update={"sentence": difference_sentence(judged)}))
    return found


# --------------------------------------------------------------------------------------------- what it would take


def what_it_takes(rows: Sequence[Difference], trained: Sequence[Trained], leanings: Sequence[Leanings]) -> list[Needed]:
    """For every two bases at the largest pair count: seeds, held-out pairs and base checkpoints for a power of 80%."""
    most = max(item.pairs for item in trained)
    of_base = {item.base: item for item in trained if item.pairs == most}
    of_lexicon = {item.lexicon: item for item in leanings}
    found = []
    for row in (row for row in rows if row.pairs == most):
        a, b = of_base[row.base_a], of_base[row.base_b]
        if row.lexicon is None:
            by_pair = (b.correct - a.correct).mean(axis=0)
            by_seed = b.correct.mean(axis=1) - a.correct.mean(axis=1)
            pairs = needed(row.difference, float(by_pair.std(ddof=1))) if len(by_pair) > 1 else None
            more: dict[str, Any] = {
                "held_out": pairs or NotApplicable(_never(row, "held-out pairs")),
                "bases": NotApplicable("the published spread between base checkpoints is of leans, not of accuracies"),
            }
        else:
            leaning = of_lexicon[row.lexicon]
            by_seed = leaning.by_seed[b.cell] - leaning.by_seed[a.cell]
            more = {
                "held_out": NotApplicable("a lean is measured on words"),
                "bases": _bases_needed(row, leaning, by_seed) or NotApplicable(_never(row, "base checkpoints")),
            }
        record = Needed.build(
            **{name: getattr(row, name) for name in ("measured", "lexicon", "base_a", "base_b", "difference")},
            **_seeds_needed(row, by_seed),
            **more,
            sentence="",
        )
        found.append(record.model_copy(update={"sentence": needed_sentence(record, row)}))
    return found


def _seeds_needed(row: Difference, by_seed: np.ndarray) -> dict[str, Any]:
    if mean_of(by_seed) is None:
        why = NotApplicable(ONE_SEED if len(by_seed) < 2 else ALIKE)
        return {"seeds": why, "detectable": why}
    sd = float(by_seed.std(ddof=1))
    return {
        "seeds": needed(row.difference, sd, MOST_SEEDS) or NotApplicable(_never(row, "seeds")),
        "detectable": detectable(sd, len(by_seed)),
    }


def _bases_needed(row: Difference, leaning: Leanings, by_seed: np.ndarray) -> int | None:
    """Base checkpoints a family by Welch's t: the published spread between them, scaled to these words, and the seeds'."""
    spread = float(by_seed.std(ddof=1)) / 2**0.5 if len(by_seed) > 1 else 0.0
    sd = float(np.hypot(SD_BASE * (leaning.words + 1) / (WORDS_OF_SD + 1), spread / len(by_seed) ** 0.5))
    sizes = range(2, MOST_BASES + 1)
    return next((n for n in sizes if welch_power(row.difference, sd, sd, n, n) >= TARGET_POWER), None)


def _never(row: Difference, what: str) -> str:
    return "there is no difference to find" if row.difference == 0 else f"no affordable number of {what} is enough"


# ------------------------------------------------------------------------------------------------------ a target


def distances(found: Sequence[ChoiceLean], pairs: int, targets: Mapping[str, float]) -> list[Distance]:
    """How far each base's lean is from the target of its lexicon, after so many pairs."""
    return [
        Distance(
            base=item.base,
            lexicon=item.lexicon,
            target=targets[item.lexicon],
            distance=abs(item.lean - targets[item.lexicon]),
            within_words=_within(item.words_low, item.words_high, targets[item.lexicon]),
            within_seeds=_within(item.seeds_low, item.seeds_high, targets[item.lexicon]),
        )
        for item in found
        if item.pairs == pairs and item.lexicon in targets
    ]


def _within(low: float | None, high: float | None, value: float) -> bool | None:
    return None if low is None or high is None else low <= value <= high


def nearer_bases(
    leanings: Sequence[Leanings], bases: Sequence[str], pairs: int, targets: Mapping[str, float], seed: int = 0
) -> list[Nearer]:
    """Of every two bases the one nearer to the target, where that holds over words and over seeds.

    A distance is s (lean − target) with s the side that the base is on, so that the difference of two distances is a sum
    over words and over seeds like a difference of leans.
    """
    found = []
    for leaning in leanings:
        if leaning.lexicon not in targets:
            continue
        target = targets[leaning.lexicon]
        for a, b in combinations(bases, 2):
            side = {base: np.sign(leaning.by_seed[base, pairs].mean() - target) for base in (a, b)}
            shift = float(target * (side[b] - side[a]))
            by_seed = side[b] * leaning.by_seed[b, pairs] - side[a] * leaning.by_seed[a, pairs] - shift
            words = leaning.over_words(
                side[b] * leaning.of_words[b, pairs] - side[a] * leaning.of_words[a, pairs], seed
            )
            seeds = mean_of(by_seed)
            apart = (
                seeds is not None
                and not isinstance(words, NotApplicable)
                and not seeds.ci_low <= 0 <= seeds.ci_high
                and not words.ci_low <= shift <= words.ci_high
            )
            value = float(by_seed.mean())
            nearer = (b if value < 0 else a) if apart else None
            found.append(Nearer(lexicon=leaning.lexicon, base_a=a, base_b=b, difference=value, nearer=nearer))
    return found
