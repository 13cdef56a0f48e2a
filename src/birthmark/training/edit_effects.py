"""What an edit of a head does beyond single words: to the contrast in sentences, and to what is chosen of a policy's answers."""

from collections.abc import Mapping, Sequence

import numpy as np

from birthmark.inputs.answers import WORD, AnswerTemplate, Asked, InSentence
from birthmark.models.linear_end import LinearEnd
from birthmark.models.scorers import RewardScorer
from birthmark.progress import progress_bar
from birthmark.records import Consequences, EditConsequences, SentenceLean, ShiftChange, ShiftDifference
from birthmark.scoring.measure import Measure
from birthmark.values import editing
from birthmark.values.consequences import is_main


def in_sentences(
    scorer: RewardScorer,
    end: LinearEnd,
    after: np.ndarray,
    asked: editing.Asked,
    templates: Mapping[str, AnswerTemplate],
    measure: Measure,
    target: float,
) -> list[SentenceLean]:
    """The contrast of held-out words after held-out prompts, alone and in each sentence, by the old and the new head.

    after: the new weights float64 [hidden], as the file holds them; the old ones are `end`'s.
    """
    rows, columns = np.flatnonzero(~asked.training_words), np.flatnonzero(~asked.training_prompts)
    words = [asked.words[at] for at in rows]
    beside = RewardScorer(scorer.model, scorer.encoder, scorer.engine, words, None, scorer.head, scorer.reading)
    place = {word: at for at, word in enumerate(beside.candidates["candidate"].to_list())}
    order = [place[word] for word in words]
    formats: dict[str, AnswerTemplate | None] = {WORD: None, **templates}
    found = []
    for name, template in progress_bar(list(formats.items()), "sentences", unit="formats", quiet=measure.quiet):
        old, new = (np.full((len(asked.words), len(asked.prompts)), np.nan) for _ in range(2))
        for column in columns:
            question = measure.prompts.prompts[asked.prompts[column]].text
            text: Asked = question if template is None else InSentence(question, template)
            states = beside.states(text)[order]
            old[rows, column], new[rows, column] = (end.rewards(states, weights) for weights in (end.weights, after))
        lean = editing.lean_change(asked, old, new, ("held-out", "held-out"), target, measure.seed)
        found.append(SentenceLean(format=name, text=template.text if template else None, lean=lean))
    return found


def shift_changes(found: Consequences, old: str, new: str, categories: Sequence[str], folder: str) -> EditConsequences:
    """What a run of `consequences` with the old and the new model says of the edit."""
    shifts = {(shift.model, shift.category): shift for shift in found.shifts if is_main(shift)}
    differences = {
        item.category: item for item in found.differences if {item.a, item.b} == {new, old} and not item.length_fixed
    }
    changes = []
    for category in categories:
        before, after = shifts[old, category], shifts[new, category]
        change, low, high, p = _change(differences.get(category), new)
        changes.append(
            ShiftChange(
                category=category,
                policy=before.policy,
                before=before.shift,
                before_ci_low=before.ci_low,
                before_ci_high=before.ci_high,
                after=after.shift,
                after_ci_low=after.ci_low,
                after_ci_high=after.ci_high,
                change=change,
                change_ci_low=low,
                change_ci_high=high,
                p_swapped=p,
                change_why=before.shift_why or after.shift_why,
            )
        )
    return EditConsequences(
        policy=found.policy.model,
        questions=found.questions,
        n_questions=found.counts.questions,
        n=found.policy.n,
        folder=folder,
        changes=changes,
    )


def _change(found: ShiftDifference | None, new: str) -> tuple[float | None, float | None, float | None, float | None]:
    """The difference of two shifts as that of the new model less the old, its interval, and p."""
    if found is None:
        return None, None, None, None
    if found.a == new:
        return found.difference, found.ci_low, found.ci_high, found.p_swapped
    low, high = (None if end is None else -end for end in (found.ci_high, found.ci_low))
    return -found.difference, low, high, found.p_swapped
