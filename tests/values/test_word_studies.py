"""Simulated studies of two models that do not differ: which layouts there are, and that the test over words keeps its level."""

import numpy as np
import pytest

from birthmark.values.word_studies import WordDesign, designs, word_studies


def test_layouts_span_forms_sizes_spreads_and_few_stems() -> None:
    every = designs()
    assert len({design.name for design in every}) == len(every)
    large = [design for design in every if min(design.words) >= 12 and design.in_both < 12]
    assert {design.forms for design in large} == {(1,), (2,), (3,), (1, 2, 3)}
    assert {design.words for design in large} == {(36, 36), (12, 60)}
    assert {round(design.ratio, 2) for design in large} == {0.33, 0.67, 1, 1.5, 3}
    assert {min(design.words) for design in every} == {2, 3, 4, 12, 36}


def test_stems_have_their_forms_and_some_are_in_both_categories() -> None:
    first, second = WordDesign((6, 9), (1, 2, 3), 1.0, in_both=1).stems
    assert np.unique(first, return_counts=True)[1].tolist() == [1, 2, 3]
    assert np.unique(second, return_counts=True)[1].tolist() == [1, 2, 3, 1, 2]
    assert len(set(first.tolist()) & set(second.tolist())) == 1


@pytest.mark.parametrize(
    "design",
    [
        WordDesign((36, 36), (3,), 1.0),
        WordDesign((12, 60), (1,), 1 / 3),
        WordDesign((12, 60), (1,), 3.0),
        WordDesign((12, 60), (1, 2, 3), 1 / 1.5),
        WordDesign((36, 36), (2,), 3.0, 6),
    ],
    ids=lambda design: design.name,
)
def test_the_test_over_words_keeps_its_level(design: WordDesign) -> None:
    row = word_studies(design, 1_000, seed=1)
    assert row.rate == pytest.approx(0.05, abs=0.02)
    assert (row.unit, row.studies, row.design.sd_ratio) == ("word", 1_000, design.ratio)


@pytest.mark.parametrize(
    ("words", "lowest", "highest"), [((2, 24), 0.09, 0.15), ((4, 8), 0.0, 0.04), ((12, 60), 0.03, 0.07)]
)
def test_where_all_stems_of_a_category_are_in_the_other_too_the_test_errs_as_it_says(words, lowest, highest) -> None:
    rate = word_studies(WordDesign(words, (1,), 1.0, words[0]), 1_000, seed=1).rate
    assert lowest <= rate <= highest


def test_two_stems_are_too_few_to_keep_it() -> None:
    assert word_studies(WordDesign((2, 5), (1,), 1 / 3), 500, seed=1).rate > 0.065


def test_the_same_seed_gives_the_same_rate() -> None:
    one, same, other = (word_studies(WordDesign((12, 60), (2,), 1.0), 200, seed) for seed in (1, 1, 2))
    assert one == same
    assert one.rate != other.rate
