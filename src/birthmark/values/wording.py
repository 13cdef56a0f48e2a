"""Findings about families and models in plain English: what was found, how sure it is, and what it cannot say.

Records in, sentences out: decides nothing that the numbers have not decided. Of two sides and maps see `wording_pairs`,
of training `wording_training`, of power and calibration `wording_power`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from birthmark.inputs.lexicons import INQUIRER_DEFAULT
from birthmark.inputs.text import one_line
from birthmark.records import (
    Blocks,
    CategoryTest,
    Clustering,
    ControlledEffects,
    Effects,
    Implicit,
    LevelTest,
    Line,
    LineageOf,
    LineageStage,
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
    places,
    ranks,
    sentence,
    times,
)

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
UNITS = {"base_checkpoint": "base checkpoint", "model": "model"}
WHEN_ASKED = "asked for good things rather than bad ones"
STAGES = {"pretrained": "pretrained", "instruct": "instruction-tuned", "reward": "reward model", None: "–"}
SCORES = {"reward": "rewards", "logprob": "log-probabilities"}
EVEN = 0.5  # rank places below which a model leans to neither side


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
        title = f"{_side_first(leaning)} {_verb('lean', leaning)} further to {first} than {other}"
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


# --------------------------------------------------------------------------------- sentences of a record


def effects_sentence(record: Effects) -> str:
    """The answer of a lexicon, in a few sentences."""
    if record.headline is not None:
        return record.headline.sentence + _category_sentence(record.per_category)
    if record.models_fixed is not None:
        return _fixed_sentence(record, record.models_fixed)
    if len(record.models) == 1 and record.models[0].mean_rank_contrast is not None:
        value, model = record.models[0].mean_rank_contrast, record.models[0].model
        if round(value, 1) == 0:
            return (
                f"{model} ranks {' and '.join(record.categories)} words alike whether it is {WHEN_ASKED} or not (mean ranks among "
                f"{record.n_candidates:,} words). It is one model, with nothing to compare it with."
            )
        better, worse = record.categories if value < 0 else record.categories[::-1]
        return (
            f"When {WHEN_ASKED}, {model} ranks {better} words above {worse} words by {ranks(value)} more "
            f"(mean ranks among {record.n_candidates:,} words). It is one model, with nothing to compare it with."
        )
    return f"No comparison by the lexicon {record.lexicon}: {record.headline_why or 'there is nothing to compare'}."


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
            f"The lexicons disagree: by {first} {leanings[first]} leans more to agency, by {other} {leanings[other]} does."
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


def level_sentence(test: LevelTest, categories: Sequence[str], n_candidates: int, groups: str = "families") -> str:
    """A test of families, or of other `groups`, over units, in words; where no outcome could have given p ≤ .05, it says so."""
    *most, last = (f"{n} of {group}" for group, n in test.n_units.items())
    over = f"over {UNITS[test.unit]}s ({', '.join(most)} and {last})"
    certainty = f"exact p {p_equals(test.p_exact)} ({test.count:,} of {test.n_splits:,} splits)"
    clear = "" if test.p_exact is not None and test.p_exact <= 0.05 else f"No clear difference between {groups}. "
    if test.estimate is None:
        leanings = "Their preferences" if clear else f"The {groups}' preferences"
        said = f"{clear}{leanings} among {len(categories)} categories, tested {over}: {certainty}."
    else:
        a, b = test.n_units
        leaning, other = (b, a) if test.estimate < 0 else (a, b)
        said = (
            f"{clear}When {WHEN_ASKED}, {leaning} ranks {categories[0]} words above {categories[1]} words by "
            f"{ranks(test.estimate)} of {n_candidates:,} more than {other} does, {over}: {b} − {a} = {test.estimate:.1f}, {_test_interval(test)}, "
            f"{certainty}."
        )
    if test.min_p is not None and test.min_p > 0.05:
        said += (
            f" The test cannot reach .05 with these units: the smallest p that they allow is {p_number(test.min_p)}."
        )
    if test.unit == "model":
        said += " Models that share a base checkpoint are not independent, so this p is too small."
    return said


def blocks_sentence(found: Blocks, categories: Sequence[str]) -> str:
    """The test within teams and the pairs' signs, in words."""
    a, b = found.n_models
    leaning, other = (b, a) if found.estimate < 0 else (a, b)
    agreeing = sum(pair.agrees for pair in found.pairs)
    said = (
        f"Within the {len(found.teams)} teams that built on both families ({', '.join(found.teams)}), {leaning} ranks "
        f"{categories[0]} words above {categories[1]} words by {ranks(found.estimate)} more than {other} does: exact p "
        f"{p_equals(found.p_exact)} ({found.count:,} of {found.n_splits:,} exchanges within teams). Of {len(found.pairs)} "
        f"matched pairs {agreeing} {'has' if agreeing == 1 else 'have'} the sign of the families' difference"
    )
    said += "." if agreeing == len(found.pairs) else ", so the pairs do not all agree."
    if found.min_p > 0.05:
        said += f" The smallest p that these teams allow is {p_number(found.min_p)}."
    return said


def equivalence_sentence(margin: float) -> str:
    """What may be said where no difference is found."""
    return f"No difference larger than {margin:.1f} ranks, at 5%, taking base checkpoints as the sample."


def _fixed_sentence(record: Effects, fixed: ModelsFixed) -> str:
    """b − a of mean-rank contrasts between two families, most often two models."""
    a, b = (_one_side(record, family) for family in record.families)
    leaning, other = (b, a) if fixed.estimate < 0 else (a, b)
    first, second = record.categories
    how_sure = (
        f"95% interval over words {fixed.ci_low:.1f} to {fixed.ci_high:.1f}, p {p_equals(fixed.p_words)} "
        f"by shuffling the words' labels"
    )
    if fixed.clear:
        said = (
            f"When {WHEN_ASKED}, {leaning} ranks {first} higher and {other} ranks {second} higher: they differ by "
            f"{ranks(fixed.estimate)} of {record.n_candidates:,} ({how_sure})."
        )
    else:
        largest = max(abs(fixed.ci_low), abs(fixed.ci_high))
        said = (
            f"No clear difference between {a} and {b}: {leaning} ranks {first} higher and {other} {second}, by "
            f"{ranks(fixed.estimate)} of {record.n_candidates:,}, which these words cannot tell from none ({how_sure}); "
            f"the data speak against a difference above {largest:.1f} ranks."
        )
    return f"{said} This is about these models as run, not about model families."


def _one_side(record: Effects, family: str) -> str:
    """A family's model where it has one, else `the 3 Llama models`."""
    models = [model.model for model in record.models if model.family == family]
    return models[0] if len(models) == 1 else f"the {len(models)} {family} models"


def _category_sentence(rows: Sequence[CategoryTest]) -> str:
    """The category that differs most, where there are more than two."""
    tested = [row for row in rows if row.unit == "base_checkpoint" and row.difference is not None]
    if len(tested) <= 2:
        return ""
    most = max(tested, key=lambda row: (-(row.p_max_t or 1.0), abs(row.difference or 0.0)))
    return f" Largest for {most.category}: {most.difference:+.1f} ranks, adjusted p {p_equals(most.p_max_t)}."


def _test_interval(test: LevelTest) -> str:
    if test.ci_low is None or test.ci_high is None:
        return "no interval, since a family has one unit"
    return f"95% interval {test.ci_low:.1f} to {test.ci_high:.1f}"


def worth_sentence(found: Clustering | None, n_models: int) -> str:
    """What the clustering by base checkpoint leaves of the number of models."""
    if found is None or found.icc is None or found.n_effective is None:
        return ""
    return (
        f" Their intraclass correlation by base checkpoint is {decimal(found.icc)}: these {n_models} models tell about as much as "
        f"{found.n_effective:.1f} independent ones would."
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
        sure = f"exact p {p_equals(headline.p_exact)} over base checkpoints, without {p_equals(before.p_exact)}"
        if headline.estimate is None or before.estimate is None:
            return f"{said}, families are told apart with {sure}."
        return f"{said}, {difference} is {headline.estimate:+.1f} ranks, without {before.estimate:+.1f} ({sure})."
    if contrasts is None:
        return f"{said}, there is no one number to compare: {why}."
    if fixed is not None and without is not None:
        sure = f"95% interval over words {fixed.ci_low:.1f} to {fixed.ci_high:.1f}, p {p_equals(fixed.p_words)}"
        return f"{said}, {difference} is {fixed.estimate:+.1f} ranks, without {without:+.1f} ({sure})."
    changes = [
        f"{model.model} {model.mean_rank_contrast:+.1f} ranks, without {value:+.1f}"
        for model, value in zip(record.models, contrasts, strict=True)
    ]
    return f"{said}, the contrast is: {'; '.join(changes)}."


HELD_FIXED = {"frequency": "word frequency", "length": "length", "tokens": "token count"}


def _held_fixed(control: Sequence[str]) -> str:
    """`With word frequency and length regressed out of the ranks`."""
    names = [HELD_FIXED[name] for name in control if name != NEUTRAL_CONTROL]
    parts = []
    if NEUTRAL_CONTROL in control:
        parts.append("each word's score after a neutral prompt taken off")
    if names:
        parts.append(f"{listed(names)} regressed out of the ranks")
    return f"With {' and '.join(parts)}"


# --------------------------------------------------------------------------------- lines of descent, personas


def lineage_sentence(effects: Effects, rows: Sequence[LineageStage]) -> str:
    """The contrast from stage to stage, in words; with more than two categories, where to look instead."""
    passed = [(row.model, row.mean_rank_contrast) for row in rows if row.mean_rank_contrast is not None]
    if len(effects.categories) != 2 or len(passed) < 2:
        return f"The ranks of {effects.lexicon}'s categories, from the oldest model to the reward model."
    first, second = effects.categories
    values = ", ".join(f"{value:+.1f}".replace("-", "−") + f" in {model}" for model, value in passed)
    return (
        f"How much further down {first} stands than {second} when asked for the best, less the same when asked for the "
        f"worst, in mean ranks: {values}."
    )


def line_finding(line: Line, item: LineageOf) -> Finding:
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
        "One line of descent shows what was passed on and not how sure that is. Ranks of rewards and of log-probabilities "
        "stand side by side here and are never pooled.",
    )


def _leaning_side(item: LineageOf, stage: LineageStage) -> str | None:
    value = stage.mean_rank_contrast or 0.0
    return None if abs(value) < EVEN else item.categories[0 if value < 0 else 1].lower()


def lean_words(item: LineageOf, stage: LineageStage) -> str:
    side = _leaning_side(item, stage)
    return f"leans to {side} by {places(stage.mean_rank_contrast or 0.0)}" if side else "leans to neither side"


def personas_sentence(record: Personas) -> str:
    """The largest shift in words."""
    moved = [item for item in record.leanings if item.shift is not None and item.persona != record.neutral]
    others = [f"“{name}”" for name in record.systems if name != record.neutral]
    if not moved:
        return f"{capital(listed(others))} beside the control “{record.neutral}”: these word lists give no leaning to compare."
    most = max(moved, key=lambda item: abs(item.shift or 0.0))
    towards = most.categories[0 if (most.shift or 0.0) < 0 else 1].lower() if len(most.categories) == 2 else "one side"
    return (
        f"Held against the control “{record.neutral}”, the persona “{most.persona}” moves {most.model} furthest: "
        f"{abs(most.shift or 0.0):.1f} rank places towards {towards} by the word list {most.lexicon}. What a persona moves is "
        "what it adds to a bland system prompt; no test says here which shifts are more than the luck of the words."
    )


# --------------------------------------------------------------------------------- what a page says beside


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
    shares = listed([f"{percent(mass, 2)} of {model}'s" for model, mass in means.items()])
    return (
        f"The lists' words hold only {shares} next-token probability: their order is measured in a corner of what "
        f"{'it' if len(means) == 1 else 'they'} would say."
    )


def mean_mass(record: ScoreRecord) -> float | None:
    """The mean over prompts of the probability on the lists' words; null for rewards."""
    if not record.mass:
        return None
    return sum(mass.lexicon for mass in record.mass.values()) / len(record.mass)


def _verb(plural: str, side: str) -> str:
    """The verb of a side: `the 4 Gemma models put`, `gemma-3-270m puts`."""
    return plural if side.startswith("the ") else {"do": "does"}.get(plural, f"{plural}s")


def _side_first(name: str) -> str:
    """`the 3 Llama models` at a sentence's beginning; models' names keep their case."""
    return name[0].upper() + name[1:] if name.startswith("the ") else name


def examples(effects: Effects, category: str, n: int = 6) -> list[str]:
    """A few of a category's words, from all over its list."""
    words = effects.words.get(category, [])
    step = max(1, len(words) // n)
    return words[step // 2 :: step][:n]
