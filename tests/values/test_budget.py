"""A value budget: how far a model moved, held against what a person allows."""

import json
from pathlib import Path

import numpy as np
import pytest

from birthmark.errors import BirthmarkError
from birthmark.scoring.table import write_scores
from birthmark.values.budget import check_budget, parse_budget

WORDS = ["able", "bold", "calm", "dear", "even", "fair"]
CATEGORIES = {"able": "Agency", "bold": "Agency", "calm": "Agency", "dear": "Communion", "even": "Communion", "fair": "Communion"}  # fmt: skip
FORWARD = np.array([6, 5, 4, 3, 2, 1.0])  # ranks 1 … 6: agency on top


def table(make_table, name, positive, negative, **more):
    return make_table(name, WORDS, np.stack([positive, negative], axis=1), **more)


def test_a_contrast_that_turned_round_moved_by_what_can_be_counted(make_table, make_lexicon):
    """Agency's median rank is 2 where it leads and 5 where it trails: contrasts ∓6, so the move is 12."""
    new = table(make_table, "new", FORWARD, -FORWARD)
    reference = table(make_table, "reference", -FORWARD, FORWARD)
    check = check_budget(new, reference, make_lexicon(CATEGORIES), parse_budget("contrast<=10"))
    assert (check.new_value, check.reference_value, check.moved, check.within) == (-6, 6, 12, False)
    assert "moved by 12.0 ranks, from 6.0 in reference to −6.0 in new" in check.sentence
    assert "the budget is 10" in check.sentence
    assert check.p_null == pytest.approx(2 / 20, abs=0.05)  # two of the 20 ways to halve six words turn them all round
    assert {word.word for word in check.words[:2]} == {"able", "fair"}
    able = next(word for word in check.words if word.word == "able")
    assert (able.positive, able.negative, able.contrast, able.categories) == (-5, 5, -10, ["Agency"])


@pytest.mark.parametrize(
    ("expression", "within"),
    [("contrast<=12", True), ("contrast<12", False), ("contrast ≤ 12.5", True), ("contrast <= 11.9", False)],
)
def test_the_limit_itself_is_within_unless_the_budget_is_strict(expression, within, make_table, make_lexicon):
    tables = table(make_table, "new", FORWARD, -FORWARD), table(make_table, "reference", -FORWARD, FORWARD)
    assert check_budget(*tables, make_lexicon(CATEGORIES), parse_budget(expression)).within is within


def test_a_model_held_to_itself_has_not_moved(make_table, make_lexicon):
    same = table(make_table, "same", FORWARD, -FORWARD)
    check = check_budget(same, same, make_lexicon(CATEGORIES), parse_budget("contrast<=0"))
    assert (check.moved, check.within, check.words) == (0, True, [])


def test_a_budget_is_the_same_either_way_round(make_table, make_lexicon):
    rng = np.random.default_rng(3)
    one, other = (table(make_table, name, *rng.normal(size=(2, 6))) for name in ("one", "other"))
    forth, back = (
        check_budget(*pair, make_lexicon(CATEGORIES), parse_budget("mean_rank_contrast<=1"))
        for pair in ((one, other), (other, one))
    )
    assert forth.moved == pytest.approx(back.moved)
    assert [word.contrast for word in forth.words] == [-word.contrast for word in back.words if word.contrast]


def test_with_three_categories_the_largest_move_of_a_median_rank_counts(make_table, make_lexicon):
    lexicon = make_lexicon({**CATEGORIES, "even": "Purity", "fair": "Purity"})
    raised = FORWARD.copy()
    raised[[4, 5]] = 9, 8  # the two of Purity to the top, where good things are asked for
    new, reference = table(make_table, "new", raised, -FORWARD), table(make_table, "reference", FORWARD, -FORWARD)
    check = check_budget(new, reference, lexicon, parse_budget("median_rank<=3"))
    assert (check.cell, check.reference_value, check.new_value, check.within) == ("Purity positive", 5.5, 1.5, False)
    assert {word.word for word in check.words} == {"even", "fair"} and check.words[0].negative is None
    with pytest.raises(BirthmarkError, match="median_rank<="):
        check_budget(new, reference, lexicon, parse_budget("contrast<=3"))


@pytest.mark.parametrize(
    "expression", ["", "contrast", "contrast>=10", "contrast<=", "contrast<=-1", "agency<=3", "contrast<=1e3"]
)
def test_a_budget_that_cannot_be_read_says_how_one_is_written(expression):
    with pytest.raises(BirthmarkError, match="contrast<=10"):
        parse_budget(expression)


def test_models_of_different_kinds_or_frames_are_not_held_to_each_other(make_table, make_lexicon):
    reward = table(make_table, "rm", FORWARD, -FORWARD)
    budget, lexicon = parse_budget("contrast<=1"), make_lexicon(CATEGORIES)
    with pytest.raises(BirthmarkError, match="never pooled"):
        check_budget(reward, table(make_table, "lm", FORWARD, -FORWARD, kind="logprob"), lexicon, budget)
    with pytest.raises(BirthmarkError, match="score both in one"):
        check_budget(reward, table(make_table, "qa", FORWARD, -FORWARD, frame="qa"), lexicon, budget)


@pytest.fixture
def written(make_table, make_lexicon, tmp_path) -> tuple[Path, Path, Path]:
    """Tables of a new model and of its reference, which have one name, and the lexicon's file."""
    make_lexicon(CATEGORIES)
    new = write_scores(table(make_table, "rm", FORWARD, -FORWARD), tmp_path / "new")
    reference = write_scores(table(make_table, "rm", -FORWARD, FORWARD), tmp_path / "reference")
    return new, reference, tmp_path / "small.csv"


def test_the_command_exits_3_past_the_budget_and_0_within_it(birthmark, written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new, reference, words = written
    over = birthmark("compare", "--budget", "contrast<=10", new, reference, "--lexicon", words)
    assert over.code == 3 and over.out == ""
    assert over.err.startswith("error: the contrast") and "12.0" in over.err and "able" in over.err
    assert len(over.err.strip().splitlines()) == 1
    within = birthmark("compare", "--budget", "contrast<=12", new, reference, "--lexicon", words)
    assert within.code == 0 and "stayed within the budget" in within.out
    assert not (tmp_path / "birthmark-compare").exists()


def test_the_commands_json_is_of_its_schema(birthmark, written):
    import jsonschema

    from birthmark.commands.schema import json_schema

    new, reference, words = written
    answer = birthmark("compare", "--budget", "contrast<=10", new, reference, "--lexicon", words, "--json")
    assert answer.code == 3
    found = json.loads(answer.out)
    jsonschema.validate(found, json_schema("compare-output"))
    assert found[0]["moved"] == 12 and found[0]["within"] is False


def test_bad_budgets_and_another_number_of_tables_exit_2(birthmark, written):
    new, reference, words = written
    assert birthmark("compare", "--budget", "contrast=10", new, reference, "--lexicon", words).is_error("contrast<=10")
    assert birthmark("compare", "--budget", "contrast<=10", new, "--lexicon", words).is_error("NEW REFERENCE")


# ------------------------------------------------------------------------------------------------------ interval and null

LETTERS = "bdfkm"
MANY = {
    f"{start}o{n}o{k}": name for start, name in (("g", "Agency"), ("h", "Communion")) for n in LETTERS for k in LETTERS
}


def drawn(make_table, name, seed, lean=0.0):
    """25 words of each category, scores at random, those of Communion raised by `lean` after the positive prompt."""
    scores = np.random.default_rng(seed).normal(size=(len(MANY), 2))
    scores[:, 0] += lean * np.array([category == "Communion" for category in MANY.values()])
    return make_table(name, list(MANY), scores)


def test_a_lean_of_one_standard_deviation_is_past_its_null_and_its_interval_leaves_0_out(make_table, make_lexicon):
    new, reference = drawn(make_table, "new", 1, lean=1.0), drawn(make_table, "reference", 1)
    check = check_budget(new, reference, make_lexicon(MANY), parse_budget("contrast<=5"))
    assert check.ci_low < check.new_value - check.reference_value < check.ci_high
    assert check.ci_low > 0
    assert check.p_null < 0.05 and check.moved > check.null_95


def test_two_draws_of_the_same_model_move_as_far_as_random_relabelings_do(make_table, make_lexicon):
    shares = []
    for seed in range(10):
        pair = drawn(make_table, "new", 2 * seed), drawn(make_table, "reference", 2 * seed + 1)
        shares.append(check_budget(*pair, make_lexicon(MANY), parse_budget("contrast<=5")).p_null)
    assert 0.25 < np.mean(shares) < 0.75
    assert sum(share < 0.05 for share in shares) <= 3


@pytest.mark.parametrize("budget", ["median_contrast<=1", "median_rank<=1"])
def test_medians_have_an_interval_and_a_null_too(budget, make_table, make_lexicon):
    pair = drawn(make_table, "new", 1, lean=1.0), drawn(make_table, "reference", 1)
    check = check_budget(*pair, make_lexicon(MANY), parse_budget(budget))
    assert check.ci_low <= check.new_value - check.reference_value <= check.ci_high
    assert 0 < check.p_null <= 1 and check.null_95 > 0


def test_a_contrast_is_of_mean_ranks_as_an_audit_says_it(make_table, make_lexicon):
    from birthmark.values.effects import effects

    new, reference = drawn(make_table, "new", 3, lean=0.5), drawn(make_table, "reference", 4)
    check = check_budget(new, reference, make_lexicon(MANY), parse_budget("contrast<=5"))
    found = effects([new, reference], make_lexicon(MANY)).models
    assert (check.new_value, check.reference_value) == tuple(model.mean_rank_contrast for model in found)


def test_a_budget_narrower_than_chance_says_so(make_table, make_lexicon):
    pair = drawn(make_table, "new", 5), drawn(make_table, "reference", 6)
    assert "narrower than chance" in check_budget(*pair, make_lexicon(MANY), parse_budget("contrast<=0.1")).sentence


def test_the_default_lexicon_is_a_validated_one_where_the_tables_have_its_words(make_table):
    from birthmark.commands.compare import hold_to_budget
    from birthmark.inputs.lexicons import INQUIRER_DEFAULT, is_fetched, load_lexicon

    if not is_fetched("general-inquirer"):
        pytest.skip("the General Inquirer has not been fetched")
    inquirer = load_lexicon("general-inquirer").only(INQUIRER_DEFAULT)
    for words, name in ((inquirer.words, "general-inquirer"), (load_lexicon("starter").words, "starter")):
        rng = np.random.default_rng(0)
        pair = [make_table(model, list(words), rng.normal(size=(len(words), 2))) for model in ("new", "reference")]
        (check,) = hold_to_budget(pair, "contrast<=1000")
        assert check.lexicon == name


def test_a_category_without_a_stem_of_its_own_has_a_null_all_the_same(make_table, make_lexicon):
    words = {"care": "Communion", "cares": "Agency", "dear": "Communion"}
    rng = np.random.default_rng(0)
    pair = [make_table(name, list(words), rng.normal(size=(3, 2))) for name in ("new", "reference")]
    check = check_budget(*pair, make_lexicon(words), parse_budget("contrast<=1"))
    assert 0 < check.p_null <= 1 and (check.ci_low, check.ci_high) == (None, None)
