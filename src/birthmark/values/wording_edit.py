"""Findings about an edit of a head: what is left of the lean, what it costs, how other ways do, and what it cannot do.

Records in, sentences out.
"""

from statistics import fmean

from birthmark.records import Edit, EditConsequences, EditMethod, Ensemble, LeanChange, PairChange
from birthmark.values.formats import interval, listed, minus, p_words, percent, plural, signed

NAMES = {"edit": "This edit", "projection": "A plain projection", "leace": "LEACE"}
CANNOT = (
    (
        "What was measured is one-word answers. An edit of one layer moves every reward through the same states: it cannot "
        "tell a lean from what the states carry beside it, and what is left on held-out words is what its direction does not hold."
    ),
    "Other values were not asked about, beside those of the second lexicon. They can move, and each needs its own audit.",
    "Long answers state values in many ways that no list of words samples. Nothing here says what the edit does to them.",
    (
        "A policy that is optimised against the reward looks for what scores high, and can find the lean again in states that no "
        "word of the list led to. An edit is no guard against that: audit the policy too."
    ),
)


def edit_sentences(edit: Edit) -> list[str]:
    """The findings in the order of their weight: what remains, what it costs, the second lexicon, other ways, alternatives."""
    way = edit.methods[0]
    assert way.pairs is not None
    said = [remains(edit, part(way, "held-out", "held-out")), cost(way.pairs)]
    if edit.other is not None:
        said.append(other_lexicon(edit))
    if edit.in_sentences:
        said.append(in_sentences(edit))
    if edit.consequences is not None:
        said.append(consequences_sentence(edit.consequences))
    said += [compared(edit, other) for other in edit.methods[1:]]
    if edit.ensemble is not None:
        said.append(ensemble_sentence(edit.ensemble))
    if edit.among is not None:
        said.append(among_sentence(edit))
    return said


def part(way: EditMethod, words: str, prompts: str) -> LeanChange:
    """A way's contrast on some part of the words and of the prompts."""
    return next(lean for lean in way.lean if (lean.words, lean.prompts) == (words, prompts))


def remains(edit: Edit, lean: LeanChange) -> str:
    """`On held-out words 70% of the lean remains: …`"""
    a, b = edit.categories
    goal = edit.target.ranks or 0.0
    moved = (
        f"the contrast of {a} and {b} goes from {minus(lean.before)} to {minus(lean.after)} ranks (change "
        f"{signed(lean.change)}, 95% interval over word stems {interval(lean.change_ci_low, lean.change_ci_high)})"
    )
    where = "On held-out words, after held-out prompts,"
    if lean.remains is None:
        return f"{where} {lean.remains_why}, so that no share of it can be given: {moved}."
    what = "of the lean" if goal == 0 else f"of the way to {minus(goal)} ranks"
    if lean.remains < 0:
        return f"{where} the edit overshoots by {percent(-lean.remains)} {what}: {moved}."
    if lean.remains > 1:
        return f"{where} the edit moved the lean away, and {percent(lean.remains)} {what} remains: {moved}."
    return f"{where} {percent(lean.remains)} {what} remains: {moved}."


def cost(pairs: PairChange) -> str:
    """What the edit does to held-out pairs."""
    share = pairs.accuracy_change
    return (
        f"Accuracy on {plural(pairs.n_pairs, 'held-out pair')} goes from {percent(pairs.accuracy_before, 1)} to "
        f"{percent(pairs.accuracy_after, 1)} (change {signed(100 * share)} points, 95% interval "
        f"{interval(100 * pairs.accuracy_change_ci_low, 100 * pairs.accuracy_change_ci_high)}, paired; McNemar's exact "
        f"{p_words(pairs.p_mcnemar)}), and rewards keep a rank correlation of {minus(pairs.spearman, 3)}."
    )


def other_lexicon(edit: Edit) -> str:
    """The contrast of the lexicon that was not used."""
    assert edit.other is not None
    lean, (a, b) = edit.other.lean, edit.other.categories
    return (
        f"Under {edit.other.lexicon}, which the edit did not use, the contrast of {a} and {b} goes from {minus(lean.before)} to "
        f"{minus(lean.after)} ranks (change {signed(lean.change)}, 95% interval "
        f"{interval(lean.change_ci_low, lean.change_ci_high)})."
    )


def in_sentences(edit: Edit) -> str:
    """The contrast where the held-out words stand in sentences, before and after, and how far the edit reaches there."""
    assert edit.in_sentences is not None
    leans = [item.lean for item in edit.in_sentences if item.text is not None]
    before, after = fmean(lean.before for lean in leans), fmean(lean.after for lean in leans)
    surely = sum((lean.change_ci_low or 0) > 0 or (lean.change_ci_high or 0) < 0 for lean in leans)
    return (
        f"Where held-out words stand in {plural(len(leans), 'sentence')}, the contrast goes from a mean of {minus(before)} to "
        f"{minus(after)} ranks; in {surely} of them the interval of the change over word stems excludes 0."
    )


def consequences_sentence(found: EditConsequences) -> str:
    """How the edit changes what is chosen among a policy's answers."""
    said = [
        f"{signed(item.change)} {item.category} words (95% over questions {interval(item.change_ci_low, item.change_ci_high)}, "
        f"{p_words(item.p_swapped)})"
        for item in found.changes
        if item.change is not None
    ]
    asked = f"Among {found.policy}'s {plural(found.n, 'answer')} to each of {plural(found.n_questions, 'question')}"
    if not said:
        return f"{asked} no word of the lexicon occurs, so that the edit changes nothing there that can be counted."
    return f"{asked}, what the new head chooses differs from what the old one does by {listed(said)} per 1,000."


def compared(edit: Edit, way: EditMethod) -> str:
    """Another way of changing the head on the same splits."""
    name = NAMES[way.method]
    if way.pairs is None:
        return f"{name} has no result: {way.why}."
    lean = part(way, "held-out", "held-out")
    return (
        f"{name} brings the same contrast to {minus(lean.after)} ranks, at a change in accuracy of "
        f"{signed(100 * way.pairs.accuracy_change)} points and a rank correlation of {minus(way.pairs.spearman, 3)}."
    )


def ensemble_sentence(found: Ensemble) -> str:
    """What the mean of several reward models' z-scored rewards leans to."""
    each = listed([f"{name} {minus(value)}" for name, value in found.models.items()])
    return (
        f"The mean of the z-scored rewards of {len(found.models)} reward models has a contrast of {minus(found.contrast)} ranks "
        f"(95% interval {interval(found.ci_low, found.ci_high)}); alone they have {each}.{_accuracy(found)}"
    )


def _accuracy(found: Ensemble) -> str:
    if found.accuracy is None or found.accuracy_ci_low is None or found.accuracy_ci_high is None:
        return ""
    each = listed([f"{name} {percent(value, 1)}" for name, value in found.accuracies.items()])
    return (
        f" Together they get {percent(found.accuracy, 1)} of {found.n_pairs} held-out pairs right (95% interval "
        f"{interval(100 * found.accuracy_ci_low, 100 * found.accuracy_ci_high)}%), alone {each}."
    )


def among_sentence(edit: Edit) -> str:
    """Where the lean stands among published reward models' contrasts."""
    found = edit.among
    assert found is not None
    n, values = len(found.models), found.models.values()
    fewer = f", asked after {found.n_prompts} prompts and not {found.published_prompts}," * (
        found.n_prompts != found.published_prompts
    )
    return (
        f"The {n} published reward models span {minus(min(values))} to {minus(max(values))} ranks on {found.n_words} of these words; "
        f"this model{fewer} has {minus(found.before)} before the edit ({found.below_before} of {n} are below it) and "
        f"{minus(found.after)} after it ({found.below_after} of {n})."
    )


def model_card(edit: Edit) -> str:
    """A paragraph for the model card, as Markdown."""
    goal = "no difference" if edit.target.ranks is None else f"a contrast of {minus(edit.target.ranks)} ranks"
    earlier = f" It was edited {len(edit.earlier)} time(s) before." if edit.earlier else ""
    return (
        "## Edited with birthmark\n\n"
        f"The head of this reward model (`{edit.head.tensor}`) was changed with `birthmark edit`, to bring its lean between "
        f"{listed(edit.categories)} (lexicon {edit.lexicon}) to {goal}; all other weights are those of {edit.name}.{earlier} "
        f"{edit.sentences[0]} {edit.sentences[1]} One-word answers were measured, and nothing is known of other values, of long "
        "answers, or of what a policy trained on this reward learns. `birthmark.json` and `report.html` have the details.\n"
    )
