"""The map's sentence and tables: how alike models rank and what predicts it. Computes nothing."""

from birthmark.records import Map, Predictor
from birthmark.report.drawing import Table


def map_sentence(record: Map) -> str:
    """The pairs most and least alike, in a sentence."""
    closest = max(record.likeness, key=lambda pair: pair.kendall)
    furthest = min(record.likeness, key=lambda pair: pair.kendall)
    return (
        f"Over {record.n_candidates:,} candidates and {len(record.prompts)} prompts, {closest.a} and {closest.b} rank most alike "
        f"(Kendall's τ = {closest.kendall:.2f}), {furthest.a} and {furthest.b} least (τ = {furthest.kendall:.2f})."
    )


def about_predictors(record: Map) -> list[str]:
    """How what predicts likeness is tested, and why there is no test where there is none."""
    explained = (
        "Pairs of models are not independent, so the models' places are permuted: beside the others by double "
        "semi-partialling (MRQAP), alone by Mantel's test. A coefficient says by how much Kendall's τ of two models is "
        "higher where they share it, the others held fixed; of size, for each halving of the ratio of their parameters."
    )
    return [explained, *([f"{record.predictors_why}."] if record.predictors_why else [])]


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
