"""Findings about pairs of models: two words between two sides, a lexicon's medians, implicit rewards, maps.

Records in, sentences out.
"""

from collections.abc import Callable, Sequence

from birthmark.records import GridLevel, Implicit, Map, PairTest
from birthmark.stats.results import AnovaTerm
from birthmark.values.formats import capital, p_equals, p_number, p_words, percent, plural
from birthmark.values.wording_families import UNITS

ALPHA = 0.05
THREE_WAY = "side:category:framing"
FEW = 3


def word_gap_sentence(names: tuple[str, str], words: Sequence[str], lead: PairTest, tests: Sequence[PairTest]) -> str:
    """Which side prefers the second word more, in how many pairs, and how often chance gives as much."""
    first, second = words
    unit = UNITS[lead.unit]
    n_a, n_b = lead.n_units.values()
    said = (
        f'By MWLR {names[1]} prefers "{second}" to "{first}" more than {names[0]} does in {lead.positive} of '
        f"{lead.n_pairs} pairs. They involve {n_a} + {n_b} {unit}s and are not independent: of the {lead.n_splits:,} ways to "
        f"split these, {lead.count:,} give{'s' if lead.count == 1 else ''} a mean gap as large (p {p_equals(lead.p_exact)})."
    )
    if lead.min_p > 0.05:
        said += f" With so few {unit}s, the smallest attainable p-value is {p_number(lead.min_p)}."
    return said + _other_metrics(lead, tests)


def _other_metrics(lead: PairTest, tests: Sequence[PairTest]) -> str:
    """Said where the answer hangs on the metric."""
    opposite = [test.metric.replace("_", " ") for test in tests if test.mean_gap * lead.mean_gap < 0]
    return f" By {', '.join(opposite)} the mean gap has the other sign." if opposite else ""


def medians_sentence(lexicon: str, anova: Sequence[AnovaTerm] | None, level: GridLevel | None) -> str:
    """What a lexicon's analysis of variance says of two sides, and what the test over their units does."""
    said = f"By the lexicon {lexicon}, "
    if anova:
        rows = {term.term: term for term in anova}
        term = rows[THREE_WAY]
        said += (
            f"side × category × framing has F({term.df}, {rows['Residual'].df}) = {term.f:.1f}, p {p_equals(term.p)}, with every prompt of "
            "every model treated as independent"
        )
    else:
        said += "there is no analysis of variance"
    if level is None:
        return said + "."
    unit = UNITS[level.unit]
    n_a, n_b = level.n_units.values()
    said += f"; over {n_a} + {n_b} {unit}s p = {level.count:,}/{level.n_splits:,} {p_equals(level.p_exact)}"
    if n_a == n_b == 1:
        said += ": with one on each side, it is about these two models and not about families"
    return said + "."


def held_sentence(pair: Implicit) -> str:
    """How much of each model's probability the candidates compared hold after the first prompt."""
    first = pair.prompts[0]
    held = (
        f"After {first.prompt}, the {first.n_shared:,} candidates compared hold {percent(first.mass_a, 1)} of {pair.a}'s next-token "
        f"probability and {percent(first.mass_b, 1)} of {pair.b}'s"
    )
    if pair.set_aside or pair.set_aside_texts:
        held += (
            f"; shared candidates that were set aside hold {percent(first.set_aside_mass_a, 1)} and "
            f"{percent(first.set_aside_mass_b, 1)}"
        )
    return f"{held}."


def most_preferred(pair: Implicit, show: Callable[[str], str]) -> str:
    """What each model prefers most after the first prompt, of the words where there are any; `show` makes a candidate fit to read."""
    first = pair.prompts[0]
    if pair.identical:
        return "The two give every candidate the same probability: it is zero throughout."
    best, worst = (first.words_top or first.top)[:FEW], (first.words_bottom or first.bottom)[:FEW]
    if not best:
        return ""
    of = "Of the lists' words" if first.words_top else "Of all candidates"
    preferred, other = (", ".join(f"“{show(item.candidate)}”" for item in end) for end in (best, worst))
    return f"{of}, {pair.b} prefers {preferred} most by MWLR, {pair.a} {other}."


def map_sentence(record: Map) -> str:
    """The pairs most and least alike, in a sentence."""
    closest = max(record.likeness, key=lambda pair: pair.kendall)
    furthest = min(record.likeness, key=lambda pair: pair.kendall)
    prompts = plural(len(record.prompts), "prompt")
    return (
        f"Over {record.n_candidates:,} candidates and {prompts}, {closest.a} and {closest.b} rank most similarly "
        f"(Kendall's τ = {closest.kendall:.2f}), {furthest.a} and {furthest.b} least similarly (τ = {furthest.kendall:.2f})."
    )


def about_predictors(record: Map) -> list[str]:
    """What predicts likeness, how that is tested, and why there is no test where there is none."""
    found = [row for row in record.predictors if row.p < ALPHA]
    said = "; ".join(f"{row.predictor}: τ {row.coefficient:+.2f}, {p_words(row.p)}" for row in found)
    rest = [row.predictor for row in record.predictors if row.p >= ALPHA]
    lead = []
    if record.predictors:
        lead = [
            (
                f"Models rank more similarly with, the others held fixed: {said}."
                if found
                else "No predictor of similarity is significant."
            )
            + (f" Not significant: {', '.join(rest)}." if found and rest else "")
        ]
    explained = (
        "Pairs of models are not independent, so the models' places are permuted: beside the others by double "
        "semi-partialling (MRQAP), alone by Mantel's test. A coefficient says by how much Kendall's τ of two models is "
        "higher where they share it, the others held fixed; of size, for each halving of the ratio of their parameters."
    )
    why = record.predictors_why
    return [*lead, *([explained] if record.predictors else []), *([f"{capital(why)}."] if why else [])]


def about_people(record: Map) -> list[str]:
    """How well the models agree with people, in a sentence; none without a human ranking."""
    means = sorted((row for row in record.humans if row.prompt is None), key=lambda row: row.kendall)
    if not means:
        return []
    least, most = means[0], means[-1]
    said = (
        f"Over the {record.n_human or 0:,} things that both rank, {most.model} agrees most with people (Kendall's τ = "
        f"{most.kendall:.2f}) and {least.model} least (τ = {least.kendall:.2f})."
    )
    return [said]
