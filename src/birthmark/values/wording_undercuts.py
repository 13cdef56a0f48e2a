"""What undercuts a finding, and what random heads give, in plain sentences that stand beside it.

Records in, sentences out.
"""

from birthmark.records import Effects, ModelContrast, Sensitivity
from birthmark.values.formats import decimal, interval, listed, p_words, percent, places, signed

RELIABLE = 0.7
LEAST_MASS = 0.01
CARRIES = 0.5  # of the difference that is left without one adjective
SMALL = 0.5  # places: a difference that nothing can carry


def undercuts(effects: Effects) -> list[str]:
    """Why the difference is not to be trusted, a sentence each; empty where nothing speaks against it."""
    found = effects.sensitivity
    lines = [] if found is None else [*_unreliable(found), *_carried(found)]
    return [*_one_sign(effects), *lines, *_little_mass(effects)]


def _unreliable(found: Sensitivity) -> list[str]:
    of = (("other words", found.spearman_brown), ("other questions", found.icc_prompts))
    return [
        f"With {what} the models' contrasts could come out otherwise: their reliability is {decimal(max(0.0, value))}, below {decimal(RELIABLE, 1)}."
        for what, value in of
        if value is not None and value < RELIABLE
    ]


def _one_sign(effects: Effects) -> list[str]:
    """A taste for the words themselves shows alike after the best and the worst."""
    fixed = effects.models_fixed
    if fixed is None or {item.framing for item in fixed.by_adjective} != {"positive", "negative"}:
        return []
    estimates = [item.estimate for item in fixed.by_adjective]
    if not (all(value > 0 for value in estimates) or all(value < 0 for value in estimates)):
        return []
    return [
        (
            f"The difference has the same sign after all {len(estimates)} adjectives, good and bad alike: a taste for the words "
            "rather than a value."
        )
    ]


def _carried(found: Sensitivity) -> list[str]:
    if abs(found.estimate) < SMALL:
        return []
    carried = [
        item
        for item in found.without_adjective
        if item.estimate is not None and item.estimate / found.estimate < CARRIES
    ]
    if not carried:
        return []
    most = min(carried, key=lambda item: (item.estimate or 0.0) / found.estimate)
    left = most.estimate or 0.0
    turned = "turns round" if left / found.estimate < 0 else "shrinks"
    return [
        (
            f"One adjective carries it: without “{most.left_out}” the difference {turned} from {signed(found.estimate)} to "
            f"{signed(left)} places."
        )
    ]


def _little_mass(effects: Effects) -> list[str]:
    small = [item for item in effects.models if item.mass is not None and item.mass < LEAST_MASS]
    if not small:
        return []
    shares = listed([f"{percent(item.mass or 0.0, 2)} of {item.model}'s" for item in small])
    return [
        f"The words hold only {shares} next-token probability: the ranking rests on what the model hardly ever says."
    ]


def null_sentences(effects: Effects) -> list[str]:
    """A sentence a reward model: whether its contrast is more than random heads on the same base give."""
    return [null_sentence(item) for item in effects.models if item.null is not None]


def null_sentence(item: ModelContrast) -> str:
    null = item.null
    assert null is not None
    inside = "within" if null.holds(item.mean_rank_contrast) else "outside"
    body = item.base_checkpoint if null.of_base else "its own trained body"
    return (
        f"{item.model} moves {places(item.mean_rank_contrast or 0.0)}: {inside} what {null.n_heads:,} random heads on {body} give, "
        f"{interval(null.low, null.high)} in 95% of them ({p_words(null.p)})."
    )
