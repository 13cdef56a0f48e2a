"""Findings about families and models in plain English: what was found, how sure it is, and what it cannot say.

Records in, sentences out: decides nothing that the numbers have not decided. Of two sides and maps see `wording_pairs`,
of training `wording_training`, of power and calibration `wording_power`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from birthmark.foreign import one_line
from birthmark.inputs.lexicons import INQUIRER_DEFAULT
from birthmark.records import (
    Blocks,
    Clustering,
    ControlledEffects,
    Effects,
    Implicit,
    LevelTest,
    LineageOf,
    LineageStage,
    ModelContrast,
    ModelsFixed,
    Personas,
    ScoreRecord,
)
from birthmark.scoring.measure import NEUTRAL_CONTROL
from birthmark.values.formats import (
    capital,
    decimal,
    interval,
    listed,
    p_equals,
    p_number,
    p_words,
    percent,
    plural,
    ranks,
    sentence,
    signed,
    times,
)
from birthmark.values.wording_power import few_stems, relabelings

SMALL_MASS = 0.05
SIGNIFICANT = 0.05
QUOTED = 400  # characters of a system prompt that are shown
ASKED = "Asked for good things rather than bad ones"
SINGLE_WORDS = (
    "The findings are about single words after short questions. They do not show what a model does in a conversation, with "
    "tools or in long texts."
)
RANKS = (
    "A rank shows which of these words a model puts first. It does not show how capable the model is, nor that it “holds” "
    "a value."
)
UNITS = {"base_checkpoint": "base checkpoint", "model": "model"}
STAGES = {"pretrained": "pretrained", "instruct": "instruction-tuned", "reward": "reward model", None: "–"}
SCORES = {"reward": "rewards", "logprob": "log-probabilities"}
EVEN = 0.5  # ranks below which a model leans to neither side


@dataclass(frozen=True)
class Finding:
    """A headline, what was found in a sentence, and in others how sure it is and what it cannot say."""

    title: str
    said: str
    sure: str

    @property
    def text(self) -> str:
        """What a record, the terminal, the page and the card say alike."""
        return f"{self.said} {self.sure}".rstrip()


def effects_sentence(effects: Effects) -> str:
    """The finding as one text: a record's `sentence`."""
    return finding(effects).text


def finding(effects: Effects) -> Finding:
    """What a lexicon's effects say, for someone who knows no statistics."""
    if len(effects.categories) > 2:
        found = _largest_category(effects)
    elif effects.headline is not None and effects.headline.estimate is not None:
        found = _headline(effects, effects.headline)
    elif effects.models_fixed is not None:
        found = _as_run(effects, effects.models_fixed)
    else:
        found = _without_test(effects)
    if found is not None:
        return found
    if effects.headline is not None:
        return Finding(_names(effects), *_level(effects.headline, effects.categories, effects.n_candidates))
    said = f"There is nothing to compare by the word list {effects.lexicon}."
    return Finding(_names(effects), said, sentence(effects.headline_why))


def key_numbers(effects: Effects) -> list[tuple[str, str, str]]:
    """The finding in numbers: what, how much, and a word on it."""
    test, fixed = effects.headline, effects.models_fixed
    if test is not None and test.estimate is not None:
        units = " and ".join(f"{n} {family}" for family, n in test.n_units.items())
        splits = f"{test.count:,} of {test.n_splits:,} splits" if test.count is not None else "exact"
        return [
            ("Difference", f"{abs(test.estimate):.1f}", f"ranks of {effects.n_candidates:,}"),
            ("95% interval", _interval(test), f"over base checkpoints: {units}"),
            ("Chance alone", p_words(test.p_exact), splits),
        ]
    if fixed is not None and len(effects.categories) == 2:
        return [
            ("Difference", f"{abs(fixed.estimate):.1f}", f"ranks of {effects.n_candidates:,}"),
            ("95% interval", _interval(fixed), "over the words, of these models"),
            ("Chance alone", p_words(fixed.p_words), relabelings(fixed)),
        ]
    return []


def _interval(found: LevelTest | ModelsFixed) -> str:
    """The interval of the difference as it is said: towards the side that leans to the first category."""
    low, high = found.ci_low, found.ci_high
    if low is not None and high is not None and (found.estimate or 0.0) < 0:
        low, high = -high, -low
    return interval(low, high)


def _names(effects: Effects) -> str:
    names = [item.model for item in effects.models]
    return f"What {listed(names)} put first" if 0 < len(names) <= 2 else f"What {len(names)} models put first"


def sides(effects: Effects) -> tuple[str, str]:
    """The names of the two families' sides: the model, where a family has one."""
    a, b = (_side(effects, family) for family in effects.families[:2])
    return a, b


def _side(effects: Effects, family: str) -> str:
    models = [item.model for item in effects.models if item.family == family] or [family]
    return models[0] if len(models) == 1 else f"the {len(models)} {family} models"


def _ahead(leaning: str, other: str, categories: Sequence[str], estimate: float, n_candidates: int) -> str:
    """`b puts agency words further ahead of communion words than a does, by 6.6 ranks in a ranking of 120 words`."""
    first, second = (name.lower() for name in categories)
    return (
        f"{leaning} {_verb('put', leaning)} {first} words further ahead of {second} words than {other} {_verb('do', other)}, "
        f"by {ranks(estimate)} in a ranking of {n_candidates:,} words"
    )


def _as_run(effects: Effects, fixed: ModelsFixed) -> Finding:
    """Two families' models as they were run: words are the sample."""
    a, b = sides(effects)
    leaning, other = (b, a) if fixed.estimate < 0 else (a, b)
    ahead = _ahead(leaning, other, effects.categories, fixed.estimate, effects.n_candidates)
    occurs = (
        f"{times(fixed.p_words)} random relabelings of whole word stems ({p_words(fixed.p_words)})"
        if fixed.permuted
        else f"{times(fixed.p_words)} draws of such words by Student's t ({p_words(fixed.p_words)})"
    )
    sure = f"The 95% interval over words is {_interval(fixed)} ranks; a gap this large for its standard error occurs in {occurs}."
    if fixed.clear:
        title = (
            f"{_side_first(leaning)} {_verb('lean', leaning)} further to {effects.categories[0].lower()} than {other}"
        )
        said = f"{ASKED}, {ahead}."
    else:
        title = f"No clear difference between {a} and {b}"
        said = f"There is no clear difference between {a} and {b}. {ASKED}, {ahead}."
        sure += f" The interval excludes differences above {ranks(max(abs(fixed.ci_low), abs(fixed.ci_high)))}."
    sure = f"{sure} {few_stems(fixed)}".rstrip()
    return Finding(title, said, f"{sure} The finding is about these models as they were run, not about model families.")


def _headline(effects: Effects, test: LevelTest) -> Finding:
    return Finding(_headline_title(effects, test), *_level(test, effects.categories, effects.n_candidates))


def _headline_title(effects: Effects, test: LevelTest) -> str:
    """Says what was found only as far as the test carries it."""
    a, b = effects.families[:2]
    leaning, other = (b, a) if (test.estimate or 0.0) < 0 else (a, b)
    first = effects.categories[0].lower()
    if _is_clear(test):
        return f"{leaning} models lean further to {first} than {other} models"
    if test.p_exact is not None and test.p_exact == test.min_p:
        return (
            f"These {leaning} models lean further to {first} than the {other} models, but they are too few to be sure"
        )
    return f"No clear difference between {a} and {b} models"


def level_sentence(test: LevelTest, categories: Sequence[str], n_candidates: int) -> str:
    """A test of families, or of other groups, over units: the difference, its interval, chance, and what it cannot say."""
    return " ".join(_level(test, categories, n_candidates))


def _level(test: LevelTest, categories: Sequence[str], n_candidates: int) -> tuple[str, str]:
    """What was found, and how sure it is."""
    groups = f"{listed(list(test.n_units))} models"
    if test.estimate is None:
        differ = f"their preferences among {len(categories)} categories"
        said = (
            f"{groups} differ in {differ}."
            if _is_clear(test)
            else f"There is no clear difference between {groups} in {differ}."
        )
    else:
        a, b = test.n_units
        leaning, other = (b, a) if test.estimate < 0 else (a, b)
        said = f"{ASKED}, {_ahead(f'{leaning} models', f'{other} models', categories, test.estimate, n_candidates)}."
        if not _is_clear(test):
            said = f"There is no clear difference between {groups}. {said}"
    return said, _level_sure(test)


def _is_clear(test: LevelTest) -> bool:
    return test.p_exact is not None and test.p_exact <= SIGNIFICANT


def _level_sure(test: LevelTest) -> str:
    units = f"{UNITS[test.unit]}s"
    over = (
        f"Over {sum(test.n_units.values())} {units} ({listed([f'{n} {group}' for group, n in test.n_units.items()])})"
    )
    said = f"{over} "
    if test.estimate is not None:
        known = test.ci_low is not None and test.ci_high is not None
        said += (
            f"the 95% interval is {_interval(test)} ranks; "
            if known
            else "there is no interval, since a group has one; "
        )
    chance = f"exact {p_words(test.p_exact)}"
    if test.count is not None and test.n_splits is not None:
        said += (
            f"a difference at least this large occurs in {test.count:,} of {test.n_splits:,} assignments to groups of these "
            f"sizes ({chance})."
        )
    else:
        said += f"{chance}."
    if test.min_p is not None and test.min_p > SIGNIFICANT:
        said += f" With so few {units}, the smallest attainable p-value is {p_number(test.min_p)}."
    if test.unit == "model":
        said += " Models that share a base checkpoint are not independent, so this p-value is too small."
    return said


def _largest_category(effects: Effects) -> Finding | None:
    """Of many categories the one that two families differ by most, where such differences are there."""
    rows = [row for row in effects.per_category if row.difference is not None and row.unit == "base_checkpoint"]
    if len(effects.families) != 2 or not rows:
        return None
    a, b = sides(effects)
    most = max(rows, key=lambda item: abs(item.difference or 0.0))
    leaning, other = (b, a) if (most.difference or 0.0) < 0 else (a, b)
    said = (
        f"{ASKED}, {leaning} {_verb('put', leaning)} {most.category} words further ahead than {other} {_verb('do', other)}, by "
        f"{ranks(most.difference or 0.0)} in a ranking of {effects.n_candidates:,} words, the largest difference of "
        f"{len(effects.categories)} categories."
    )
    if effects.headline is None:
        return Finding(
            _names(effects), said, sentence(effects.headline_why) or "These models do not show how sure that is."
        )
    overall = level_sentence(effects.headline, effects.categories, effects.n_candidates)
    sure = f"Adjusted for the number of categories, {p_words(most.p_max_t)}. {overall}"
    return Finding(_names(effects), said, sure)


def _without_test(effects: Effects) -> Finding | None:
    """One model, or several of one family: what they lean to, with nothing to test it."""
    leaning = [item for item in effects.models if item.mean_rank_contrast is not None]
    if len(leaning) == 1:
        return _single(effects, leaning[0])
    return _one_family(effects, leaning) if leaning and len(effects.families) == 1 else None


def _single(effects: Effects, model: ModelContrast) -> Finding:
    first, second = (name.lower() for name in effects.categories)
    value = model.mean_rank_contrast or 0.0
    if round(value, 1) == 0:
        said = (
            f"{model.model} ranks {first} and {second} words the same, whether asked for good things or for bad ones (mean ranks "
            f"among {effects.n_candidates:,} words)."
        )
    else:
        ahead, behind = (first, second) if value < 0 else (second, first)
        said = (
            f"{ASKED}, {model.model} moves {ahead} words ahead of {behind} words by {ranks(value)} in a ranking of "
            f"{effects.n_candidates:,} words."
        )
    sure = "It is one model, with nothing to compare it with: audit a second one into the same folder."
    return Finding(f"How {model.model} ranks {first} and {second}", said, sure)


def _one_family(effects: Effects, leaning: Sequence[ModelContrast]) -> Finding:
    """Several models of one family: which is furthest to either side, and that nothing tests it."""
    most, *_, least = sorted(leaning, key=lambda item: item.mean_rank_contrast or 0.0)
    apart = (least.mean_rank_contrast or 0.0) - (most.mean_rank_contrast or 0.0)
    first, second = (name.lower() for name in effects.categories)
    said = (
        f"{ASKED}, {most.model} leans furthest to {first} and {least.model} furthest to {second}: they are "
        f"{ranks(apart)} apart in a ranking of {effects.n_candidates:,} words."
    )
    sure = (
        f"All are of one family ({effects.families[0]}), so there is no test between families; birthmark compare --group-by "
        "compares other groups of models."
    )
    return Finding(_names(effects), said, sure)


def disagreement(records: Sequence[Effects]) -> list[str]:
    """A line for each lexicon that gives two families the opposite leaning from the first one's, of one kind of score.

    Power stands for agency and affiliation for communion; lexicons of other categories are not compared.
    """
    lines = []
    for kind in sorted({record.kind for record in records}):
        leanings = {
            record.lexicon: side for record in records if record.kind == kind and (side := _agentic_side(record))
        }
        first, *others = leanings or [""]
        lines += [
            f"The lexicons disagree: {leanings[first]} leans more to agency by {first}, and {leanings[other]} by {other}."
            for other in others
            if leanings[other] != leanings[first]
        ]
    return lines


def _agentic_side(record: Effects) -> str | None:
    """The family that ranks the agentic category higher when good things are asked for; None where nothing says so."""
    if record.models_fixed is None or record.models_fixed.estimate == 0:
        return None
    if set(record.categories) not in ({"Agency", "Communion"}, set(INQUIRER_DEFAULT)):
        return None
    prefers_first = record.families[1] if record.models_fixed.estimate < 0 else record.families[0]
    prefers_second = record.families[0] if record.models_fixed.estimate < 0 else record.families[1]
    return prefers_first if record.categories[0] == "Agency" else prefers_second


def blocks_sentence(found: Blocks, categories: Sequence[str]) -> str:
    """The test within teams and the pairs' signs, in words."""
    a, b = found.n_models
    leaning, other = (b, a) if found.estimate < 0 else (a, b)
    agreeing = sum(pair.agrees for pair in found.pairs)
    said = (
        f"Within the {len(found.teams)} teams that built on both families ({', '.join(found.teams)}), {leaning} models put "
        f"{categories[0].lower()} words further ahead of {categories[1].lower()} words than {other} models do, by "
        f"{ranks(found.estimate)}; a difference at least this large occurs in {found.count:,} of {found.n_splits:,} exchanges of "
        f"labels within teams (exact {p_words(found.p_exact)}). Of {plural(len(found.pairs), 'matched pair')}, {agreeing} "
        f"{'has' if agreeing == 1 else 'have'} the sign of the families' difference"
    )
    said += "." if agreeing == len(found.pairs) else ", so the pairs do not all agree."
    if found.min_p > 0.05:
        said += f" With so few teams, the smallest attainable p-value is {p_number(found.min_p)}."
    return said


def equivalence_sentence(margin: float) -> str:
    """What may be said where no difference is found."""
    return f"A difference larger than {margin:.1f} ranks is ruled out at the 5% level, taking base checkpoints as the sample."


def worth_sentence(found: Clustering | None, n_models: int) -> str:
    """What the clustering by base checkpoint leaves of the number of models."""
    if found is None or found.icc is None or found.n_effective is None:
        return ""
    return (
        f" Their intraclass correlation by base checkpoint is {decimal(found.icc)}: these {n_models} models carry about as much "
        f"information as {found.n_effective:.1f} independent ones."
    )


def control_sentence(
    record: ControlledEffects,
    before: LevelTest | None,
    families: Sequence[str],
    contrasts: Sequence[float] | None,
    without: float | None,
    why: str | None,
) -> str:
    """The number that the control changes, with and without it; `before` is the headline without.

    `contrasts` are the models' without, `without` is the families' difference of those, and `why` says why there is none.
    """
    said, difference = _held_fixed(record.control.split(",")), " − ".join(reversed(families))
    headline, fixed = record.headline, record.models_fixed
    if headline is not None and before is not None:
        sure = (
            f"exact {p_words(headline.p_exact)} over base checkpoints, without this control {p_words(before.p_exact)}"
        )
        if headline.estimate is None or before.estimate is None:
            return f"{said}, the test of families gives {sure}."
        return f"{said}, {difference} is {signed(headline.estimate)} ranks, without this control {signed(before.estimate)} ({sure})."
    if contrasts is None:
        return f"{said}, there is no single number to compare: {why}."
    if fixed is not None and without is not None:
        sure = f"95% interval over words {interval(fixed.ci_low, fixed.ci_high)}, p {p_equals(fixed.p_words)}"
        found = (
            f"{said}, {difference} is {signed(fixed.estimate)} ranks, without this control {signed(without)} ({sure})."
        )
        return f"{found} {few_stems(fixed)}".rstrip()
    changes = [
        f"{model.model} {signed(model.mean_rank_contrast)} ranks, without this control {signed(value)}"
        for model, value in zip(record.models, contrasts, strict=True)
    ]
    return f"{said}, the contrast is: {'; '.join(changes)}."


HELD_FIXED = {"frequency": "word frequency", "length": "length", "tokens": "token count"}


def _held_fixed(control: Sequence[str]) -> str:
    """`With word frequency and length regressed out of the ranks`."""
    names = [HELD_FIXED[name] for name in control if name != NEUTRAL_CONTROL]
    parts = []
    if NEUTRAL_CONTROL in control:
        parts.append("each word's score after a neutral prompt subtracted")
    if names:
        parts.append(f"{listed(names)} regressed out of the ranks")
    return f"With {' and '.join(parts)}"


# --------------------------------------------------------------------------------- lines of descent, personas


def lineage_sentence(item: LineageOf) -> str:
    """The finding on a line of descent; with more than two categories, what the table beside it holds."""
    if has_leanings(item):
        return line_finding(item).text
    return f"The ranks of {item.lexicon}'s categories, from the oldest model to the reward model."


def has_leanings(item: LineageOf) -> bool:
    """Whether every model of a line, two or more, leans to one of two categories or to neither."""
    values = [stage.mean_rank_contrast for stage in item.stages]
    return len(item.categories) == 2 and len(values) > 1 and None not in values


def line_finding(item: LineageOf) -> Finding:
    """Where the reward model leans, where the models that it descends from do, and what that leaves open."""
    oldest, newest = item.stages[0], item.stages[-1]
    born, now = _leaning_side(item, oldest), _leaning_side(item, newest)
    if now == born:
        title = (
            f"{newest.model} leans to {now}, as {oldest.model} does" if now else f"{newest.model} leans to neither side"
        )
    else:
        title = f"{newest.model} leans to {now or 'neither side'}, {oldest.model} to {born or 'neither side'}"
    leans = [f"{stage.model} ({STAGES[stage.stage]}) {lean_words(item, stage)}" for stage in item.stages]
    words = max(stage.n_candidates for stage in item.stages)
    return Finding(
        title,
        f"{ASKED}, {listed(leans)}, in rankings of {words:,} words.",
        "One line of descent shows what was passed on, not how sure that is. Ranks of rewards and of log-probabilities "
        "are shown side by side and never pooled.",
    )


def _leaning_side(item: LineageOf, stage: LineageStage) -> str | None:
    value = stage.mean_rank_contrast or 0.0
    return None if abs(value) < EVEN else item.categories[0 if value < 0 else 1].lower()


def lean_words(item: LineageOf, stage: LineageStage) -> str:
    side = _leaning_side(item, stage)
    return f"leans to {side} by {ranks(stage.mean_rank_contrast or 0.0)}" if side else "leans to neither side"


def personas_sentence(record: Personas) -> str:
    """The largest shift in words."""
    moved = [item for item in record.leanings if item.shift is not None and item.persona != record.neutral]
    others = [f"“{name}”" for name in record.systems if name != record.neutral]
    if not moved:
        return f"{capital(listed(others))} beside the control “{record.neutral}”: these word lists give no leaning to compare."
    most = max(moved, key=lambda item: abs(item.shift or 0.0))
    towards = most.categories[0 if (most.shift or 0.0) < 0 else 1].lower() if len(most.categories) == 2 else "one side"
    return (
        f"Compared with the control “{record.neutral}”, the persona “{most.persona}” moves {most.model} furthest: "
        f"{ranks(most.shift or 0.0)} towards {towards} by the word list {most.lexicon}. A shift is "
        "what a persona adds to a neutral system prompt; no test shows here which shifts exceed chance in the choice of words."
    )


# --------------------------------------------------------------------------------- what a page says beside


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
            f"The word list {listed(names)} has not been validated with people: a difference is one between these words; "
            "check it with a validated list."
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


def mass_warning(scores: Sequence[ScoreRecord]) -> str | None:
    """Said of language models whose next-token probability hardly touches the words."""
    means = {record.model: mass for record in scores if (mass := mean_mass(record)) is not None and mass < SMALL_MASS}
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


def _verb(plural: str, side: str) -> str:
    """The verb of a side: `the 4 Gemma models put`, `gemma-3-270m puts`."""
    return plural if side.endswith(" models") else {"do": "does"}.get(plural, f"{plural}s")


def _side_first(name: str) -> str:
    """`the 3 Llama models` at a sentence's beginning; models' names keep their case."""
    return name[0].upper() + name[1:] if name.startswith("the ") else name


def examples(effects: Effects, category: str, n: int = 6) -> list[str]:
    """A few of a category's words, from all over its list."""
    words = effects.words.get(category, [])
    step = max(1, len(words) // n)
    return words[step // 2 :: step][:n]
