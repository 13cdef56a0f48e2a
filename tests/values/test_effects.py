"""Effects of small made-up studies: every layout has an answer or a reason why there is none."""

import json
from itertools import pairwise

import numpy as np
import pytest

from birthmark.records import Effects, to_json
from birthmark.values.effects import effects
from birthmark.values.families import models_fixed
from birthmark.values.joined import join_tables
from birthmark.values.units import adjust_across_lexicons

PROMPTS = ("best_1", "best_2", "great_1", "worst_1", "worst_2", "bad_1")
SIGN = np.array([1, 1, 1, -1, -1, -1])
TWO = {f"agent{i}": "Agency" for i in range(12)} | {f"bond{i}": "Communion" for i in range(15)}
THREE = TWO | {f"order{i}": "Order" for i in range(9)}


def made_up(make_table, model, family, base, *, lean=0.0, seed=0, words=TWO, prompts=PROMPTS):
    """A model whose agency words score `lean` higher after positive prompts and lower after negative ones."""
    rng = np.random.default_rng(seed)
    sign = np.array([SIGN[PROMPTS.index(key)] if key in PROMPTS else 0 for key in prompts])
    is_agency = np.array([name == "Agency" for name in words.values()])
    scores = rng.normal(size=(len(words), 1)) + 0.5 * rng.normal(size=(len(words), len(prompts)))
    return make_table(
        model, list(words), scores + lean * np.outer(is_agency, sign), prompts=prompts, family=family, base=base
    )


@pytest.fixture
def lexicon(make_lexicon):
    return make_lexicon(TWO)


@pytest.fixture
def pair(make_table):
    return [
        made_up(make_table, "a", "A", "base a", seed=1),
        made_up(make_table, "b", "B", "base b", seed=1, lean=1.5),
    ]


def test_two_models_have_a_fixed_difference_and_no_headline(pair, lexicon) -> None:
    found = effects(pair, lexicon)
    assert (
        found.headline is None and "with one base checkpoint per family, nothing can be concluded" in found.headline_why
    )
    assert found.model_level is None and found.model_level_why
    assert found.mixed_model is None and found.mixed_model_why
    assert found.crossed is None and found.crossed_why
    assert found.clustering is None and found.clustering_why
    fixed = found.models_fixed
    assert fixed.estimate < fixed.ci_high < 0
    assert fixed.p_words < 0.01
    assert fixed.estimate == pytest.approx(found.models[1].mean_rank_contrast - found.models[0].mean_rank_contrast)


def test_two_models_are_told_apart_in_words(pair, lexicon) -> None:
    sentence = effects(pair, lexicon).sentence
    assert sentence.startswith(
        "Asked for the best, both rank agency words higher, a by 3.0 places and b by 11.4. Asked"
    )
    assert "From the worst to the best, " in sentence
    assert "ranking of 27 words" in sentence and "not about model families" in sentence


def test_the_order_of_the_tables_turns_no_sign(pair, lexicon) -> None:
    one, other = effects(pair, lexicon), effects(pair[::-1], lexicon)
    assert one.models_fixed.estimate == pytest.approx(other.models_fixed.estimate)
    assert [panel.difference for panel in one.panels] == pytest.approx([panel.difference for panel in other.panels])


def test_swapping_family_names_turns_every_sign(pair, lexicon) -> None:
    found = effects(pair, lexicon)
    swapped = effects(pair, lexicon, families={"a": "B", "b": "A"}, base_checkpoints={"a": "x", "b": "y"})
    assert swapped.models_fixed.estimate == pytest.approx(-found.models_fixed.estimate)
    for one, other in zip(found.panels, swapped.panels, strict=True):
        assert other.difference == pytest.approx(-one.difference)
        assert other.cohens_d == pytest.approx(-one.cohens_d)
        assert other.model_exact_p == one.model_exact_p


def test_panels_are_in_the_contracts_order(pair, lexicon) -> None:
    assert [(panel.category, panel.framing) for panel in effects(pair, lexicon).panels] == [
        ("Agency", "positive"),
        ("Agency", "negative"),
        ("Communion", "positive"),
        ("Communion", "negative"),
    ]


def test_identical_models_do_not_differ(make_table, lexicon) -> None:
    same = [made_up(make_table, name, name.upper(), f"base {name}") for name in "ab"]
    found = effects(same, lexicon)
    assert found.models_fixed.estimate == 0 and found.models_fixed.p_words == 1
    assert "a difference of 0.0 places" in found.sentence and "This is no clear difference." in found.sentence


def test_one_model_is_described_and_compared_with_nothing(pair, lexicon) -> None:
    found = effects(pair[1:], lexicon)
    assert found.panels == [] and found.panels_why
    assert found.headline is None and "one family only" in found.headline_why
    assert found.models_fixed is None and found.models_fixed_why
    assert found.blocks is None and found.sensitivity is None and found.word_effects == []
    assert "Asked for the best, b ranks agency words higher by " in found.sentence
    assert "From the worst to the best, it moves " in found.sentence and " towards agency" in found.sentence


def test_one_family_of_two_models_has_reasons_for_what_is_missing(make_table, lexicon) -> None:
    found = effects([made_up(make_table, name, "A", name, seed=ord(name)) for name in "ab"], lexicon)
    assert found.headline is None and found.mixed_model is None and found.mixed_model_why == "there is one family only"
    assert len(found.models) == 2 and len(found.cells) == 4


def test_prompts_without_framing_have_no_cells_and_say_why(make_table, lexicon) -> None:
    found = effects([made_up(make_table, "a", "A", "a", prompts=("prompt_1",))], lexicon)
    assert found.cells == [] and found.cells_why
    assert found.models[0].contrast is None
    assert found.sentence.startswith("There is nothing to compare")


def test_prompts_of_one_framing_have_panels_and_no_contrast(make_table, lexicon) -> None:
    tables = [
        made_up(make_table, f"{family}{i}", family, f"{family}{i}", seed=i, prompts=PROMPTS[:3])
        for family in "AB"
        for i in range(2)
    ]
    found = effects(tables, lexicon)
    assert {panel.framing for panel in found.panels} == {"positive"}
    assert found.mixed_model.formula == "median_rank ~ family * category + (1 | model)"
    assert found.headline is None and "both framings" in found.headline_why
    assert found.word_effects[0].positive is not None and found.word_effects[0].contrast is None


def test_a_lexicon_of_one_category_has_no_contrast(pair, make_lexicon) -> None:
    found = effects(pair, make_lexicon({word: "Agency" for word, name in TWO.items() if name == "Agency"}))
    assert found.models_fixed is None and "the lexicon has 1" in found.models_fixed_why
    assert found.per_category == []
    assert found.cells[0].n_models == 1


def test_constant_scores_are_ties_everywhere(make_table, lexicon) -> None:
    flat = [make_table(name, list(TWO), np.ones((27, 6)), prompts=PROMPTS, family=name, base=name) for name in "ab"]
    found = effects(flat, lexicon)
    assert {cell.mean_median_rank for cell in found.cells} == {14.0}
    assert found.models_fixed.estimate == 0
    assert [text.partition(";")[0] for text in found.warnings[:2]] == [
        f"{name} assigns identical scores to all words for 6 of 6 prompts" for name in "ab"
    ]
    assert all(panel.difference == 0 and panel.cohens_d is None and panel.why for panel in found.panels)


def test_constant_scores_of_several_models_fit_no_mixed_model(make_table, lexicon) -> None:
    flat = [
        make_table(name, list(TWO), np.ones((27, 6)), prompts=PROMPTS, family=name[0], base=name)
        for name in ("a1", "a2", "b1", "b2")
    ]
    found = effects(flat, lexicon)
    assert found.mixed_model is None and "does not vary" in found.mixed_model_why
    assert found.headline.p_exact == 1


def test_a_category_of_one_word_is_ranked_and_told(pair, make_lexicon) -> None:
    one = {word: name for word, name in TWO.items() if name == "Agency" or word == "bond0"}
    found = effects(pair, make_lexicon(one))
    assert any("only one word represents Communion" in text for text in found.warnings)
    assert found.models_fixed is None and "one word" in found.models_fixed_why
    assert found.models[0].contrast is not None


def several(make_table, families, bases=2, lean=None, words=TWO):
    lean = lean or {}
    return [
        made_up(
            make_table,
            f"{family}{i}{j}",
            family,
            f"{family}{i}",
            seed=100 * i + j,
            lean=lean.get(family, 0),
            words=words,
        )
        for family in families
        for i in range(bases)
        for j in range(2)
    ]


def test_models_of_one_base_are_averaged_before_the_headline(make_table, lexicon) -> None:
    found = effects(several(make_table, "AB", bases=3, lean={"B": 2}), lexicon)
    assert found.headline.n_units == {"A": 3, "B": 3}
    assert found.headline.statistic == "welch_t"
    assert found.model_level.n_units == {"A": 6, "B": 6}
    assert found.headline.n_splits == 20 and found.headline.p_exact == found.headline.min_p == 0.1
    assert "B models move further from communion towards agency words" in found.headline.sentence


def test_a_base_checkpoint_nobody_names_is_its_own_unit(make_table, lexicon) -> None:
    tables = several(make_table, "AB", bases=1)
    for table in tables:
        table.record.base_checkpoint = None
    found = effects(tables, lexicon)
    assert found.headline.n_units == {"A": 2, "B": 2}
    assert sum("base checkpoint" in text and "not known" in text for text in found.warnings) == 4


def test_one_base_in_one_family_leaves_a_test_without_interval(make_table, lexicon) -> None:
    tables = several(make_table, "A", bases=3) + several(make_table, "B", bases=1)
    found = effects(tables, lexicon)
    assert found.headline.n_splits == 4
    assert found.headline.ci_low is None and "no interval" in found.headline.sentence


def test_three_families_have_panels_a_pair_and_a_permutation_f(make_table, lexicon) -> None:
    found = effects(several(make_table, "ABC", lean={"C": 2}), lexicon)
    assert [(p.family_a, p.family_b) for p in found.panels[::4]] == [("A", "B"), ("A", "C"), ("B", "C")]
    assert found.headline.statistic == "permutation_f" and found.headline.estimate is None
    assert found.p_permutation_f == pytest.approx(found.headline.p_exact)
    assert found.models_fixed is None and "two families" in found.models_fixed_why
    assert all(row.difference is None and row.p is not None for row in found.per_category)
    assert found.mixed_model is not None and len(found.mixed_model.terms) == 3 * 2 * 2


def test_three_categories_take_the_largest_t(make_table, make_lexicon) -> None:
    found = effects(several(make_table, "AB", lean={"B": 2}, words=THREE), make_lexicon(THREE))
    assert found.headline.statistic == "max_t" and found.headline.estimate is None
    assert all(model.contrast is None for model in found.models)
    assert "move Agency words further up than" in found.sentence and "largest difference of 3" in found.sentence
    assert "adjusted for their number p = " in found.sentence
    assert [row.category for row in found.category_words] == found.categories
    assert all(row.ci_low < row.estimate < row.ci_high and row.p_max_t for row in found.category_words)
    assert len(found.per_category) == 6


def test_words_in_two_categories_count_in_both(pair, make_lexicon) -> None:
    found = effects(pair, make_lexicon(TWO | {"agent0": "Agency+Communion"}))
    assert found.words_by_category == {"Agency": 12, "Communion": 16}
    assert found.n_candidates == 27
    assert found.models_fixed is not None


def test_the_same_seed_gives_the_same_record(pair, lexicon) -> None:
    assert to_json(effects(pair, lexicon, seed=7)) == to_json(effects(pair, lexicon, seed=7))


def test_the_record_reads_back(pair, lexicon) -> None:
    found = effects(pair, lexicon)
    assert Effects.model_validate(json.loads(to_json(found))) == found


def test_word_effects_lead_with_the_largest(pair, lexicon) -> None:
    sizes = [abs(word.contrast) for word in effects(pair, lexicon).word_effects]
    assert len(sizes) == 27
    assert all(one >= other for one, other in pairwise(sizes))


def test_teams_can_be_told(pair, lexicon) -> None:
    blocks = effects(pair, lexicon, teams={"a": "T", "b": "T"}).blocks
    assert blocks.teams == ["T"] and blocks.pairs[0].agrees
    assert blocks.pairs[0].difference == pytest.approx(blocks.estimate)


def test_without_a_shared_team_there_is_no_block(pair, lexicon) -> None:
    found = effects(pair, lexicon)
    assert found.blocks is None and "no team" in found.blocks_why


def test_leaving_out_the_last_model_of_a_family_says_why(pair, lexicon) -> None:
    without = effects(pair, lexicon).sensitivity.without_model
    assert all(one.estimate is None and one.why for one in without)


def test_nothing_found_comes_with_what_is_ruled_out(make_table, lexicon) -> None:
    found = effects(several(make_table, "AB", bases=3), lexicon)
    assert found.headline.p_exact > 0.05
    margin = found.sensitivity.equivalence.margin
    half_90 = (margin - abs(found.headline.estimate)) / (found.headline.ci_high - found.headline.ci_low) * 2
    assert 0 < half_90 < 1  # t(.95) is below t(.975)


def test_headlines_of_several_lexicons_are_adjusted_by_holm(make_table, lexicon) -> None:
    strong = effects(several(make_table, "AB", bases=4, lean={"B": 2}), lexicon)
    weak = effects(several(make_table, "AB", bases=4), lexicon)
    one, other = adjust_across_lexicons([strong, weak])
    assert one.headline.p_holm == pytest.approx(2 * strong.headline.p_exact)
    assert other.headline.p_holm == pytest.approx(max(weak.headline.p_exact, one.headline.p_holm))


def test_forms_of_a_stem_are_no_further_evidence(make_table, make_lexicon) -> None:
    """Three forms of 24 stems, all scored alike: single words shuffled reject a quarter of true nulls."""
    roots = [f"{first}{vowel}rk" for first in "bcdfghlm" for vowel in "aeo"]
    words = {
        f"{root}{end}": "Agency" if at < 12 else "Communion"
        for at, root in enumerate(roots)
        for end in ("", "s", "ing")
    }
    lexicon = make_lexicon(words)
    found = []
    for seed in range(40):
        scores = np.random.default_rng(seed).normal(size=(2, 24, 2)).repeat(3, axis=1)
        tables = [make_table(name, list(words), of, family=name) for name, of in zip("ab", scores, strict=True)]
        found.append(models_fixed(join_tables(tables, lexicon), seed))
    assert {(one.n_stems["Agency"], one.n_stems["Communion"]) for one in found} == {(12, 12)}
    assert np.mean([one.p_words < 0.05 for one in found]) <= 0.13
    assert all((one.p_words < 0.05) == (one.ci_low > 0 or one.ci_high < 0) for one in found)


def test_the_test_over_words_rejects_no_more_than_it_should(make_table, lexicon) -> None:
    found = []
    for seed in range(60):
        tables = [made_up(make_table, name, name, name, seed=2 * seed + j) for j, name in enumerate("ab")]
        found.append(models_fixed(join_tables(tables, lexicon), seed))
    assert np.mean([one.p_words <= 0.1 for one in found]) <= 0.2
    assert np.mean([one.ci_low <= 0 <= one.ci_high for one in found]) >= 0.85
