"""Findings about families and models in plain English: where each side stands, how that changes, how sure that is.

Records in, sentences out: decides nothing that the numbers have not decided. What undercuts a finding is in
`wording_undercuts`, tests of families in `wording_families`, what a page says beside it in `wording_page`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from birthmark.inputs.lexicons import INQUIRER_DEFAULT
from birthmark.records import CategoryWords, Effects, LevelTest, ModelContrast, ModelsFixed
from birthmark.values.formats import asked_for, listed, p_words, places, sentence, times
from birthmark.values.standings import Side, sides_of
from birthmark.values.wording_families import (
    ASKED,
    SIGNIFICANT,
    difference_interval,
    is_clear,
    level_finding,
)
from birthmark.values.wording_power import few_stems, relabelings

ALIKE = 0.05  # places below which two categories are said to rank alike
NAMED = 3


@dataclass(frozen=True)
class Finding:
    """A headline, what was found in sentences, and in others how sure it is and what it cannot say."""

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
        found = _categories(effects)
    elif effects.headline is not None and effects.headline.estimate is not None:
        found = _headline(effects, effects.headline)
    elif effects.models_fixed is not None:
        found = _as_run(effects, effects.models_fixed)
    else:
        found = _without_test(effects)
    if found is not None:
        return found
    if effects.headline is not None:
        return Finding(_names(effects), *level_finding(effects.headline, effects.categories, effects.n_candidates))
    said = f"There is nothing to compare by the word list {effects.lexicon}."
    return Finding(_names(effects), said, sentence(effects.headline_why))


def key_numbers(effects: Effects) -> list[tuple[str, str, str]]:
    """The finding in numbers: what, how much, and a word on it."""
    test, fixed = effects.headline, effects.models_fixed
    if test is not None and test.estimate is not None:
        units = " and ".join(f"{n} {family}" for family, n in test.n_units.items())
        splits = f"{test.count:,} of {test.n_splits:,} splits" if test.count is not None else "exact"
        return [
            ("Difference", f"{abs(test.estimate):.1f}", f"places of {effects.n_candidates:,}"),
            ("95% interval", difference_interval(test), f"over base checkpoints: {units}"),
            ("Chance alone", p_words(test.p_exact), splits),
        ]
    if fixed is not None and len(effects.categories) == 2:
        return [
            ("Difference", f"{abs(fixed.estimate):.1f}", f"places of {effects.n_candidates:,}"),
            ("95% interval", difference_interval(fixed), "over the words, of these models"),
            ("Chance alone", p_words(fixed.p_words), relabelings(fixed)),
        ]
    return []


def contrast_sign(categories: Sequence[str]) -> str:
    """What the sign of a contrast means, said once wherever contrasts are shown."""
    first, second = (name.lower() for name in categories)
    return f"Positive: {second} words gain on {first} words when good things are asked for rather than bad ones."


# --------------------------------------------------------------------------------------- where each side stands


def standing_sentences(effects: Effects) -> str:
    """Each framing first, then the change: `Asked for the best, … Asked for the worst, … From the worst to the best, …`."""
    of = sides_of(effects)
    if not of:
        return ""
    framed = [_standing(of, framing, effects.categories) for framing in ("positive", "negative")]
    return f"{'. '.join(framed)}. {_change(of, effects)}."


def _standing(of: Sequence[Side], framing: str, categories: Sequence[str]) -> str:
    gaps = [side.best if framing == "positive" else side.worst for side in of]
    ahead = [None if abs(gap) < ALIKE else categories[gap > 0].lower() for gap in gaps]
    asked = f"Asked for {asked_for(framing)}"
    if len(of) == 2 and ahead[0] is not None and ahead[0] == ahead[1]:
        by = " and ".join(
            f"{side.name} by {places(gap) if at == 0 else f'{abs(gap):,.1f}'}"
            for at, (side, gap) in enumerate(zip(of, gaps, strict=True))
        )
        return f"{asked}, both rank {ahead[0]} words higher, {by}"
    told = [
        f"{_name(of, side, framing)} {side.verb('rank')} {f'{name} words higher by {places(gap)}' if name else 'the two alike'}"
        for side, gap, name in zip(of, gaps, ahead, strict=True)
    ]
    return f"{asked}, {listed(told)}"


def _name(of: Sequence[Side], side: Side, framing: str) -> str:
    """A model that is alone is named once."""
    return "it" if len(of) == 1 and framing != "positive" else side.name


def _change(of: Sequence[Side], effects: Effects) -> str:
    towards = [None if abs(side.change) < ALIKE else effects.categories[side.change > 0].lower() for side in of]
    if len(of) == 2 and towards[0] is not None and towards[0] == towards[1]:
        moved = f"both move towards {towards[0]}, {of[0].name} by {places(of[0].change)} and {of[1].name} by {abs(of[1].change):,.1f}"
    else:
        moved = listed(
            [
                f"{_name(of, side, 'change')} {side.verb('move')} {places(side.change)} towards {name}"
                if name
                else f"{_name(of, side, 'change')} {side.verb('do')} not move"
                for side, name in zip(of, towards, strict=True)
            ]
        )
    said = f"From the worst to the best, {moved}"
    apart = f": a difference of {places(of[1].change - of[0].change)}" if len(of) == 2 else ""
    return f"{said}{apart}, in a ranking of {effects.n_candidates:,} words"


# ------------------------------------------------------------------------------------------- two families or models


def sides(effects: Effects) -> tuple[str, str]:
    """The names of the two families' sides: the model, where a family has one."""
    a, b = (_side(effects, family) for family in effects.families[:2])
    return a, b


def _side(effects: Effects, family: str) -> str:
    models = [item.model for item in effects.models if item.family == family] or [family]
    return models[0] if len(models) == 1 else f"the {len(models)} {family} models"


def _names(effects: Effects) -> str:
    names = [item.model for item in effects.models]
    return f"What {listed(names)} put first" if 0 < len(names) <= 2 else f"What {len(names)} models put first"


def _as_run(effects: Effects, fixed: ModelsFixed) -> Finding:
    """Two families' models as they were run: words are the sample."""
    a, b = sides(effects)
    leaning, other = (b, a) if fixed.estimate < 0 else (a, b)
    occurs = (
        f"{times(fixed.p_words)} random relabelings of whole word stems ({p_words(fixed.p_words)})"
        if fixed.permuted
        else f"{times(fixed.p_words)} draws of such words by Student's t ({p_words(fixed.p_words)})"
    )
    sure = (
        f"The 95% interval of the difference over words is {difference_interval(fixed)} places; a gap this large for its "
        f"standard error occurs in {occurs}."
    )
    said = standing_sentences(effects) or (
        f"{ASKED}, {leaning} {_verb('move', leaning)} further to {effects.categories[0].lower()} than {other}, by "
        f"{places(fixed.estimate)} in a ranking of {effects.n_candidates:,} words."
    )
    if effects.undercuts:
        title = f"No stable difference between {a} and {b}"
    elif fixed.clear:
        first = effects.categories[0].lower()
        title = f"{_side_first(leaning)} {_verb('lean', leaning)} further to {first} than {other}"
    else:
        title = f"No clear difference between {a} and {b}"
    if not fixed.clear:
        said = f"{said} This is no clear difference."
        sure += f" The interval excludes differences above {places(max(abs(fixed.ci_low), abs(fixed.ci_high)))}."
    sure = f"{sure} {few_stems(fixed)}".rstrip()
    return Finding(title, said, f"{sure} The finding is about these models as they were run, not about model families.")


def _headline(effects: Effects, test: LevelTest) -> Finding:
    said, sure = level_finding(test, effects.categories, effects.n_candidates)
    standing = standing_sentences(effects)
    if standing and not test.contrast.endswith("median ranks"):
        said = standing if is_clear(test) else f"{standing} This is no clear difference."
    return Finding(_headline_title(effects, test), said, sure)


def _headline_title(effects: Effects, test: LevelTest) -> str:
    """Says what was found only as far as the test carries it."""
    a, b = effects.families[:2]
    leaning, other = (b, a) if (test.estimate or 0.0) < 0 else (a, b)
    first = effects.categories[0].lower()
    if effects.undercuts:
        return f"No stable difference between {a} and {b} models"
    if is_clear(test):
        return f"{leaning} models lean further to {first} than {other} models"
    if test.p_exact is not None and test.p_exact == test.min_p:
        return (
            f"These {leaning} models lean further to {first} than the {other} models, but they are too few to be sure"
        )
    return f"No clear difference between {a} and {b} models"


# ------------------------------------------------------------------------------------------- three categories or more


def _categories(effects: Effects) -> Finding | None:
    """Of many categories those that differ, or that one side moves, each with its p adjusted for their number."""
    n = len(effects.categories)
    tested = [row for row in effects.per_category if row.unit == "base_checkpoint" and row.p_max_t is not None]
    two = len(effects.families) == 2
    if tested and two and effects.headline is not None:
        most = max(tested, key=lambda row: abs(row.difference or 0.0))
        said, title = _largest(effects, most.category, most.difference or 0.0, most.p_max_t)
        overall = level_finding(effects.headline, effects.categories, effects.n_candidates)
        return Finding(title, said, " ".join(overall))
    rows = [row for row in effects.category_words if row.estimate is not None and row.p_max_t is not None]
    if not rows:
        return None
    sure = f"Each p is adjusted for all {n} categories, taking the words as a sample of such words. "
    if two:
        most_words = max(rows, key=lambda row: abs(row.estimate or 0.0))
        said, title = _largest(effects, most_words.category, most_words.estimate or 0.0, most_words.p_max_t)
        return Finding(title, said, f"{sure}The finding is about these models as they were run, not about families.")
    return _moved(effects, rows, sure)


def _largest(effects: Effects, category: str, difference: float, p: float | None) -> tuple[str, str]:
    """The largest difference of many, with its p adjusted for their number, and a title that goes no further."""
    a, b = sides(effects)
    leaning, other = (b, a) if difference < 0 else (a, b)
    n = len(effects.categories)
    said = (
        f"{ASKED}, {leaning} {_verb('move', leaning)} {category} words further up than {other} {_verb('do', other)}, by "
        f"{places(difference)} in a ranking of {effects.n_candidates:,} words: the largest difference of {n} categories, "
        f"adjusted for their number {p_words(p)}."
    )
    if effects.undercuts:
        return said, f"No stable difference between {a} and {b}"
    if p is not None and p <= SIGNIFICANT:
        return said, f"{_side_first(leaning)} {_verb('lean', leaning)} further to {category} than {other}"
    return said, f"No clear difference between {a} and {b} in any of {n} categories"


def _moved(effects: Effects, rows: Sequence[CategoryWords], sure: str) -> Finding | None:
    """What the models of one family move up or down when good things are asked for."""
    if len(effects.families) != 1:
        return None
    who = _side(effects, effects.families[0])
    clear = sorted(
        (row for row in rows if (row.p_max_t or 0.0) <= SIGNIFICANT), key=lambda row: -abs(row.estimate or 0.0)
    )
    if not clear:
        said = f"{ASKED}, {who} {_verb('move', who)} none of {len(effects.categories)} categories clearly up or down."
        return Finding(_names(effects), said, sure.rstrip())
    told = [
        f"{row.category} words {'up' if (row.estimate or 0.0) < 0 else 'down'} by {places(row.estimate or 0.0)} "
        f"(adjusted {p_words(row.p_max_t)})"
        for row in clear[:NAMED]
    ]
    said = (
        f"{ASKED}, {who} {_verb('move', who)} {listed(told)} against all other words, in a ranking of "
        f"{effects.n_candidates:,} words; {len(clear)} of {len(effects.categories)} categories move clearly."
    )
    return Finding(_names(effects), said, sure.rstrip())


# ------------------------------------------------------------------------------------------- without a test


def _without_test(effects: Effects) -> Finding | None:
    """One model, or several of one family: what they lean to, with nothing to test it."""
    leaning = [item for item in effects.models if item.mean_rank_contrast is not None]
    if len(leaning) == 1:
        return _single(effects, leaning[0])
    return _one_family(effects, leaning) if leaning and len(effects.families) == 1 else None


def _single(effects: Effects, model: ModelContrast) -> Finding:
    first, second = (name.lower() for name in effects.categories)
    value = model.mean_rank_contrast or 0.0
    said = standing_sentences(effects) or (
        f"{ASKED}, {model.model} moves {places(value)} towards {first if value < 0 else second} in a ranking of "
        f"{effects.n_candidates:,} words."
    )
    sure = "It is one model's own ranking; a difference takes a second one in the same folder."
    return Finding(f"How {model.model} ranks {first} and {second}", said, sure)


def _one_family(effects: Effects, leaning: Sequence[ModelContrast]) -> Finding:
    """Several models of one family: which is furthest to either side, and that nothing tests it."""
    most, *_, least = sorted(leaning, key=lambda item: item.mean_rank_contrast or 0.0)
    apart = (least.mean_rank_contrast or 0.0) - (most.mean_rank_contrast or 0.0)
    first, second = (name.lower() for name in effects.categories)
    said = standing_sentences(effects) or (
        f"{ASKED}, {most.model} leans furthest to {first} and {least.model} furthest to {second}: they are "
        f"{places(apart)} apart in a ranking of {effects.n_candidates:,} words."
    )
    sure = (
        f"All are of one family ({effects.families[0]}), so there is no test between families; birthmark compare --group-by "
        "compares other groups of models."
    )
    return Finding(_names(effects), said, sure)


# ------------------------------------------------------------------------------------------- several lexicons


def disagreement(records: Sequence[Effects]) -> list[str]:
    """A line for each lexicon that gives two families the opposite leaning from the first one's, of one kind of score.

    Power stands for agency and affiliation for communion; lexicons of other categories are not compared.
    """
    lines = []
    sides = {record.lexicon: "power" if "Power" in record.categories else "agency" for record in records}
    for kind in sorted({record.kind for record in records}):
        leanings = {
            record.lexicon: side for record in records if record.kind == kind and (side := _agentic_side(record))
        }
        first, *others = leanings or [""]
        lines += [
            f"The lexicons disagree: {leanings[first]} leans more to {sides[first]} by {first}, and {leanings[other]} more to "
            f"{sides[other]} by {other}."
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


def _verb(plural: str, side: str) -> str:
    """The verb of a side: `the 4 Gemma models put`, `gemma-3-270m puts`."""
    return plural if side.endswith(" models") else {"do": "does"}.get(plural, f"{plural}s")


def _side_first(name: str) -> str:
    """`the 3 Llama models` at a sentence's beginning; models' names keep their case."""
    return name[0].upper() + name[1:] if name.startswith("the ") else name
