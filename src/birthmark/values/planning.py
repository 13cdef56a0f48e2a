"""The power of a study before it is run, and what would raise it: a comparison of two families over base checkpoints.

Contrasts of base checkpoints and of the RMs on them are taken for normal, with the SDs that a person gives or the
published study's. How much of these SDs is the luck of the words or prompts is the published data's.
"""

from dataclasses import dataclass

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.records import NotApplicable, Plan, PlanRow
from birthmark.stats import power
from birthmark.stats.simulation import WORD_SHARE_BASE, WORD_SHARE_RM
from birthmark.values.wording_power import coarse_reason, plan_sentences

SD_BASE, SD_RM = 16.6, 7.2  # ranks of 263 words: the published contrasts, nested analysis of variance
PROMPTS_OF_RM = 0.05  # share of the variance between RMs that is the luck of 54 prompts
MOST_BASES = 200
LEAST_SD = 1e-6
MOST_ASKED = 100  # of base checkpoints a family: twice as many are simulated too
SHARED_BY_PAIRS = 0.5


@dataclass(frozen=True)
class Design:
    """Base checkpoints a family and the SDs of their mean contrast's two parts, in ranks."""

    name: str
    bases: tuple[int, int]
    sd_base: float
    sd_rm: float  # of the mean over the RMs on a base checkpoint

    @property
    def sd(self) -> float:
        return float(np.hypot(self.sd_base, self.sd_rm))


def plan(
    bases: tuple[int, int] = (5, 5),
    rms_per_base: int = 2,
    sd_base: float = SD_BASE,
    sd_rm: float = SD_RM,
    shift: float = 20.0,
    alpha: float = 0.05,
) -> Plan:
    """Power to find that two families' contrasts differ by `shift` ranks, and what else one could do.

    A unit is a base checkpoint, the mean of its RMs: variance sd_base² + sd_rm² / rms_per_base. `power` is the exact
    permutation test's, by 4,000 simulated studies; `power_welch` Welch's t, by the noncentral t. Raises `BirthmarkError`
    for families without base checkpoints, SDs below 0 or both 0, a shift of 0, or alpha outside (0, 1).
    """
    _check(bases, rms_per_base, sd_base, sd_rm, shift, alpha)
    asked = Design("as planned", bases, sd_base, sd_rm / np.sqrt(rms_per_base))
    row = _row(asked, shift, alpha)
    n_splits, min_p = power.splits(*bases)
    coarse = NotApplicable(coarse_reason(bases, n_splits, min_p))
    out_of_reach = min_p > alpha
    needed, needed_welch = _needed(asked.sd, shift, alpha)
    alternatives = [row, *(_row(design, shift, alpha) for design in _alternatives(asked))]
    pairs = [*(_row(design, shift, alpha) for design in _one_recipe(asked)), *_matched(asked, shift, alpha)]
    record = Plan.build(
        bases=list(bases),
        rms_per_base=rms_per_base,
        sd_base=sd_base,
        sd_rm=sd_rm,
        shift=shift,
        alpha=alpha,
        n_splits=n_splits,
        min_p=min_p,
        sd_unit=asked.sd,
        power=coarse if out_of_reach else row.power,
        mc_error=row.mc_error,
        studies=power.STUDIES,
        power_welch=row.power_welch,
        detectable=coarse if out_of_reach and row.detectable is None else row.detectable,
        bases_needed=needed or NotApplicable(f"more than {MOST_BASES} base checkpoints a family are needed"),
        bases_needed_welch=needed_welch,
        alternatives=alternatives,
        pairs=pairs,
        confounded=_confounded(asked, sd_rm, alpha),
        sentence="",
        sentences=[],
    )
    sentences = plan_sentences(record)
    return record.model_copy(update={"sentence": " ".join(sentences[:2]), "sentences": sentences})


def _check(bases: tuple[int, int], rms: int, sd_base: float, sd_rm: float, shift: float, alpha: float) -> None:
    if len(bases) != 2 or min(bases) < 1 or max(bases) > MOST_ASKED:
        raise BirthmarkError(
            f"--bases takes two numbers from 1 to {MOST_ASKED}, the base checkpoints of either family: 5,5"
        )
    if max(bases) == 1:
        raise BirthmarkError(
            "nothing can be planned with one base checkpoint of each family: whatever is trained on them, no test tells the "
            "families from these two; --bases 3,4 is the least that can reach p = .05"
        )
    if rms < 1:
        raise BirthmarkError(f"{rms} reward models on a base checkpoint are too few: --rms-per-base takes 1 or more")
    if not all(np.isfinite(value) and value >= 0 for value in (sd_base, sd_rm)) or sd_base + sd_rm < LEAST_SD:
        raise BirthmarkError(
            f"--sd-base and --sd-rm are standard deviations in ranks: 0 or more, and their sum at least {LEAST_SD:g}"
        )
    if not np.isfinite(shift) or shift == 0:
        raise BirthmarkError("--shift is the difference to be found, in ranks: not 0")
    if not 0 < alpha < 1:
        raise BirthmarkError("--alpha lies between 0 and 1")


def _row(design: Design, shift: float, alpha: float) -> PlanRow:
    n_a, n_b = design.bases
    rate = None
    if power.splits(n_a, n_b)[1] <= alpha:
        rate = power.exact_power(abs(shift) / design.sd, n_a, n_b, alpha=alpha) if design.sd else 1.0
    in_sds = power.detectable_exact(n_a, n_b, alpha)
    return PlanRow(
        design=design.name,
        bases=list(design.bases),
        sd_unit=design.sd,
        power=rate,
        mc_error=None if rate is None else power.mc_error(rate, power.STUDIES),
        power_welch=power.welch_power(shift, design.sd, design.sd, n_a, n_b, alpha) if min(n_a, n_b) > 1 else None,
        detectable=None if in_sds is None else in_sds * design.sd,
    )


def _alternatives(asked: Design) -> list[Design]:
    """More of what a study is made of, one at a time. Twice as many halve the variance that is their luck."""
    bases, base, rm = asked.bases, asked.sd_base, asked.sd_rm
    half_words = (1 - WORD_SHARE_BASE / 2) ** 0.5, (1 - WORD_SHARE_RM / 2) ** 0.5
    return [
        Design("twice the RMs on each base checkpoint", bases, base, rm / 2**0.5),
        Design("any number of RMs on each base checkpoint", bases, base, 0.0),
        Design("twice the words", bases, base * half_words[0], rm * half_words[1]),
        Design("twice the prompts", bases, base, rm * (1 - PROMPTS_OF_RM / 2) ** 0.5),
        Design("one more base checkpoint a family", (bases[0] + 1, bases[1] + 1), base, rm),
        Design("twice the base checkpoints", (2 * bases[0], 2 * bases[1]), base, rm),
    ]


def _one_recipe(asked: Design) -> list[Design]:
    """One recipe and data set on every base checkpoint: what recipes differ by is gone from the spread of RMs."""
    return [
        Design(f"one recipe for all, if recipes are {name} of the spread on a base checkpoint", asked.bases,
               asked.sd_base, asked.sd_rm * (1 - share) ** 0.5)
        for name, share in (("half", 0.5), ("all", 1.0))
    ]  # fmt: skip


def _matched(asked: Design, shift: float, alpha: float) -> list[PlanRow]:
    """Pairs of base checkpoints of either family with one recipe, alike in size and year: labels exchanged within pairs."""
    n = min(asked.bases)
    rows = []
    for name, shared in (("unlike", 0.0), ("alike in size and year, if that is half of their spread", SHARED_BY_PAIRS)):
        sd = float(np.sqrt(2 * (asked.sd_base**2 * (1 - shared) + asked.sd_rm**2 / 2)))
        rate = power.paired_exact_power(abs(shift) / sd, n, alpha) if sd and 2 / 2**n <= alpha else None
        rows.append(
            PlanRow(
                design=f"{n} same-recipe pairs of base checkpoints {name}",
                bases=[n, n],
                sd_unit=sd,
                power=rate,
                mc_error=None if rate is None else power.mc_error(rate, power.STUDIES),
                power_welch=power.paired_power(shift, sd, n, alpha) if n > 1 else None,
                detectable=None,
            )
        )
    return rows


def _confounded(asked: Design, sd_rm: float, alpha: float) -> float | None:
    """False positives where each family's RMs come from a team of their own, whose recipe all of the family share."""
    if min(asked.bases) < 2:
        return None
    return power.confounded_rate(sd_rm * 2**0.5, asked.sd_base, asked.sd_base, *asked.bases, alpha)


def _needed(sd: float, shift: float, alpha: float) -> tuple[int | None, int | None]:
    """Base checkpoints a family, equally many, for a power of .8: of the exact test, and of Welch's t."""
    sizes = range(2, MOST_BASES + 1)
    welch = next((n for n in sizes if power.welch_power(shift, sd, sd, n, n, alpha) >= power.TARGET_POWER), None)
    if welch is None:
        return None, None
    for n in range(max(2, welch - 2), MOST_BASES + 1):
        if (
            power.splits(n, n)[1] <= alpha
            and power.exact_power(abs(shift) / sd, n, n, alpha=alpha) >= power.TARGET_POWER
        ):
            return n, welch
    return None, welch
