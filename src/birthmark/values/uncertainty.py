"""How uncertain the families' difference is when models, words and prompts are all samples of more.

`birthmark.stats.crossed` does the sums; here the ranks are laid out for it, once with single models, words and prompts
as independent draws, and once each with what they cluster by. Knows nothing of tests over units.
"""

from collections.abc import Callable

from birthmark.errors import BirthmarkError
from birthmark.records import Crossed, Variances
from birthmark.stats.crossed import CrossedVariance, crossed_variance
from birthmark.values.fixed import why_no_difference
from birthmark.values.joined import Joined
from birthmark.values.stems import stems


def crossed(joined: Joined) -> tuple[Crossed | None, str | None]:
    """The difference (b − a) of mean-rank contrasts with its crossed standard error, or why there is none.

    `clustered_by_stem`, `…_adjective`, `…_base`: standard error, df, p and interval of the same estimate where word
    stems, the prompts' adjectives or base checkpoints are what was drawn; null where a group has fewer than two.
    """
    why = why_no_difference(joined)
    if why is not None:
        return None, why
    at, categories = joined.places
    ranks = joined.ranks[:, at][:, :, joined.framed]  # [models, places, framed prompts]

    layout = (ranks, joined.model_families, categories, joined.framed_labels)
    try:
        single = crossed_variance(*layout)
    except BirthmarkError as error:
        return None, str(error)
    of_word = stems(joined.words[word] for word in at)
    adjectives = [joined.adjectives[prompt] or "" for prompt in joined.framed]
    return Crossed(
        estimate=single.estimate,
        se=single.se,
        df=single.df,
        t=single.t,
        p=single.p,
        ci_low=single.ci_low,
        ci_high=single.ci_high,
        variances=Variances(**single.variances),
        truncated=single.truncated,
        clustered_by_stem=_clustered(lambda: crossed_variance(*layout, word_clusters=of_word)),
        clustered_by_adjective=_clustered(lambda: crossed_variance(*layout, prompt_clusters=adjectives)),
        clustered_by_base=_clustered(lambda: crossed_variance(*layout, model_clusters=joined.model_bases)),
    ), None


def _clustered(variance: Callable[[], CrossedVariance]) -> dict[str, float] | None:
    try:
        found = variance()
    except BirthmarkError:
        return None
    names = ("se", "df", "t", "p", "ci_low", "ci_high")
    return {name: getattr(found, name) for name in names}
