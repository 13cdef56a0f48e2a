"""The fit of variances against studies drawn from known ones, and on the published ranks."""

from pathlib import Path

import numpy as np
import pytest
from published import big_two

from birthmark.errors import BirthmarkError
from birthmark.stats import simulation
from birthmark.stats.simulation import fit_rows


def test_fit_finds_the_variances_that_a_study_was_drawn_from() -> None:
    truth = simulation.RowVariances(
        (150, 150), 20, word=0.6, word_by_base=0.2, word_by_rm=0.1, word_by_prompt=0.06, residual=0.04,
        leaning_overall=0.02, leaning_prompt=0.03, leaning_rm_prompt=0.01,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    drawn = simulation.draw_family(rng, simulation.draw_shared(rng, 1, truth), [2] * 12, truth)
    ranks = simulation.all_ranks(drawn.latent)[0]
    bases = np.repeat(np.arange(12), 2).astype(str).tolist()
    found = fit_rows(ranks, np.arange(300) < 150, np.arange(40) < 20, bases, ["x"] * 24)
    for name in ("word", "word_by_base", "word_by_rm", "word_by_prompt", "residual"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), rel=0.15), name
    for name in ("leaning_overall", "leaning_prompt", "leaning_rm_prompt"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), rel=0.5), name


def test_most_word_variance_of_the_published_models_is_shared(shared: Path) -> None:
    data = big_two(shared)
    found = fit_rows(data.ranks, data.categories == "Agency", data.framings == "positive", data.bases, data.families)
    assert found.word > found.word_by_base > found.word_by_rm > found.word_by_prompt
    assert found.word_by_base == pytest.approx(0.16, abs=0.02)


def test_models_that_share_no_base_checkpoint_raise() -> None:
    with pytest.raises(BirthmarkError, match="share a base checkpoint"):
        fit_rows(np.ones((2, 4, 2)), np.arange(4) < 2, np.arange(2) < 1, ["a", "b"], ["x", "y"])
