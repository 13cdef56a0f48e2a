"""The families' difference as an effects record has it, once for each thing that can be taken as a sample.

Gathers what lies in several parts of the record under one shape, for the table and the figure of how sure it is.
"""

from dataclasses import dataclass

from birthmark.records import Effects, LevelTest
from birthmark.report.formats import p_words


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
        source = "labels shuffled over words"
        found.append(Difference("Words alone", fixed.estimate, fixed.ci_low, fixed.ci_high, fixed.p_words, source))
    return found


def _worth(effects: Effects) -> str:
    """What models on the same base checkpoints are worth, where that is known."""
    found = effects.clustering
    if found is None or found.icc is None or found.n_effective is None:
        return ""
    icc = f"{found.icc:.2f}".removeprefix("0")
    return f"; too small: intraclass correlation by base {icc}, worth {found.n_effective:.1f} independent models"


def _splits(test: LevelTest) -> str:
    if test.count is None or test.n_splits is None:
        return "–"
    least = f", least possible {p_words(test.min_p)}" if test.min_p is not None else ""
    return f"{test.count:,} of {test.n_splits:,} splits{least}"
