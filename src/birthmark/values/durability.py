"""How long the value gap between two bases lasts while reward models train on them, and on how many pairs.

The gap is b − a of mean-rank contrasts: (first − second category, positive − negative prompts) of mean ranks. What it
is held against is what random heads on the same bases give, since a gap that these have too was not inherited through
training. It takes ranks and what is known of each checkpoint; it reads no file and runs no model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.records import Durability, FinalGap, GapCurve, GapPoint, HeadNull, NotApplicable, QuantityCurve, known
from birthmark.stats.words import compare_words_many
from birthmark.values.formats import percent
from birthmark.values.joined import Joined
from birthmark.values.ranks import framing_contrast, stems
from birthmark.values.wording_training import curve_sentence

T = TypeVar("T")
FRACTION, TOLERANCE = 0.5, 0.1
DRAWS = 1_999
NULL_DRAWS = 9_999
Recipe = tuple[str | None, int | None, str | None]  # source, pairs, loss


@dataclass(frozen=True)
class Look:
    """A checkpoint: which run it is of and at which step; `batch` counts pairs a step. What is not known is None."""

    run: str
    base: str
    family: str
    step: int
    source: str | None = None
    pairs: int | None = None
    loss: str | None = None
    seed: int | None = None
    batch: int | None = None

    @property
    def recipe(self) -> Recipe:
        return self.source, self.pairs, self.loss

    @property
    def pairs_seen(self) -> int | None:
        """Different pairs that this checkpoint was trained on."""
        if self.batch is None:
            return None
        shown = self.step * self.batch
        return shown if self.pairs is None else min(shown, self.pairs)


def durability(
    joined: Joined,
    looks: Sequence[Look],
    lexicon: str,
    heads: Mapping[str, np.ndarray] | None = None,
    *,
    fraction: float = FRACTION,
    tolerance: float = TOLERANCE,
    seed: int = 0,
) -> Durability:
    """The gap of every two bases over the steps, for each source, pair count and loss that both were trained with.

    Parameters
    ----------
    joined
        Ranks [checkpoints, words, prompts] of a lexicon with two categories, prompts of both framings.
    looks
        What each of these checkpoints is, in their order.
    heads
        Base → mean-rank contrasts [heads] under random heads on it, in ranks among the same words.
    fraction, tolerance
        See `GapCurve`: the gap has fallen below `fraction` of its start, and stays within `tolerance` of its range.
    seed
        Of the redraws of words and of random heads.

    Raises `BirthmarkError` where looks and checkpoints are not as many.
    """
    if len(looks) != len(joined.models):
        raise BirthmarkError(f"{len(looks)} checkpoints are described and {len(joined.models)} have scores")
    bases = sorted({(look.family, look.base) for look in looks})
    why = joined.no_contrast_why
    if why is None and len(bases) < 2:
        why = f"a gap is between two bases, and all runs are of {bases[0][1]}"
    if why is not None:
        return Durability.build(curves=NotApplicable(why), quantities=[])
    curves = []
    for (_, a), (_, b) in combinations(bases, 2):
        for recipe in _shared_recipes(looks, a, b):
            gaps = _Gaps.of(joined, looks, a, b, recipe)
            if gaps is not None:
                curves.append(_curve(gaps, lexicon, recipe, heads or {}, fraction, tolerance, seed))
    none = NotApplicable("no two bases have runs with the same source, pair count and loss that share a step")
    return Durability.build(curves=curves or none, quantities=_quantities(curves, fraction))


def _shared_recipes(looks: Sequence[Look], a: str, b: str) -> list[Recipe]:
    of = {base: {look.recipe for look in looks if look.base == base} for base in (a, b)}
    return sorted(of[a] & of[b], key=lambda recipe: (str(recipe[0]), recipe[1] or 0, str(recipe[2])))


@dataclass(frozen=True)
class _Gaps:
    """Two bases' runs of one recipe at the steps that all of them have."""

    a: str
    b: str
    families: tuple[str, str]
    runs: tuple[tuple[str, ...], tuple[str, ...]]
    steps: tuple[int, ...]
    pairs_seen: tuple[int | None, ...]
    word_gaps: np.ndarray  # [steps, places], b − a of framing contrasts, means over runs
    of_medians: np.ndarray  # [steps]
    sd_seeds: tuple[float | None, ...]
    places: tuple[np.ndarray, list[str]]
    words: tuple[str, ...]

    @classmethod
    def of(cls, joined: Joined, looks: Sequence[Look], a: str, b: str, recipe: Recipe) -> "_Gaps | None":
        """None where the runs share no step."""
        at = {
            base: {
                (look.run, look.step): row
                for row, look in enumerate(looks)
                if look.base == base and look.recipe == recipe
            }
            for base in (a, b)
        }
        runs = tuple(tuple(sorted({run for run, _ in at[base]})) for base in (a, b))
        every = [(base, run) for base, of_base in zip((a, b), runs, strict=True) for run in of_base]
        steps = sorted(set.intersection(*({step for r, step in at[base] if r == run} for base, run in every)))
        if not steps:
            return None
        rows = {
            base: [[at[base][run, step] for run in of_base] for step in steps]
            for base, of_base in zip((a, b), runs, strict=True)
        }
        values = framing_contrast(joined.place_values, joined.framings)  # [checkpoints, places]
        means = {base: values[np.array(rows[base])].mean(axis=1) for base in (a, b)}  # [steps, places]
        contrasts, medians = np.asarray(joined.mean_rank_contrasts), np.asarray(joined.contrasts)
        spread = [contrasts[np.array(rows[base])] for base in (a, b)]  # each [steps, runs]
        first = looks[rows[a][0][0]], looks[rows[b][0][0]]
        return cls(
            a=a,
            b=b,
            families=(first[0].family, first[1].family),
            runs=(runs[0], runs[1]),
            steps=tuple(steps),
            pairs_seen=tuple(looks[of_step[0]].pairs_seen for of_step in rows[a]),
            word_gaps=means[b] - means[a],
            of_medians=medians[np.array(rows[b])].mean(axis=1) - medians[np.array(rows[a])].mean(axis=1),
            sd_seeds=tuple(_sd_of_gap(*(side[at_step] for side in spread)) for at_step in range(len(steps))),
            places=joined.places,
            words=joined.words,
        )


def _sd_of_gap(a: np.ndarray, b: np.ndarray) -> float | None:
    """SD of b − a for one run of each: √(s²_a + s²_b), n − 1; None for a single run of either."""
    return float(np.sqrt(a.var(ddof=1) + b.var(ddof=1))) if min(len(a), len(b)) > 1 else None


def _curve(
    gaps: _Gaps,
    lexicon: str,
    recipe: Recipe,
    heads: Mapping[str, np.ndarray],
    fraction: float,
    tolerance: float,
    seed: int,
) -> GapCurve:
    at, categories = gaps.places
    first, _ = sorted(set(categories))
    is_first = np.array(categories) == first
    values = gaps.word_gaps[:, is_first].mean(axis=1) - gaps.word_gaps[:, ~is_first].mean(axis=1)  # [steps]
    of_word = stems(gaps.words[word] for word in at)
    intervals = _intervals(gaps.word_gaps, categories, of_word, seed)
    null = _null(gaps, heads, float(values[-1]), seed)
    outside = [None if isinstance(null, NotApplicable) else not null.low <= value <= null.high for value in values]
    points = [
        GapPoint(
            step=step,
            pairs_seen=gaps.pairs_seen[row],
            gap=float(values[row]),
            ci_low=intervals[row][0],
            ci_high=intervals[row][1],
            gap_of_medians=float(gaps.of_medians[row]),
            sd_seeds=gaps.sd_seeds[row],
            outside_null=outside[row],
        )
        for row, step in enumerate(gaps.steps)
    ]
    start = _start(gaps.steps, outside)
    below = _below(values, known(start), fraction)
    settled = _settled(values, tolerance)
    curve = GapCurve.build(
        lexicon=lexicon,
        base_a=gaps.a,
        base_b=gaps.b,
        family_a=gaps.families[0],
        family_b=gaps.families[1],
        source=recipe[0],
        pairs=recipe[1],
        loss=recipe[2],
        runs_a=list(gaps.runs[0]),
        runs_b=list(gaps.runs[1]),
        points=points,
        null=null,
        start_step=_at(gaps.steps, start),
        start_gap=_at(values.tolist(), start),
        fraction=fraction,
        below_step=_at(gaps.steps, below),
        below_pairs=_at(gaps.pairs_seen, below),
        tolerance=tolerance,
        settled_step=_at(gaps.steps, settled),
        settled_pairs=_at(gaps.pairs_seen, settled),
        sentence="",
    )
    return curve.model_copy(update={"sentence": curve_sentence(curve)})


def _at(values: Sequence[T], place: int | NotApplicable) -> T | NotApplicable:
    return place if isinstance(place, NotApplicable) else values[place]


def _intervals(
    word_gaps: np.ndarray, categories: Sequence[str], of_word: Sequence[str], seed: int
) -> list[tuple[float | None, float | None]]:
    """The interval over words of each step: word_gaps [steps, places]."""
    try:
        found = compare_words_many(word_gaps, categories, of_word, draws=DRAWS, seed=seed)
    except BirthmarkError:  # one word or stem only
        return [(None, None)] * len(word_gaps)
    return [(one.ci_low, one.ci_high) for one in found]


def _null(gaps: _Gaps, heads: Mapping[str, np.ndarray], final: float, seed: int) -> HeadNull | NotApplicable:
    lacking = [base for base in (gaps.a, gaps.b) if base not in heads]
    if lacking:
        return NotApplicable(f"no random heads were scored on {lacking[0]}")
    rng = np.random.default_rng(seed)
    drawn = [
        rng.choice(heads[base], size=(NULL_DRAWS, len(runs))).mean(axis=1)
        for base, runs in zip((gaps.a, gaps.b), gaps.runs, strict=True)
    ]
    null = drawn[1] - drawn[0]
    low, high = np.quantile(null, [0.025, 0.975])
    extreme = int((np.abs(null) >= abs(final) * (1 - 1e-9)).sum())
    n_heads = min(len(heads[gaps.a]), len(heads[gaps.b]))
    return HeadNull(n_heads=n_heads, low=float(low), high=float(high), p_final=(extreme + 1) / (NULL_DRAWS + 1))


def _start(steps: Sequence[int], outside: Sequence[bool | None]) -> int | NotApplicable:
    """The first place whose gap is outside the null, step 0 aside, where the head is random; without a null the first."""
    if outside[0] is None:
        return 0
    start = next((row for row, step in enumerate(steps) if step > 0 and outside[row]), None)
    return start if start is not None else NotApplicable("at no step is the gap outside what random heads give")


def _below(values: np.ndarray, start: int | None, fraction: float) -> int | NotApplicable:
    """The first place after the start from which value ÷ start's value stays below `fraction`, or why there is none."""
    if start is None:
        return NotApplicable("there is no start to fall from")
    if values[start] == 0:
        return NotApplicable("the gap at the start is zero")
    if start == len(values) - 1:
        return NotApplicable("the start is the last step")
    staying = np.flip(np.logical_and.accumulate(np.flip(values[start + 1 :] / values[start] < fraction)))
    if not staying.any():
        return NotApplicable(f"the last gap is {percent(values[-1] / values[start])} of that at the start")
    return start + 1 + int(np.argmax(staying))


def _settled(values: np.ndarray, tolerance: float) -> int | NotApplicable:
    """The first place from which all values stay within `tolerance` × their range of the last, or why there is none."""
    if len(values) < 3:
        return NotApplicable("three steps or more are needed to see a gap settle")
    near = np.abs(values - values[-1]) <= tolerance * np.ptp(values)
    first = int(np.argmax(np.flip(np.logical_and.accumulate(np.flip(near)))))
    return NotApplicable("the gap still moves at the last step") if first == len(values) - 1 else first


def _quantities(curves: Sequence[GapCurve], fraction: float) -> list[QuantityCurve]:
    """Curves that differ in their pair counts alone, their last gaps side by side."""
    groups: dict[tuple[str, str, str | None, str | None], list[GapCurve]] = {}
    for curve in curves:
        if curve.pairs is not None:
            groups.setdefault((curve.base_a, curve.base_b, curve.source, curve.loss), []).append(curve)
    found = []
    for group in groups.values():
        group.sort(key=lambda curve: curve.pairs or 0)
        finals = [curve.points[-1] for curve in group]
        below = _below(np.array([point.gap for point in finals]), 0, fraction)
        if len(group) == 1:
            below = NotApplicable("runs of one pair count alone do not show it")
        elif finals[0].outside_null is False:
            below = NotApplicable(f"after {group[0].pairs:,} pairs the gap is within what random heads give")
        first = group[0]
        found.append(
            QuantityCurve.build(
                lexicon=first.lexicon,
                base_a=first.base_a,
                base_b=first.base_b,
                family_a=first.family_a,
                family_b=first.family_b,
                source=first.source,
                loss=first.loss,
                finals=[
                    FinalGap.build(point, without=("pairs_seen", "gap_of_medians", "sd_seeds"), pairs=curve.pairs or 0)
                    for curve, point in zip(group, finals, strict=True)
                ],
                fraction=fraction,
                below_pairs=_at([curve.pairs for curve in group], below),
            )
        )
    return found
