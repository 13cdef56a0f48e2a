"""Where one reward model stands among others, such as the ten of the published study.

The ten's values come with birthmark as numbers (`published_values`), so that a place is known without a network. Where the
score tables themselves are there, any lexicon will do, and models are compared word by word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Literal

import numpy as np
import polars as pl
import scipy

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.inputs.prompts import STUDY, load_prompts
from birthmark.records import (
    CategoryPlace,
    CategoryRank,
    Kind,
    LexiconValues,
    ModelValues,
    OtherModel,
    PublishedValues,
    Standing,
)
from birthmark.scoring.table import ScoreTable
from birthmark.stats.words import compare_words_many
from birthmark.values.joined import Joined, join_tables
from birthmark.values.ranks import framing_contrast, framing_means, stems
from birthmark.values.wording_among import standing_sentence

FEW_WORDS = 4  # of a category: with fewer there is no place
DRAWS = 2_000
TIE = 1e-3  # ranks: the published values have four decimals
Basis = Literal["score tables", "published values"]


@cache
def published_values() -> PublishedValues:
    """The ten published reward models' contrasts and category ranks, under the study's lexicons and `starter`.

    `docs/generate_published.py` computes them from the authors' score files.
    """
    text = files("birthmark.values").joinpath("published_values.json").read_text(encoding="utf-8")
    return PublishedValues.model_validate_json(text)


def one_table_a_model(tables: Sequence[ScoreTable]) -> list[ScoreTable]:
    """The tables with those of one model put together; a word that several of them have is the first one's.

    The study scored its two lexicons into two files a model. Their prompts are the ones that all of a model's tables have.
    """
    merged = []
    for model in dict.fromkeys(table.model for table in tables):
        first, *others = [table for table in tables if table.model == model]
        keys = [key for key in first.prompt_keys if all(key in other.prompt_keys for other in others)]
        frame = pl.concat([table.frame.select("candidate", "token_id", *keys) for table in (first, *others)])
        record = first.record
        if others:
            frame = frame.unique(["candidate", "token_id"], keep="first", maintain_order=True)
            record = record.model_copy(update={"n_words": frame["token_id"].null_count()})
        merged.append(ScoreTable(frame, record))
    return merged


def lexicon_values(tables: Sequence[ScoreTable], lexicon: Lexicon, seed: int = 0) -> LexiconValues:
    """The values of the tables' models under a lexicon, over the words and prompts that all of them have."""
    joined = join_tables(tables, lexicon)
    whole = len(joined.words) == len(lexicon.entries)
    return LexiconValues(
        lexicon=lexicon.name,
        sha256=lexicon.sha256,
        categories=list(joined.categories),
        n_words=len(joined.words),
        words=None if whole else list(joined.words),
        models=model_values(joined, seed),
    )


def model_values(joined: Joined, seed: int = 0) -> list[ModelValues]:
    """Each model's values, in the order of the tables."""
    ranks = [
        [
            CategoryRank(
                category=category,
                framing=framing,
                mean_rank=float(framing_means(joined.means[at, row], joined.framings, framing)),
                mean_median_rank=float(framing_means(joined.medians[at, row], joined.framings, framing)),
            )
            for framing in joined.framings_present
            for row, category in enumerate(joined.categories)
        ]
        for at in range(len(joined.models))
    ]
    intervals = over_words(joined, np.eye(len(joined.models)), seed)
    return [
        ModelValues(
            model=model,
            family=joined.model_families[at],
            base_checkpoint=joined.model_bases[at],
            contrast=None if joined.contrasts is None else float(joined.contrasts[at]),
            mean_rank_contrast=None if joined.mean_rank_contrasts is None else float(joined.mean_rank_contrasts[at]),
            ci_low=intervals[at][0],
            ci_high=intervals[at][1],
            categories=ranks[at],
        )
        for at, model in enumerate(joined.models)
    ]


def over_words(joined: Joined, weights: np.ndarray, seed: int = 0) -> list[tuple[float | None, float | None]]:
    """95% intervals over words of weighted sums of the models' mean-rank contrasts; weights [sums, models].

    See `birthmark.stats.words.compare_words_many`. Without a contrast, or with too few words, there is none.
    """
    none: list[tuple[float | None, float | None]] = [(None, None)] * len(weights)
    if joined.mean_rank_contrasts is None:
        return none
    at, categories = joined.places
    values = weights @ framing_contrast(joined.place_values, joined.framings)  # [sums, places]
    try:
        found = compare_words_many(values, categories, stems(joined.words[word] for word in at), seed=seed)
    except BirthmarkError:
        return none
    return [(test.ci_low, test.ci_high) for test in found]


# ------------------------------------------------------------------------------------------------------ mine among others


@dataclass(frozen=True)
class Reference:
    """The models that others are placed among: their score tables, or where these are absent the published values.

    `tables` are in sets, each of which has all models: the study scored each of its lexicons into a set of files.
    """

    among: Literal["study", "tables"]
    source: str
    tables: tuple[tuple[ScoreTable, ...], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        return self.tables[0][0].record.kind if self.tables else "reward"

    @property
    def all_tables(self) -> list[ScoreTable]:
        """One table a model, with the words of every set."""
        return one_table_a_model([table for of_set in self.tables for table in of_set])

    def tables_for(self, lexicon: Lexicon) -> list[ScoreTable]:
        """The first set that has all the lexicon's words, or the sets put together."""
        words = set(lexicon.words)
        for of_set in self.tables:
            if words and all(words <= set(table.frame["candidate"]) for table in of_set):
                return list(of_set)
        return self.all_tables


def standing(mine: ScoreTable, lexicon: Lexicon, reference: Reference, seed: int = 0) -> Standing:
    """Where a model stands among the reference's under a lexicon, over the words and prompts that all of them have.

    Of the reference a table of the same model is left out. Where it cannot be placed, `mine_why` says why.
    """
    if reference.tables:
        others = [table for table in reference.tables_for(lexicon) if table.model != mine.model]
        if not others:
            return _nowhere(mine, lexicon, "score tables", "there is no table of another model to place it among")
        try:
            joined = join_tables([_one_system(mine, others), *others], lexicon)
        except BirthmarkError as error:
            return _nowhere(mine, lexicon, "score tables", str(error))
        values = model_values(joined, seed)
        why = _too_few(joined)
        return _nowhere(mine, lexicon, "score tables", why) if why else _placed(lexicon, values, joined, seed)
    return _among_published(mine, lexicon, seed)


def _one_system(mine: ScoreTable, others: Sequence[ScoreTable]) -> ScoreTable:
    """The table; raises `BirthmarkError` where the others were scored under another system prompt."""
    if any(other.record.prompt_set.system != mine.record.prompt_set.system for other in others):
        raise BirthmarkError("it was scored under another system prompt than they: score it without --system")
    return mine


def _too_few(joined: Joined) -> str | None:
    few = [name for name, row in zip(joined.categories, joined.member, strict=True) if row.sum() < FEW_WORDS]
    if few:
        return f"fewer than {FEW_WORDS} words of {few[0]} are in all tables"
    return None if joined.is_contrastable else "a place needs prompts of both framings, positive and negative"


def _among_published(mine: ScoreTable, lexicon: Lexicon, seed: int) -> Standing:
    """The place by the published values alone: for the study's lexicons and `starter`, over the study's prompts."""
    known = published_values()
    found = next((item for item in known.lexicons if item.sha256 == lexicon.sha256), None)
    if found is None:
        names = ", ".join(item.lexicon for item in known.lexicons)
        why = (
            f"the values that come with birthmark are of {names}; another lexicon needs the study's files (--data DIR)"
        )
        return _nowhere(mine, lexicon, "published values", why)
    study = load_prompts(STUDY).prompts
    same = all(key in mine.prompts and mine.prompts[key].text == study[key].text for key in known.prompts)
    if not same or mine.record.prompt_set.system is not None:
        why = f"the values that come with birthmark are over the study's {len(known.prompts)} prompts, without a system prompt"
        return _nowhere(mine, lexicon, "published values", f"{why}; this one was asked other ones")
    words = found.words or lexicon.words
    missing = [word for word in words if word not in set(mine.frame["candidate"])]
    if missing:
        why = f"{len(missing)} of the {len(words)} words that the published values are of are not in its table"
        return _nowhere(mine, lexicon, "published values", why)
    entries = {word: lexicon.entries[word] for word in words}
    frame = mine.frame.select("candidate", "token_id", *known.prompts)
    joined = join_tables([ScoreTable(frame, mine.record)], replace(lexicon, entries=entries))
    others = [model for model in found.models if model.model != mine.model]
    return _placed(lexicon, [*model_values(joined, seed), *others], joined, seed)


def _nowhere(mine: ScoreTable, lexicon: Lexicon, basis: Basis, why: str) -> Standing:
    found = Standing(
        model=mine.model,
        lexicon=lexicon.name,
        categories=list(lexicon.categories),
        n_words=0,
        n_lexicon_words=len(lexicon.entries),
        basis=basis,
        mine=None,
        mine_why=why,
        others=[],
        nearest=None,
        place=None,
        n_models=0,
        percentile=None,
        percentile_low=None,
        percentile_high=None,
        percentile_basis=None,
        n_bases_below=None,
        n_bases=0,
        share_low=None,
        share_high=None,
        by_category=[],
        sentence="",
    )
    return found.model_copy(update={"sentence": standing_sentence(found)})


def _placed(lexicon: Lexicon, values: Sequence[ModelValues], joined: Joined, seed: int) -> Standing:
    """The first of `values` among the rest; `joined` has all of them, or the first alone."""
    mine, *rest = values
    paired = len(joined.models) == len(values)
    others = _nearest_first(mine, rest, joined if paired else None, seed)
    bases = _by_base(rest)
    contrasts = [model.mean_rank_contrast for model in rest if model.mean_rank_contrast is not None]
    own = mine.mean_rank_contrast
    found = Standing(
        model=mine.model,
        lexicon=lexicon.name,
        categories=list(joined.categories),
        n_words=len(joined.words),
        n_lexicon_words=len(lexicon.entries),
        basis="score tables" if paired else "published values",
        mine=mine,
        others=others,
        nearest=others[0].model if others else None,
        place=None,
        n_models=len(values),
        percentile=None,
        percentile_low=None,
        percentile_high=None,
        percentile_basis=None,
        n_bases_below=None,
        n_bases=len(bases),
        share_low=None,
        share_high=None,
        by_category=_category_places(mine, rest, joined.categories),
        sentence="",
    )
    if own is not None and contrasts:
        below = sum(value < own - TIE for value in bases.values())
        share_low, share_high = exact_share(below, len(bases))
        if paired:
            low, high = _percentile_interval(joined, seed)
        else:
            low, high = (None if end is None else percentile(end, contrasts) for end in (mine.ci_low, mine.ci_high))
        found = found.model_copy(
            update={
                "place": place_among(own, contrasts),
                "percentile": percentile(own, contrasts),
                "percentile_low": low,
                "percentile_high": high,
                "percentile_basis": None if low is None else "words drawn again" if paired else "own interval",
                "n_bases_below": below,
                "share_low": share_low,
                "share_high": share_high,
            }
        )
    return found.model_copy(update={"sentence": standing_sentence(found)})


def percentile(value: float, among: Sequence[float]) -> float:
    """The share of `among` below a value, in percent; those equal to it (to a thousandth) count half."""
    return float(_percentiles(np.array([value]), np.array([among]))[0])


def _percentiles(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The percentile of each value [n] in its row of `among` [n, others]."""
    apart = values[:, None] - among
    return np.asarray(100 * (0.5 * (apart > -TIE) + 0.5 * (apart > TIE)).mean(axis=1))


def place_among(value: float, among: Sequence[float]) -> int:
    """1 where none of `among` is larger."""
    return 1 + sum(other > value + TIE for other in among)


def exact_share(k: int, n: int) -> tuple[float, float]:
    """The exact 95% interval of a share of which k of n were seen: Clopper and Pearson (1934), Biometrika 26."""
    interval = scipy.stats.binomtest(k, n).proportion_ci(method="exact")
    return float(interval.low), float(interval.high)


def gains(model: ModelValues) -> dict[str, float]:
    """Category → its mean rank after negative prompts less that after positive ones: above zero, it gains by a good question."""
    ranks = {(cell.category, cell.framing): cell.mean_rank for cell in model.categories}
    names = dict.fromkeys(cell.category for cell in model.categories)
    return {name: ranks[name, "negative"] - ranks[name, "positive"] for name in names}


def _category_places(mine: ModelValues, rest: Sequence[ModelValues], categories: Sequence[str]) -> list[CategoryPlace]:
    own, of_others = gains(mine), {model.model: gains(model) for model in rest}
    return [
        CategoryPlace(
            category=category,
            gain=own[category],
            place=place_among(own[category], [other[category] for other in of_others.values()]),
            n_models=len(rest) + 1,
            percentile=percentile(own[category], [other[category] for other in of_others.values()]),
            others={model: other[category] for model, other in of_others.items()},
        )
        for category in categories
    ]


def _by_base(models: Sequence[ModelValues]) -> dict[str, float]:
    """Base checkpoint → the mean contrast of its models; a model of an unknown one is its own."""
    of_base: dict[str, list[float]] = {}
    for model in models:
        if model.mean_rank_contrast is not None:
            of_base.setdefault(model.base_checkpoint or model.model, []).append(model.mean_rank_contrast)
    return {base: float(np.mean(values)) for base, values in of_base.items()}


def _nearest_first(
    mine: ModelValues, rest: Sequence[ModelValues], joined: Joined | None, seed: int
) -> list[OtherModel]:
    """The others with their distances; `joined`, where it is there, has mine first and the rest in their order."""
    intervals: list[tuple[float | None, float | None]] = [(None, None)] * len(rest)
    correlations: list[float | None] = [None] * len(rest)
    if joined is not None:
        weights = np.column_stack([np.ones(len(rest)), -np.eye(len(rest))])
        intervals = over_words(joined, weights, seed)
        correlations = _spearman(joined.ranks)
    own = mine.mean_rank_contrast
    ranks = _cells(mine)
    found = [
        OtherModel(
            **model.model_dump(),
            distance=float(np.sqrt(np.mean([(ranks[at] - value) ** 2 for at, value in _cells(model).items()]))),
            difference=None if own is None or model.mean_rank_contrast is None else own - model.mean_rank_contrast,
            difference_ci_low=low,
            difference_ci_high=high,
            spearman=rho,
        )
        for model, (low, high), rho in zip(rest, intervals, correlations, strict=True)
    ]
    return sorted(found, key=lambda model: (model.distance, model.model))


def _cells(model: ModelValues) -> Mapping[tuple[str, str], float]:
    return {(cell.category, cell.framing): cell.mean_rank for cell in model.categories}


def _spearman(ranks: np.ndarray) -> list[float | None]:
    """Rank correlation of the first model with each other, mean over prompts; null where a ranking is constant."""
    centred = ranks - ranks.mean(axis=1, keepdims=True)  # [models, words, prompts]
    norm = np.sqrt((centred**2).sum(axis=1))  # [models, prompts]
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = (centred * centred[0]).sum(axis=1) / (norm * norm[0])
    return [float(of_model.mean()) if np.isfinite(of_model).all() else None for of_model in rho[1:]]


def _percentile_interval(joined: Joined, seed: int) -> tuple[float | None, float | None]:
    """95% of the first model's percentile among the rest over words: word stems are drawn again within each category.

    All models keep their ranks and get the same words. The percentile bootstrap: Efron and Tibshirani (1993).
    """
    rng = np.random.default_rng(seed)
    at, categories = joined.places
    values = framing_contrast(joined.place_values, joined.framings)  # [models, places]
    names = np.asarray(stems(joined.words[word] for word in at))
    means = []
    for category in joined.categories:
        inside = np.flatnonzero(np.asarray(categories) == category)
        _, code = np.unique(names[inside], return_inverse=True)
        n = int(code.max()) + 1
        if n < 2:
            return None, None
        weights = rng.multinomial(n, np.full(n, 1 / n), size=DRAWS)[:, code]  # [draws, places]
        means.append(weights @ values[:, inside].T / weights.sum(axis=1, keepdims=True))  # [draws, models]
    contrasts = means[0] - means[1]
    low, high = np.quantile(_percentiles(contrasts[:, 0], contrasts[:, 1:]), [0.025, 0.975])
    return float(low), float(high)
