"""What consequences come to, in words: records in, sentences out."""

from collections.abc import Sequence

from birthmark.records import AnswerCounts, Chooser, Consequences, Shift, ShiftDifference, ShiftLink
from birthmark.values.formats import interval, listed, minus, p_words, percent, plural, signed

MUCH = 0.5  # of the answers
CHOSEN = 0.05
PER_THOUSAND = "per 1,000 words"


def shift_sentence(shift: Shift) -> str:
    """One shift with its interval and both nulls; for a category that no answer has, why there is none."""
    if shift.shift is None:
        return f"{shift.model}, {shift.category}: {shift.shift_why}."
    moved = "more" if shift.shift > 0 else "fewer"
    said = (
        f"{shift.model} chooses {minus(abs(shift.shift), 2)} {moved} {shift.category} words {PER_THOUSAND} than the policy says "
        f"({minus(shift.chosen or 0, 2)} against {minus(shift.policy or 0, 2)}"
    )
    within = f"; 95% interval {interval(shift.ci_low, shift.ci_high, 2)}" if shift.ci_low is not None else ""
    return f"{said}{within}; rewards shuffled: {p_words(shift.p_adjusted)}, random heads: {p_words(shift.p_heads)})."


def leading(shifts: Sequence[Shift], choosers: Sequence[Chooser]) -> list[str]:
    """What was found, in one to three sentences; if nothing, how large a shift would have been found."""
    tested = [shift for shift in shifts if shift.shift is not None and shift.p_adjusted is not None]
    if not tested:
        return ["No word of the lexicons' categories occurs in the answers, so that no shift can be measured."]
    found = [shift for shift in tested if (shift.p_adjusted or 1) < CHOSEN]
    if found:
        beyond = [shift for shift in found if (shift.p_heads or 1) < CHOSEN]
        said = [shift_sentence(shift) for shift in found[:3]]
        rest = len(tested) - len(found)
        more = f"; {len(found) - 3} more are in the table" if len(found) > 3 else ""
        if not beyond:
            heads = "Random heads on the same states shift words as far, so that these reward models need not have learned it"
        elif len(beyond) == len(found):
            heads = "Random heads on the same states do not shift words this far"
        else:
            heads = f"Random heads on the same states do not shift words as far as {len(beyond)} of these {len(found)} shifts"
        return [*said, f"{heads}{more}; {rest} of {plural(len(tested), 'shift')} cannot be told from chance."]
    sizes = [shift.detectable for shift in tested if shift.detectable is not None]
    reach = (
        f" The true shift would have had to be {_range(sizes)} words {PER_THOUSAND} to be found with 80% power."
        if sizes
        else ""
    )
    models = "the reward model" if len(choosers) == 1 else f"the {len(choosers)} reward models"
    return [
        (
            f"No shift is found: what {models} would choose has as many of the lexicons' words as what the policy said, "
            f"as far as can be told (smallest adjusted {p_words(min(shift.p_adjusted or 1 for shift in tested))}).{reach}"
        )
    ]


def _range(sizes: Sequence[float]) -> str:
    low, high = min(sizes), max(sizes)
    return minus(low, 1) if f"{low:.1f}" == f"{high:.1f}" else f"{minus(low, 1)} to {minus(high, 1)}"


def difference_sentence(item: ShiftDifference) -> str:
    """One difference of two reward models."""
    within = f", 95% interval {interval(item.ci_low, item.ci_high, 2)}" if item.ci_low is not None else ""
    fixed = ", with length held fixed" if item.length_fixed else ""
    return (
        f"{item.category}: {item.a} less {item.b}{fixed}, {signed(item.difference, 2)} words {PER_THOUSAND}{within}; "
        f"labels swapped within questions: {p_words(item.p_swapped)}."
    )


def about_answers(counts: AnswerCounts) -> list[str]:
    """What the policy said, and what of it is of little use; a sentence a kind that occurs."""
    of = f"of {counts.answers:,} answers"
    said = [
        f"{counts.answers:,} answers to {plural(counts.questions, 'question')}, {minus(counts.mean_words, 1)} words each on average."
    ]
    kinds = (
        (counts.cut, "reached the limit of tokens and are cut off there; they are scored as they are"),
        (counts.empty, "are empty; they count as answers without a word"),
        (counts.repeated, "are the same as an earlier answer to their question"),
        (counts.in_circles, "go in circles: over half of their runs of four words stand earlier in them"),
    )
    said += [f"{count:,} {of} {what}." for count, what in kinds if count]
    if counts.settled:
        said.append(
            f"{counts.settled} of {counts.questions} questions have one answer only, so that nothing is chosen there."
        )
    return said


def answer_warnings(counts: AnswerCounts) -> list[str]:
    """What makes a policy's answers a poor base for a finding."""
    kinds = (
        (counts.cut, "were cut off at the limit: raise --max-tokens"),
        (counts.empty, "are empty: look at the policy's chat template"),
        (counts.repeated, "repeat another answer to their question: raise --temperature"),
        (counts.in_circles, "go in circles: take a larger policy, or another --temperature"),
    )
    return [
        f"{percent(count / counts.answers)} of the policy's answers {what}"
        for count, what in kinds
        if count > MUCH * counts.answers
    ]


def length_sentence(item: Chooser, mean_words: float) -> str:
    """What a reward model does about length."""
    r = (
        "does not vary with length"
        if item.length_r is None
        else f"correlates {signed(item.length_r, 2)} with log length"
    )
    return (
        f"{item.model}: its reward {r} within questions; softly it chooses {minus(item.mean_words_soft, 1)} words an answer against "
        f"the policy's {minus(mean_words, 1)}, and {minus(item.mean_words_length_fixed, 1)} with length held fixed."
    )


def method_sentences(record: Consequences) -> list[str]:
    """How answers are chosen and what the intervals are over."""
    return [
        (
            f"A reward model chooses softly: an answer's weight is proportional to exp(reward ÷ β), with the β at which the mean KL "
            f"from the policy is {minus(record.kl_target, 2)} nats for every reward model. That is log n − (n − 1)/n, the KL of the "
            f"best of n = {record.policy.n}. The table also has the best of n itself."
        ),
        (
            "A shift is the rate of a category's words in what is chosen, less that in all that the policy said. Words are matched by "
            "stem. Questions are what was sampled: intervals are over questions, and answers are nested in them."
        ),
        (
            f"Rewards shuffled within questions ({record.draws:,} times) say what chance gives; p is adjusted over reward models and "
            f"categories (Holm). {record.random_heads} random heads read the same states as the reward, and say what a direction that "
            "nobody trained would choose."
        ),
        (
            "With length held fixed, the part of a reward that is linear in log(1 + words) within questions is taken off before the "
            "choice."
        ),
    ]


def link_sentence(link: ShiftLink) -> str:
    """Whether one-word contrasts predict shifts."""
    what = f"{link.lexicon}: the one-word contrast ({' less '.join(link.categories)}) against the shift"
    if link.rho is None:
        return f"{what}: {link.rho_why or link.points_why}."
    orders = f"{link.n_orders:,} orders" if link.n_orders else "no orders"
    return f"{what}, over {len(link.points)} reward models: Spearman's ρ = {minus(link.rho, 2)}, {p_words(link.p)} ({orders})."


def family_reason(record: Consequences) -> str:
    """Why there is no comparison of families, as a sentence."""
    return f"Families are not compared: {record.families_why}." if record.families_why else ""


def title(record: Consequences) -> str:
    """The page's heading."""
    names = [chooser.model for chooser in record.choosers]
    who = listed(names) if len(names) <= 2 else f"{len(names)} reward models"
    return f"What {who} would have {record.policy.model} say"
