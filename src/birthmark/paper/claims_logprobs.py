"""The claims about language models' log-probabilities (figures 2 and 3, Table 1), judged if their files are present.

Figure 2 compares two models, one per family. It is no evidence about families, and these verdicts make no claim about them.
"""

import re
from collections.abc import Sequence
from itertools import product

import scipy

from birthmark.paper.logprobs import LogprobFigures, Stage
from birthmark.paper.verdicts import ALPHA, judged, untestable
from birthmark.records import Claim, LogprobMedian, MwlrPair, MwlrToken
from birthmark.stats.unit_tests import adjust, compare_groups
from birthmark.stats.variance import three_way_anova
from birthmark.values.formats import p_words

PUBLISHED_F: dict[Stage, float] = {"instruct": 58.3, "pretrained": 43.2}
ABSENT = (
    "The language models' log-probabilities (hub dataset Oxford-HIPlab/iclr2026-lm-logprobs, about 2 GB) are not among "
    "the files: put their CSVs into data/logprobs."
)


def logprob_claims(found: LogprobFigures) -> list[Claim]:
    """All claims of this module."""
    by_stage = {stage: [row for row in found.figure_2 if row.stage == stage] for stage in PUBLISHED_F}
    return [
        *(_three_way(stage, rows) for stage, rows in by_stage.items()),
        _cells(by_stage["instruct"], by_stage["pretrained"]),
        _top(found.table_1),
        _bottom(found.bottom_words),
        _freedom_above_love(found.figure_3),
        _gap_grows(found.figure_3),
    ]


def three_way_f(rows: Sequence[LogprobMedian]) -> tuple[float, int, float]:
    """F, denominator df and p of model × category × framing in the Type II analysis of variance of the median ranks.

    Raises `BirthmarkError` if there is only one model, category or framing.
    """
    factors: dict[str, Sequence[str]] = {
        "family": [row.family for row in rows],
        "category": [row.category for row in rows],
        "framing": [row.framing for row in rows],
    }
    terms = {term.term: term for term in three_way_anova([row.median_rank for row in rows], factors)}
    found = terms["family:category:framing"]
    return found.f or 0.0, terms["Residual"].df, 1.0 if found.p is None else found.p


def _three_way(stage: Stage, rows: Sequence[LogprobMedian]) -> Claim:
    claim_id = f"logprob-{stage}"
    if not rows:
        return untestable(claim_id, ABSENT)
    f, df, p = three_way_f(rows)
    exact = round(f, 1) == PUBLISHED_F[stage] and p < 0.001
    return judged(
        claim_id,
        reproduced=exact,
        partly=p < 0.001 and not exact,
        sentence=f"F(1, {df}) = {f:.1f}, {p_words(p)}, over prompts of one model a family: "
        "it is about these two models.",
    )


def _cells(*stages: Sequence[LogprobMedian]) -> Claim:
    """Welch tests of the two models in each category × framing, p adjusted by Benjamini and Hochberg within a stage."""
    if not all(stages):
        return untestable("logprob-cells", ABSENT)
    as_published, total, parts = 0, 0, []
    for rows in stages:
        keys = list(product(("Agency", "Communion"), ("positive", "negative")))
        tests = [compare_groups(*_sides(rows, *key)) for key in keys]
        adjusted = adjust([test.welch_p for test in tests], "fdr_bh")
        expected = [-1 if (category == "Agency") == (framing == "positive") else 1 for category, framing in keys]
        right = [
            test.difference * sign > 0 and q is not None and q < ALPHA
            for test, sign, q in zip(tests, expected, adjusted, strict=True)
        ]
        as_published, total = as_published + sum(right), total + len(right)
        parts.append(f"{rows[0].stage} {sum(right)} of {len(right)}")
    return judged(
        "logprob-cells",
        reproduced=as_published == total,
        partly=0 < as_published < total,
        sentence=f"Cells that differ in the reward models' direction with FDR-adjusted p below .05: {', '.join(parts)}.",
    )


def _sides(rows: Sequence[LogprobMedian], category: str, framing: str) -> tuple[list[float], list[float]]:
    """Median ranks of Gemma and of Llama in one cell."""
    cell = [row for row in rows if (row.category, row.framing) == (category, framing)]
    gemma, llama = ([row.median_rank for row in cell if row.family == family] for family in ("Gemma", "Llama"))
    return gemma, llama


# --------------------------------------------------------------------------------------------- figure 3, Table 1


def _word(token: str) -> str:
    return token.strip().lower()


def _top(table: Sequence[MwlrToken]) -> Claim:
    if not table:
        return untestable("mwlr-top", ABSENT)
    first = [row.token for row in table[:3]]
    return judged(
        "mwlr-top",
        reproduced=_word(first[0]) == "freedom",
        sentence=f"The tokens that Llama 3.2 3B prefers most over Gemma 2 2B are {', '.join(map(repr, first))}.",
    )


def _bottom(words: Sequence[MwlrToken]) -> Claim:
    if not words:
        return untestable("mwlr-bottom", ABSENT)
    last = [row.token for row in words[::-1][:3]]
    return judged(
        "mwlr-bottom",
        reproduced=_word(last[0]) == "love",
        sentence=f"Markdown, punctuation and white space set aside, Gemma 2 2B prefers {', '.join(map(repr, last))} most.",
    )


def _freedom_above_love(pairs: Sequence[MwlrPair]) -> Claim:
    if not pairs:
        return untestable("freedom-above-love", ABSENT)
    above = sum(pair.freedom > pair.love for pair in pairs)
    return judged(
        "freedom-above-love",
        reproduced=above == len(pairs),
        partly=len(pairs) / 2 < above < len(pairs),
        sentence=f'"Freedom" is above "Love" in {above} of {len(pairs)} pairs, made of 3 Gemma and 7 Llama models: they are '
        "not independent.",
    )


def _gap_grows(pairs: Sequence[MwlrPair]) -> Claim:
    if not pairs:
        return untestable("gap-grows-with-size", ABSENT)
    sizes = [_billions(pair.gemma) * _billions(pair.llama) for pair in pairs]
    found = scipy.stats.spearmanr(sizes, [pair.freedom - pair.love for pair in pairs])
    rho = float(found.statistic)
    return judged(
        "gap-grows-with-size",
        reproduced=rho > 0 and found.pvalue < ALPHA,
        partly=rho > 0 and not found.pvalue < ALPHA,
        sentence=f"Over {len(pairs)} pairs the gap's rank correlation with the product of the two sizes is {rho:.2f}.",
    )


def _billions(model: str) -> float:
    return float(re.findall(r"-(\d+)[bB]\b", model)[0])
