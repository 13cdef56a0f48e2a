"""What a report says that its own test could have found."""

import numpy as np
import pytest

from birthmark.records import NotApplicable
from birthmark.stats import power
from birthmark.values.families import models_fixed
from birthmark.values.joined import Joined
from birthmark.values.units import detectable, families_over


def study(families: str, categories: int = 2, seed: int = 0) -> Joined:
    """One model a base checkpoint, eight words a category, two prompts a framing."""
    words = tuple(f"w{at:02d}" for at in range(8 * categories))
    scores = np.random.default_rng(seed).normal(size=(len(families), len(words), 4))
    return Joined(
        ranks=scores.argsort(axis=1).argsort(axis=1) + 1.0,
        member=np.repeat(np.eye(categories, dtype=bool), 8, axis=1),
        models=tuple(f"m{at}" for at in range(len(families))),
        model_families=tuple(families),
        model_bases=tuple(f"b{at}" for at in range(len(families))),
        words=words,
        categories=tuple("pqrstu"[:categories]),
        prompts=("a", "b", "c", "d"),
        framings=("positive", "positive", "negative", "negative"),
        adjectives=(None,) * 4,
        missing=(),
        warnings=(),
    )


def found(joined: Joined):
    return detectable(joined, families_over(joined, "base_checkpoint", 0), models_fixed(joined, 0))


def test_enough_units_find_a_contrast_at_05_by_their_own_spread() -> None:
    joined = study("AAAABBBB")
    told = found(joined)
    assert (told.unit, told.alpha) == ("base_checkpoint", 0.05)
    a, b = joined.mean_rank_contrasts[:4], joined.mean_rank_contrasts[4:]
    assert told.sd == pytest.approx(np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2))
    assert told.detectable == pytest.approx(told.sd * power.detectable_exact(4, 4))
    assert f"Minimum detectable contrast at 80% power: {told.detectable:.0f} ranks." in told.sentence


def test_two_against_three_are_told_at_the_smallest_p() -> None:
    told = found(study("AABBB"))
    assert told.alpha == 0.1
    assert "no difference can reach p = .05: the smallest attainable p-value is .100" in told.sentence
    assert "Minimum detectable contrast at that level and 80% power: " in told.sentence


def test_too_few_units_to_know_their_spread_take_the_published_one() -> None:
    joined = study("AABB")
    told = found(joined)
    assert told.sd == pytest.approx(np.hypot(16.6, 7.2) * 16 / 263)
    assert "published" in told.sd_source


def test_one_model_a_family_is_told_over_words_and_of_families_nothing() -> None:
    joined = study("AB")
    told = found(joined)
    fixed = models_fixed(joined, 0)
    assert told.unit == "word"
    assert told.detectable == pytest.approx((fixed.ci_high - fixed.ci_low) / 2 + 0.841621 * fixed.se)
    assert told.sd == fixed.se
    assert "at 80% power, over words: " in told.sentence
    assert "With one base checkpoint per family, nothing can be concluded" in told.sentence


def test_several_categories_are_told_of_one_of_them() -> None:
    told = found(study("AAAABBBB", categories=3))
    assert "Minimum detectable difference in one category at" in told.sentence
    assert told.detectable > 0


@pytest.mark.parametrize(("families", "reason"), [("A", "one family"), ("AABBCC", "two families")])
def test_without_two_families_it_says_why(families: str, reason: str) -> None:
    told = found(study(families))
    assert isinstance(told, NotApplicable)
    assert reason in told.why
