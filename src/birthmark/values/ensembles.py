"""Beside an edit, from tables alone: several reward models' mean z-scored rewards, and the span of the published ones.

Where an ensemble's models can be run, their rewards of held-out pairs give it an accuracy too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import AmongPublished, Ensemble, NotApplicable, PromptRecord
from birthmark.scoring.table import ScoreTable
from birthmark.values.among import published_values
from birthmark.values.editing import Asked, ask, lean_change
from birthmark.values.ranks import lexicon_scores


@dataclass(frozen=True)
class Member:
    """One reward model of an ensemble: scores float [words, prompts] with their names, and its base, where that is known.

    `margins`: of held-out pairs, over the SD of its rewards, [pairs], NaN where there is none; None for a table alone.
    """

    model: str
    base: str | None
    words: tuple[str, ...]
    prompts: tuple[str, ...]
    scores: np.ndarray
    margins: np.ndarray | None = None

    @classmethod
    def of_table(cls, table: ScoreTable, lexicon: Lexicon, margins: np.ndarray | None = None) -> "Member":
        """Raises `BirthmarkError` for a language model's table, and for one without the lexicon's words."""
        if table.record.kind != "reward":
            raise BirthmarkError(f"{table.model} is a language model, and --ensemble takes reward models")
        found = lexicon_scores(table, lexicon)
        return cls(table.model, table.record.base_checkpoint, found.words, found.prompts, found.scores, margins)

    def at(self, words: Sequence[str], prompts: Sequence[str]) -> np.ndarray:
        rows = {word: at for at, word in enumerate(self.words)}
        columns = {prompt: at for at, prompt in enumerate(self.prompts)}
        return self.scores[np.ix_([rows[word] for word in words], [columns[prompt] for prompt in prompts])]


def ensemble(
    members: Sequence[Member], lexicon: Lexicon, prompts: Mapping[str, PromptRecord], *, seed: int
) -> Ensemble:
    """The mean over models of z = (reward − mean) / SD, mean and SD over the words after each prompt, and its contrast.

    Over the words and prompts that all have; contrasts are of mean ranks, with a 95% interval over word stems. The correlation
    is the mean over pairs of models of that of their z-scores. Raises `BirthmarkError` where they share too little.
    """
    names = [member.model for member in members]
    if len(set(names)) < len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise BirthmarkError(f"--ensemble has {again} twice, which is no ensemble: leave one out")
    shared = [word for word in members[0].words if all(word in member.words for member in members)]
    keys = {
        key: prompts[key] for key in members[0].prompts if key in prompts and all(key in m.prompts for m in members)
    }
    asked = ask(shared, lexicon, keys, seed=seed, split=False)
    if not asked.member.any(axis=1).all() or {"positive", "negative"} - set(asked.framings):
        raise BirthmarkError(
            f"the models of --ensemble share {len(shared)} of the lexicon's words and {len(asked.prompts)} prompts with a "
            "framing: score all models with the same lexicon and prompts"
        )
    z = np.stack([_z(member.at(asked.words, asked.prompts)) for member in members])  # [models, words, prompts]
    mean = z.mean(axis=0)
    whole = np.ones(len(asked.words), dtype=bool), np.ones(len(asked.prompts), dtype=bool)
    lean = lean_change(asked, mean, mean, ("all", "all"), 0.0, seed)
    correlations = np.corrcoef(z.reshape(len(z), -1))[np.triu_indices(len(z), 1)]
    return Ensemble.build(
        models={name: asked.lean(scores, *whole) for name, scores in zip(names, z, strict=True)},
        bases=sorted({member.base for member in members if member.base}),
        n_words=len(asked.words),
        n_prompts=len(asked.prompts),
        contrast=lean.before,
        ci_low=lean.before_ci_low,
        ci_high=lean.before_ci_high,
        pairwise_correlation=float(correlations.mean()) if len(correlations) else None,
        result=_accuracy(members),
    )


@dataclass(frozen=True)
class _Accuracy:
    """The fields of `Ensemble` of this name."""

    accuracy: float | NotApplicable
    accuracy_ci_low: float | None = None
    accuracy_ci_high: float | None = None
    accuracies: Mapping[str, float] = field(default_factory=dict)
    n_pairs: int | None = None


def _accuracy(members: Sequence[Member]) -> _Accuracy:
    """The share of held-out pairs whose summed z-scored margin is above 0, with Wilson's 95% interval; and each model's."""
    lacking = [member.model for member in members if member.margins is None]
    if lacking:
        why = f"only a score table is known of {lacking[0]}, and it has no rewards of the held-out pairs"
        return _Accuracy(NotApplicable(why))
    margins = np.stack([member.margins for member in members if member.margins is not None])
    margins = margins[:, np.isfinite(margins).all(axis=0)]
    right, n = int((margins.sum(axis=0) > 0).sum()), margins.shape[1]
    low, high = scipy.stats.binomtest(right, n).proportion_ci(method="wilson")
    each = {member.model: float((row > 0).mean()) for member, row in zip(members, margins, strict=True)}
    return _Accuracy(right / n, float(low), float(high), each, n)


def _z(scores: np.ndarray) -> np.ndarray:
    """z-scores over the words after each prompt; alike words are all 0."""
    wide = np.asarray(scores, dtype=np.float64)
    sd = wide.std(axis=0)
    return (wide - wide.mean(axis=0)) / np.where(sd > 0, sd, 1.0)


def among_published(
    asked: Asked, before: np.ndarray, after: np.ndarray, lexicon: Lexicon
) -> AmongPublished | NotApplicable:
    """Where the contrast stands in the span of the published reward models', before and after; scores [words, prompts].

    Over the words that the published models were scored with, ranked among themselves.
    """
    known = published_values()
    found = next((item for item in known.lexicons if item.sha256 == lexicon.sha256), None)
    if found is None or len(found.categories) != 2:
        return NotApplicable("the published reward models' contrasts are not known for this lexicon")
    if list(found.categories) != list(asked.categories) or set(asked.prompts) - set(known.prompts):
        return NotApplicable("the published reward models were asked about other categories, or other prompts")
    wanted = set(found.words or lexicon.words)
    words, prompts = np.array([word in wanted for word in asked.words]), np.ones(len(asked.prompts), dtype=bool)
    if words.sum() < len(wanted):
        return NotApplicable(
            f"{len(wanted) - int(words.sum())} of the published words could not be scored by this model"
        )
    leans = [asked.lean(scores, words, prompts) / asked.scale(words) for scores in (before, after)]
    models = {item.model: item.mean_rank_contrast for item in found.models if item.mean_rank_contrast is not None}
    return AmongPublished(
        source=known.source,
        models=models,
        n_words=len(wanted),
        n_prompts=len(asked.prompts),
        published_prompts=len(known.prompts),
        before=leans[0],
        after=leans[1],
        below_before=sum(value < leans[0] for value in models.values()),
        below_after=sum(value < leans[1] for value in models.values()),
    )
