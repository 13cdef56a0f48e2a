"""The table of the study's claims, the rule for verdicts, and the claim that MWLR finds planted words best (figure A3).

The study publishes neither the fine-tuned models' log-probabilities nor all authority words, so that claim is judged by
words planted with `birthmark calibrate planted`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from birthmark.records import Claim, Verdict
from birthmark.records.calibration import PlantedMetric
from birthmark.values.formats import percent
from birthmark.values.wording_training import FEWEST_SEEDS

ALPHA = 0.05


@dataclass(frozen=True)
class Published:
    """A claim, where and with which numbers it was published, and whether it is about model families in general."""

    claim: str
    published: str
    of_families: bool = False


CLAIMS: Mapping[str, Published] = MappingProxyType(
    {
        "big2-three-way": Published(
            "Base family, category (agency, communion) and framing interact in the ranks of ten reward models",
            "Figure 1a: mixed model, base × category × framing, p < .001",
            True,
        ),
        "mfd2-three-way": Published(
            "Base family, moral foundation and framing interact in the ranks of ten reward models",
            "Figure 1b: mixed model, base × category × framing, p < .001",
            True,
        ),
        "mfd2-words": Published(
            "The analysis of moral foundations ranks 2,040 words", "Figure 1b: axis and text, 2,040 words"
        ),
        "positive-agency": Published(
            "After positive prompts Llama reward models rank agency higher than Gemma reward models do",
            "Figure 1a: Bonferroni-significant, d .40 to .43",
            True,
        ),
        "positive-communion": Published(
            "After positive prompts Gemma reward models rank communion higher than Llama reward models do",
            "Figure 1a: Bonferroni-significant, d .40 to .43",
            True,
        ),
        "negative-reversal": Published(
            "After negative prompts both differences are reversed",
            "Figure 1a: both panels, Bonferroni-significant",
            True,
        ),
        "panel-stars": Published(
            "The families differ in 4 of 4 Big Two panels and 9 of 10 panels of moral foundations",
            "Figures 1, A1: permutation t-tests, Bonferroni over a lexicon's panels",
            True,
        ),
        "same-recipe-pairs": Published(
            "The difference holds between reward models of the same data and recipe on different bases",
            "text: the Skywork v0.2, QRM and GRM pairs",
            True,
        ),
        "top-ten": Published(
            "Among their ten best words Gemma reward models have more of communion, Llama ones more of agency",
            "text: communion / agency Gemma 5 / 0, Llama 3.67 / 2.33",
            True,
        ),
        "logprob-instruct": Published(
            "Base, category and framing interact in the log-probabilities of instruction-tuned Gemma 2 2B and Llama 3.2 3B",
            "Figure 2a: F(1, 208) = 58.3, p < .001",
        ),
        "logprob-pretrained": Published(
            "Base, category and framing interact in the log-probabilities of pretrained Gemma 2 2B and Llama 3.2 3B",
            "Figure 2b: F(1, 208) = 43.2, p < .001",
        ),
        "logprob-cells": Published(
            "Cell by cell the two language models differ as the reward models do",
            "Figure 2: Welch tests, FDR over cells",
        ),
        "mwlr-top": Published(
            'By MWLR "Freedom" is what Llama 3.2 3B prefers most over Gemma 2 2B', 'Table 1: "Freedom" on top'
        ),
        "mwlr-bottom": Published(
            'By MWLR "Love" is what Gemma 2 2B prefers most over Llama 3.2 3B',
            'Table 1: "Love" lowest, Markdown tokens set aside',
        ),
        "freedom-above-love": Published(
            'MWLR puts "Freedom" above "Love" in every pair of a Gemma 2 and a Llama 3 model',
            "Figure 3: 21 of 21 pairs",
        ),
        "gap-grows-with-size": Published(
            'Between larger models "Freedom" and "Love" are further apart', "Figure 3: gap by size of the pair"
        ),
        "mwlr-most-sensitive": Published(
            "MWLR brings planted words to the top better than every rival score", "Figure A3"
        ),
        "training-direction": Published(
            "Throughout training on the Skywork data Llama ranks agency higher and Gemma communion",
            "Figure 4a: at every checkpoint",
        ),
        "widest-at-start": Published(
            "The gap between Gemma and Llama is widest at the start of training", "Figure 4a: widest at the first step"
        ),
        "narrows-not-closes": Published(
            "Training narrows the gap between Gemma and Llama but doesn't close it",
            "Figure 4a: last against first step",
        ),
        "stable-at-third": Published(
            "From a third of training on the gap is stable", "Figure 4a: little change after a third of the steps"
        ),
        "source-minor": Published(
            "Which preference data are used matters little for the gap", "Figure 4b: Skywork against Unified-Feedback"
        ),
        "hundred-thousand-needed": Published(
            "It takes about 100,000 preference pairs to close the gap", "Figure 4b: closed at 106k pairs, open below"
        ),
        "more-data-less-gap": Published(
            "The more preference pairs, the smaller the gap", "Figure 4b: 13k, 27k, 53k, 106k pairs of Unified-Feedback"
        ),
        "point-13k": Published("Reward models trained on 13k pairs show the gap", "Figures 4b, A5b: the points at 13k"),
        "qwen-open": Published("With Qwen the gap stays open at every quantity of data", "Figure A5b"),
        "grm-open": Published(
            "With the GRM loss the gap stays open past 600,000 pairs", "Figure 4b: the points at 632k"
        ),
        "movers": Published(
            "Ten nouns that rise and ten that fall most from the first to the last checkpoint", "Figures 5, A6"
        ),
    }
)


def judged(
    claim_id: str, *, reproduced: bool, supported: bool | None = None, partly: bool = False, sentence: str
) -> Claim:
    """Apply the rule for verdicts.

    A claim `holds` if it is reproduced and, if it is about families, supported at the level of base checkpoints. It is
    `partly` true if it is only reproduced, or (`partly`) only a part of it is. Otherwise it `fails`.
    """
    of_families = CLAIMS[claim_id].of_families
    verdict: Verdict
    if reproduced and not partly and (supported or not of_families):
        verdict = "holds"
    elif reproduced or partly:
        verdict = "partly"
    else:
        verdict = "fails"
    return _claim(claim_id, reproduced, supported, verdict, sentence)


def untestable(claim_id: str, sentence: str) -> Claim:
    """The verdict if the files that the claim needs are missing or not informative."""
    return _claim(claim_id, None, None, "not testable here", sentence)


def _claim(claim_id: str, reproduced: bool | None, supported: bool | None, verdict: Verdict, sentence: str) -> Claim:
    known = CLAIMS[claim_id]
    return Claim(
        id=claim_id,
        claim=known.claim,
        published=known.published,
        reproduced=reproduced,
        supported=supported,
        verdict=verdict,
        sentence=sentence,
    )


CLAIM = "mwlr-most-sensitive"
JUDGED = "mwlr"
ABSENT = (
    "Neither the fine-tuned models' log-probabilities nor the code of the comparison is published: plant words with "
    "birthmark calibrate planted, and give replicate its folder with --planted."
)


def planted_claim(metrics: Sequence[PlantedMetric]) -> Claim:
    """`holds` if MWLR finds more planted words than every other metric, `partly` if it is the best or indistinguishable from
    the best, `fails` if another metric finds more.

    Two metrics are distinguishable if the 95% interval, over seeds, of the difference to the best metric is above zero.
    `metrics` are `planted_metrics` of a `calibration.json`. With fewer than five seeds the claim is untestable: two seeds that
    happen to agree would give an interval of zero width.
    """
    if not metrics:
        return untestable(CLAIM, ABSENT)
    ranked = [row for row in metrics if row.base == metrics[0].base]
    best, mine = ranked[0], next(row for row in ranked if row.metric == JUDGED)
    if best.seeds < FEWEST_SEEDS:
        reason = (
            f"The words were planted with {best.seeds} seed{'s' * (best.seeds != 1)}, too few to tell metrics apart"
        )
        return untestable(CLAIM, f"{reason}: birthmark calibrate planted --seeds {FEWEST_SEEDS}.")
    level = [row for row in ranked if row is not best and not _is_behind(row)]
    leads = mine is best and not level
    return judged(
        CLAIM,
        reproduced=leads,
        partly=not leads and (mine is best or mine in level),
        sentence=f"Not from the study's files but from words planted here, with {best.seeds} seeds: "
        f"{_place(best, mine, level)}.{_of_bases(metrics)}",
    )


def _is_behind(row: PlantedMetric) -> bool:
    return row.behind_ci_low is not None and row.behind_ci_low > 0


def _place(best: PlantedMetric, mine: PlantedMetric, level: Sequence[PlantedMetric]) -> str:
    found = f"MWLR brings {_share(mine)} of them to the top k"
    if mine is best:
        others = f"{_names(level)} cannot be told from it" if level else "every other metric fewer"
        return f"{found}, {others}"
    apart = "which is more than chance allows" if _is_behind(mine) else "and the two cannot be told apart"
    return f"{found}, {best.metric} {_share(best)}, {apart}"


def _of_bases(metrics: Sequence[PlantedMetric]) -> str:
    """The leading metric in each base, if there are several bases."""
    bases = list(dict.fromkeys(row.base for row in metrics if row.base is not None))
    if len(bases) < 2:
        return ""
    first = {base: next(row for row in metrics if row.base == base) for base in bases}
    leaders = "; ".join(f"in {base} {row.metric} leads with {_share(row)}" for base, row in first.items())
    return f" {leaders[0].upper()}{leaders[1:]}."


def _share(row: PlantedMetric) -> str:
    return f"{percent(row.precision_at_k, 1)}"


def _names(rows: Sequence[PlantedMetric]) -> str:
    return ", ".join(f"{row.metric} ({_share(row)})" for row in rows)
