"""What an edit of a head stands on and what it did: splits of words and prompts, rows of C, leans and pairs before and after.

Arrays in, arrays and records out. Contrasts are of mean ranks, in ranks among all of the lexicon's words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import Framing, LeanChange, PairChange, PromptRecord
from birthmark.records.edit import Part
from birthmark.stats.words import compare_words_many, place_values
from birthmark.values.ranks import category_means, contrast, framing_contrast, membership, rank, stems

FEWEST_STEMS = 4  # of a category: two in either half
RESAMPLES = 2_000


@dataclass(frozen=True)
class Asked:
    """The words and prompts of an edit, [words] and [prompts], and which of them the edit is estimated on.

    `member` is bool [2, words], rows in the order of `categories`; `adjectives` are prompts' keys where a prompt has none.
    """

    words: tuple[str, ...]
    categories: tuple[str, ...]
    member: np.ndarray
    prompts: tuple[str, ...]
    framings: tuple[Framing, ...]
    adjectives: tuple[str, ...]
    training_words: np.ndarray
    training_prompts: np.ndarray

    @property
    def rows(self) -> list[tuple[Framing, str]]:
        """Framing and adjective of each row of C, of the training prompts, in their order."""
        return list(dict.fromkeys(self._groups(self.training_prompts)))

    def _groups(self, prompts: np.ndarray) -> list[tuple[Framing, str]]:
        return [(self.framings[at], self.adjectives[at]) for at in np.flatnonzero(prompts)]

    def prompts_of(self, row: tuple[Framing, str]) -> np.ndarray:
        """The training prompts of a row of C, bool [prompts]."""
        same = [pair == row for pair in zip(self.framings, self.adjectives, strict=True)]
        return np.array(same) & self.training_prompts

    def differences(self, states: np.ndarray) -> np.ndarray:
        """C, float64 [rows, hidden]: by framing and adjective, the first category's mean state less the second's.

        states: [words, prompts, hidden], averaged over the training words of a category and the training prompts of a row.
        """
        first, second = (row & self.training_words for row in self.member)
        found = []
        for row in self.rows:
            inside = states[:, self.prompts_of(row)].mean(axis=1, dtype=np.float64)  # [words, hidden]
            found.append(inside[first].mean(axis=0) - inside[second].mean(axis=0))
        return np.stack(found)

    def pattern(self) -> np.ndarray:
        """What moves the contrast of rewards by one and nothing else: ½ in rows of positive prompts, −½ in the others."""
        return np.array([0.5 if framing == "positive" else -0.5 for framing, _ in self.rows])

    def lean(self, scores: np.ndarray, words: np.ndarray, prompts: np.ndarray) -> float:
        """The contrast of mean ranks of some words after some prompts; scores [words, prompts]."""
        ranks = rank(scores[np.ix_(words, prompts)])
        framings = [self.framings[at] for at in np.flatnonzero(prompts)]
        return float(contrast(category_means(ranks, self.member[:, words]), framings)) * self.scale(words)

    def scale(self, words: np.ndarray) -> float:
        """By how much ranks among some words are stretched to be ranks among all."""
        return (len(self.words) + 1) / (int(words.sum()) + 1)


def ask(
    words: Sequence[str], lexicon: Lexicon, prompts: dict[str, PromptRecord], *, seed: int, split: bool = True
) -> Asked:
    """Words and prompts with a seeded half of either held out: words by stem within categories, prompts by adjective.

    Prompts without a framing are left out. Without `split` all are for training. Raises `BirthmarkError` for a lexicon
    without two categories, or with too few words or adjectives for the halves.
    """
    categories = tuple(sorted(lexicon.categories))
    found = lexicon.match(words)
    kept = tuple(word for word in words if word in found)
    member = membership({word: found[word] for word in kept}, categories)
    framed = {key: prompt for key, prompt in prompts.items() if prompt.framing is not None}
    asked = Asked(
        words=kept,
        categories=categories,
        member=member,
        prompts=tuple(framed),
        framings=tuple(prompt.framing for prompt in framed.values() if prompt.framing is not None),
        adjectives=tuple(prompt.factors.get("adjective", key) for key, prompt in framed.items()),
        training_words=np.ones(len(kept), dtype=bool),
        training_prompts=np.ones(len(framed), dtype=bool),
    )
    if not split:
        return asked
    rng = np.random.default_rng([seed, 0])
    halves = (_half_of_words(asked, lexicon.name, rng), _half_of_prompts(asked, rng))
    return Asked(**{**vars(asked), "training_words": halves[0], "training_prompts": halves[1]})


def two_categories(lexicon: Lexicon, chosen: Sequence[str]) -> Lexicon:
    """The lexicon with two categories, those chosen if any; raises `BirthmarkError` for another number of them."""
    names = ", ".join(lexicon.categories)
    if chosen and len(set(chosen)) != 2:
        raise BirthmarkError(
            f"--category names {len(set(chosen))} of the lexicon's categories, and a contrast is of two: {names}"
        )
    if not chosen and len(lexicon.categories) > 2:
        raise BirthmarkError(
            f"the lexicon {lexicon.name} has {len(lexicon.categories)} categories, and a contrast is of two: choose them with "
            f"--category A --category B, of {names}"
        )
    if len(lexicon.categories) < 2:
        raise BirthmarkError(
            f"the lexicon {lexicon.name} has one category ({names}), and a contrast is of two: give another"
        )
    return lexicon.only(tuple(chosen)) if chosen else lexicon


def _half_of_words(asked: Asked, lexicon: str, rng: np.random.Generator) -> np.ndarray:
    """Half of the word stems of each category (and of those in both), bool [words]."""
    of_stem: dict[str, set[int]] = {}
    roots = stems(asked.words)
    for at, root in enumerate(roots):
        of_stem.setdefault(root, set()).update(np.flatnonzero(asked.member[:, at]).tolist())
    for row, category in enumerate(asked.categories):
        count = sum(row in inside for inside in of_stem.values())
        if count < FEWEST_STEMS:
            raise BirthmarkError(
                f"the lexicon {lexicon} has {count} word stems of {category} that can be scored, and an edit needs "
                f"{FEWEST_STEMS} or more: half of them are held out"
            )
    chosen: set[str] = set()
    for kind in sorted({tuple(sorted(inside)) for inside in of_stem.values()}):
        names = sorted(root for root, inside in of_stem.items() if tuple(sorted(inside)) == kind)
        chosen |= {str(name) for name in rng.permutation(names)[: (len(names) + 1) // 2]}
    return np.array([root in chosen for root in roots])


def _half_of_prompts(asked: Asked, rng: np.random.Generator) -> np.ndarray:
    """Half of the adjectives of each framing, rounded up, with all their prompts, bool [prompts]."""
    chosen: set[tuple[str, str]] = set()
    for framing in ("positive", "negative"):
        names = sorted({a for f, a in zip(asked.framings, asked.adjectives, strict=True) if f == framing})
        if len(names) < 2:
            raise BirthmarkError(
                f"an edit needs {framing} prompts of two adjectives or more, for half of them are held out, and there "
                f"{'is' if len(names) == 1 else 'are'} {len(names) or 'none'}: ask more prompts"
            )
        chosen |= {(framing, str(name)) for name in rng.permutation(names)[: (len(names) + 1) // 2]}
    return np.array([pair in chosen for pair in zip(asked.framings, asked.adjectives, strict=True)])


def lean_change(
    asked: Asked, before: np.ndarray, after: np.ndarray, parts: tuple[Part, Part], target: float, seed: int
) -> LeanChange:
    """The contrast of mean ranks before and after on a part of the words and of the prompts; scores [words, prompts]."""
    words, prompts = (
        {"training": mask, "held-out": ~mask, "all": np.ones_like(mask)}[part]
        for mask, part in zip((asked.training_words, asked.training_prompts), parts, strict=True)
    )
    inside = np.ix_(words, prompts)
    ranks = np.stack([rank(before[inside]), rank(after[inside])])  # [2, words, prompts]
    member, framings = asked.member[:, words], [asked.framings[at] for at in np.flatnonzero(prompts)]
    scale = asked.scale(words)
    leans = scale * contrast(category_means(ranks, member), framings)
    intervals = _over_words(scale * framing_contrast(place_values(ranks, member), framings), asked, words, seed)
    found = LeanChange(
        words=parts[0],
        prompts=parts[1],
        n_words=int(words.sum()),
        n_prompts=int(prompts.sum()),
        scaled_to=len(asked.words),
        before=float(leans[0]),
        before_ci_low=intervals[0][0],
        before_ci_high=intervals[0][1],
        after=float(leans[1]),
        after_ci_low=intervals[1][0],
        after_ci_high=intervals[1][1],
        change=float(leans[1] - leans[0]),
        change_ci_low=intervals[2][0],
        change_ci_high=intervals[2][1],
        remains=None,
    )
    low, high = intervals[0]
    if low is None or high is None:
        return found.model_copy(update={"remains_why": "there are too few words for an interval"})
    if low <= target <= high:
        return found.model_copy(update={"remains_why": "the lean before cannot be told from the target"})
    return found.model_copy(update={"remains": (found.after - target) / (found.before - target)})


def _over_words(
    values: np.ndarray, asked: Asked, words: np.ndarray, seed: int
) -> list[tuple[float | None, float | None]]:
    """95% intervals over word stems of the contrast before, after, and of its change; values [2, places]."""
    at = np.flatnonzero(words)
    places = [at[place] for row in asked.member[:, words] for place in np.flatnonzero(row)]
    labels = np.repeat(asked.categories, asked.member[:, words].sum(axis=1)).tolist()
    roots = stems(asked.words[place] for place in places)
    found: list[tuple[float | None, float | None]] = []
    for row in (values[0], values[1], values[1] - values[0]):
        try:
            (test,) = compare_words_many(row[None], labels, roots, seed=seed)
            found.append((test.ci_low, test.ci_high))
        except BirthmarkError:
            found.append((None, None))
    return found


def pair_change(before: np.ndarray, after: np.ndarray, seed: int) -> PairChange:
    """The rewards of held-out pairs before and after, [pairs, 2], the chosen answer's first."""
    margins = np.stack([rewards[:, 0] - rewards[:, 1] for rewards in (before, after)])
    right = margins > 0
    n = margins.shape[1]
    won, lost = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
    shares = right.mean(axis=1)
    wilson = [scipy.stats.binomtest(int(row.sum()), n).proportion_ci(method="wilson") for row in right]
    accuracy = _paired_interval(right[1].astype(float) - right[0], seed)
    if won + lost == 0:  # resampling knows of no pair that changes sides; as many as this may
        most = float(scipy.stats.binomtest(0, n).proportion_ci(method="exact").high)
        accuracy = (-most, most)
    margin = _paired_interval(margins[1] - margins[0], seed)
    sd = float(before.std())
    return PairChange(
        n_pairs=n,
        accuracy_before=float(shares[0]),
        accuracy_before_ci_low=float(wilson[0][0]),
        accuracy_before_ci_high=float(wilson[0][1]),
        accuracy_after=float(shares[1]),
        accuracy_after_ci_low=float(wilson[1][0]),
        accuracy_after_ci_high=float(wilson[1][1]),
        accuracy_change=float(shares[1] - shares[0]),
        accuracy_change_ci_low=accuracy[0],
        accuracy_change_ci_high=accuracy[1],
        lost=lost,
        won=won,
        p_mcnemar=float(scipy.stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0,
        margin_before=float(margins[0].mean()),
        margin_after=float(margins[1].mean()),
        margin_change=float((margins[1] - margins[0]).mean()),
        margin_change_ci_low=margin[0],
        margin_change_ci_high=margin[1],
        margin_sd=sd,
        spearman=float(scipy.stats.spearmanr(before.ravel(), after.ravel()).statistic),
        variance_added=float((after - before).var() / max(before.var(), np.finfo(float).tiny)),
    )


def _paired_interval(differences: np.ndarray, seed: int) -> tuple[float, float]:
    """95% bootstrap interval over pairs of a mean difference (percentiles); all alike, it is that number."""
    if np.ptp(differences) == 0:
        return float(differences[0]), float(differences[0])
    found = scipy.stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng([seed, 3]),
    ).confidence_interval
    return float(found.low), float(found.high)
