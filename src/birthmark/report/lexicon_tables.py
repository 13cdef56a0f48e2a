"""Tables of a lexicon's effects, and the families' difference once for each thing that can be taken as a sample."""

from dataclasses import dataclass

from birthmark.records import ControlledEffects, Effects, Implicit, LevelTest, Sensitivity
from birthmark.report.figure import Table
from birthmark.values.formats import decimal, interval, listed, p_words, signed
from birthmark.values.wording import sides


@dataclass(frozen=True)
class Difference:
    """Family b − a in ranks with its 95% interval; `source` says where the p comes from."""

    sample: str
    estimate: float | None
    low: float | None
    high: float | None
    p: float | None
    source: str


def differences(effects: Effects) -> list[Difference]:
    """The headline first, then the others, those that the record has."""
    found = []
    for sample, test in (("Base checkpoints", effects.headline), ("Models", effects.model_level)):
        if test is not None:
            source = _splits(test) + (_worth(effects) if test is effects.model_level else "")
            found.append(Difference(sample, test.estimate, test.ci_low, test.ci_high, test.p_exact, source))
    crossed, blocks, fixed = effects.crossed, effects.blocks, effects.models_fixed
    if crossed is not None:
        sample = "Models, words, prompts"
        found.append(
            Difference(sample, crossed.estimate, crossed.ci_low, crossed.ci_high, crossed.p, "crossed variance")
        )
    if blocks is not None:
        source = f"{blocks.count:,} of {blocks.n_splits:,} exchanges within teams"
        found.append(Difference("Teams with both families", blocks.estimate, None, None, blocks.p_exact, source))
    if fixed is not None:
        source = "random relabelings of the words"
        found.append(Difference("Words alone", fixed.estimate, fixed.ci_low, fixed.ci_high, fixed.p_words, source))
    return found


def _worth(effects: Effects) -> str:
    """What models on the same base checkpoints are worth, where that is known."""
    found = effects.clustering
    if found is None or found.icc is None or found.n_effective is None:
        return ""
    return f"; too small: intraclass correlation by base {decimal(found.icc)}, worth {found.n_effective:.1f} independent models"


def _splits(test: LevelTest) -> str:
    if test.count is None or test.n_splits is None:
        return "–"
    least = f", least possible {p_words(test.min_p)}" if test.min_p is not None else ""
    return f"{test.count:,} of {test.n_splits:,} splits{least}"


def lexicon_tables(effects: Effects) -> list[Table]:
    """All tables of a lexicon that its record fills."""
    made = (
        certainty_table(effects),
        control_table(effects),
        confound_table(effects),
        category_table(effects),
        pair_table(effects),
        without_table(effects),
        panel_table(effects),
        term_table(effects),
    )
    return [table for table in made if table is not None and table.rows]


def certainty_table(effects: Effects) -> Table:
    """The families' difference by what is taken as a sample."""
    rows = [
        (item.sample, signed(item.estimate), interval(item.low, item.high), p_words(item.p), item.source)
        for item in differences(effects)
    ]
    why = [
        f"{name}: {text}."
        for name, text in (
            ("No headline", effects.headline_why),
            ("No difference over words", effects.models_fixed_why),
        )
        if text
    ]
    return Table(
        f"How sure: {_difference(effects)}, in ranks, by what is taken as a sample",
        ("What is a sample", "Difference", "95% interval", "p", "From"),
        tuple(rows),
        note=" ".join(why),
    )


def _difference(effects: Effects) -> str:
    if len(effects.families) != 2:
        return "the families' differences"
    a, b = sides(effects)
    return f"{b} minus {a}"


def _level(test: LevelTest) -> tuple[str, str, str]:
    estimate = "–" if test.estimate is None else signed(test.estimate)
    return estimate, interval(test.ci_low, test.ci_high), p_words(test.p_exact)


def category_table(effects: Effects) -> Table | None:
    if len(effects.categories) <= 2:
        return None
    return Table(
        "Category by category: difference of the framing contrasts, centred over categories",
        ("Category", "Sample", "Ranks", "p", "p, adjusted"),
        tuple(
            (
                item.category,
                item.unit.replace("_", " "),
                "–" if item.difference is None else signed(item.difference),
                p_words(item.p),
                p_words(item.p_max_t),
            )
            for item in effects.per_category
        ),
    )


def control_table(effects: Effects) -> Table | None:
    """With and without what was held fixed, side by side; where no families differ, model by model."""
    if not effects.controlled:
        return None
    if effects.headline is None and effects.models_fixed is None and len(effects.categories) == 2:
        return _controlled_leanings(effects)
    plain = ("nothing", f"{effects.n_candidates:,}", *_finding(effects))
    held = ((_spoken(item.control), f"{item.n_candidates:,}", *_finding(item)) for item in effects.controlled)
    return Table(
        f"With other things held fixed: {_difference(effects)}, in ranks",
        ("Held fixed", "Words", "Difference", "95% interval", "p"),
        (plain, *held),
    )


def _controlled_leanings(effects: Effects) -> Table:
    first, second = effects.categories
    held: list[tuple[str, Effects | ControlledEffects]] = [
        ("nothing", effects),
        *((_spoken(item.control), item) for item in effects.controlled),
    ]
    return Table(
        f"With other things held fixed: each model's leaning in ranks, below zero to {first}, above zero to {second}",
        ("Held fixed", "Words", *(item.model for item in effects.models)),
        tuple(
            (name, f"{item.n_candidates:,}", *(signed(model.mean_rank_contrast) for model in item.models))
            for name, item in held
        ),
    )


def _spoken(control: str) -> str:
    return control.replace(",", ", ").replace("prompt", "a neutral prompt")


def _finding(item: Effects | ControlledEffects) -> tuple[str, str, str]:
    if item.headline is not None:
        return _level(item.headline)
    fixed = item.models_fixed
    if fixed is None:
        return "–", "–", "–"
    return signed(fixed.estimate), interval(fixed.ci_low, fixed.ci_high), p_words(fixed.p_words)


def confound_table(effects: Effects) -> Table | None:
    if not effects.confounds:
        return None
    models = list(effects.confounds[0].tokens)
    rows = tuple(
        (
            item.category,
            str(item.n_words),
            _number(item.frequency, 2),
            f"{item.length:.1f}",
            *(_number(item.tokens.get(model), 2) for model in models),
        )
        for item in effects.confounds
    )
    why = " ".join(
        dict.fromkeys(
            f"{text}." for item in effects.confounds for text in (item.frequency_why, item.tokens_why) if text
        )
    )
    return Table(
        "What else sets the categories apart: means over their words",
        ("Words", "Number", "Frequency (Zipf)", "Letters", *(f"Tokens in {model}" for model in models)),
        rows,
        note=why,
    )


def pair_table(effects: Effects) -> Table | None:
    if effects.blocks is None:
        return None
    return Table(
        "Teams that built on both families: matched pairs, one by one",
        ("Team", "Models", "Difference", "Agrees with the headline's sign"),
        tuple(
            (item.team, f"{item.model_b} − {item.model_a}", signed(item.difference), "yes" if item.agrees else "no")
            for item in effects.blocks.pairs
        ),
        note=effects.blocks.sentence,
    )


def without_table(effects: Effects) -> Table | None:
    found = effects.sensitivity
    if found is None:
        return None
    parts = (
        ("base checkpoint", found.without_base_checkpoint),
        ("model", found.without_model),
        ("adjective", found.without_adjective),
        ("half of the words", found.half_lexicons),
    )
    left = [(kind, item) for kind, items in parts for item in items]
    alone = list(dict.fromkeys(item.left_out for _, item in left if item.estimate is None))
    notes = (
        f"Without {listed(alone, 'or')} nothing is left to compare." if alone else "",
        found.equivalence.sentence if found.equivalence else "",
        _reliability(found),
    )
    return Table(
        f"With parts left out: {_difference(effects)}, of median ranks (with all: {signed(found.estimate)}); descriptive, "
        "not for choosing",
        ("Left out", "Kind", "Difference"),
        tuple((item.left_out, kind, signed(item.estimate)) for kind, item in left if item.estimate is not None),
        note=" ".join(note for note in notes if note),
    )


def _reliability(found: Sensitivity) -> str:
    """How far the models' contrasts would come out the same by other words and by other prompts."""
    said = [
        f"{what} {decimal(value)}"
        for what, value in (
            ("by half of the words", found.split_half),
            ("by all of them (Spearman–Brown)", found.spearman_brown),
            ("by one prompt", found.icc_prompt),
            ("by all prompts", found.icc_prompts),
        )
        if value is not None
    ]
    return f"Reliability of the models' contrasts, 1 is perfect: {', '.join(said)}." if said else ""


def panel_table(effects: Effects) -> Table | None:
    return Table(
        "The study's panels: family b minus family a, in ranks",
        ("Words", "Asked for", "Families", "Ranks", "d", "p, Bonferroni", "p, models exact", "p, max-t"),
        tuple(
            (
                item.category,
                "the best" if item.framing == "positive" else "the worst",
                f"{item.family_b} − {item.family_a}",
                signed(item.difference),
                signed(item.cohens_d, 2),
                p_words(item.p_bonferroni),
                p_words(item.model_exact_p),
                p_words(item.p_max_t),
            )
            for item in effects.panels
        ),
        note="d and the Bonferroni p take models and prompts for independent; the last two columns do not.",
    )


def term_table(effects: Effects) -> Table | None:
    model = effects.mixed_model
    if model is None:
        return None
    return Table(
        f"The study's mixed model ({model.method}): {model.formula}",
        ("Term", "Estimate", "Standard error", "df", "t", "p"),
        tuple(
            (
                term.term,
                signed(term.estimate, 2),
                f"{term.se:.2f}",
                f"{term.df:.0f}",
                signed(term.t, 2),
                p_words(term.p),
            )
            for term in model.terms
        ),
        note="It takes each model × prompt median as nearly independent, so its p values are far too small.",
    )


def mean_table(implicit: Implicit) -> Table | None:
    """Mean implicit reward of each lexicon's categories after the first prompt."""
    means = implicit.prompts[0].category_means
    if not means:
        return None
    return Table(
        f"Mean over each category's words, after {implicit.prompts[0].prompt}",
        ("Words", "List", *METRICS.values()),
        tuple(
            (category, lexicon, *(signed(values.get(metric), 3) for metric in METRICS))
            for lexicon, categories in means.items()
            for category, values in categories.items()
        ),
        note=f"Above zero {implicit.b} gives the words more than {implicit.a} does.",
    )


METRICS = {"mwlr": "MWLR", "log_ratio": "Log-ratio"}


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
