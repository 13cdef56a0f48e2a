"""Everything that `effects/<lexicon>.json` says of some models of one kind of score, put together.

Cells, per-word effects and robustness are computed here; the study's analysis of families is in `families`, tests over
units in `units`, sentences in `wording`. Reads no file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import (
    CategoryWords,
    Cell,
    Clustering,
    Effects,
    Equivalence,
    Framing,
    LevelTest,
    ModelCell,
    ModelContrast,
    NotApplicable,
    Power,
    PromptRanks,
    Sensitivity,
    WordEffect,
    known,
)
from birthmark.scoring.table import ScoreTable, warnings_of
from birthmark.stats.categories import against_others
from birthmark.stats.intervals import (
    column_differences,
    equivalence_bound,
    half_of_each,
    leave_one_out,
    prompt_icc,
    split_half,
)
from birthmark.stats.results import Without
from birthmark.stats.unit_tests import average_by_unit, compare_groups
from birthmark.values.confounds import confounds
from birthmark.values.families import crossed, mixed_model, models_fixed, panels, why_no_difference
from birthmark.values.formats import SCORES
from birthmark.values.joined import Joined, Statistic, join_tables
from birthmark.values.ranks import framing_contrast, framing_means, stems
from birthmark.values.units import (
    clustering,
    detectable,
    families_over,
    family_difference,
    matched_teams,
    p_permutation_f,
    per_category,
    units_of,
)
from birthmark.values.wording import effects_sentence
from birthmark.values.wording_families import equivalence_sentence
from birthmark.values.wording_undercuts import undercuts

NO_FRAMING = "no prompt has a framing, positive or negative"
NO_F = "no family has two base checkpoints, or no contrast varies"


def cells(joined: Joined) -> list[Cell]:
    """Mean and SD of median ranks over a family's models × a framing's prompts, category by category.

    The SD is over the model × prompt medians with n − 1, null for a single one.
    """
    found = []
    for family in joined.families:
        models = joined.models_of(family)
        for row, category in enumerate(joined.categories):
            for framing in joined.framings_present:
                prompts = joined.prompts_of(framing)
                medians = joined.medians[models, row][:, prompts]
                found.append(
                    Cell(
                        family=family,
                        category=category,
                        framing=framing,
                        mean_median_rank=float(medians.mean()),
                        sd=float(medians.std(ddof=1)) if medians.size > 1 else None,
                        n_models=len(models),
                        n_prompts=len(prompts),
                    )
                )
    return found


def model_cells(joined: Joined) -> list[ModelCell]:
    """Each model's mean and range of median ranks over a framing's prompts, category by category.

    The interval is 95% over words: see `median_interval`.
    """
    found = []
    for at, (model, family) in enumerate(zip(joined.models, joined.model_families, strict=True)):
        for row, category in enumerate(joined.categories):
            for framing in joined.framings_present:
                prompts = joined.prompts_of(framing)
                medians = joined.medians[at, row, prompts]
                low, high = median_interval(joined.ranks[at][np.ix_(joined.member[row], prompts)])
                found.append(
                    ModelCell(
                        model=model,
                        family=family,
                        category=category,
                        framing=framing,
                        mean_median_rank=float(medians.mean()),
                        prompt_low=float(medians.min()),
                        prompt_high=float(medians.max()),
                        n_prompts=len(medians),
                        ci_low=low,
                        ci_high=high,
                        mean_rank=float(joined.means[at, row, prompts].mean()),
                    )
                )
    return found


def median_interval(ranks: np.ndarray) -> tuple[float | None, float | None]:
    """95% interval over words of the mean over prompts of median ranks; ranks [words, prompts], null for a single word.

    Woodruff's way for a quantile, with the quantile function averaged over prompts, Q(q): a word's share of prompts in
    which it ranks at or above the median has mean ½ and a standard error s over words, and the interval runs from
    Q(½ − t s) to Q(½ + t s). Woodruff (1952), Journal of the American Statistical Association 47.
    """
    n = len(ranks)
    if n < 2:
        return None, None
    above = (ranks < np.median(ranks, axis=0)).mean(axis=1) + (ranks == np.median(ranks, axis=0)).mean(axis=1) / 2
    reach = float(scipy.stats.t.ppf(0.975, n - 1) * above.std(ddof=1) / np.sqrt(n))
    if reach == 0:  # words that rank alike say nothing of others
        return None, None
    low, high = np.quantile(ranks, np.clip([0.5 - reach, 0.5 + reach], 0, 1), axis=0).mean(axis=1)
    return float(low), float(high)


def word_effects(joined: Joined) -> list[WordEffect] | NotApplicable:
    """Every ranked word's difference (b − a) over base checkpoints, largest contrast first, or why there is none.

    Models that share a base checkpoint are averaged first. The contrast is positive less negative prompts; with prompts
    of one framing it is null, and words are in the order of that framing's difference.
    """
    if len(joined.families) != 2:
        return NotApplicable(f"a difference is between two families, and the tables are of {len(joined.families)}")
    if not joined.framings_present:
        return NotApplicable(NO_FRAMING)
    ranks, _, families = average_by_unit(joined.ranks, joined.model_bases, joined.model_families)
    is_b = np.array(families) == joined.families[1]
    by_framing = {framing: _difference(ranks, joined, framing, is_b) for framing in joined.framings_present}
    nothing = np.full(len(joined.words), np.nan)
    contrast = low = high = nothing
    if joined.is_contrastable:
        found = column_differences(framing_contrast(ranks, joined.framings), is_b)
        contrast, low, high = found.difference, found.ci_low, found.ci_high
    leading = contrast if joined.is_contrastable else next(iter(by_framing.values()))
    return [
        WordEffect(
            word=joined.words[at],
            categories=[joined.categories[row] for row in np.flatnonzero(joined.member[:, at])],
            positive=_known(by_framing.get("positive", nothing)[at]),
            negative=_known(by_framing.get("negative", nothing)[at]),
            contrast=_known(contrast[at]),
            ci_low=_known(low[at]),
            ci_high=_known(high[at]),
        )
        for at in np.argsort(-np.abs(leading), kind="stable")
    ]


def _difference(ranks: np.ndarray, joined: Joined, framing: Framing, is_b: np.ndarray) -> np.ndarray:
    return column_differences(framing_means(ranks, joined.framings, framing), is_b).difference


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def sensitivity(joined: Joined, headline: LevelTest | None, seed: int) -> Sensitivity | NotApplicable:
    """The families' difference of the headline's contrasts without each of its parts, or why there is none."""
    why = why_no_difference(joined)
    if why is not None:
        return NotApplicable(why)
    at, categories = joined.places
    halves = split_half(framing_contrast(joined.ranks, joined.framings)[:, at], categories, seed=seed)
    icc = prompt_icc(_signed_by_framing(joined))
    adjectives = [adjective or "" for adjective in joined.adjectives]

    def of_models(kept: np.ndarray) -> float:
        return family_difference(joined.subset(models=kept))

    return Sensitivity(
        estimate=family_difference(joined),
        without_base_checkpoint=leave_one_out(joined.model_bases, of_models),
        without_model=leave_one_out(joined.models, of_models),
        without_adjective=leave_one_out(adjectives, lambda kept: family_difference(joined.subset(prompts=kept)))
        if all(joined.adjectives)
        else [],
        half_lexicons=_halves(joined, seed),
        split_half=halves.half,
        spearman_brown=halves.spearman_brown,
        icc_prompt=icc.single,
        icc_prompts=icc.average,
        equivalence=_equivalence(joined, headline),
    )


def _halves(joined: Joined, seed: int) -> list[Without]:
    """The difference by either half of the words, split within categories."""
    of_word = [" + ".join(np.array(joined.categories)[inside]) for inside in joined.member.T]
    half = half_of_each(of_word, np.random.default_rng(seed))
    found = []
    for name, kept in (("second half", half), ("first half", ~half)):
        try:
            found.append(Without(name, family_difference(joined.subset(words=kept))))
        except BirthmarkError as error:
            found.append(Without(name, None, str(error)))
    return found


def _signed_by_framing(joined: Joined) -> np.ndarray:
    """First − second category of mean ranks, turned round after negative prompts: [models, framed prompts]."""
    leaning = joined.means[:, 0] - joined.means[:, 1]
    return leaning[:, joined.framed] * np.where([framing == "positive" for framing in joined.framed_labels], 1, -1)


def _equivalence(joined: Joined, headline: LevelTest | None) -> Equivalence | None:
    """What a headline that found nothing rules out; None where it found something or has no interval."""
    if headline is None or headline.estimate is None or headline.ci_low is None or headline.ci_high is None:
        return None
    if headline.p_exact is not None and headline.p_exact <= 0.05:
        return None
    if joined.leading_contrasts is None:
        return None
    units = units_of(joined, joined.leading_contrasts, "base_checkpoint")
    is_b = np.array(units.families) == joined.families[1]
    df = compare_groups(units.values[~is_b], units.values[is_b]).welch_df
    if df is None:
        return None
    se = (headline.ci_high - headline.ci_low) / 2 / float(scipy.stats.t.ppf(0.975, df))
    margin = equivalence_bound(headline.estimate, se, df)
    return Equivalence(margin=margin, basis="base_checkpoint", sentence=equivalence_sentence(margin))


def effects(
    tables: Sequence[ScoreTable],
    lexicon: Lexicon,
    *,
    seed: int = 0,
    families: Mapping[str, str] | None = None,
    base_checkpoints: Mapping[str, str] | None = None,
    teams: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
    of: Statistic = "mean",
) -> Effects:
    """All effects of a lexicon in score tables of one kind, as the record that is written to disk.

    Ranks are among the lexicon's words that every table has (`n_candidates`), after the prompts that every table has;
    1 is best. Families and categories are in alphabetical order, differences are second minus first. `families`,
    `base_checkpoints` and `teams` map models to what is not in their tables or in the catalog, or overrule it; `groups`
    puts another label in the families' place (see `join_tables`). `seed` drives what is drawn: bootstrap,
    permutations where there are too many to list. `of`: the ranks that the families are compared by, category by category:
    `mean`, or `median` as in the published study; `headline_median` is of medians either way.

    Raises `BirthmarkError` for tables that cannot be compared: see `join_tables`.
    """
    joined = join_tables(tables, lexicon, families=families, base_checkpoints=base_checkpoints, groups=groups)
    joined = replace(joined, of=of)
    fixed = models_fixed(joined, seed)
    headline = families_over(joined, "base_checkpoint", seed)
    power = detectable(joined, headline, fixed)
    if isinstance(headline, LevelTest) and isinstance(power, Power):
        headline = headline.model_copy(update={"power_sentence": power.sentence})
    clustered = clustering(joined)
    record = Effects.build(
        lexicon=lexicon.name,
        kind=tables[0].record.kind,
        validated=lexicon.validated,
        n_candidates=len(joined.words),
        n_lexicon_words=len(lexicon.entries),
        missing_words=list(joined.missing),
        words_by_category={name: len(words) for name, words in _words(joined).items()},
        words=_words(joined),
        categories=list(joined.categories),
        families=list(joined.families),
        cells=cells(joined) if joined.framings_present else NotApplicable(NO_FRAMING),
        model_cells=model_cells(joined),
        models=model_contrasts(joined, tables),
        models_fixed=fixed,
        mixed_model=mixed_model(joined, "REML"),
        mixed_model_ml=mixed_model(joined, "ML"),
        panels=panels(joined, seed),
        headline=headline,
        headline_median=headline
        if of == "median"
        else known(families_over(replace(joined, of="median"), "base_checkpoint", seed)),
        model_level=families_over(joined, "model", seed),
        clustering=clustered,
        clustering_why=NO_F if isinstance(clustered, Clustering) and clustered.f is None else None,
        crossed=crossed(joined),
        p_permutation_f=p_permutation_f(joined, seed),
        per_category=per_category(joined, seed),
        category_words=category_words(joined, seed),
        blocks=matched_teams(joined, seed, teams),
        sensitivity=sensitivity(joined, known(headline), seed),
        word_effects=word_effects(joined),
        confounds=confounds(joined, tables),
        power=power,
        prompt_ranks=prompt_ranks(joined),
        warnings=_warnings(joined, tables, lexicon),
    )
    return with_sentences(record)


def with_sentences(record: Effects) -> Effects:
    """The record with what undercuts its finding, and the finding in words."""
    told = record.model_copy(update={"undercuts": undercuts(record)})
    return told.model_copy(update={"sentence": effects_sentence(told)})


def prompt_ranks(joined: Joined) -> PromptRanks:
    """Mean rank of each category's words in each model after each prompt."""
    return PromptRanks(
        prompts=dict(zip(joined.prompts, joined.framings, strict=True)),
        mean_rank={
            model: {category: joined.means[at, row].tolist() for row, category in enumerate(joined.categories)}
            for at, model in enumerate(joined.models)
        },
    )


def _words(joined: Joined) -> dict[str, list[str]]:
    return {
        category: [word for word, inside in zip(joined.words, joined.member[row], strict=True) if inside]
        for row, category in enumerate(joined.categories)
    }


def model_contrasts(joined: Joined, tables: Sequence[ScoreTable]) -> list[ModelContrast]:
    """Each model's contrasts, in the order of the tables."""
    return [
        ModelContrast(
            model=model,
            family=joined.model_families[at],
            base_checkpoint=joined.model_bases[at],
            contrast=None if joined.contrasts is None else float(joined.contrasts[at]),
            mean_rank_contrast=None if joined.mean_rank_contrasts is None else float(joined.mean_rank_contrasts[at]),
            kind=tables[at].record.kind,
            frame=tables[at].record.frame,
            mass=_mass(tables[at], joined.prompts),
        )
        for at, model in enumerate(joined.models)
    ]


def _mass(table: ScoreTable, prompts: Sequence[str]) -> float | None:
    """Mean probability on the lexicons' words over the prompts, for a language model."""
    masses = [table.record.mass[key].lexicon for key in prompts] if table.record.mass else []
    return float(np.mean(masses)) if masses else None


def _warnings(joined: Joined, tables: Sequence[ScoreTable], lexicon: Lexicon) -> list[str]:
    warnings = [*joined.warnings, *lexicon.notes]
    if joined.missing:
        words, are = ("words", "are") if len(joined.missing) > 1 else ("word", "is")
        kind = SCORES[tables[0].record.kind]
        warnings.append(
            f"{len(joined.missing)} {words} of the lexicon {lexicon.name} {are} not in all tables of {kind} and {are} not ranked"
        )
    single = [name for name, words in _words(joined).items() if len(words) == 1]
    if single:
        warnings.append(f"only one word represents {', '.join(single)}: the category's rank is that word's")
    return list(dict.fromkeys([*warnings, *warnings_of([table.record for table in tables])]))


def category_words(joined: Joined, seed: int) -> list[CategoryWords]:
    """A row a category: how far its words move against all others from the worst to the best, in mean ranks.

    Of two families it is b − a, of one the mean over its models; below zero a category moves up. Empty for two
    categories, which have a contrast, for more families, and for prompts of one framing.
    """
    if len(joined.categories) < 3 or len(joined.families) > 2 or not joined.is_contrastable:
        return []
    moved = framing_contrast(joined.ranks, joined.framings)  # [models, words]
    means = [moved[joined.models_of(family)].mean(axis=0) for family in joined.families]
    values = means[0] if len(means) == 1 else means[1] - means[0]
    found = against_others(values, joined.member, list(stems(joined.words)), seed=seed)
    return [
        CategoryWords(
            category=category,
            n_words=int(joined.member[at].sum()),
            **{name: None if isnan(value) else value for name, value in vars(row).items()},
        )
        for at, (category, row) in enumerate(zip(joined.categories, found, strict=True))
    ]
