"""The finding in two plain sentences, and what the numbers cannot say.

Reads records and says what they hold; every figure in a sentence stands in a record.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from birthmark.inputs.text import one_line
from birthmark.records import Effects, Implicit, LevelTest, ModelsFixed, ScoreRecord
from birthmark.values.formats import interval, p_words, times

SMALL_MASS = 0.05
SIGNIFICANT = 0.05
QUOTED = 400  # characters of a system prompt that are shown
ASKED = "Asked for good things rather than bad ones"
SINGLE_WORDS = (
    "They are about single words after short questions. What a model does in a conversation, with tools or at length, "
    "is another matter."
)
RANKS = (
    "A rank says which of these words a model puts first, not how good or bad it is at anything, and not that it “holds” "
    "a value."
)


@dataclass(frozen=True)
class Finding:
    """A headline, what was found in a sentence, and in another how far it can be trusted."""

    title: str
    said: str
    sure: str


def finding(effects: Effects) -> Finding:
    """The finding for someone who knows no statistics."""
    if len(effects.categories) == 2:
        if effects.headline is not None and effects.headline.estimate is not None:
            return _headline(effects, effects.headline)
        if effects.models_fixed is not None:
            return _fixed(effects, effects.models_fixed)
        leaning = [item for item in effects.models if item.mean_rank_contrast is not None]
        if len(leaning) == 1:
            return _single(effects)
        if leaning and len(effects.families) == 1:
            return _one_family(effects)
    if len(effects.categories) > 2:
        most = _most_different(effects)
        if most is not None:
            return most
    said, _, rest = (effects.sentence or "There is nothing to compare by this word list.").partition(". ")
    return Finding(_names(effects), said.rstrip(".") + ".", rest or sentence(effects.headline_why))


def key_numbers(effects: Effects) -> list[tuple[str, str, str]]:
    """The finding in numbers: what, how much, and a word on it."""
    test, fixed = effects.headline, effects.models_fixed
    if test is not None and test.estimate is not None:
        units = " and ".join(f"{n} {family}" for family, n in test.n_units.items())
        splits = f"{test.count:,} of {test.n_splits:,} splits" if test.count is not None else "exact"
        return [
            ("Difference", f"{abs(test.estimate):.1f}", f"rank places of {effects.n_candidates:,}"),
            ("95% interval", interval(test.ci_low, test.ci_high), f"over base checkpoints: {units}"),
            ("Chance alone", p_words(test.p_exact), splits),
        ]
    if fixed is not None and len(effects.categories) == 2:
        return [
            ("Difference", f"{abs(fixed.estimate):.1f}", f"rank places of {effects.n_candidates:,}"),
            ("95% interval", interval(fixed.ci_low, fixed.ci_high), "over the words, of these models"),
            ("Chance alone", p_words(fixed.p_words), "words' labels shuffled"),
        ]
    return []


def _most_different(effects: Effects) -> Finding | None:
    """Of many categories the one that two families differ by most, where such differences are there."""
    rows = [item for item in effects.per_category if item.difference is not None]
    if len(effects.families) != 2 or not rows:
        return None
    a, b = sides(effects)
    most = max(rows, key=lambda item: abs(item.difference or 0.0))
    leaning, other = (b, a) if (most.difference or 0.0) < 0 else (a, b)
    said = (
        f"{ASKED}, {leaning} {_verb('put', leaning)} {most.category} words further ahead than {other} {_verb('do', other)}, by "
        f"{places(most.difference or 0.0)} in a ranking of {effects.n_candidates:,} words: of "
        f"{len(effects.categories)} categories, the largest difference."
    )
    if most.p_max_t is None:
        sure = sentence(effects.headline_why) or "How sure that is, these models cannot tell."
    else:
        units = "base checkpoints" if most.unit == "base_checkpoint" else "models"
        sure = f"Over {units}, chance alone brings one as large {times(most.p_max_t)} times, all categories counted."
    return Finding(_names(effects), said, sure)


def _names(effects: Effects) -> str:
    names = [item.model for item in effects.models]
    return f"What {listed(names)} put first" if 0 < len(names) <= 2 else f"What {len(names)} models put first"


def sides(effects: Effects) -> tuple[str, str]:
    """The names of the two families' sides: the model, where a family has one."""
    a, b = (
        [item.model for item in effects.models if item.family == family] or [family] for family in effects.families[:2]
    )
    return tuple(  # type: ignore[return-value]
        models[0] if len(models) == 1 else f"the {len(models)} {family} models"
        for models, family in zip((a, b), effects.families, strict=False)
    )


def _fixed(effects: Effects, fixed: ModelsFixed) -> Finding:
    a, b = sides(effects)
    leaning, other = (b, a) if fixed.estimate < 0 else (a, b)
    first, second = (name.lower() for name in effects.categories)
    size = f"{places(fixed.estimate)} in a ranking of {effects.n_candidates:,} words"
    if fixed.clear:
        title = f"{_capital(leaning)} {_verb('lean', leaning)} further to {first} than {other}"
        said = (
            f"{ASKED}, {leaning} {_verb('put', leaning)} {first} words further ahead of {second} words than {other} "
            f"{_verb('do', other)}, by {size}."
        )
        sure = (
            f"Shuffling which word counts as {first} and which as {second} brings a gap this wide "
            f"{times(fixed.p_words)} times, so the choice of words hardly explains it; whether other models of the same "
            "families differ likewise, these models cannot tell."
        )
    else:
        title = f"No clear difference between {a} and {b}"
        said = f"{ASKED}, {a} and {b} show no clear difference between {first} and {second} words."
        luck = (
            "yet with words of one stem taken together the interval reaches zero: too little to be sure."
            if fixed.p_words < SIGNIFICANT
            else "so it may well be the luck of the word list."
        )
        sure = (
            f"The gap measured is {size}, and shuffling the words' labels brings one as wide {times(fixed.p_words)} "
            f"times, {luck}"
        )
    return Finding(title, said, sure)


def _headline(effects: Effects, test: LevelTest) -> Finding:
    a, b = effects.families[:2]
    estimate = test.estimate or 0.0
    leaning, other = (b, a) if estimate < 0 else (a, b)
    first, second = (name.lower() for name in effects.categories)
    units = " and ".join(f"{n} of {family}" for family, n in test.n_units.items())
    kind = "base checkpoints" if test.unit == "base_checkpoint" else "models"
    said = (
        f"{ASKED}, the models here that are built on {leaning} put {first} words further ahead of {second} words than those on "
        f"{other} do, by {places(estimate)} in a ranking of {effects.n_candidates:,} words."
    )
    sure = f"This rests on {sum(test.n_units.values())} {kind} ({units})"
    if test.count is not None and test.n_splits is not None:
        sure += (
            f": of the {test.n_splits:,} ways to deal them into two such groups, {test.count:,} differ at least as much"
        )
    if test.min_p is not None and test.min_p > 0.05:
        sure += f", and with so few no result could have come out rarer than {p_words(test.min_p).removeprefix('p = ')}"
    return Finding(_headline_title(effects, test, leaning, other), said, sure + ".")


def _headline_title(effects: Effects, test: LevelTest, leaning: str, other: str) -> str:
    """Says what was found only as far as the test carries it."""
    first = effects.categories[0].lower()
    if test.p_exact is not None and test.p_exact <= SIGNIFICANT:
        return f"Models built on {leaning} lean further to {first} than those built on {other}"
    if test.p_exact is not None and test.p_exact == test.min_p:
        return f"These models built on {leaning} lean further to {first}, but they are too few to be sure"
    return f"No clear difference between models built on {leaning} and on {other}"


def _single(effects: Effects) -> Finding:
    model = effects.models[0]
    value = model.mean_rank_contrast or 0.0
    ahead, behind = effects.categories if value < 0 else effects.categories[::-1]
    said = (
        f"{ASKED}, {model.model} moves {ahead.lower()} words ahead of {behind.lower()} words by {places(value)} "
        f"in a ranking of {effects.n_candidates:,} words."
    )
    first, second = (name.lower() for name in effects.categories)
    sure = "It is one model, with nothing to compare it with: audit a second one into the same folder to see more."
    return Finding(f"How {model.model} ranks {first} and {second}", said, sure)


def _one_family(effects: Effects) -> Finding:
    """Several models of one family: which is furthest to either side, and that nothing tests it."""
    leaning = [item for item in effects.models if item.mean_rank_contrast is not None]
    most, *_, least = sorted(leaning, key=lambda item: item.mean_rank_contrast or 0.0)
    apart = (least.mean_rank_contrast or 0.0) - (most.mean_rank_contrast or 0.0)
    first, second = (name.lower() for name in effects.categories)
    said = (
        f"{ASKED}, {most.model} leans furthest to {first} and {least.model} furthest to {second}: they are "
        f"{places(apart)} apart in a ranking of {effects.n_candidates:,} words."
    )
    sure = (
        f"All are of one family ({effects.families[0]}), so there is no test between families; birthmark compare --group-by "
        "compares other groups of models."
    )
    return Finding(_names(effects), said, sure)


def caveats(effects: Sequence[Effects], scores: Sequence[ScoreRecord]) -> list[str]:
    """What the numbers cannot say: general limits, and those of this study."""
    said = [SINGLE_WORDS, RANKS]
    if any(item.headline is None for item in effects):
        said.append(
            "They do not speak of model families: that takes several base checkpoints of each. These are differences "
            "between the models as they were run."
        )
    said += [power_said(item, several=len(effects) > 1) for item in effects if item.power is not None]
    names = sorted({item.lexicon for item in effects if not item.validated})
    if names:
        said.append(
            f"The word list {listed(names)} has not been validated with people: read a difference as one between these "
            "words, and check it with a validated list."
        )
    if any(record.kind == "logprob" for record in scores):
        said.append(
            "A base model's log-probabilities are what it would say next, not what it rewards; common words come "
            "first for being common. Compare models, not words, and look at the words' frequencies."
        )
    if {"reward", "logprob"} <= {record.kind for record in scores}:
        said.append(
            "Rewards and log-probabilities are different scales; they stand side by side here and are never pooled."
        )
    return said


def system_said(scores: Sequence[ScoreRecord]) -> str | None:
    """The system prompt that stood before every question, with the persona's name; None where nobody set one."""
    asked = scores[0].prompt_set if scores else None
    if asked is None or asked.system is None:
        return None
    whose = f" of the persona “{asked.persona}”" if asked.persona else ""
    return f"Every question was asked under the system prompt{whose}: {quoted(asked.system)}"


def quoted(text: str) -> str:
    """A system prompt on one line between quotation marks, a long one cut."""
    return f"“{one_line(text, QUOTED)}”"


def power_said(effects: Effects, *, several: bool) -> str:
    """What the leading test could have found; with several word lists, by which."""
    found = effects.power.sentence if effects.power else sentence(effects.power_why)
    return f"By the word list {effects.lexicon}: {found[0].lower()}{found[1:]}" if several and found else found


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
        ("Leaning", "How much further one category is ahead when asked for the best than when asked for the worst."),
        (
            "95% interval",
            "Where the value may plausibly lie, were the sampled things (words, base checkpoints) drawn anew.",
        ),
        ("p", "How often chance alone would bring a difference at least this large."),
    ]
    if any(item.headline or item.model_level for item in effects):
        terms.append(
            (
                "Base checkpoint",
                "The one released model that reward models were tuned from; those that share it are akin.",
            )
        )
    if implicit:
        terms.append(
            (
                "Implicit reward",
                "The reward that preference training would have needed to turn one model into the other.",
            )
        )
    return terms


def mass_warning(scores: Sequence[ScoreRecord]) -> str | None:
    """Said of language models whose next-token probability hardly touches the words."""
    means = {record.model: mass for record in scores if (mass := mean_mass(record)) is not None and mass < SMALL_MASS}
    if not means:
        return None
    shares = listed([f"{mass:.2%} of {model}'s" for model, mass in means.items()])
    return (
        f"The lists' words hold only {shares} next-token probability: their order is measured in a corner of what "
        f"{'it' if len(means) == 1 else 'they'} would say."
    )


def mean_mass(record: ScoreRecord) -> float | None:
    """The mean over prompts of the probability on the lists' words; null for rewards."""
    if not record.mass:
        return None
    return sum(mass.lexicon for mass in record.mass.values()) / len(record.mass)


def sentence(reason: str | None) -> str:
    """A reason as a record gives it, as a sentence."""
    return f"{reason[0].upper()}{reason[1:].removesuffix('.')}." if reason else ""


def places(value: float) -> str:
    """A difference of ranks as whole places: `18 places`, `1 place`, `less than one place`."""
    whole = round(abs(value))
    return "less than one place" if whole == 0 else f"{whole:,} place{'s' if whole > 1 else ''}"


def _verb(plural: str, side: str) -> str:
    """The verb of a side: `the 4 Gemma models put`, `gemma-3-270m puts`."""
    return plural if side.startswith("the ") else {"do": "does"}.get(plural, f"{plural}s")


def _capital(name: str) -> str:
    """`the 3 Llama models` at a sentence's beginning; models' names keep their case."""
    return name[0].upper() + name[1:] if name.startswith("the ") else name


def examples(effects: Effects, category: str, n: int = 6) -> list[str]:
    """A few of a category's words, from all over its list."""
    words = effects.words.get(category, [])
    step = max(1, len(words) // n)
    return words[step // 2 :: step][:n]


def listed(names: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
