"""What these models, as run, differ by: words are the sample, models and prompts are fixed.

The one comparison that two models allow. It says nothing of families: another model of either might answer otherwise.
"""

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.records import AdjectiveEffect, ModelsFixed
from birthmark.stats.intervals import bootstrap_words, word_contrasts, word_label_p
from birthmark.values.joined import Joined
from birthmark.values.stems import stems


def models_fixed(joined: Joined, seed: int) -> tuple[ModelsFixed | None, str | None]:
    """The difference of mean-rank contrasts between two families' models (b − a), or why there is none.

    Per word: its rank in b's models less that in a's, positive less negative prompts, each a mean. The estimate is the
    first category's mean of these less the second's: b's mean of `mean_rank_contrast` less a's. The interval is a percentile
    bootstrap of word stems within categories; `p_words` shuffles the category labels over single
    words.
    """
    why = why_no_difference(joined)
    if why is not None:
        return None, why
    at, categories = joined.places
    ranks = joined.ranks[:, :, joined.framed]
    values = word_contrasts(ranks, joined.model_families, joined.framed_labels)[at]
    clusters = stems(joined.words[word] for word in at)
    try:
        interval = bootstrap_words(values, categories, clusters, seed=seed)
    except BirthmarkError as error:
        return None, str(error)
    return ModelsFixed(
        estimate=interval.estimate,
        ci_low=interval.ci_low,
        ci_high=interval.ci_high,
        p_words=word_label_p(values, categories, seed=seed),
        by_adjective=by_adjective(joined),
    ), None


def by_adjective(joined: Joined) -> list[AdjectiveEffect]:
    """The difference (b − a) of first − second category's mean rank over each adjective's prompts, in the prompts' order."""
    a, b = (joined.means[joined.models_of(family)].mean(axis=0) for family in joined.families)
    by_prompt = (b - a)[0] - (b - a)[1]  # [prompts]
    found = []
    for adjective in dict.fromkeys(joined.adjectives):
        at = np.flatnonzero([given == adjective for given in joined.adjectives])
        framing = joined.framings[at[0]]
        if adjective is None or framing is None:
            continue
        found.append(AdjectiveEffect(adjective=adjective, framing=framing, estimate=float(by_prompt[at].mean())))
    return found


def why_no_difference(joined: Joined) -> str | None:
    """Why there is no one difference of contrasts between two families; None where there is."""
    if joined.no_contrast_why is not None:
        return joined.no_contrast_why
    if len(joined.families) != 2:
        return f"a difference is between two families, and the tables are of {len(joined.families)}"
    return None
