"""How often the test over words (`models_fixed`) rejects where two models do not differ, by the layout of the words.

Two models score words after one good and one bad prompt, each independently of all else; a word's score is its stem's and
its own; words are then ranked, and the difference tested, as in a report. Layouts differ in the words a category has, in
the forms that a stem has, in how far the categories' scores spread, and in the stems that both categories share.
"""

from dataclasses import dataclass

import numpy as np

from birthmark.records import Layout, NullRate, WordLayout
from birthmark.stats.power import mc_error
from birthmark.stats.words import compare_words_many, place_values
from birthmark.values.ranks import rank

SHARED = 0.9  # of the variance of a word's score, its stem's part
DRAWS = 499
CHUNK = 100  # studies with the same permutations
ALPHA = 0.05
TEST = "words"
FORMS = ((1,), (2,), (3,), (1, 2, 3))
RATIOS = (1.0, 1.5, 3.0, 1 / 1.5, 1 / 3)
WITHIN = (
    (2, 6),
    (2, 24),
    (3, 8),
    (3, 24),
    (4, 8),
    (4, 24),
    (4, 60),
    (12, 24),
    (12, 60),
)  # all stems of the first are in both
FEW = ((2, 5), (2, 10), (2, 24), (2, 60), (3, 3), (3, 10), (3, 24), (3, 60), (4, 4), (4, 10), (4, 60))


@dataclass(frozen=True)
class WordDesign:
    """words: of either category; forms: of its stems, in turn; ratio: the second category's SD of scores over the first's;
    in_both: stems with words in both categories."""

    words: tuple[int, int]
    forms: tuple[int, ...]
    ratio: float
    in_both: int = 0

    @property
    def stems(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the stems of either category's words, [words]."""
        first, second = (_stem_numbers(n, self.forms) for n in self.words)
        return first, np.where(second < self.in_both, second, second + first.max() + 1)

    @property
    def name(self) -> str:
        forms = str(self.forms[0]) if len(self.forms) == 1 else f"{min(self.forms)}-{max(self.forms)}"
        ratio = "" if self.ratio == 1 else f" sd_ratio={self.ratio:.2g}"
        both = f" in_both={self.in_both}" if self.in_both else ""
        return f"words {self.words[0]}+{self.words[1]} forms={forms}{ratio}{both}"


def designs() -> list[WordDesign]:
    """Equal and unequal categories by forms and spread; stems in both categories; categories of very few stems."""
    found = [
        WordDesign(words, forms, ratio)
        for words in ((36, 36), (12, 60))
        for forms in FORMS
        for ratio in RATIOS
        if words[0] != words[1] or ratio >= 1
    ]
    found += [WordDesign((36, 36), (2,), ratio, 6) for ratio in (1.0, 3.0)]
    found += [WordDesign(words, (1,), ratio, words[0]) for words in WITHIN for ratio in (1.0, 3.0, 1 / 3)]
    return [*found, *(WordDesign(words, (1,), ratio) for words in FEW for ratio in (1.0, 3.0, 1 / 3))]


def word_studies(design: WordDesign, studies: int, seed: int) -> NullRate:
    """The share of `studies` without a difference in which `p_words` is below .05."""
    first, second = design.stems
    stems = np.concatenate([first, second])
    labels = np.repeat(("first", "second"), design.words)
    rng = np.random.default_rng([seed, 4, *design.words, *design.forms, round(100 * design.ratio), design.in_both])
    rejected = 0
    for start in range(0, studies, CHUNK):
        values = _draw(rng, design, stems, min(CHUNK, studies - start))
        tests = compare_words_many(values, labels.tolist(), stems.astype(str).tolist(), DRAWS, int(rng.integers(2**31)))
        rejected += sum(test.p < ALPHA for test in tests)
    rate = rejected / studies
    words = WordLayout(
        words=list(design.words),
        stems=[len(set(part.tolist())) for part in (first, second)],
        forms=list(design.forms),
        in_both=design.in_both,
    )
    return NullRate(
        layout=design.name,
        test=TEST,
        unit="word",
        alpha=ALPHA,
        attainable=True,
        rate=rate,
        mc_error=mc_error(rate, studies),
        studies=studies,
        design=Layout(bases=[1, 1], rms=[[1], [1]], icc=0.0, sd_ratio=design.ratio, skewed=False, words=words),
        rows="two models, two prompts",
    )


def _draw(rng: np.random.Generator, design: WordDesign, stems: np.ndarray, studies: int) -> np.ndarray:
    """Values of the words, [studies, words]: (b − a) of (positive − negative prompt)."""
    n = len(stems)
    is_first = np.arange(n) < design.words[0]
    of_stem = rng.standard_normal((4 * studies, int(stems.max()) + 1))[:, stems]
    score = np.sqrt(SHARED) * of_stem + np.sqrt(1 - SHARED) * rng.standard_normal((4 * studies, n))
    ranks = rank((score * np.where(is_first, 1.0, design.ratio)).T)  # [words, 4 × studies]
    placed = place_values(ranks[None], np.stack([is_first, ~is_first]))[0].T.reshape(4, studies, n)
    return np.asarray(placed[0] - placed[1] - placed[2] + placed[3])


def _stem_numbers(n_words: int, forms: tuple[int, ...]) -> np.ndarray:
    sizes = np.resize(forms, n_words)
    return np.repeat(np.arange(n_words), sizes)[:n_words]
