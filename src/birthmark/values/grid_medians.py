"""How two sides of language models rank a lexicon's categories, prompt by prompt, as in figure 2 of the study.

The published analysis stands beside one whose unit is the model, not the prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from birthmark.inputs.lexicons import Lexicon
from birthmark.records import Framing, GridCell, GridLevel, GridLexicon, GridMedian, NotApplicable, known
from birthmark.scoring.table import ScoreTable
from birthmark.stats.permutation import exact_permutation, permutation_f
from birthmark.stats.results import AnovaTerm
from birthmark.stats.unit_tests import adjust, compare_groups
from birthmark.stats.variance import three_way_anova
from birthmark.values.implicit import possible_rows
from birthmark.values.implicit_sides import Sides
from birthmark.values.ranks import LexiconScores, category_medians, framing_contrast, lexicon_scores, membership, rank
from birthmark.values.wording_pairs import medians_sentence

FRAMINGS: tuple[Framing, Framing] = ("positive", "negative")


@dataclass(frozen=True)
class _Medians:
    """`values` [models, categories, prompts]: median rank of a category's words among `n_words` that all tables have."""

    values: np.ndarray
    categories: list[str]
    prompts: list[str]
    framings: list[Framing]
    n_words: int


def framed_keys(sides: Sides, keys: Sequence[str]) -> list[str]:
    """Those of the prompts that ask for the best or the worst."""
    prompts = sides.tables[0].prompts
    return [key for key in keys if prompts[key].framing is not None]


def grid_medians(
    sides: Sides, lexicon: Lexicon, keys: Sequence[str], *, single_tokens: bool = False, seed: int = 0
) -> GridLexicon | None:
    """Median ranks by model, category and prompt; their analyses; None where the tables share too few of the words.

    `keys` are prompts of both framings. Words are the tables' word rows (any number of tokens); with `single_tokens`, as the
    study had it, only those whose text is one token in every vocabulary. Median ranks are among the words that all tables
    have. The analysis of variance and Welch's tests take every model × prompt for independent; `level` and the cells'
    `model_exact_p` permute the sides' labels over the units (base checkpoints, or models).

    Raises `BirthmarkError` for scores that are not numbers.
    """
    medians = _medians(sides, lexicon, keys, single_tokens)
    if medians is None:
        return None
    anova = _anova(sides, medians)
    level = _level(sides, medians, seed) if len(medians.categories) > 1 else None
    return GridLexicon.build(
        lexicon=lexicon.name,
        source="tokens" if single_tokens else "words",
        n_words=medians.n_words,
        categories=medians.categories,
        medians=_rows(sides, medians),
        anova=anova,
        cells=_cells(sides, medians, seed),
        level=level,
        sentence=medians_sentence(lexicon.name, known(anova), level),
    )


def _medians(sides: Sides, lexicon: Lexicon, keys: Sequence[str], single_tokens: bool) -> _Medians | None:
    tables = []
    for table in sides.tables:
        rows = ScoreTable(table.tokens, table.record) if single_tokens else table
        tables.append(possible_rows(rows, keys))
    if not all(lexicon.match(table.frame["candidate"].unique().to_list()) for table in tables):
        return None
    found = [lexicon_scores(table, lexicon) for table in tables]
    words = [word for word in found[0].words if all(word in other.categories for other in found[1:])]
    if not words:
        return None
    of_words = {word: found[0].categories[word] for word in words}
    categories = sorted({name for names in of_words.values() for name in names})
    member = membership(of_words, categories)
    values = [category_medians(rank(_scores_of(scores, words)), member) for scores in found]
    prompts = sides.tables[0].prompts
    framings = [framing for key in keys if (framing := prompts[key].framing) is not None]
    return _Medians(np.stack(values), categories, list(keys), framings, len(words))


def _scores_of(found: LexiconScores, words: Sequence[str]) -> np.ndarray:
    place = {word: row for row, word in enumerate(found.words)}
    return found.scores[[place[word] for word in words]]


def _side_of(sides: Sides) -> list[str]:
    return [sides.names[int(second)] for second in sides.is_b]


def _rows(sides: Sides, medians: _Medians) -> list[GridMedian]:
    return [
        GridMedian(
            model=table.model,
            side=side,
            category=category,
            framing=medians.framings[k],
            prompt=key,
            median_rank=float(medians.values[i, j, k]),
        )
        for i, (table, side) in enumerate(zip(sides.tables, _side_of(sides), strict=True))
        for j, category in enumerate(medians.categories)
        for k, key in enumerate(medians.prompts)
    ]


def _anova(sides: Sides, medians: _Medians) -> list[AnovaTerm] | NotApplicable:
    if len(medians.categories) < 2:
        return NotApplicable("the lexicon has one category among the words that all tables have")
    labels = list(product(_side_of(sides), medians.categories, medians.framings))
    factors = dict(zip(("side", "category", "framing"), map(list, zip(*labels, strict=True)), strict=True))
    terms = three_way_anova(medians.values.ravel(), factors)
    return terms or NotApplicable("every cell has one value, or none varies: ask more prompts of each framing")


def _cells(sides: Sides, medians: _Medians, seed: int) -> list[GridCell]:
    cells = []
    for j, category in enumerate(medians.categories):
        for framing in FRAMINGS:
            chosen = medians.values[:, j, [given == framing for given in medians.framings]]  # [models, prompts]
            by_side = chosen[~sides.is_b].ravel(), chosen[sides.is_b].ravel()
            found = compare_groups(*by_side)
            exact = exact_permutation(sides.membership @ chosen.mean(axis=1), sides.unit_is_b, seed=seed)
            cells.append((category, framing, by_side, found, exact))
    adjusted = adjust([found.welch_p for _, _, _, found, _ in cells], "fdr_bh")
    return [
        GridCell.build(
            found,
            without=("cohens_d_unweighted",),
            category=category,
            framing=framing,
            mean_a=float(first.mean()),
            mean_b=float(second.mean()),
            p_fdr=p_fdr,
            model_exact_p=exact.p,
            model_exact_count=exact.count,
            model_exact_splits=exact.n_splits,
        )
        for (category, framing, (first, second), found, exact), p_fdr in zip(cells, adjusted, strict=True)
    ]


def _level(sides: Sides, medians: _Medians, seed: int) -> GridLevel:
    by_model = framing_contrast(medians.values, medians.framings)  # [models, categories]
    values = sides.membership @ (by_model - by_model.mean(axis=1, keepdims=True))
    names = [sides.names[int(second)] for second in sides.unit_is_b]
    test = permutation_f(values, names, seed=seed)
    estimate = None
    if len(medians.categories) == 2:
        of_units = values[:, 0] - values[:, 1]
        estimate = float(of_units[sides.unit_is_b].mean() - of_units[~sides.unit_is_b].mean())
    return GridLevel(
        unit=sides.unit,
        n_units=sides.n_units,
        estimate=estimate,
        p_exact=test.p,
        count=test.count,
        n_splits=test.n_splits,
        min_p=test.min_p,
    )


def no_framings(sides: Sides, keys: Sequence[str]) -> str | None:
    """Why the prompts asked have no figure 2, or None where they have."""
    found = {sides.tables[0].prompts[key].framing for key in keys} - {None}
    return None if found == set(FRAMINGS) else "the prompts asked are not of both framings: ask --prompt all"
