"""Several models' tables brought to one array: the ranks of the words and prompts that all of them have.

What a join loses is kept beside it, to be counted and shown. It says which model is of which family and base
checkpoint; it tests nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import Framing
from birthmark.scoring.table import ScoreTable
from birthmark.stats.words import place_values
from birthmark.values.formats import some
from birthmark.values.ranks import (
    LexiconScores,
    category_means,
    category_medians,
    contrast,
    framing_contrast,
    lexicon_scores,
    membership,
    rank,
)

T = TypeVar("T")
Statistic: TypeAlias = Literal["mean", "median"]


@dataclass(frozen=True)
class Joined:
    """Ranks of the shared words in every model, and what is known of models, words and prompts.

    `ranks` is float64 [models, words, prompts], among the shared words of each model and prompt. Models are in the
    order of the tables, words and categories alphabetical, prompts as in the first table. `member` is bool
    [categories, words]. `missing` are the lexicon's words that are not in all tables. `of`: whether families are
    compared by their categories' mean ranks, which people read, or by median ranks, as the study published them.
    """

    ranks: np.ndarray
    member: np.ndarray
    models: tuple[str, ...]
    model_families: tuple[str, ...]
    model_bases: tuple[str, ...]
    words: tuple[str, ...]
    categories: tuple[str, ...]
    prompts: tuple[str, ...]
    framings: tuple[Framing | None, ...]
    adjectives: tuple[str | None, ...]
    missing: tuple[str, ...]
    warnings: tuple[str, ...]
    of: Statistic = "mean"

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.model_families)))

    @property
    def framings_present(self) -> tuple[Framing, ...]:
        both: tuple[Framing, ...] = ("positive", "negative")
        return tuple(framing for framing in both if framing in self.framings)

    @property
    def is_contrastable(self) -> bool:
        """Whether there are prompts of both framings, so that contrasts between them exist."""
        return len(self.framings_present) == 2

    @cached_property
    def medians(self) -> np.ndarray:
        """Median ranks [models, categories, prompts]."""
        return category_medians(self.ranks, self.member)

    @cached_property
    def means(self) -> np.ndarray:
        """Mean ranks [models, categories, prompts]."""
        return category_means(self.ranks, self.member)

    @cached_property
    def contrasts(self) -> np.ndarray | None:
        """Contrast of median ranks [models], where there are two categories and both framings."""
        return contrast(self.medians, self.framings) if self._has_contrast else None

    @cached_property
    def mean_rank_contrasts(self) -> np.ndarray | None:
        """Contrast of mean ranks [models], where there are two categories and both framings."""
        return contrast(self.means, self.framings) if self._has_contrast else None

    @property
    def leading_contrasts(self) -> np.ndarray | None:
        """The contrasts [models] that families are compared by: of mean or of median ranks, see `of`."""
        return self.mean_rank_contrasts if self.of == "mean" else self.contrasts

    @property
    def leading_ranks(self) -> np.ndarray:
        """Mean or median ranks, see `of`: [models, categories, prompts]."""
        return self.means if self.of == "mean" else self.medians

    @cached_property
    def centred_framing_contrasts(self) -> np.ndarray:
        """Framing contrasts of `leading_ranks` [models, categories], less each model's mean over categories."""
        by_category = framing_contrast(self.leading_ranks, self.framings)
        return by_category - by_category.mean(axis=-1, keepdims=True)

    @property
    def _has_contrast(self) -> bool:
        return self.is_contrastable and len(self.categories) == 2

    @property
    def no_contrast_why(self) -> str | None:
        if not self.is_contrastable:
            return "a contrast needs prompts of both framings, positive and negative"
        if len(self.categories) != 2:
            return f"a contrast is of two categories; the lexicon has {len(self.categories)}"
        return None

    @cached_property
    def framed(self) -> np.ndarray:
        """Positions of the prompts that have a framing."""
        return np.flatnonzero([framing is not None for framing in self.framings])

    @cached_property
    def framed_labels(self) -> tuple[Framing, ...]:
        """The framings of the prompts at `framed`."""
        return tuple(framing for framing in self.framings if framing is not None)

    @cached_property
    def places(self) -> tuple[np.ndarray, list[str]]:
        """Positions of words and their category, category by category: a word of two categories has a place in each."""
        rows, at = np.nonzero(self.member)
        return at, [self.categories[row] for row in rows]

    @cached_property
    def place_values(self) -> np.ndarray:
        """What each of `places` adds to a difference of the categories' mean ranks: [models, places, prompts].

        For lexicons of two categories; see `birthmark.stats.words.place_values`.
        """
        return place_values(self.ranks, self.member)

    def subset(
        self, *, models: np.ndarray | None = None, words: np.ndarray | None = None, prompts: np.ndarray | None = None
    ) -> "Joined":
        """The part where boolean masks are true; words that stay are ranked anew among themselves.

        Raises `BirthmarkError` where nothing, or no word of some category, stays.
        """
        keep_models, keep_words, keep_prompts = (
            np.ones(size, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
            for size, mask in zip(self.ranks.shape, (models, words, prompts), strict=True)
        )
        member = self.member[:, keep_words]
        if not (keep_models.any() and keep_prompts.any() and member.any(axis=1).all()):
            raise BirthmarkError("nothing would be left of the models, the prompts or a category's words")
        ranks = self.ranks[np.ix_(keep_models, keep_words, keep_prompts)]
        return replace(
            self,
            ranks=ranks if keep_words.all() else np.stack([rank(-of_model) for of_model in ranks]),
            member=member,
            models=_kept(self.models, keep_models),
            model_families=_kept(self.model_families, keep_models),
            model_bases=_kept(self.model_bases, keep_models),
            words=_kept(self.words, keep_words),
            prompts=_kept(self.prompts, keep_prompts),
            framings=_kept(self.framings, keep_prompts),
            adjectives=_kept(self.adjectives, keep_prompts),
        )

    def prompts_of(self, framing: Framing) -> np.ndarray:
        """Positions of a framing's prompts."""
        return np.flatnonzero([given == framing for given in self.framings])

    def models_of(self, family: str) -> np.ndarray:
        """Positions of a family's models."""
        return np.flatnonzero([given == family for given in self.model_families])


def _kept(items: tuple[T, ...], mask: np.ndarray) -> tuple[T, ...]:
    return tuple(item for item, keep in zip(items, mask, strict=True) if keep)


def join_tables(
    tables: Sequence[ScoreTable],
    lexicon: Lexicon,
    *,
    families: Mapping[str, str] | None = None,
    base_checkpoints: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Joined:
    """Rank the lexicon's words that all tables have, after the prompts that all tables have.

    `families` and `base_checkpoints` (model → name) take the place of what the tables say. A model whose family or base
    checkpoint nobody names is its own, with a warning. `groups` (model → any other label: team, size, data) stands in the
    families' place for all models; a base checkpoint in several groups is then a unit in each, with a warning. Raises `BirthmarkError` for tables that cannot be compared: of
    both kinds, the same model twice, no word or prompt in common, one key for two prompts, a base in two families.
    """
    models = _models(tables)
    scored = [lexicon_scores(table, lexicon) for table in tables]
    prompts = _shared_prompts(tables)
    matched = {word: names for scores in scored for word, names in scores.categories.items()}
    shared = [word for word in sorted(matched) if all(word in scores.categories for scores in scored)]
    if not shared:
        raise BirthmarkError(f"no word of the lexicon {lexicon.name} is in all tables: score the models with it")
    names = tuple(sorted({name for word in shared for name in matched[word]}))
    warnings = [*_shared_prompt_warnings(tables, prompts), *_row_warnings(models, scored)]
    model_families, said = _known(models, [table.record.family for table in tables], families, "family")
    model_bases, said_too = _known(
        models, [table.record.base_checkpoint for table in tables], base_checkpoints, "base checkpoint"
    )
    if groups is None:
        _check_bases(model_families, model_bases)
    else:
        model_families, model_bases, said = _grouped(models, model_bases, groups)
    lost = sorted({name for of_word in matched.values() for name in of_word} - set(names))
    if lost:
        warnings.append(f"no word of {', '.join(lost)} is in all tables")
    first = tables[0].prompts
    ranks = np.stack([rank(_rows(scores, shared, prompts)) for scores in scored])
    warnings += _tied_warnings(models, ranks)
    return Joined(
        ranks=ranks,
        member=membership({word: matched[word] for word in shared}, names),
        models=models,
        model_families=model_families,
        model_bases=model_bases,
        words=tuple(shared),
        categories=names,
        prompts=prompts,
        framings=tuple(first[key].framing for key in prompts),
        adjectives=tuple(first[key].factors.get("adjective") for key in prompts),
        missing=tuple(sorted({*matched, *lexicon.words} - set(shared))),
        warnings=(*warnings, *said, *said_too),
    )


def _rows(scores: LexiconScores, words: Sequence[str], prompts: Sequence[str]) -> np.ndarray:
    at = {word: row for row, word in enumerate(scores.words)}
    columns = [scores.prompts.index(key) for key in prompts]
    return scores.scores[np.ix_([at[word] for word in words], columns)]


def _models(tables: Sequence[ScoreTable]) -> tuple[str, ...]:
    if not tables:
        raise BirthmarkError("there is no score table to analyse: name at least one")
    if len({table.record.kind for table in tables}) > 1:
        raise BirthmarkError("rewards and log-probabilities are never pooled: compare tables of one kind at a time")
    models = tuple(table.model for table in tables)
    twice = sorted({model for model in models if models.count(model) > 1})
    if twice:
        raise BirthmarkError(f"{twice[0]} is given twice: leave one of its tables out")
    return models


def _shared_prompts(tables: Sequence[ScoreTable]) -> tuple[str, ...]:
    first, *others = tables
    shared = tuple(key for key in first.prompt_keys if all(key in other.prompt_keys for other in others))
    if not shared:
        raise BirthmarkError("the tables have no prompt in common: score the models with the same --prompts")
    for key in shared:
        for other in others:
            given, wanted = other.prompts[key], first.prompts[key]
            if (given.text, given.framing) != (wanted.text, wanted.framing):
                raise BirthmarkError(
                    f"the prompt {key} of {other.model} is not that of {first.model}: score both with the same --prompts"
                )
    return shared


def _shared_prompt_warnings(tables: Sequence[ScoreTable], prompts: Sequence[str]) -> list[str]:
    lost = sorted({key for table in tables for key in table.prompt_keys} - set(prompts))
    unframed = [key for key in prompts if tables[0].prompts[key].framing is None]
    warnings = []
    if lost:
        are = "prompt is" if len(lost) == 1 else "prompts are"
        warnings.append(f"{len(lost)} {are} not in all tables and left out: {some(lost)}")
    if unframed and len(unframed) < len(prompts):
        have = "prompt has no framing and enters" if len(unframed) == 1 else "prompts have no framing and enter"
        warnings.append(f"{len(unframed)} {have} no effect: {', '.join(unframed)}")
    return warnings


def _row_warnings(models: Sequence[str], scored: Sequence[LexiconScores]) -> list[str]:
    warnings = []
    for model, scores in zip(models, scored, strict=True):
        if scores.duplicates:
            warnings.append(f"{model} has several rows for {len(scores.duplicates)} words; the highest score counts")
        if n := len(scores.respelled):
            with_them = "a word" if n == 1 else f"{n} words"
            warnings.append(
                f"{model}'s table has {with_them} with invisible characters or decomposed letters; the scores are of those"
            )
        if scores.from_tokens and len(scores.from_tokens) < len(scores.words):
            n = len(scores.from_tokens)
            lent = "a word and lends it" if n == 1 else f"{n} words and lends them"
            warnings.append(f"{model} has no row for {lent} the identical token's score")
    return warnings


def _tied_warnings(models: Sequence[str], ranks: np.ndarray) -> list[str]:
    """A line for each model that puts all words on one rank after some prompts: its ranks there say nothing."""
    tied = (np.ptp(ranks, axis=1) == 0).sum(axis=1) if ranks.shape[1] > 1 else np.zeros(len(models), dtype=int)
    return [
        f"{model} assigns identical scores to all words for {n} of {ranks.shape[2]} prompts; these prompts are uninformative"
        for model, n in zip(models, tied.tolist(), strict=True)
        if n
    ]


def _known(
    models: Sequence[str], recorded: Sequence[str | None], given: Mapping[str, str] | None, what: str
) -> tuple[tuple[str, ...], list[str]]:
    """Each model's family or base checkpoint: as given, else as its table says, else the model itself, with a warning."""
    given = given or {}
    strangers = sorted(set(given) - set(models))
    if strangers:
        raise BirthmarkError(
            f"there is no table of {strangers[0]}, whose {what} is given: name one of {', '.join(models)}"
        )
    named = [given.get(model) or value for model, value in zip(models, recorded, strict=True)]
    option = "--" + what.replace(" ", "-")
    warnings = [
        f"the {what} of {model} is not known, so it counts as its own; {option} names it"
        for model, value in zip(models, named, strict=True)
        if value is None
    ]
    return tuple(value or model for model, value in zip(models, named, strict=True)), warnings


def _grouped(
    models: Sequence[str], bases: Sequence[str], groups: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """Groups and base checkpoints by model; a base in several groups is distinguished by the group's name."""
    without = [model for model in models if model not in groups]
    if without:
        raise BirthmarkError(f"{without[0]} has no group: give it one, or leave its table out")
    of_model = tuple(groups[model] for model in models)
    in_groups = {
        base: {group for other, group in zip(bases, of_model, strict=True) if other == base} for base in set(bases)
    }
    several = sorted(base for base, named in in_groups.items() if len(named) > 1)
    units = tuple(f"{base} ({group})" if base in several else base for base, group in zip(bases, of_model, strict=True))
    said = [
        f"{base} is in several groups and counts as a unit in each, though these are not independent"
        for base in several
    ]
    return of_model, units, said


def _check_bases(families: Sequence[str], bases: Sequence[str]) -> None:
    family_of: dict[str, str] = {}
    for family, base in zip(families, bases, strict=True):
        if family_of.setdefault(base, family) != family:
            raise BirthmarkError(
                f"the base checkpoint {base} is in two families, {family_of[base]} and {family}: name the right one"
            )
