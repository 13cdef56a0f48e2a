"""Tables of a lexicon's effects, and the families' difference once for each thing that can be taken as a sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from birthmark.records import ControlledEffects, Effects, Framing, Implicit, LevelTest, Sensitivity
from birthmark.report.columns import Column, Table, bare_p, number, p_value, yes
from birthmark.values.formats import asked_for, decimal, interval, listed, p_words, sentence, signed
from birthmark.values.wording import sides
from birthmark.values.wording_power import relabelings

PAIRS = (
    Column("team", "Team"),
    Column(("model_b", "model_a"), "Models", lambda b, a: f"{b} − {a}"),
    Column("difference", "Difference", signed),
    Column("agrees", "Agrees with the headline's sign", yes),
)
PANELS = (
    Column("category", "Words"),
    Column("framing", "Asked for", asked_for),
    Column(("family_b", "family_a"), "Families", lambda b, a: f"{b} − {a}"),
    Column("difference", "Ranks", signed),
    Column("cohens_d", "d", partial(signed, digits=2)),
    Column("p_bonferroni", "p, Bonferroni", bare_p),
    Column("model_exact_p", "p, models exact", bare_p),
    Column("p_max_t", "p, max-t", bare_p),
)
TERMS = (
    Column("term", "Term"),
    Column("estimate", "Estimate", partial(signed, digits=2)),
    Column("se", "Standard error", number(".2f")),
    Column("df", "df", number(".0f")),
    Column("t", "t", partial(signed, digits=2)),
    Column("p", "p", bare_p),
)
LEFT_OUT = (Column("left_out", "Left out"), Column("kind", "Kind"), Column("estimate", "Difference", signed))
METRICS = {"mwlr": "MWLR", "log_ratio": "Log-ratio"}
ESTIMATE = (
    Column("estimate", "Difference", signed),
    Column(("low", "high"), "95% interval", interval),
    Column("p", "p", p_value),
)


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
        source = relabelings(fixed)
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
    return [table for table in made if table is not None and table.data]


def certainty_table(effects: Effects) -> Table:
    """The families' difference by what is taken as a sample."""
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
        (Column("sample", "What is a sample"), *ESTIMATE[:2], Column("p", "p", bare_p), Column("source", "From")),
        differences(effects),
        note=" ".join(why),
    )


def _difference(effects: Effects) -> str:
    if len(effects.families) != 2:
        return "the families' differences"
    a, b = sides(effects)
    return f"{b} minus {a}"


FEW_MODELS = 2  # whose mean ranks stand beside what the categories move by


def category_table(effects: Effects) -> Table | None:
    """A row a category of three or more: mean ranks, what it moves by over words, and the p over base checkpoints."""
    if len(effects.categories) <= 2 or not (effects.category_words or effects.cells):
        return None
    tested = {
        row.category: row for row in effects.per_category if row.unit == "base_checkpoint" and row.p_max_t is not None
    }
    models = effects.models if len(effects.models) <= FEW_MODELS else []
    cells = {(cell.model, cell.category, cell.framing): cell.mean_rank for cell in effects.model_cells}
    framings: tuple[tuple[Framing, str], ...] = (("positive", "best"), ("negative", "worst"))
    ranks = [
        Column(f"{at} {framing}", f"{item.model}, {asked}", number(",.1f"))
        for at, item in enumerate(models)
        for framing, asked in framings
    ]
    two = len(effects.families) == 2
    moves = [
        Column("n_words", "Number"),
        Column("estimate", "Difference" if two else "Moves", signed),
        Column(("ci_low", "ci_high"), "95% over words", interval),
        Column("p_words", "p over words, adjusted", bare_p),
    ]
    over_bases = [
        Column("difference", "Over base checkpoints", signed),
        Column("p_bases", "p over base checkpoints, adjusted", bare_p),
    ]
    words = {row.category: row for row in effects.category_words}
    rows = []
    for name in effects.categories:
        found, of_bases = words.get(name), tested.get(name)
        values = {f"{at} {f}": cells.get((item.model, name, f)) for at, item in enumerate(models) for f, _ in framings}
        rows.append(
            values
            | {"category": name, "n_words": found.n_words if found else effects.words_by_category.get(name)}
            | {key: getattr(found, key, None) for key in ("estimate", "ci_low", "ci_high")}
            | {"p_words": found.p_max_t if found else None}
            | {"difference": of_bases and of_bases.difference, "p_bases": of_bases and of_bases.p_max_t}
        )
    what = f"{_difference(effects)}, " if two else ""
    return Table(
        f"Category by category: {what}asked for the best less asked for the worst, in places",
        (Column("category", "Words"), *ranks, *(moves if words else ()), *(over_bases if tested else ())),
        rows,
        note=(
            f"Below zero a category moves up{f' further in {sides(effects)[1]}' if two else ''} when good things are asked for, "
            "against all other words; the interval takes its word stems as a sample. Each p is adjusted for all "
            f"{len(effects.categories)} categories by the largest |t|."
            if words
            else ""
        ),
    )


def control_table(effects: Effects) -> Table | None:
    """With and without what was held fixed, side by side; where no families differ, model by model."""
    if not effects.controlled:
        return None
    if effects.headline is None and effects.models_fixed is None and len(effects.categories) == 2:
        return _controlled_leanings(effects)
    return Table(
        f"With other things held fixed: {_difference(effects)}, in ranks",
        (Column("held", "Held fixed"), Column("words", "Words", number(",")), *ESTIMATE),
        [{"held": name, "words": item.n_candidates, **_estimate(item)} for name, item in _held(effects)],
    )


def _controlled_leanings(effects: Effects) -> Table:
    first, second = effects.categories
    models = [item.model for item in effects.models]
    return Table(
        f"With other things held fixed: each model's leaning in ranks, below zero to {first}, above zero to {second}",
        (
            Column("held", "Held fixed"),
            Column("words", "Words", number(",")),
            *(Column(f"leaning {at}", model, signed) for at, model in enumerate(models)),
        ),
        [
            {
                "held": name,
                "words": item.n_candidates,
                **{f"leaning {at}": model.mean_rank_contrast for at, model in enumerate(item.models)},
            }
            for name, item in _held(effects)
        ],
    )


def _held(effects: Effects) -> Sequence[tuple[str, Effects | ControlledEffects]]:
    held = [
        (item.control.replace(",", ", ").replace("prompt", "a neutral prompt"), item) for item in effects.controlled
    ]
    return [("nothing", effects), *held]


def _estimate(item: Effects | ControlledEffects) -> dict[str, float | None]:
    test, fixed = item.headline, item.models_fixed
    if test is not None:
        return {"estimate": test.estimate, "low": test.ci_low, "high": test.ci_high, "p": test.p_exact}
    if fixed is not None:
        return {"estimate": fixed.estimate, "low": fixed.ci_low, "high": fixed.ci_high, "p": fixed.p_words}
    return {"estimate": None, "low": None, "high": None, "p": None}


def confound_table(effects: Effects) -> Table | None:
    if not effects.confounds:
        return None
    models = list(effects.confounds[0].tokens)
    why = " ".join(
        dict.fromkeys(
            sentence(text) for item in effects.confounds for text in (item.frequency_why, item.tokens_why) if text
        )
    )
    return Table(
        "What else sets the categories apart: means over their words",
        (
            Column("category", "Words"),
            Column("n_words", "Number"),
            Column("frequency", "Frequency (Zipf)", number(".2f")),
            Column("length", "Letters", number(".1f")),
            *(Column(f"tokens {at}", f"Tokens in {model}", number(".2f")) for at, model in enumerate(models)),
        ),
        [
            {**item.model_dump(), **{f"tokens {at}": item.tokens.get(model) for at, model in enumerate(models)}}
            for item in effects.confounds
        ],
        note=why,
    )


def pair_table(effects: Effects) -> Table | None:
    if effects.blocks is None:
        return None
    caption = "Teams that built on both families: matched pairs, one by one"
    return Table(caption, PAIRS, effects.blocks.pairs, note=effects.blocks.sentence)


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
        f"With parts left out: {_difference(effects)} (with all: {signed(found.estimate)}); descriptive, "
        "not for choosing",
        LEFT_OUT,
        [
            {"left_out": item.left_out, "kind": kind, "estimate": item.estimate}
            for kind, item in left
            if item.estimate is not None
        ],
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


def panel_table(effects: Effects) -> Table:
    return Table(
        "The study's panels: family b minus family a, in ranks",
        PANELS,
        [panel for panel in effects.panels if panel.model_exact_p is not None or panel.p_bonferroni is not None],
        note="d and the Bonferroni p take models and prompts for independent; the last two columns do not.",
    )


def term_table(effects: Effects) -> Table | None:
    model = effects.mixed_model
    if model is None:
        return None
    return Table(
        f"The study's mixed model ({model.method}): {model.formula}",
        TERMS,
        model.terms,
        note="It takes each model × prompt median as nearly independent, so its p values are far too small.",
    )


def mean_table(implicit: Implicit) -> Table | None:
    """Mean implicit reward of each lexicon's categories after the first prompt."""
    means = implicit.prompts[0].category_means
    if not means:
        return None
    metrics = [Column(metric, title, partial(signed, digits=3)) for metric, title in METRICS.items()]
    return Table(
        f"Mean over each category's words, after {implicit.prompts[0].prompt}",
        (Column("category", "Words"), Column("lexicon", "List"), *metrics),
        [
            {"category": category, "lexicon": lexicon, **{metric: values.get(metric) for metric in METRICS}}
            for lexicon, categories in means.items()
            for category, values in categories.items()
        ],
        note=f"Above zero {implicit.b} gives the words more than {implicit.a} does.",
    )
