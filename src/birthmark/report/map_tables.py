"""The map's sentence and tables: how alike models rank and what predicts it. Computes nothing."""

from birthmark.records import Map, Predictor
from birthmark.report.drawing import Table
from birthmark.report.formats import p_words

ALPHA = 0.05
PROMPTS_NAMED = 6


def map_sentence(record: Map) -> str:
    """The pairs most and least alike, in a sentence."""
    closest = max(record.likeness, key=lambda pair: pair.kendall)
    furthest = min(record.likeness, key=lambda pair: pair.kendall)
    prompts = f"{len(record.prompts)} prompt{'' if len(record.prompts) == 1 else 's'}"
    return (
        f"Over {record.n_candidates:,} candidates and {prompts}, {closest.a} and {closest.b} rank most alike "
        f"(Kendall's τ = {closest.kendall:.2f}), {furthest.a} and {furthest.b} least (τ = {furthest.kendall:.2f})."
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
                f"Alike by what they share, the others held fixed: {said}."
                if found
                else "Nothing here predicts likeness clearly."
            )
            + (f" Not clearly: {', '.join(rest)}." if found and rest else "")
        ]
    explained = (
        "Pairs of models are not independent, so the models' places are permuted: beside the others by double "
        "semi-partialling (MRQAP), alone by Mantel's test. A coefficient says by how much Kendall's τ of two models is "
        "higher where they share it, the others held fixed; of size, for each halving of the ratio of their parameters."
    )
    why = record.predictors_why
    return [*lead, *([explained] if record.predictors else []), *([f"{why[:1].upper()}{why[1:]}."] if why else [])]


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


def about_map(record: Map) -> list[str]:
    """What the map is of and what it leaves out."""
    named = [prompt.replace("_", " ") for prompt in record.prompts[: PROMPTS_NAMED + 1]]
    prompts = [f"Prompts: {', '.join(named)}."] if len(named) <= PROMPTS_NAMED else []
    return [*prompts, *(f"{text[:1].upper()}{text[1:]}." for text in record.warnings)]


def predictor_tables(predictors: list[Predictor]) -> list[Table]:
    """The table of predictors; none where there are none."""
    if not predictors:
        return []
    rows = tuple(
        (row.predictor, f"{row.coefficient:+.3f}", _p(row.p), f"{row.simple_r:+.2f}", _p(row.simple_p))
        for row in predictors
    )
    headers = ("Predictor", "Coefficient", "p", "Correlation alone", "p alone")
    return [Table("What predicts how alike two models rank", headers, rows)]


def _p(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")
