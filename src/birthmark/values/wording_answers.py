"""Findings about answers in sentences. Records in, sentences out."""

from collections.abc import Sequence

from birthmark.inputs.answers import WORD
from birthmark.records import FormatLean
from birthmark.records.answers import Verdict
from birthmark.values.formats import decimal, interval, signed

LEAST_RHO = 0.5
RULE = (
    "A model's values hold in sentences where its contrast has the same sign in every sentence as for the word alone, and the "
    f"words' mean ranks in sentences correlate with those of the word alone by {LEAST_RHO:g} or more (Spearman's ρ, a mean over "
    "sentences and framings). Where the interval of the word alone includes 0 there is no lean to hold."
)
NOTE = (
    "The other numbers of this study are means over all answer formats, the word alone among them: each is a prompt of its "
    "question's framing. The numbers of the word alone are those of --answers words."
)


def verdict_of(formats: Sequence[FormatLean], with_word: float | None) -> Verdict | None:
    """By `RULE`; None where there is no contrast or no correlation."""
    word = next(item for item in formats if item.format == WORD)
    others = [item for item in formats if item.format != WORD]
    if not others or with_word is None or word.contrast is None or word.ci_low is None or word.ci_high is None:
        return None
    if word.ci_low <= 0 <= word.ci_high:
        return "no lean"
    return "hold" if same_sign(formats) == len(others) and with_word >= LEAST_RHO else "do not hold"


def same_sign(formats: Sequence[FormatLean]) -> int:
    """In how many sentences the contrast has the sign that it has for the word alone."""
    word = next(item.contrast for item in formats if item.format == WORD)
    others = [item.contrast for item in formats if item.format != WORD]
    return sum(word is not None and value is not None and value * word > 0 for value in others)


def answers_sentence(
    model: str,
    lexicon: str,
    categories: Sequence[str],
    formats: Sequence[FormatLean],
    with_word: float | None,
    verdict: Verdict | None,
) -> str:
    """Whether a model's values hold in sentences, and the numbers that say so."""
    word = next(item for item in formats if item.format == WORD)
    others = [item for item in formats if item.format != WORD]
    rho = "cannot be told, for all words tie" if with_word is None else f"is {decimal(with_word)} on average"
    agree = f"the correlation of its word ranks in sentences with those of the word alone {rho}"
    if not others:
        return f"{model}, {lexicon}: every sentence begins with the word, where it reads no more than before the word alone."
    if word.contrast is None:
        return f"{model}, {lexicon}: {agree}; there is no contrast to hold."
    values = [item.contrast for item in others if item.contrast is not None]
    lean = (
        f"the contrast {categories[0]} − {categories[1]} is {signed(word.contrast)} ranks for the word alone "
        f"(95% {interval(word.ci_low, word.ci_high)} over words) and {signed(min(values))} to {signed(max(values))} in "
        f"{len(others)} sentence{'s' * (len(others) > 1)}, of the same sign in {same_sign(formats)}"
    )
    said = {
        "hold": "these values hold in sentences",
        "do not hold": "these values do not hold in sentences",
        "no lean": "the word alone shows no lean that could hold in sentences",
        None: "whether these values hold in sentences cannot be told",
    }[verdict]
    return f"{model}, {lexicon}: {said}: {lean}; {agree}."
