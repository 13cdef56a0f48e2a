"""What a page and a card say beside a finding: limits, terms, the system prompt, the probability on the words.

Records in, sentences out.
"""

from collections.abc import Sequence

from birthmark.foreign import one_line
from birthmark.records import Effects, Implicit, ScoreRecord
from birthmark.values.formats import SCORES, listed, percent, sentence

SMALL_MASS = 0.05
QUOTED = 400  # characters of a system prompt that are shown
SINGLE_WORDS = (
    "The findings are about single words after short questions. They do not show what a model does in a conversation, with "
    "tools or in long texts."
)
RANKS = (
    "A rank shows which of these words a model puts first. It does not show how capable the model is, nor that it “holds” "
    "a value."
)


def caveats(effects: Sequence[Effects], scores: Sequence[ScoreRecord]) -> list[str]:
    """What the numbers cannot say: general limits, and those of this study."""
    said = [SINGLE_WORDS, RANKS]
    if any(item.headline is None for item in effects):
        said.append(
            "The findings do not generalize to model families, which would need several base checkpoints of each. They are differences "
            "between the models as they were run."
        )
    said += [power_said(item, several=len(effects) > 1) for item in effects if item.power is not None]
    names = sorted({item.lexicon for item in effects if not item.validated})
    if names:
        said.append(
            f"No validation with people is stated for the word list {listed(names)}: a difference is one between these "
            "words; check it with a validated list."
        )
    if any(record.kind == "logprob" for record in scores):
        said.append(
            "A base model's log-probabilities show what it would say next, not what it rewards; common words rank high because they "
            "are common. Compare models, not words, and consider the words' frequencies."
        )
    if {"reward", "logprob"} <= {record.kind for record in scores}:
        said.append(
            "Rewards and log-probabilities are different scales; they are shown side by side here and never pooled."
        )
    return said


def system_said(scores: Sequence[ScoreRecord]) -> str | None:
    """The system prompt that stood before every question, with the persona's name; None where nobody set one."""
    asked = scores[0].prompt_set if scores else None
    if asked is None or asked.system is None:
        return None
    if not asked.system:
        return "Every question was asked with an empty system turn."
    whose = f" of the persona “{asked.persona}”" if asked.persona else ""
    return f"Every question was asked with the system prompt{whose}: {quoted(asked.system)}"


def quoted(text: str) -> str:
    """A system prompt on one line between quotation marks, a long one cut."""
    return f"“{one_line(text, QUOTED)}”"


def power_said(effects: Effects, *, several: bool) -> str:
    """What the leading test could have found; with several word lists or kinds of score, by which."""
    found = effects.power.sentence if effects.power else sentence(effects.power_why)
    return f"By {listed_as(effects)}: {found[0].lower()}{found[1:]}" if several and found else found


def listed_as(effects: Effects) -> str:
    """`starter, rewards`: which word list, of which kind of score."""
    return f"{effects.lexicon}, {SCORES[effects.kind]}"


def glossary(effects: Sequence[Effects], implicit: Sequence[Implicit]) -> list[tuple[str, str]]:
    """The report's terms, each in a sentence."""
    terms = [
        ("Candidate", "A possible one-word answer that is scored: a word, or a token of the model's vocabulary."),
        (
            "Token",
            "The unit a language model reads and writes: a word, a part of one, or a sign, often with a space before it.",
        ),
        (
            "Score",
            "A reward (what a reward model gives an answer) or a log-probability (how likely a model is to say it).",
        ),
        ("Rank", "A candidate's place by score among all that were scored after the same question; 1 is the best."),
        (
            "Median rank",
            "The rank in the middle: half of the category's words (or of the questions) are above it, half below.",
        ),
        (
            "Framing",
            "Whether a question asks for the best, greatest, most good thing, or for the worst, most terrible, bad.",
        ),
        (
            "Contrast",
            (
                "How far one category gains on the other from asked for the worst to asked for the best, in mean ranks; also "
                "called a leaning."
            ),
        ),
        (
            "95% interval",
            "Where the value plausibly lies, given that the words or base checkpoints are a sample.",
        ),
        ("p", "How often chance alone gives a difference at least this large."),
    ]
    if any(item.headline or item.model_level for item in effects):
        terms.append(
            (
                "Base checkpoint",
                "The one released model that reward models were tuned from; models that share it are not independent.",
            )
        )
    if implicit:
        terms.append(
            (
                "Implicit reward",
                "The reward with which preference training would turn one model into the other.",
            )
        )
    return terms


def mass_warning(scores: Sequence[ScoreRecord], *, at_least: float = 0.0) -> str | None:
    """Said of language models whose next-token probability hardly touches the words; what is below `at_least` is said elsewhere."""
    means = {
        record.model: mass
        for record in scores
        if (mass := mean_mass(record)) is not None and at_least <= mass < SMALL_MASS
    }
    if not means:
        return None
    shares = listed([f"{percent(mass, 2)} of {model}'s" for model, mass in means.items()])
    return (
        f"The lists' words hold only {shares} next-token probability: the ranking rests on a very small part of "
        "the next-token distribution."
    )


def mean_mass(record: ScoreRecord) -> float | None:
    """The mean over prompts of the probability on the lists' words; null for rewards."""
    if not record.mass:
        return None
    return sum(mass.lexicon for mass in record.mass.values()) / len(record.mass)


def examples(effects: Effects, category: str, n: int = 6) -> list[str]:
    """A few of a category's words, from all over its list."""
    words = effects.words.get(category, [])
    step = max(1, len(words) // n)
    return words[step // 2 :: step][:n]
