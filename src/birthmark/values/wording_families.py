"""Tests of families in words: over units, within teams, with something held fixed, and what they rule out.

Records in, sentences out.
"""

from collections.abc import Sequence

from birthmark.records import Blocks, Clustering, ControlledEffects, LevelTest, ModelsFixed
from birthmark.scoring.measure import NEUTRAL_CONTROL
from birthmark.values.formats import decimal, interval, listed, p_equals, p_number, p_words, places, plural, signed
from birthmark.values.wording_power import few_stems

SIGNIFICANT = 0.05
ASKED = "Asked for good things rather than bad ones"
UNITS = {"base_checkpoint": "base checkpoint", "model": "model"}
HELD_FIXED = {"frequency": "word frequency", "length": "length", "tokens": "token count"}


def level_sentence(test: LevelTest, categories: Sequence[str], n_candidates: int) -> str:
    """A test of families, or of other groups, over units: the difference, its interval, chance, and what it cannot say."""
    return " ".join(level_finding(test, categories, n_candidates))


def level_finding(test: LevelTest, categories: Sequence[str], n_candidates: int) -> tuple[str, str]:
    """What was found, and how sure it is."""
    groups = f"{listed(list(test.n_units))} models"
    if test.estimate is None:
        differ = f"their preferences among {len(categories)} categories"
        said = (
            f"{groups} differ in {differ}."
            if is_clear(test)
            else f"There is no clear difference between {groups} in {differ}."
        )
    else:
        a, b = test.n_units
        leaning, other = (b, a) if test.estimate < 0 else (a, b)
        said = f"{ASKED}, {_further(f'{leaning} models', f'{other} models', categories, test.estimate, n_candidates)}."
        if not is_clear(test):
            said = f"There is no clear difference between {groups}. {said}"
    return said, _level_sure(test)


def is_clear(test: LevelTest) -> bool:
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
            f"the 95% interval is {difference_interval(test)} places; "
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


def difference_interval(found: LevelTest | ModelsFixed) -> str:
    """The interval of the difference as it is said: towards the side that leans to the first category."""
    low, high = found.ci_low, found.ci_high
    if low is not None and high is not None and (found.estimate or 0.0) < 0:
        low, high = -high, -low
    return interval(low, high)


def _further(leaning: str, other: str, categories: Sequence[str], estimate: float, n_candidates: int) -> str:
    """`b models move further from communion towards agency words than a models do, by 6.6 places in a ranking of 120 words`."""
    return (
        f"{leaning} move further from {categories[1].lower()} towards {categories[0].lower()} words than {other} do, by "
        f"{places(estimate)} in a ranking of {n_candidates:,} words"
    )


def blocks_sentence(found: Blocks, categories: Sequence[str]) -> str:
    """The test within teams and the pairs' signs, in words."""
    a, b = found.n_models
    leaning, other = (b, a) if found.estimate < 0 else (a, b)
    agreeing = sum(pair.agrees for pair in found.pairs)
    said = (
        f"Within the {len(found.teams)} teams that built on both families ({', '.join(found.teams)}), {leaning} models move "
        f"further from {categories[1].lower()} towards {categories[0].lower()} words than {other} models do, by "
        f"{places(found.estimate)}; a difference at least this large occurs in {found.count:,} of {found.n_splits:,} exchanges of "
        f"labels within teams (exact {p_words(found.p_exact)}). Of {plural(len(found.pairs), 'matched pair')}, {agreeing} "
        f"{'has' if agreeing == 1 else 'have'} the sign of the families' difference"
    )
    said += "." if agreeing == len(found.pairs) else ", so the pairs do not all agree."
    if found.min_p > 0.05:
        said += f" With so few teams, the smallest attainable p-value is {p_number(found.min_p)}."
    return said


def equivalence_sentence(margin: float) -> str:
    """What may be said where no difference is found."""
    return f"A difference larger than {margin:.1f} places is ruled out at the 5% level, taking base checkpoints as the sample."


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


def _held_fixed(control: Sequence[str]) -> str:
    """`With word frequency and length regressed out of the ranks`."""
    names = [HELD_FIXED[name] for name in control if name != NEUTRAL_CONTROL]
    parts = []
    if NEUTRAL_CONTROL in control:
        parts.append("each word's score after a neutral prompt subtracted")
    if names:
        parts.append(f"{listed(names)} regressed out of the ranks")
    return f"With {' and '.join(parts)}"
