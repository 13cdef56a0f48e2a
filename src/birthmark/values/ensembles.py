"""Reward models on different bases taken together: the mean of their z-scored rewards, and its contrast.

Score tables are enough; where the models can be run, their rewards of held-out pairs give an accuracy too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import Ensemble, NotApplicable, PromptRecord
from birthmark.scoring.table import ScoreTable
from birthmark.values.editing import ask, lean_change
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
        **_accuracy(members),
    )


def _accuracy(members: Sequence[Member]) -> dict[str, object]:
    """The share of held-out pairs whose summed z-scored margin is above 0, with Wilson's 95% interval; and each model's."""
    known = {member.model: member.margins for member in members if member.margins is not None}
    if lacking := [member.model for member in members if member.margins is None]:
        why = f"only a score table is known of {lacking[0]}, and it has no rewards of the held-out pairs"
        return {
            "accuracy": NotApplicable(why),
            "accuracy_ci_low": None,
            "accuracy_ci_high": None,
            "accuracies": {},
            "n_pairs": None,
        }
    margins = np.stack(list(known.values()))
    margins = margins[:, np.isfinite(margins).all(axis=0)]
    right, n = int((margins.sum(axis=0) > 0).sum()), margins.shape[1]
    low, high = proportion_confint(right, n, method="wilson")
    return {
        "accuracy": right / n,
        "accuracy_ci_low": float(low),
        "accuracy_ci_high": float(high),
        "accuracies": {name: float((row > 0).mean()) for name, row in zip(known, margins, strict=True)},
        "n_pairs": n,
    }


def _z(scores: np.ndarray) -> np.ndarray:
    """z-scores over the words after each prompt; alike words are all 0."""
    wide = np.asarray(scores, dtype=np.float64)
    sd = wide.std(axis=0)
    return (wide - wide.mean(axis=0)) / np.where(sd > 0, sd, 1.0)
