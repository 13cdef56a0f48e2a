"""Reward models on different bases taken together: the mean of their z-scored rewards, and its contrast. From tables alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import Ensemble, PromptRecord
from birthmark.scoring.table import ScoreTable
from birthmark.values.editing import ask, lean_change
from birthmark.values.ranks import lexicon_scores


@dataclass(frozen=True)
class Member:
    """One reward model of an ensemble: scores float [words, prompts] with their names, and its base, where that is known."""

    model: str
    base: str | None
    words: tuple[str, ...]
    prompts: tuple[str, ...]
    scores: np.ndarray

    @classmethod
    def of_table(cls, table: ScoreTable, lexicon: Lexicon) -> "Member":
        """Raises `BirthmarkError` for a language model's table, and for one without the lexicon's words."""
        if table.record.kind != "reward":
            raise BirthmarkError(f"{table.model} is a language model's table, and --ensemble takes reward models'")
        found = lexicon_scores(table, lexicon)
        return cls(table.model, table.record.base_checkpoint, found.words, found.prompts, found.scores)

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
        raise BirthmarkError(f"--ensemble has {again} twice, which is no ensemble: leave one of the tables out")
    shared = [word for word in members[0].words if all(word in member.words for member in members)]
    keys = {
        key: prompts[key] for key in members[0].prompts if key in prompts and all(key in m.prompts for m in members)
    }
    asked = ask(shared, lexicon, keys, seed=seed, split=False)
    if not asked.member.any(axis=1).all() or {"positive", "negative"} - set(asked.framings):
        raise BirthmarkError(
            f"the tables of --ensemble share {len(shared)} of the lexicon's words and {len(asked.prompts)} prompts with a "
            "framing: score all models with the same lexicon and prompts"
        )
    z = np.stack([_z(member.at(asked.words, asked.prompts)) for member in members])  # [models, words, prompts]
    mean = z.mean(axis=0)
    whole = np.ones(len(asked.words), dtype=bool), np.ones(len(asked.prompts), dtype=bool)
    lean = lean_change(asked, mean, mean, ("all", "all"), 0.0, seed)
    correlations = np.corrcoef(z.reshape(len(z), -1))[np.triu_indices(len(z), 1)]
    return Ensemble(
        models={name: asked.lean(scores, *whole) for name, scores in zip(names, z, strict=True)},
        bases=sorted({member.base for member in members if member.base}),
        n_words=len(asked.words),
        n_prompts=len(asked.prompts),
        contrast=lean.before,
        ci_low=lean.before_ci_low,
        ci_high=lean.before_ci_high,
        pairwise_correlation=float(correlations.mean()) if len(correlations) else None,
        accuracy=None,
        accuracy_why="the tables have no rewards of the held-out pairs",
    )


def _z(scores: np.ndarray) -> np.ndarray:
    """z-scores over the words after each prompt; alike words are all 0."""
    wide = np.asarray(scores, dtype=np.float64)
    sd = wide.std(axis=0)
    return (wide - wide.mean(axis=0)) / np.where(sd > 0, sd, 1.0)
