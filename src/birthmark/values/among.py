"""Where one reward model stands among others, such as the ten of the published study.

The ten's values come with birthmark as numbers (`published_values`), so that a place is known without a network. Where the
score tables themselves are there, any lexicon will do, and models are compared word by word.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import CategoryRank, LexiconValues, ModelValues, PublishedValues
from birthmark.scoring.table import ScoreTable
from birthmark.stats.words import compare_words_many
from birthmark.values.joined import Joined, join_tables
from birthmark.values.ranks import framing_contrast, framing_means, stems


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
