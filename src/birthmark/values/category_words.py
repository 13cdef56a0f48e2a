"""Three or more categories with words as the sample: each category against all other words, models fixed."""

from math import isnan

from birthmark.records import CategoryWords
from birthmark.stats.categories import against_others
from birthmark.values.joined import Joined
from birthmark.values.ranks import framing_contrast, stems


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
