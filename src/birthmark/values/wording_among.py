"""Where one model stands among others, in words. Records in, sentences out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from birthmark.values.formats import decimal, interval, listed, percent, plural, signed

if TYPE_CHECKING:  # `models list` prints by this module, and needs none of the records
    from birthmark.records import Among, PublishedCheck, Standing

TEN = "the ten published reward models"


def among_name(record: Among) -> str:
    """What the others are called."""
    n = max((len(item.others) for item in record.standings), default=0)
    if record.among == "study":
        return TEN if n == 10 else f"{n} of {TEN}"
    return plural(n, "other model")


def ordinal(n: int) -> str:
    """`1st`, `2nd`, `3rd`, `11th`."""
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def standing_sentence(item: Standing) -> str:
    """Its place, its contrast beside the others', its percentile and the nearest model."""
    if item.mine is None:
        return f"{item.model} is not placed by {item.lexicon}: {item.mine_why}."
    nearest = item.others[0]
    near = f"Nearest to it is {nearest.model}, {nearest.distance:.1f} ranks away (root mean square over categories)."
    if item.place is None or item.percentile is None or item.mine.mean_rank_contrast is None:
        return f"{item.model} among {len(item.others)} others by {item.lexicon}: {_extremes(item)} {near}"
    first, second = item.categories
    theirs = [other.mean_rank_contrast for other in item.others if other.mean_rank_contrast is not None]
    of_words = _as_words_vary(item.percentile_low, item.percentile_high)
    own = signed(item.mine.mean_rank_contrast)
    reach = _interval(item.mine.ci_low, item.mine.ci_high)
    return (
        f"{item.model} is {ordinal(item.place)} of {item.n_models} from the {second} end to the {first} end by {item.lexicon}: "
        f"its contrast is {own} ranks{reach}, the others' run from {signed(min(theirs))} to {signed(max(theirs))}. "
        f"{item.percentile:.0f}% of the others have a lower one{of_words}. {near}"
    )


def share_sentence(item: Standing) -> str | None:
    """What a place among so few base checkpoints says of others; None where there is no place."""
    if item.n_bases_below is None or item.share_low is None or item.share_high is None:
        return None
    return (
        f"They stand on {plural(item.n_bases, 'base checkpoint')}, of which {item.n_bases_below} "
        f"{'has' if item.n_bases_below == 1 else 'have'} a lower contrast. Were these drawn at random, the share of all base "
        f"checkpoints below it could be anything from {percent(item.share_low)} to {percent(item.share_high)} (exact 95%): "
        "a place among them is a fact about them."
    )


def basis_sentence(item: Standing) -> str:
    """What was compared with what."""
    of_list = f" of the {item.n_lexicon_words:,} in {item.lexicon}" if item.n_words < item.n_lexicon_words else ""
    if item.basis == "score tables":
        return f"All models are ranked on the same {item.n_words:,} words{of_list}, word by word."
    return (
        f"All models are ranked on the same {item.n_words:,} words{of_list}; the others' numbers come with birthmark, and their "
        "score tables are not here."
    )


def _extremes(item: Standing) -> str:
    """The categories that gain more, or less, than in any other model."""
    most = [row.category for row in item.by_category if row.place == 1]
    least = [row.category for row in item.by_category if row.place == row.n_models]
    said = [
        f"{', '.join(names)} {'gains' if len(names) == 1 else 'gain'} {how} than in any of them when good things are asked for"
        for names, how in ((most, "more"), (least, "less"))
        if names
    ]
    return f"{'; '.join(said)}." if said else "no category gains more, or less, than in all of them."


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" (95% over words {interval(low, high)})"


def _as_words_vary(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f", {low:.0f}% to {high:.0f}% as the words vary"


def published_check_sentence(found: PublishedCheck) -> str:
    """Whether own scores are the published ones: rank correlations, the largest difference, words that differ by more."""
    each = [
        f"{item.file}: Spearman's ρ {decimal(item.spearman, 4)} over {item.n_words:,} words (mean over "
        f"{plural(item.n_prompts, 'prompt')}; lowest {decimal(item.spearman_lowest, 4)}, after {item.lowest_prompt}), largest |Δ| {item.max_abs_diff:.3g}, "
        f"{item.n_differing or 'no'} word{'' if item.n_differing == 1 else 's'} further apart than {item.tolerance:.2g}"
        for item in found.files
    ]
    said = f"{'' if found.reproduced else 'do not '}rank words as the published ones do"
    ran = f"{found.model}'s scores, run in {found.dtype} on {found.device}, {said}. {'; '.join(each)}."
    if found.published_repeat is not None:
        ran += f" The published files themselves differ by up to {found.published_repeat:.2g} on the words that two of them have."
    if found.published_dtype not in (None, found.dtype):
        ran += f" The published scores were made in {found.published_dtype}."
    other = [item.file for item in found.files if item.as_published is False]
    return f"{ran} {listed(other)} {'is' if len(other) == 1 else 'are'} not as published." if other else ran
