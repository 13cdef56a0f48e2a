"""How what reward models choose among a policy's answers shifts a lexicon's words: choices in, records out."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import (
    ExamplePair,
    FamilyShift,
    LinkPoint,
    NotApplicable,
    Rate,
    Rule,
    Shift,
    ShiftDifference,
    ShiftLink,
    WordRate,
)
from birthmark.scoring.table import ScoreTable
from birthmark.stats.permutation import exact_permutation
from birthmark.stats.selection import (
    null_p,
    rank_correlation,
    rate_difference,
    rates_of,
    shuffled_weights,
    swap_test,
)
from birthmark.values.choices import PER_THOUSAND, Counted, Judge, Said
from birthmark.values.joined import join_tables

DRAWS = 2_000  # shuffles of rewards
FEWEST_LINKED = 6  # reward models
FEWEST_ANSWERS, FEWEST_QUESTIONS = 5, 3  # that have a word whose shift is listed
WORDS_LISTED = 12
NO_INTERVAL = "an interval over questions needs two or more questions"
EXAMPLES = 10
RULES: tuple[tuple[Rule, bool], ...] = (("soft", False), ("soft", True), ("best", False), ("best", True))
RATES: tuple[Rate, ...] = ("per_thousand_words", "share_of_answers")


# ----------------------------------------------------------------------------------------------------------- shifts


class Nulls(NamedTuple):
    """Weights [draws, questions, n] of one reward model's rule with rewards shuffled, and those of random heads."""

    shuffled: np.ndarray
    heads: np.ndarray


def all_shifts(judges: Sequence[Judge], counted: Counted, said: Said, seed: int) -> list[Shift]:
    """Shifts of every reward model, rule and rate over all questions, with Holm's p; then soft ones group by group."""
    found: list[Shift] = []
    for rule, fixed in RULES:
        nulls = [
            Nulls(shuffled_weights(judge.weights[rule, fixed], DRAWS, seed), judge.head_weights(rule, fixed))
            for judge in judges
        ]
        for rate in RATES:
            of_rule = [
                shift
                for judge, drawn in zip(judges, nulls, strict=True)
                for shift in _shifts(judge, counted, said, rule, fixed, rate, drawn)
            ]
            found += _adjusted(of_rule)
    groups = list(dict.fromkeys(said.abouts))
    for about in groups if len(groups) > 1 else ():
        for judge in judges:
            found += _of_group(judge, counted, said, about)
    return found


def _shifts(
    judge: Judge,
    counted: Counted,
    said: Said,
    rule: Rule,
    fixed: bool,
    rate: Rate,
    nulls: Nulls,
) -> Iterator[Shift]:
    weights, (values, totals) = judge.weights[rule, fixed], counted.rate(rate, said.words.totals)
    shuffled, random = (rates_of(drawn, values, totals) for drawn in (nulls.shuffled, nulls.heads))
    for at, category in enumerate(counted.categories):
        labels = {"rule": rule, "rate": rate, "length_fixed": fixed, "about": None}
        yield _shift(judge, counted, category, weights, values[at], totals, labels, shuffled[:, at], random[:, at])


def _of_group(judge: Judge, counted: Counted, said: Said, about: str | None) -> Iterator[Shift]:
    """Soft shifts per thousand words over one group of questions, without the nulls."""
    mine = np.array([group == about for group in said.abouts])
    values, totals = counted.rate("per_thousand_words", said.words.totals)
    labels = {"rule": "soft", "rate": "per_thousand_words", "length_fixed": False, "about": about or "other"}
    for at, category in enumerate(counted.categories):
        weights = judge.weights["soft", False][mine]
        yield _shift(judge, counted, category, weights, values[at][mine], totals[mine], labels)


def _shift(
    judge: Judge,
    counted: Counted,
    category: str,
    weights: np.ndarray,
    values: np.ndarray,
    totals: np.ndarray,
    labels: Mapping[str, Any],
    shuffled: np.ndarray | None = None,
    heads: np.ndarray | None = None,
) -> Shift:
    nothing: dict[str, Any] = dict.fromkeys(
        ("policy", "chosen", "se", "ci_low", "ci_high", "detectable", "shuffled_low", "shuffled_high", "p_shuffled",
         "p_adjusted", "heads_low", "heads_high", "p_heads")
    )  # fmt: skip
    named = {"model": judge.name, "lexicon": counted.lexicon, "category": category, **labels}
    if not values.any():
        size, where = counted.sizes[category], "in the answers" if labels["about"] is None else "in these answers"
        return Shift.build(
            **named, **nothing, shift=NotApplicable(f"none of the {size} words of {category} occurs {where}")
        )
    try:
        found = rate_difference(weights, np.full(weights.shape, 1 / weights.shape[1]), values, totals)
    except BirthmarkError as error:
        return Shift.build(**named, **nothing, shift=NotApplicable(str(error)))
    nulls: dict[str, Any] = {}
    for name, drawn in (("shuffled", shuffled), ("heads", heads)):
        drawn = drawn[np.isfinite(drawn)] if drawn is not None else np.empty(0)
        low, high = np.quantile(drawn, (0.025, 0.975)) if len(drawn) else (None, None)
        nulls |= {f"{name}_low": low, f"{name}_high": high}
        nulls[f"p_{name}"] = null_p(found.difference, drawn) if len(drawn) else None
    return Shift.build(
        found, without=("rate_a", "rate_b", "difference"), policy=found.rate_b, chosen=found.rate_a, shift=found.difference,
        p_adjusted=None, se_why=NO_INTERVAL if found.se is None else None, **nulls, **named,
    )  # fmt: skip


def _adjusted(shifts: list[Shift]) -> list[Shift]:
    """The shifts with Holm's p over all of them that have one."""
    tested = [at for at, shift in enumerate(shifts) if shift.p_shuffled is not None]
    if tested:
        from statsmodels.stats.multitest import multipletests  # statsmodels takes two seconds to import

        adjusted = multipletests([shifts[at].p_shuffled for at in tested], method="holm")[1]
        for at, p in zip(tested, adjusted, strict=True):
            shifts[at] = shifts[at].model_copy(update={"p_adjusted": float(p)})
    return shifts


def differences(judges: Sequence[Judge], counted: Counted, said: Said, seed: int) -> list[ShiftDifference]:
    """The difference of the soft shifts of every two reward models, as it is and with length held fixed."""
    values, totals = counted.rate("per_thousand_words", said.words.totals)
    found = []
    for first, second in combinations(judges, 2):
        for fixed in (False, True):
            a, b = (judge.weights["soft", fixed] for judge in (first, second))
            for at, category in enumerate(counted.categories):
                if not values[at].any():
                    continue
                test = swap_test(a, b, values[at], totals, seed)
                found.append(
                    ShiftDifference.build(
                        rate_difference(a, b, values[at], totals), without=("rate_a", "rate_b"), a=first.name,
                        b=second.name, lexicon=counted.lexicon, category=category, length_fixed=fixed, p_swapped=test.p,
                        n_swaps=test.n_splits, exact=test.exact, se_why=NO_INTERVAL if len(said.texts) == 1 else None,
                    )
                )  # fmt: skip
    return found


# ------------------------------------------------------------------------------------------------ families, the link


def no_families(judges: Sequence[Judge]) -> str | None:
    """Why families cannot be compared, or None."""
    known = [judge.record for judge in judges if judge.record.family and judge.record.base_checkpoint]
    if len(known) < len(judges):
        return "the family or the base checkpoint of a reward model is not known: name it in a catalog (--catalog)"
    if len({record.family for record in known}) < 2:
        return "the reward models are of one family"
    return None


def family_shifts(judges: Sequence[Judge], shifts: Sequence[Shift], counted: Counted, seed: int) -> list[FamilyShift]:
    """Every two families' soft shifts per thousand words: means over base checkpoints, whose labels are permuted."""
    if no_families(judges):
        return []
    found = []
    for category in counted.categories:
        of_model = {shift.model: shift.shift for shift in shifts if is_main(shift) and shift.category == category}
        units: dict[tuple[str, str], list[float]] = {}
        for judge in judges:
            if (value := of_model.get(judge.name)) is not None:
                units.setdefault((str(judge.record.family), str(judge.record.base_checkpoint)), []).append(value)
        for a, b in combinations(sorted({family for family, _ in units}), 2):
            mine = {unit: float(np.mean(values)) for unit, values in units.items() if unit[0] in (a, b)}
            is_b = [family == b for family, _ in mine]
            labels = {"lexicon": counted.lexicon, "category": category, "family_a": a, "family_b": b}
            counts = {a: is_b.count(False), b: is_b.count(True)}
            test = exact_permutation(list(mine.values()), is_b, seed=seed)
            found.append(
                FamilyShift.build(
                    **labels, n_units=counts, difference=test.observed, p_exact=test.p, count=test.count,
                    n_splits=test.n_splits, min_p=test.min_p,
                )
            )  # fmt: skip
    return found


def is_main(shift: Shift) -> bool:
    """Whether a shift is the one that sentences are about: soft, per thousand words, all questions, length as it is."""
    return (shift.rule, shift.rate, shift.length_fixed, shift.about) == ("soft", "per_thousand_words", False, None)


def link(
    judges: Sequence[Judge], shifts: Sequence[Shift], lexicon: Lexicon, tables: Sequence[ScoreTable], seed: int
) -> ShiftLink:
    """The one-word contrasts of score tables against the shifts of the same reward models, matched by name or slug."""
    labels = {"lexicon": lexicon.name, "categories": list(lexicon.categories)}
    empty: dict[str, Any] = {"rho": None, "p": None, "n_orders": None}
    why = NotApplicable("no score tables are given (--contrasts)")
    if tables and len(lexicon.categories) != 2:
        why = NotApplicable(f"a contrast is of two categories; the lexicon has {len(lexicon.categories)}")
    elif tables:
        joined = join_tables(tables, lexicon)
        contrasts = joined.mean_rank_contrasts
        of_table = dict(
            zip([table.record.slug for table in tables], [] if contrasts is None else contrasts, strict=False)
        )
        named = {table.record.model: table.record.slug for table in tables}
        why = NotApplicable(
            joined.no_contrast_why or "no reward model has both a score table and shifts of both categories"
        )
        points = []
        for judge in judges:
            slug = judge.record.slug if judge.record.slug in of_table else named.get(judge.name)
            both = [
                shift.shift
                for category in lexicon.categories
                for shift in shifts
                if is_main(shift) and shift.model == judge.name and shift.category == category
            ]
            if slug in of_table and len(both) == 2 and None not in both:
                points.append(
                    LinkPoint(model=judge.name, contrast=float(of_table[slug]), shift=float(both[0]) - float(both[1]))  # type: ignore[arg-type]
                )
        if points:
            return _tested(points, labels, seed)
    return ShiftLink.build(**labels, points=why, **empty, rho_why=why.why)


def _tested(points: Sequence[LinkPoint], labels: Mapping[str, Any], seed: int) -> ShiftLink:
    test: Any = NotApplicable(
        f"with {len(points)} reward models it is drawn and not tested, which takes {FEWEST_LINKED}"
    )
    if len(points) >= FEWEST_LINKED:
        try:
            test = rank_correlation([point.contrast for point in points], [point.shift for point in points], seed)
        except BirthmarkError as error:
            test = NotApplicable(str(error))
    if isinstance(test, NotApplicable):
        return ShiftLink.build(**labels, points=points, rho=test, p=None, n_orders=None)
    return ShiftLink.build(**labels, points=points, rho=test.observed, p=test.p, n_orders=test.n_splits)


# ---------------------------------------------------------------------------------------------------- words, examples


def word_rates(judges: Sequence[Judge], counted: Sequence[Counted], said: Said) -> list[WordRate]:
    """Of each reward model, the words whose rate rose and fell the most for their standard error; the rarest left out."""
    words = said.words
    places: dict[str, set[tuple[int, int]]] = {}
    for question, group in enumerate(words.words):
        for at, answer in enumerate(group):
            for word in answer:
                places.setdefault(word, set()).add((question, at))
    common = sorted(
        word
        for word, found in places.items()
        if len(found) >= FEWEST_ANSWERS and len({question for question, _ in found}) >= FEWEST_QUESTIONS
    )
    counts = np.zeros((len(common), *words.totals.shape))
    row = {word: at for at, word in enumerate(common)}
    for question, group in enumerate(words.words):
        for at, answer in enumerate(group):
            for word in answer:
                if word in row:
                    counts[row[word], question, at] += PER_THOUSAND
    of_word = {
        word: [category for each in counted for category in each.categories if word in each.words[category]]
        for word in common
    }
    found = []
    for judge in judges:
        weights = judge.weights["soft", False]
        listed = []
        for word in common:
            shift = rate_difference(weights, said.uniform, counts[row[word]], words.totals)
            listed.append(
                WordRate(
                    model=judge.name, word=word, categories=of_word[word], n_answers=len(places[word]),
                    policy=shift.rate_b, chosen=shift.rate_a, shift=shift.difference,
                    t=shift.difference / shift.se if shift.se else None,
                )
            )  # fmt: skip
        listed.sort(key=lambda item: -(item.t or 0.0))
        ends = [*listed[:WORDS_LISTED], *listed[max(WORDS_LISTED, len(listed) - WORDS_LISTED) :]]
        of_lexicons = [item for item in listed if item.categories and item not in ends]
        found += [*ends, *of_lexicons]
    return found


def example_pairs(judges: Sequence[Judge], said: Said, seed: int) -> list[ExamplePair]:
    """Questions drawn by the seed, for each two reward models drawn by it, what they choose, and a random answer."""
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(len(said.keys))[:EXAMPLES]
    found = []
    for question in sorted(drawn.tolist()):
        chosen = rng.permutation(len(judges))[:2]
        texts = [_choice(judges[at], said, question) for at in chosen]
        pair = [judges[at].name for at in chosen]
        found.append(
            ExamplePair(
                question=said.keys[question],
                text=said.questions[question],
                a=pair[0],
                chosen_by_a=texts[0],
                b=pair[1] if len(pair) > 1 else None,
                chosen_by_b=texts[1] if len(pair) > 1 else None,
                same=len(texts) > 1 and texts[0] == texts[1],
                policy=said.texts[question][int(rng.integers(said.n))],
            )
        )
    return found


def _choice(judge: Judge, said: Said, question: int) -> str:
    return said.texts[question][int(judge.rewards[question].argmax())]
