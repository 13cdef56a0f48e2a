"""The effects of a lexicon: everything that `effects/<lexicon>.json` says of some models of one kind of score.

This module puts the record together; what is said of models as they are is in `fixed`, the paper's analysis of families
in `families`, the tests over units in `levels`, the words for it all in `sentences`. It computes no statistic itself and
reads no file.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from birthmark.inputs.lexicons import Lexicon
from birthmark.records import Effects, ModelContrast
from birthmark.scores import ScoreTable, warnings_of
from birthmark.values.cells import cells, model_cells
from birthmark.values.confounds import confounds
from birthmark.values.detectable import detectable
from birthmark.values.families import mixed_model, panels
from birthmark.values.fixed import models_fixed
from birthmark.values.joined import Joined, join_tables
from birthmark.values.levels import clustering, families_over, p_permutation_f, per_category
from birthmark.values.recipes import blocks
from birthmark.values.robustness import sensitivity
from birthmark.values.sentences import effects_sentence
from birthmark.values.uncertainty import crossed
from birthmark.values.words import word_effects


def effects(
    tables: Sequence[ScoreTable],
    lexicon: Lexicon,
    *,
    seed: int = 0,
    families: Mapping[str, str] | None = None,
    base_checkpoints: Mapping[str, str] | None = None,
    teams: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Effects:
    """All effects of a lexicon in score tables of one kind, as the record that is written to disk.

    Ranks are among the lexicon's words that every table has (`n_candidates`), after the prompts that every table has;
    1 is best. Families and categories are in alphabetical order, differences are second minus first. `families`,
    `base_checkpoints` and `teams` map models to what is not in their tables or in the catalog, or overrule it; `groups`
    puts another label in the families' place (see `join_tables`). `seed` drives what is drawn: bootstrap,
    permutations where there are too many to list.

    Raises `BirthmarkError` for tables that cannot be compared: see `join_tables`.
    """
    joined = join_tables(tables, lexicon, families=families, base_checkpoints=base_checkpoints, groups=groups)
    fixed, fixed_why = models_fixed(joined, seed)
    reml, reml_why = mixed_model(joined, "REML")
    ml, ml_why = mixed_model(joined, "ML")
    compared, panels_why = panels(joined, seed)
    headline, headline_why = families_over(joined, "base_checkpoint", seed)
    model_level, model_level_why = families_over(joined, "model", seed)
    clustered, clustering_why = clustering(joined)
    uncertain, crossed_why = crossed(joined)
    p_f, p_f_why = p_permutation_f(joined, seed)
    of_teams, blocks_why = blocks(joined, seed, teams)
    sensitive, sensitivity_why = sensitivity(joined, headline, seed)
    of_words, word_effects_why = word_effects(joined)
    power, power_why = detectable(joined, headline, fixed, headline_why)
    if headline is not None and power is not None:
        headline = headline.model_copy(update={"power_sentence": power.sentence})
    record = Effects(
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
        cells=cells(joined),
        cells_why=None if joined.framings_present else "no prompt has a framing, positive or negative",
        model_cells=model_cells(joined),
        models=model_contrasts(joined, tables),
        models_fixed=fixed,
        models_fixed_why=fixed_why,
        mixed_model=reml,
        mixed_model_why=reml_why,
        mixed_model_ml=ml,
        mixed_model_ml_why=ml_why,
        panels=compared,
        panels_why=panels_why,
        headline=headline,
        headline_why=headline_why,
        model_level=model_level,
        model_level_why=model_level_why,
        clustering=clustered,
        clustering_why=clustering_why,
        crossed=uncertain,
        crossed_why=crossed_why,
        p_permutation_f=p_f,
        p_permutation_f_why=p_f_why,
        per_category=per_category(joined, seed),
        blocks=of_teams,
        blocks_why=blocks_why,
        sensitivity=sensitive,
        sensitivity_why=sensitivity_why,
        word_effects=of_words,
        word_effects_why=word_effects_why,
        confounds=confounds(joined, tables),
        power=power,
        power_why=power_why,
        warnings=_warnings(joined, tables, lexicon.name),
    )
    return record.model_copy(update={"sentence": effects_sentence(record)})


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


def _warnings(joined: Joined, tables: Sequence[ScoreTable], lexicon: str) -> list[str]:
    warnings = list(joined.warnings)
    if joined.missing:
        words, are = ("words", "are") if len(joined.missing) > 1 else ("word", "is")
        warnings.append(
            f"{len(joined.missing)} {words} of the lexicon {lexicon} {are} not in all tables and {are} not ranked"
        )
    single = [name for name, words in _words(joined).items() if len(words) == 1]
    if single:
        warnings.append(f"one word only stands for {', '.join(single)}: its rank is that word's")
    return [*warnings, *warnings_of([table.record for table in tables])]
