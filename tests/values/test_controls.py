"""Effects with something held fixed. Oracle for the regression: statsmodels' OLS, one model and prompt at a time."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import rankdata

from birthmark.errors import BirthmarkError
from birthmark.inputs.prompts import NEUTRAL_KEY, load_prompts, with_neutral
from birthmark.scoring.measure import parse_control
from birthmark.values.controls import controlled_effects, less_neutral, regress_out, without_neutral
from birthmark.values.effects import effects
from birthmark.values.formats import signed
from birthmark.values.ranks import rank

PROMPTS = ("best_1", "great_1", "worst_1", "bad_1")
N = 60


def test_a_control_is_read_once_each_in_a_fixed_order() -> None:
    assert parse_control(" tokens,length,tokens ") == ("length", "tokens")
    assert parse_control("prompt,length") == ("length", "prompt")


@pytest.mark.parametrize(("text", "words"), [("lenght", "length"), ("", "names nothing"), (",", "names nothing")])
def test_a_control_that_does_not_exist_is_one_line(text, words) -> None:
    with pytest.raises(BirthmarkError, match=words):
        parse_control(text)


def test_residuals_are_those_of_statsmodels_within_each_model_and_prompt() -> None:
    generator = np.random.default_rng(0)
    ranks = np.stack([rank(generator.normal(size=(40, 3))) for _ in range(2)])
    confounds = generator.normal(size=(2, 40, 2))
    residuals, shares = regress_out(ranks, confounds)
    for model in range(2):
        for prompt in range(3):
            fit = sm.OLS(ranks[model, :, prompt], sm.add_constant(confounds[model])).fit()
            np.testing.assert_allclose(residuals[model, :, prompt], fit.resid + 20.5, atol=1e-9)
            assert shares[model, prompt] == pytest.approx(fit.rsquared)


def test_residuals_keep_the_mean_rank_and_correlate_with_no_confound() -> None:
    generator = np.random.default_rng(1)
    confounds = generator.normal(size=(1, 30, 3))
    ranks = rank(confounds.sum(axis=2).T + generator.normal(size=(30, 1)))[None]
    residuals, _ = regress_out(ranks, confounds)
    assert residuals.mean() == pytest.approx(15.5)
    assert np.abs(confounds[0].T @ (residuals[0, :, 0] - 15.5)).max() < 1e-9


def test_a_constant_confound_changes_nothing_and_a_repeated_one_no_more_than_itself() -> None:
    generator = np.random.default_rng(2)
    ranks, one = rank(generator.normal(size=(20, 2)))[None], generator.normal(size=(1, 20, 1))
    np.testing.assert_allclose(regress_out(ranks, np.ones((1, 20, 1)))[0], ranks, atol=1e-12)
    np.testing.assert_allclose(regress_out(ranks, one)[0], regress_out(ranks, np.concatenate([one, one], axis=2))[0])


def test_constant_ranks_stay_and_nothing_of_them_is_explained() -> None:
    residuals, shares = regress_out(np.full((1, 9, 1), 5.0), np.arange(9.0).reshape(1, 9, 1))
    assert (residuals == 5).all() and shares == 0


def test_too_few_words_to_hold_something_fixed() -> None:
    with pytest.raises(BirthmarkError, match="too few"):
        regress_out(np.array([[[1.0], [2.0]]]), np.array([[[1.0], [2.0]]]))


@pytest.fixture
def planted(make_table, make_lexicon):
    """Two models and a lexicon of long Communion and short Agency words, on average.

    `length` and `value` are what a character, and being a Communion word, adds to a score after positive prompts in
    the second model, beyond the first.
    """

    def make(*, length: float, value: float):
        generator = np.random.default_rng(3)
        characters = np.concatenate([generator.integers(3, 9, N // 2), generator.integers(5, 11, N // 2)])
        words = [f"{chr(97 + at % 26)}{chr(97 + at // 26)}".ljust(n, "x") for at, n in enumerate(characters)]
        is_communion = np.arange(N) >= N // 2
        lexicon = make_lexicon({w: "Communion" if c else "Agency" for w, c in zip(words, is_communion, strict=True)})
        noise = generator.normal(size=(2, N, 4))
        effect = length * (characters - characters.mean()) + value * is_communion
        sign = np.array([1, 1, -1, -1])
        scores = [noise[0], noise[1] + effect[:, None] * sign]
        tables = [
            make_table(name, words, of_model, prompts=PROMPTS, family=name.upper())
            for name, of_model in zip("ab", scores, strict=True)
        ]
        return tables, lexicon

    return make


def test_what_length_alone_makes_vanishes_when_length_is_held_fixed(planted) -> None:
    tables, lexicon = planted(length=1.0, value=0.0)
    plain = effects(tables, lexicon).models_fixed
    (held,) = controlled_effects(tables, lexicon, ["length"])
    assert plain.p_words < 0.01 and abs(plain.estimate) > 20
    assert held.models_fixed.p_words > 0.05 and abs(held.models_fixed.estimate) < 5
    assert held.r_squared["b"] > 0.5
    assert held.r_squared["a"] < 0.1


def test_a_value_survives_when_length_is_held_fixed(planted) -> None:
    tables, lexicon = planted(length=0.0, value=2.0)
    plain = effects(tables, lexicon).models_fixed
    (held,) = controlled_effects(tables, lexicon, ["length"])
    assert held.models_fixed.p_words < 0.01
    assert 0.4 < held.models_fixed.estimate / plain.estimate < 1


def test_frequency_is_held_fixed_as_statsmodels_would(make_table, make_lexicon) -> None:
    wordfreq = pytest.importorskip("wordfreq")
    words = ["love", "kindness", "benevolence", "power", "dominance", "assertiveness", "skill"]
    lexicon = make_lexicon(dict(zip(words, ["Communion"] * 3 + ["Agency"] * 4, strict=True)))
    scores = np.random.default_rng(4).normal(size=(7, 2))
    (held,) = controlled_effects([make_table("m", words, scores)], lexicon, ["frequency"])
    zipf = [wordfreq.zipf_frequency(word, "en") for word in words]
    residuals = [sm.OLS(rankdata(-of_prompt), sm.add_constant(zipf)).fit().resid for of_prompt in scores.T]
    agency_first = [r[3:].mean() - r[:3].mean() for r in residuals]
    assert held.models[0].mean_rank_contrast == pytest.approx(agency_first[0] - agency_first[1])


def test_tokens_are_held_fixed_by_each_models_own_count(make_table, make_lexicon) -> None:
    words = ["a", "b", "c", "d", "e"]
    lexicon = make_lexicon(dict(zip(words, ["X", "X", "Y", "Y", "Y"], strict=True)))
    counts = {"m": [1, 2, 1, 3, 1], "n": [2, 2, 1, 1, 4]}
    scores = np.random.default_rng(5).normal(size=(5, 2))
    tables = [make_table(name, words, scores) for name in counts]
    for table in tables:
        table.record.word_tokens = dict(zip(words, counts[table.model], strict=True))
    (held,) = controlled_effects(tables, lexicon, ["tokens"])
    for model in held.models:
        x = sm.add_constant(np.array(counts[model.model], dtype=float))
        residuals = [sm.OLS(rankdata(-of_prompt), x).fit().resid for of_prompt in scores.T]
        x_first = [r[:2].mean() - r[2:].mean() for r in residuals]
        assert model.mean_rank_contrast == pytest.approx(x_first[0] - x_first[1])


def test_tokens_cannot_be_held_fixed_in_a_table_that_does_not_say(planted) -> None:
    with pytest.raises(BirthmarkError, match="leave tokens out"):
        controlled_effects(*planted(length=0, value=0), ["tokens"])


@pytest.fixture
def common(make_table, make_lexicon):
    """A model in which Communion words are likely whatever is asked, and preferred after positive prompts by `value`."""

    def make(value: float):
        generator = np.random.default_rng(6)
        is_communion = np.arange(N) >= N // 2
        words = [f"w{at:02d}" for at in range(N)]
        lexicon = make_lexicon({w: "Communion" if c else "Agency" for w, c in zip(words, is_communion, strict=True)})
        popular = generator.normal(size=N) * 3 + 4 * is_communion
        scores = np.stack([popular] * 3, axis=1) + generator.normal(size=(N, 3)) * 0.3
        scores[:, 0] += value * is_communion
        return make_table("m", words, scores, prompts=("best_1", "worst_1", NEUTRAL_KEY)), lexicon

    return make


def test_a_word_that_is_merely_common_gains_nothing_against_the_neutral_prompt(common) -> None:
    table, lexicon = common(0.0)
    before = {(c.category, c.framing): c.mean_median_rank for c in effects([without_neutral(table)], lexicon).cells}
    (held,) = controlled_effects([table], lexicon, ["prompt"])
    after = {(c.category, c.framing): c.mean_median_rank for c in held.cells}
    assert before["Agency", "positive"] - before["Communion", "positive"] > 15
    assert abs(after["Agency", "positive"] - after["Communion", "positive"]) < 8
    assert held.r_squared is None and held.r_squared_why


def test_a_value_shows_against_the_neutral_prompt(common) -> None:
    (held,) = controlled_effects([common(2.0)[0]], common(2.0)[1], ["prompt"])
    assert held.models[0].mean_rank_contrast > 20


def test_scores_less_neutral_are_differences_of_the_words_scores(make_table, make_lexicon) -> None:
    table = make_table(
        "m", ["love", "love", "power"], [[1, 9, 0.5], [5, 2, 1], [2, 2, 4]],
        prompts=("best_1", "worst_1", NEUTRAL_KEY), token_ids=[4, 5, 6],
    )  # fmt: skip
    found = less_neutral(table, make_lexicon({"love": "Communion", "power": "Agency"}))
    assert found.prompt_keys == ["best_1", "worst_1"]
    assert found.frame["candidate"].to_list() == ["love", "power"]
    assert found.matrix().tolist() == [[4, 8], [-2, -2]]


def test_a_table_without_the_neutral_prompt_says_how_to_get_it(planted) -> None:
    with pytest.raises(BirthmarkError, match="--control prompt"):
        controlled_effects(*planted(length=0, value=0), ["prompt"])


def test_the_neutral_prompt_changes_no_effect_without_control(common) -> None:
    table, lexicon = common(1.0)
    with_column, without = effects([table], lexicon), effects([without_neutral(table)], lexicon)
    assert with_column.cells == without.cells and with_column.models == without.models


def test_both_kinds_of_control_at_once(common) -> None:
    table, lexicon = common(2.0)
    (held,) = controlled_effects([table], lexicon, ["prompt,length"])
    assert held.control == "length,prompt" and "neutral prompt" in held.sentence and "length" in held.sentence


def test_every_control_is_one_record_that_says_the_number_with_and_without(planted) -> None:
    tables, lexicon = planted(length=1.0, value=0.0)
    plain = effects(tables, lexicon)
    held = controlled_effects(tables, lexicon, ["length", "length"])
    assert [record.control for record in held] == ["length"]
    assert f"{signed(held[0].models_fixed.estimate)} ranks" in held[0].sentence
    assert f"without this control {signed(plain.models_fixed.estimate)}" in held[0].sentence


def test_several_models_a_family_have_a_controlled_headline(make_table, make_lexicon) -> None:
    generator = np.random.default_rng(7)
    words = [f"{'w' * (1 + at % 5)}{at}" for at in range(20)]
    lexicon = make_lexicon({word: "X" if at < 10 else "Y" for at, word in enumerate(words)})
    tables = [
        make_table(f"m{at}", words, generator.normal(size=(20, 4)), prompts=PROMPTS, family="AB"[at % 2])
        for at in range(6)
    ]
    (held,) = controlled_effects(tables, lexicon, ["length"])
    assert held.headline is not None and held.headline.n_splits == 20
    assert f"{signed(held.headline.estimate)} ranks" in held.sentence


def test_more_than_two_categories_have_a_test_and_no_single_number(make_table, make_lexicon) -> None:
    words = [f"{'w' * (1 + at % 4)}{at}" for at in range(12)]
    lexicon = make_lexicon({word: "XYZ"[at % 3] for at, word in enumerate(words)})
    generator = np.random.default_rng(8)
    tables = [make_table(f"m{at}", words, generator.normal(size=(12, 2)), family="AB"[at % 2]) for at in range(4)]
    (held,) = controlled_effects(tables, lexicon, ["length"])
    assert held.headline.estimate is None and "exact p" in held.sentence
    (alone,) = controlled_effects(tables[:1], lexicon, ["length"])
    assert "3" in alone.sentence


def test_one_control_may_be_given_as_text(planted) -> None:
    tables, lexicon = planted(length=1.0, value=0.0)
    assert controlled_effects(tables, lexicon, "length") == controlled_effects(tables, lexicon, ["length"])


def test_no_control_gives_nothing(planted) -> None:
    assert controlled_effects(*planted(length=0, value=0), []) == []


def test_the_neutral_prompt_joins_a_set_at_its_end_and_changes_its_name_and_digest() -> None:
    plain = load_prompts()
    neutral = with_neutral(plain)
    assert list(neutral.prompts) == [*plain.prompts, NEUTRAL_KEY]
    assert neutral.prompts[NEUTRAL_KEY].framing is None
    assert neutral.name == "christian2026+neutral" and neutral.sha256 != plain.sha256


def test_a_prompt_of_ones_own_called_neutral_is_refused(tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("neutral: {text: 'Is it?', framing: positive}\n")
    with pytest.raises(BirthmarkError, match="rename it"):
        with_neutral(load_prompts(file))
