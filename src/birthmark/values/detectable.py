"""How large a difference the test of a report could have found, said of its own units.

Four times in five, by the test that the report leads with: the exact one over base checkpoints, or, with one base
checkpoint a family, that over words. Decides which SD goes in; `birthmark.stats.power` does the sums.
"""

import numpy as np
from scipy import stats

from birthmark.records import LevelTest, ModelsFixed, Power
from birthmark.stats import power
from birthmark.values.joined import Joined
from birthmark.values.levels import units_of
from birthmark.values.planning import SD_BASE, SD_RM
from birthmark.values.sentences import p_text

ALPHA = 0.05
ENOUGH_DF = 3  # with fewer degrees of freedom within families the published SDs are taken
PUBLISHED_WORDS = 263
REACH = float(stats.norm.ppf(0.975) + stats.norm.ppf(power.WANTED))  # standard errors, by the normal distribution


def detectable(
    joined: Joined, headline: LevelTest | None, fixed: ModelsFixed | None, why: str | None
) -> tuple[Power | None, str | None]:
    """The difference that can be found four times in five, or why nothing is said of it; `why` is the headline's.

    The SD of a unit is pooled within families over this study's base checkpoints where that leaves three degrees of
    freedom, else the published study's for as many RMs a base checkpoint, in proportion to the number of words. Where .05
    is out of reach, alpha is the smallest p. Several categories: the difference in one of them that max-|t| finds.
    """
    if headline is not None and len(headline.n_units) == 2:
        return _over_units(joined, headline)
    if headline is not None:
        return None, f"power is told for two families, and these are {len(headline.n_units)}"
    if fixed is not None:
        return _over_words(fixed, len(joined.models), why), None
    return None, why or "there is no test to tell the power of"


def _over_units(joined: Joined, headline: LevelTest) -> tuple[Power | None, str | None]:
    n_a, n_b = headline.n_units.values()
    n_splits, min_p = power.splits(n_a, n_b)
    alpha = max(ALPHA, min_p)
    several = joined.contrasts is None
    sd, source = _sd(joined)
    in_sds = (
        power.detectable_max_t(n_a, n_b, len(joined.categories), alpha)
        if several
        else power.detectable_exact(n_a, n_b, alpha)
    )
    if in_sds is None or sd == 0:
        return None, "the units do not vary" if sd == 0 else "no difference of any size can be found with these units"
    found = in_sds * sd
    what = "a difference in one category" if several else "a contrast"
    if alpha > ALPHA:
        units = f"{n_a} and {n_b} base checkpoints"
        said = (
            f"With these units ({units}, {n_splits:,} splits) the test cannot reach .05, whatever the difference; at its "
            f"smallest p, {p_text(min_p)}, it can find {what} of {found:.0f} ranks four times in five."
        )
    else:
        said = f"With these units the test can find {what} of {found:.0f} ranks four times in five."
    said += f" Base checkpoints of one family are taken to differ by an SD of {sd:.1f} ranks, as {source}."
    return Power(
        unit="base_checkpoint",
        alpha=alpha,
        wanted=power.WANTED,
        detectable=found,
        sd=sd,
        sd_source=source,
        sentence=said,
    ), None


def _sd(joined: Joined) -> tuple[float, str]:
    """SD of a unit's value within its family, and whose it is."""
    values = joined.centred_framing_contrasts if joined.contrasts is None else joined.contrasts[:, None]
    units = units_of(joined, values, "base_checkpoint")
    families = np.array(units.families)
    df = len(families) - len(joined.families)
    squares = sum(
        float(((part - part.mean(axis=0)) ** 2).sum())
        for family in joined.families
        for part in [units.values[families == family]]
    )
    if df >= ENOUGH_DF:
        return float(np.sqrt(squares / df / values.shape[1])), "they do here"
    rms_a_base = len(joined.models) / len(families)
    published = float(np.hypot(SD_BASE, SD_RM / np.sqrt(rms_a_base))) * len(joined.words) / PUBLISHED_WORDS
    return published, "those of the published reward models do for as many words"


def _over_words(fixed: ModelsFixed, n_models: int, why: str | None) -> Power:
    """By the words' standard error, a quarter of the interval's width but for rounding."""
    se = (fixed.ci_high - fixed.ci_low) / 2 / float(stats.norm.ppf(0.975))
    found = REACH * se
    them = "two models" if n_models == 2 else "models"
    about_families = f" {why[0].upper()}{why[1:]}." if why else ""
    return Power(
        unit="word",
        alpha=ALPHA,
        wanted=power.WANTED,
        detectable=found,
        sd=se,
        sd_source="the interval over words",
        sentence=f"With these words the comparison of these {them} can find a contrast of {found:.0f} ranks four times in "
        f"five.{about_families}",
    )
