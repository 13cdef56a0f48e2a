"""The page of `birthmark replicate`: claims, data issues, and the study's figures again."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import altair as alt

from birthmark.records import (
    Claim,
    DataNote,
    Effects,
    Framing,
    LogprobMedian,
    MwlrPair,
    MwlrToken,
    PromptMedians,
    Replication,
    Verdict,
    read_record,
)
from birthmark.report.columns import Column, Table, drawn, number, tips, yes
from birthmark.report.figure import INK, SOFT, Figure, by_hue, by_shape, data
from birthmark.report.layout import Page, Part, Text, Topic, write_page
from birthmark.report.replication_training import RANKED, rank_axis, training_figures
from birthmark.values.formats import asked_for
from birthmark.values.wording_page import power_said

MODEL, FAMILY = Column("model", "Model", tip=True), Column("family", "Family", tip=True)
WORDS, ASKED = Column("category", "Words"), Column("framing", "Asked for", asked_for)
POINTS = (MODEL, FAMILY, RANKED)
MEANS = (
    Column("family", "Mean of", tip=True, table=False),
    Column(("category", "family"), "Words, family", lambda category, family: f"{category}, {family}"),
    ASKED,
    Column("mean_median_rank", "Mean", number(",.1f"), tip=True),
    Column("sd", "SD", number(",.1f"), tip=True),
    Column("n_models", "Models"),
)
PROMPT_RANGES = (
    Column("model", "Model"),
    Column("family", "Family"),
    WORDS,
    ASKED,
    Column("lowest", "Lowest", number(",.1f")),
    Column("highest", "Highest", number(",.1f")),
    Column("prompts", "Prompts"),
)
LOGPROBS = (MODEL, WORDS, ASKED, Column("prompt", "Prompt", tip=True), RANKED)
MWLR = number(".5f")
WORD_PAIRS = (
    Column("gemma", "Gemma"),
    Column("llama", "Llama"),
    Column("freedom", "Freedom", MWLR),
    Column("love", "Love", MWLR),
)
PAIR_POINTS = (
    Column("pair", "Pair", tip=True),
    Column("word", "Word", tip=True),
    Column("mwlr", "MWLR", MWLR, tip=True),
)


CLAIMS = (
    Column(("claim", "id"), "Claim", lambda claim, name: f"{claim} ({name})"),
    Column("verdict", "Verdict"),
    Column("sentence", "What the files say"),
    Column("reproduced", "Reproduced", yes),
    Column("supported", "Supported", yes),
    Column("published", "What was published"),
)
NOTES = (
    Column("file", "File"),
    Column("column", "Column"),
    Column("found", "What was found"),
    Column("effect", "What it changes"),
)
TOKENS = (
    Column("place", "Place", number(",")),
    Column("token", "Token", repr),
    Column("mwlr", "MWLR", number("+.5f")),
)
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


def study_figures(record: Replication) -> list[Figure]:
    """Every figure that the record holds numbers for, in the study's order."""
    figures = [
        _figure_1("figure-1a", "Figure 1a. Agency and communion, ten reward models", record.figure_1a),
        _figure_1(
            "figure-1b", "Figure 1b. Moral foundations, the published nine columns", record.figure_1b_as_published
        ),
        _figure_1("figure-1b-all", "Figure 1b with all ten columns", record.figure_1b_all_columns),
        _figure_a1("figure-A1a", "Figure A1a. Prompt by prompt: agency and communion", record.figure_a1a),
        _figure_a1("figure-A1b", "Figure A1b. Prompt by prompt: moral foundations", record.figure_a1b),
    ]
    if record.figure_2:
        figures.append(_figure_2(record.figure_2))
    if record.figure_3:
        figures.append(_figure_3(record.figure_3))
    return figures + training_figures(record.figure_4a, record.figure_4b, record.figure_5)


# ------------------------------------------------------------------------------------------------ figures 1, A1


def _figure_1(name: str, title: str, effects: Effects) -> Figure:
    return Figure(
        name=name,
        title=title,
        description=(
            f"Median rank among {effects.n_candidates:,} words by family, category and framing: a faint point a model, a "
            "diamond the family's mean, the stars those of the study (Welch over model × prompt medians, Bonferroni)."
        ),
        build=lambda narrow: _panels_1(effects, narrow),
        table=Table(
            f"Median rank among {effects.n_candidates:,} words, mean and SD over models × prompts", MEANS, effects.cells
        ),
        note="A faint point is a model, the diamond its family's mean, the bar one standard deviation over model × prompt "
        "medians. Stars are the study's own: * p < .05, ** < .01, *** < .001 after Bonferroni, taking every prompt for an "
        "independent observation. Over base checkpoints: "
        + (effects.headline.sentence if effects.headline else effects.headline_why or ""),
    )


def _panels_1(effects: Effects, narrow: bool) -> Any:
    stars = {(panel.category, panel.framing): _stars(panel.p_bonferroni) for panel in effects.panels}

    def panel(category: str, framing: Framing) -> str:
        return f"{category}, {asked_for(framing)} {stars.get((category, framing), '')}".strip()

    models = [
        {
            "panel": panel(cell.category, cell.framing),
            "family": cell.family,
            "model": cell.model,
            "rank": cell.mean_median_rank,
        }
        for cell in effects.model_cells
    ]
    means = [
        {
            "panel": panel(cell.category, cell.framing),
            "family": cell.family,
            "mean_median_rank": cell.mean_median_rank,
            "sd": cell.sd,
            "low": cell.mean_median_rank - (cell.sd or 0.0),
            "high": cell.mean_median_rank + (cell.sd or 0.0),
        }
        for cell in effects.cells
    ]
    x = alt.X("family:N", title=None, axis=alt.Axis(labelAngle=0))
    base = alt.Chart().encode(x=x)
    dots = base.mark_point(filled=True, opacity=0.45, size=60).encode(
        y=rank_axis(),
        color=by_hue("family", effects.families),
        tooltip=tips(POINTS),
    )
    bars = base.mark_rule(color=INK).encode(y=rank_axis("low"), y2="high:Q")
    middle = base.mark_point(filled=True, shape="diamond", color=INK, size=70, opacity=1).encode(
        y=rank_axis("mean_median_rank"),
        tooltip=tips(MEANS),
    )
    layers = alt.layer(bars, dots, middle, data=data([*drawn(models, POINTS), *drawn(means, MEANS)])).properties(
        width=112, height=170
    )
    order = [
        panel(category, framing)
        for framing in _framings(cell.framing for cell in effects.cells)
        for category in effects.categories
    ]
    return _faceted(layers, order, len(effects.categories), narrow)


def _faceted(chart: Any, order: Sequence[str], columns: int, narrow: bool) -> Any:
    """A panel for each of `order`, each with an axis of its own; one below the other for a phone."""
    header = alt.Header(title=None, labelFontSize=13, labelFontWeight=600, labelColor=INK, labelAnchor="start")
    facet = alt.Facet("panel:N", sort=list(order), header=header)
    return chart.facet(facet=facet, columns=1 if narrow else columns).resolve_scale(y="independent")


def _stars(p: float | None) -> str:
    return next((stars for level, stars in STARS if p is not None and p < level), "n.s.")


def _framings(found: Iterable[Framing]) -> list[Framing]:
    return sorted(set(found), reverse=True)  # positive before negative


def _figure_a1(name: str, title: str, medians: Sequence[PromptMedians]) -> Figure:
    return Figure(
        name=name,
        title=title,
        description="Median ranks after each prompt, a tick a prompt and a column a model, by category and framing.",
        note="A column is a model, a tick its median rank after one prompt. That the ticks of a column lie close together shows "
        "why prompts are no independent observations.",
        build=lambda narrow: _panels_a1(medians, narrow),
        table=Table("Median ranks over a framing's prompts", PROMPT_RANGES, [_range(row) for row in medians]),
    )


def _range(row: PromptMedians) -> dict[str, Any]:
    ranks = row.median_ranks
    return {**row.model_dump(), "lowest": min(ranks), "highest": max(ranks), "prompts": len(ranks)}


def _panels_a1(medians: Sequence[PromptMedians], narrow: bool) -> Any:
    families = sorted({row.family for row in medians})
    categories = sorted({row.category for row in medians})
    models = [model for _, model in sorted({(row.family, row.model) for row in medians})]
    found = [
        {
            "panel": f"{row.category}, {asked_for(row.framing)}",
            "model": row.model,
            "family": row.family,
            "rank": value,
        }
        for row in medians
        for value in row.median_ranks
    ]
    ticks = (
        alt.Chart(data(drawn(found, POINTS)))
        .mark_tick(opacity=0.45, thickness=1.5)
        .encode(
            x=alt.X("model:N", sort=models, title=None, axis=None),
            y=rank_axis(),
            color=by_hue("family", families),
            tooltip=tips(POINTS),
        )
        .properties(width=150, height=190)
    )
    framings = _framings(row.framing for row in medians)
    order = [f"{category}, {asked_for(framing)}" for framing in framings for category in categories]
    return _faceted(ticks, order, len(categories), narrow)


# ---------------------------------------------------------------------------------------------------- figure 2, 3


def _figure_2(medians: Sequence[LogprobMedian]) -> Figure:
    rows = [
        {
            "panel": f"{row.stage}, {asked_for(row.framing)}",
            "model": row.model,
            "family": row.family,
            "category": row.category,
            "framing": row.framing,
            "prompt": row.prompt,
            "rank": row.median_rank,
        }
        for row in medians
    ]
    table = Table("Median ranks by log-probability", LOGPROBS, rows)
    families = sorted({row.family for row in medians})

    def build(narrow: bool) -> Any:
        ticks = (
            alt.Chart(data(table.drawn))
            .mark_tick(opacity=0.5, thickness=1.5)
            .encode(
                x=alt.X("category:N", title=None, axis=alt.Axis(labelAngle=0)),
                xOffset="family:N",
                y=rank_axis(),
                color=by_hue("family", families),
                tooltip=table.tips,
            )
            .properties(width=190, height=180)
        )
        return _faceted(ticks, list(dict.fromkeys(str(row["panel"]) for row in rows)), 2, narrow)

    return Figure(
        name="figure-2",
        title="Figure 2. Log-probabilities of agency and communion nouns",
        description="Median ranks by log-probability after each prompt, of one Gemma and one Llama model a stage.",
        build=build,
        table=table,
    )


def _figure_3(pairs: Sequence[MwlrPair]) -> Figure:
    rows = [
        {
            "pair": f"{_short(pair.gemma)} → {_short(pair.llama)}",
            "word": word,
            "mwlr": value,
            "low": pair.love,
            "high": pair.freedom,
        }
        for pair in pairs
        for word, value in (("Freedom", pair.freedom), ("Love", pair.love))
    ]

    def build(narrow: bool) -> Any:
        y = alt.Y("pair:N", sort=None, title=None, axis=alt.Axis(labelLimit=140 if narrow else 260))
        base = alt.Chart(data(drawn(rows, PAIR_POINTS)))
        lines = base.mark_rule(color=SOFT, opacity=0.5).encode(
            y=y, x=alt.X("low:Q", title="MWLR, Llama over Gemma"), x2="high:Q"
        )
        dots = base.mark_point(filled=True, size=70, opacity=1).encode(
            y=y,
            x="mwlr:Q",
            color=by_hue("word", ("Freedom", "Love")),
            shape=by_shape("word", ("Freedom", "Love")),
            tooltip=tips(PAIR_POINTS),
        )
        return alt.layer(lines, dots).properties(width=180 if narrow else 360, height=22 * len(pairs))

    return Figure(
        name="figure-3",
        title='Figure 3. "Freedom" and "Love" between pairs of models',
        description="Mixture-weighted log-ratio of Llama over Gemma, mean over a word's forms, for every pair.",
        build=build,
        table=Table("MWLR by pair", WORD_PAIRS, pairs),
    )


def _short(model: str) -> str:
    return model.rpartition("/")[2]


VERDICTS: tuple[Verdict, ...] = ("holds", "partly", "fails", "not testable here")
WORDS_SHOWN = 8


def write_replication_report(out: Path) -> Path:
    """Draw `out/report.html` and `out/figures/` from `out/replication.json`; returns the page's path."""
    record = read_record(out / "replication.json", Replication)
    claims: list[Part] = [*_reading(), *_power(record), claims_table(record.claims)]
    topics = [
        Topic("claims", "The claims", claims),
        Topic("figures", "The figures", [*study_figures(record), *_token_tables(record.table_1)]),
        Topic("data-issues", "Data issues", [*_about_notes(record), notes_table(record.data_notes)]),
    ]
    return write_page(out, Page("The study, claim by claim", [Text(_lead(record.claims), "lead")], topics))


def _lead(claims: list[Claim]) -> str:
    counts = Counter(claim.verdict for claim in claims)
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    return (
        f"Of the {len(claims)} claims of “Reward Models Inherit Value Biases from Pretraining” (Christian et al., 2026), judged "
        f"from its published files: {said}."
    )


def _reading() -> list[str]:
    reading = (
        "Reproduced: the published numbers come out of the published files. Supported: it holds at the level of base "
        "checkpoints, which is what a claim about model families needs. A claim holds where it is reproduced and, if it speaks "
        "of families, supported; partly where one of the two is so, or a part of it; it fails where the files contradict it."
    )
    return [reading]


def _power(record: Replication) -> list[str]:
    """What the tests over base checkpoints could have found, a lexicon a sentence."""
    return [power_said(item, several=True) for item in (record.figure_1a, record.figure_1b_as_published) if item.power]


def claims_table(claims: list[Claim]) -> Table:
    """A row a claim, in the study's order."""
    return Table("Every claim with its verdict", CLAIMS, claims)


def notes_table(notes: list[DataNote]) -> Table:
    """A row an issue: where, what, and what it changes."""
    rows = [{**note.model_dump(), "found": note.finding + _words(note)} for note in notes]
    return Table("Issues in the published files, each found by a check", NOTES, rows)


def _words(note: DataNote) -> str:
    said = note.finding.replace(",", "")
    words = [word for word in note.words if word.replace(",", "").strip() not in said]
    if not words:
        return ""
    more = len(words) - WORDS_SHOWN
    shown = ", ".join(word.strip() for word in words[:WORDS_SHOWN])
    return f" ({shown}{f' and {more} more' if more > 0 else ''})"


def _about_notes(record: Replication) -> list[str]:
    changed = record.not_as_published
    if not changed:
        return ["All files that are here are, byte for byte, those of the pinned commit."]
    return [f"Not, byte for byte, the pinned commit's: {', '.join(changed)}."]


def _token_tables(tokens: list[MwlrToken]) -> list[Table]:
    return [Table("Table 1: tokens by MWLR of Llama 3.2 3B over Gemma 2 2B", TOKENS, tokens)] if tokens else []
