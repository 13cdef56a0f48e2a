"""The figures of one lexicon, drawn from its effects record: ranks, leanings, adjectives, words.

Each point names itself in a tooltip. It computes nothing: what it draws is in the record.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt

from birthmark.records import Effects, ModelContrast
from birthmark.report.drawing import (
    FRAMING_TITLES,
    NARROW,
    WIDE,
    Figure,
    Table,
    by_hue,
    by_shape,
    data,
    names_above,
    rows_axis,
    tooltip,
)
from birthmark.report.formats import asked_for, interval, signed
from birthmark.report.theme import INK, SOFT

FEW_CATEGORIES, FEW_MODELS, LEADING_MODELS = 3, 12, 4
FAMILY_HUES, FRAMING_HUES = 2, 6
SHORT_NAME = 14
SHOWN_WORDS = 12


def lexicon_figures(effects: Effects) -> list[Figure]:
    """All figures of one lexicon and kind of score that its numbers allow; none where no prompt has a framing.

    The one that leads is first: the ranks of a few models, the leanings of many.
    """
    if not effects.cells:
        return []
    several = any(cell.n_models > 1 for cell in effects.cells)
    ranks, leans = model_figure(effects), lean_figure(effects)
    made = (
        *((ranks, leans) if len(effects.models) <= LEADING_MODELS else (leans, ranks)),
        family_figure(effects) if several or len(effects.categories) > FEW_CATEGORIES else None,
        adjective_figure(effects),
        word_figure(effects),
    )
    return [figure for figure in made if figure is not None]


def _stem(effects: Effects, what: str) -> str:
    return f"{effects.lexicon}-{effects.kind}-{what}"


# -------------------------------------------------------------------------------------------------- ranks


def model_figure(effects: Effects) -> Figure | None:
    """A row a model, its categories side by side, with intervals; null where there are too many of either."""
    few = len(effects.categories) <= FEW_CATEGORIES and len(effects.models) <= FEW_MODELS
    if not few or not effects.model_cells:
        return None
    over_words = any(cell.ci_low is not None for cell in effects.model_cells)
    rows = [
        {
            "model": cell.model,
            "family": cell.family,
            "group": cell.category,
            "framing": cell.framing,
            "asked": asked_for(cell.framing),
            "rank": cell.mean_median_rank,
            "low": cell.ci_low if over_words else cell.prompt_low,
            "high": cell.ci_high if over_words else cell.prompt_high,
            "place": f"{cell.mean_median_rank:.1f} of {effects.n_candidates:,}",
            "words": interval(cell.ci_low, cell.ci_high),
            "prompts": interval(cell.prompt_low, cell.prompt_high),
        }
        for cell in effects.model_cells
    ]
    names = tooltip(
        model="model",
        family="family",
        group="words",
        asked="asked for",
        place="median rank",
        words="95% over words",
        prompts="lowest to highest prompt",
    )
    order = [item.model for item in by_family(effects)]
    bars = "95% intervals over the words" if over_words else "from the lowest to the highest prompt"
    return Figure(
        name=_stem(effects, "ranks"),
        title="Where each model ranks the words",
        description=(
            f"For each model and framing, the median rank of each category's words among {effects.n_candidates:,} "
            "words. Further right is better."
        ),
        build=lambda narrow: _panels(rows, order, "model", effects.categories, 0, narrow, names),
        table=_rank_table(effects),
        note=f"Points: mean over the prompts of the median rank of a category's words; 1 is best. Bars: {bars}.",
    )


def family_figure(effects: Effects) -> Figure:
    """A row a category, the families side by side, each model a faint point, stars for the families' difference."""
    rows = [
        {
            "category": cell.category,
            "group": cell.family,
            "framing": cell.framing,
            "asked": asked_for(cell.framing),
            "rank": cell.mean_median_rank,
            "low": cell.mean_median_rank - cell.sd if cell.sd is not None else None,
            "high": cell.mean_median_rank + cell.sd if cell.sd is not None else None,
            "place": f"{cell.mean_median_rank:.1f} of {effects.n_candidates:,}",
            "of": f"mean of {cell.n_models} model{'s' if cell.n_models != 1 else ''}",
            "star": _stars(effects, cell.category, cell.framing),
        }
        for cell in effects.cells
    ]
    dots = [
        {
            "category": cell.category,
            "group": cell.family,
            "framing": cell.framing,
            "asked": asked_for(cell.framing),
            "rank": cell.mean_median_rank,
            "place": f"{cell.mean_median_rank:.1f} of {effects.n_candidates:,}",
            "of": cell.model,
        }
        for cell in effects.model_cells
    ]
    names = tooltip(of="model", group="family", category="words", asked="asked for", place="median rank")
    note = "Filled: a family's mean over its models; faint: each model. Bars: one standard deviation either way."
    if any(row["star"] for row in rows):
        note += (
            " Stars: the families differ by Welch's test, Bonferroni over the panels, as in the study "
            "(* p < .05, ** < .01, *** < .001); it takes models and prompts for independent, which they are not."
        )
    return Figure(
        name=_stem(effects, "families"),
        title="Family by family",
        description=f"Median rank among {effects.n_candidates:,} words by category, framing and model family.",
        build=lambda narrow: _panels(
            rows, effects.categories, "category", effects.families, FAMILY_HUES, narrow, names, dots=dots
        ),
        table=_cell_table(effects),
        note=note,
    )


def _panels(
    rows: list[dict[str, Any]],
    order: Sequence[str],
    row: str,
    groups: Sequence[str],
    first_hue: int,
    narrow: bool,
    names: list[alt.Tooltip],
    dots: list[dict[str, Any]] | None = None,
) -> Any:
    """One panel a framing; within a row, the points and intervals of `groups` one above the other; best at the right."""
    ends = [
        item[end] for item in [*rows, *(dots or [])] for end in ("rank", "low", "high") if item.get(end) is not None
    ]
    pad = 0.06 * (max(ends) - min(ends) or 1.0)
    domain = [min(ends) - pad, max(ends) + pad]
    width = NARROW - 28 if narrow else 290
    height = len(order) * (18 * len(groups) + (30 if narrow else 20))
    charts = []
    for at, framing in enumerate(name for name in FRAMING_TITLES if any(item["framing"] == name for item in rows)):
        axis = alt.Axis(tickCount=5)
        x = alt.X(
            "rank:Q",
            scale=alt.Scale(domain=domain, reverse=True, nice=False, zero=False),
            title="median rank",
            axis=axis,
        )
        encodings: dict[str, Any] = {
            "y": rows_axis(row, order, narrow=narrow, labels=at == 0),
            "yOffset": alt.YOffset("group:N", sort=list(groups), scale=alt.Scale(paddingOuter=0.4)),
            "color": by_hue("group", groups, first_hue, narrow=narrow),
        }
        base = alt.Chart(data([item for item in rows if item["framing"] == framing])).encode(**encodings, tooltip=names)
        low = alt.X("low:Q", title="median rank")
        layers = [
            base.mark_rule(strokeWidth=3, opacity=0.4, strokeCap="round").encode(x=low, x2="high:Q"),
            base.mark_point(filled=True, opacity=1, size=110).encode(
                x=x, shape=by_shape("group", groups, narrow=narrow)
            ),
        ]
        if dots:
            faint = alt.Chart(data([item for item in dots if item["framing"] == framing])).encode(**encodings)
            mark = faint.mark_point(filled=True, opacity=0.45, size=34)
            layers.insert(0, mark.encode(x=x, shape=by_shape("group", groups, narrow=narrow), tooltip=names))
        stars = {item[row]: item["star"] for item in rows if item["framing"] == framing and item.get("star")}
        if stars:
            marks = alt.Chart(data([{row: name, "star": star} for name, star in stars.items()]))
            y = rows_axis(row, order, narrow=narrow, labels=at == 0)
            layers.append(
                marks.mark_text(align="left", fontSize=15, color=INK).encode(y=y, x=alt.value(width + 4), text="star:N")
            )
        if narrow:
            layers.append(names_above(row, order))
        charts.append(alt.layer(*layers).properties(width=width, height=height, title=FRAMING_TITLES[framing]))
    joined = alt.vconcat(*charts) if narrow else alt.hconcat(*charts)
    return joined.resolve_scale(x="shared", y="shared")


def _stars(effects: Effects, category: str, framing: str) -> str:
    """The study's stars of a panel, where there are two families."""
    if len(effects.families) != 2:
        return ""
    for panel in effects.panels:
        if (panel.category, panel.framing) == (category, framing) and panel.p_bonferroni is not None:
            return "*" * sum(panel.p_bonferroni < level for level in (0.05, 0.01, 0.001))
    return ""


def _rank_table(effects: Effects) -> Table:
    return Table(
        f"Median rank among {effects.n_candidates:,} words; 1 is best",
        ("Model", "Family", "Words", "Asked for", "Median rank", "95% over words", "Over prompts"),
        tuple(
            (
                cell.model,
                cell.family,
                cell.category,
                asked_for(cell.framing),
                f"{cell.mean_median_rank:.1f}",
                interval(cell.ci_low, cell.ci_high),
                interval(cell.prompt_low, cell.prompt_high),
            )
            for cell in effects.model_cells
        ),
    )


def _cell_table(effects: Effects) -> Table:
    return Table(
        f"Median rank among {effects.n_candidates:,} words by family; 1 is best",
        ("Family", "Words", "Asked for", "Median rank", "Standard deviation", "Models", "Prompts"),
        tuple(
            (
                cell.family,
                cell.category,
                asked_for(cell.framing),
                f"{cell.mean_median_rank:.1f}",
                "–" if cell.sd is None else f"{cell.sd:.1f}",
                str(cell.n_models),
                str(cell.n_prompts),
            )
            for cell in effects.cells
        ),
    )


# ----------------------------------------------------------------------------------------------- leanings


def by_family(effects: Effects) -> list[ModelContrast]:
    """The models, family by family."""
    return sorted(effects.models, key=lambda item: (item.family, item.base_checkpoint, item.model))


def leaning(effects: Effects, model: ModelContrast) -> float | None:
    """The contrast that the finding speaks of: of median ranks with a headline, else of mean ranks."""
    return model.contrast if effects.headline is not None else model.mean_rank_contrast


def lean_figure(effects: Effects) -> Figure | None:
    """Each model's contrast as a leaning to one of two categories; null unless there are two."""
    models = [(item, value) for item in by_family(effects) if (value := leaning(effects, item)) is not None]
    if len(effects.categories) != 2 or not models:
        return None
    first, second = effects.categories
    rows = [
        {
            "row": item.model,
            "group": item.family,
            "base": item.base_checkpoint,
            "value": value,
            "said": f"{abs(value):.1f} ranks towards {first if value < 0 else second}",
        }
        for item, value in models
    ]
    names = tooltip(row="model", group="family", base="base checkpoint", said="leans")
    order = [item.model for item, _ in models]
    return Figure(
        name=_stem(effects, "leanings"),
        title="Which way each model leans",
        description=f"Each model's leaning between {first} (left) and {second} (right) in rank places.",
        build=lambda narrow: _lollipops(rows, order, effects.families, FAMILY_HUES, (first, second), narrow, names),
        table=Table(
            f"Leaning of each model: below zero towards {first}, above towards {second}",
            ("Model", "Family", "Base checkpoint", "Ranks"),
            tuple((item.model, item.family, item.base_checkpoint, signed(value)) for item, value in models),
        ),
        note=(
            f"How much further a model puts {first} words ahead of {second} words when asked for the best thing than "
            "when asked for the worst, in rank places. A model that only likes frequent words lands at zero."
        ),
    )


def adjective_figure(effects: Effects) -> Figure | None:
    """The two families' difference (b − a) adjective by adjective; null unless there is one over words."""
    if effects.models_fixed is None or len(effects.categories) != 2 or not effects.models_fixed.by_adjective:
        return None
    first, second = effects.categories
    b = effects.families[1]
    items = sorted(effects.models_fixed.by_adjective, key=lambda item: item.framing == "negative")
    rows = [
        {
            "row": item.adjective,
            "group": FRAMING_TITLES[item.framing],
            "value": item.estimate,
            "said": f"{b} puts {first if item.estimate < 0 else second} further ahead by {abs(item.estimate):.1f} ranks",
        }
        for item in items
    ]
    framings = [title for title in FRAMING_TITLES.values() if any(row["group"] == title for row in rows)]
    order = [item.adjective for item in items]
    names = tooltip(row="adjective", group="framing", said="compared")
    ends = (f"{b} more {first}", f"{b} more {second}")
    return Figure(
        name=_stem(effects, "adjectives"),
        title="The difference, adjective by adjective",
        description=f"For each adjective of the questions, how {b} differs from {effects.families[0]}, in rank places.",
        build=lambda narrow: _lollipops(rows, order, framings, FRAMING_HUES, ends, narrow, names),
        table=Table(
            f"{b} minus {effects.families[0]}: mean rank of {first} minus mean rank of {second}",
            ("Adjective", "Asked for", "Ranks"),
            tuple((item.adjective, asked_for(item.framing), signed(item.estimate)) for item in items),
        ),
        note=(
            f"{b} against {effects.families[0]}: mean rank of {first} words less that of {second} words. A difference in "
            "values shows as opposite signs for best and worst; one sign throughout is a taste for the words themselves."
        ),
    )


def word_figure(effects: Effects) -> Figure | None:
    """The words that carry the families' difference most, either way; null where there are none."""
    words = sorted(
        (item for item in effects.word_effects if item.contrast is not None), key=lambda item: item.contrast or 0
    )
    if len(words) < 2 or len(effects.families) != 2:
        return None
    a, b = effects.families
    n = min(SHOWN_WORDS, len(words) // 2)
    chosen = [*words[:n], *words[-n:]]
    rows = [
        {
            "row": item.word,
            "group": item.categories[0] if item.categories else "none",
            "value": item.contrast,
            "low": item.ci_low,
            "high": item.ci_high,
            "said": f"{abs(item.contrast or 0.0):.0f} ranks better in {b if (item.contrast or 0) < 0 else a}",
            "sure": interval(item.ci_low, item.ci_high, 0),
        }
        for item in chosen
    ]
    names = tooltip(row="word", group="category", said="is", sure="95% over base checkpoints")
    ends = (f"{b} prefers", f"{a} prefers")
    return Figure(
        name=_stem(effects, "words"),
        title="The words that carry the difference",
        description=f"The words that {b} and {a} rank most differently when asked for the best rather than the worst.",
        build=lambda narrow: _lollipops(
            rows, [item.word for item in chosen], effects.categories, 0, ends, narrow, names
        ),
        table=Table(
            f"Rank in {b} minus rank in {a}, best minus worst; below zero {b} prefers the word",
            ("Word", "Categories", "Ranks", "95% interval"),
            tuple(
                (
                    item.word,
                    ", ".join(item.categories),
                    signed(item.contrast, 0),
                    interval(item.ci_low, item.ci_high, 0),
                )
                for item in chosen
            ),
        ),
        note="The extremes of many words: some are there by chance. Read them as examples, not as findings.",
    )


def _lollipops(
    rows: list[dict[str, Any]],
    order: Sequence[str],
    groups: Sequence[str],
    first_hue: int,
    ends: tuple[str, str],
    narrow: bool,
    names: list[alt.Tooltip],
) -> Any:
    """A stem from zero, a head and, where there is one, an interval a row; `ends` say what left and right mean."""
    values = [abs(row[end]) for row in rows for end in ("value", "low", "high") if row.get(end) is not None]
    reach = 1.12 * max(values) or 1.0
    middle = "   ·   rank places   ·   " if not narrow else "  ·  "
    title = f"← {ends[0]}{middle}{ends[1]} →"
    x = alt.X("value:Q", scale=alt.Scale(domain=[-reach, reach], nice=False), title=title, axis=alt.Axis(tickCount=5))
    beside = not narrow or max(len(name) for name in order) <= SHORT_NAME
    base = alt.Chart(data(rows)).encode(
        y=rows_axis("row", order, narrow=not beside),
        color=by_hue("group", groups, first_hue, narrow=narrow),
        tooltip=names,
    )
    zero = alt.Chart(data([{}])).mark_rule(color=SOFT).encode(x=alt.datum(0))
    layers = [
        zero,
        base.mark_rule(strokeWidth=3, opacity=0.4).encode(x=x, x2=alt.datum(0)),
        base.mark_point(filled=True, opacity=1, size=120).encode(x=x, shape=by_shape("group", groups, narrow=narrow)),
    ]
    if any(row.get("low") is not None for row in rows):
        spread = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1)
        layers.insert(2, spread.encode(x=alt.X("low:Q", title=title), x2="high:Q"))
    if not beside:
        layers.append(names_above("row", order))
    step = 42 if not beside else 28 if len(order) <= FEW_MODELS else 22
    width = WIDE if not narrow else NARROW - 95 if beside else NARROW
    return alt.layer(*layers).properties(width=width, height=step * len(order))
