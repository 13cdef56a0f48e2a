"""Stages: correlations and explained variances against numpy, scipy and statsmodels, on words whose origin is known."""

import json

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import rankdata, spearmanr

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import Entry
from birthmark.scoring.table import write_scores
from birthmark.values.joined import join_tables
from birthmark.values.random_heads import HeadWords
from birthmark.values.ranks import framing_contrast
from birthmark.values.stages import join_tables_of_stages, stages

WORDS = [f"{category}{letter}" for category in ("ag", "co") for letter in "bcdfghjklmnpqrtvwxz"]
CATEGORIES = {word: "Agency" if word.startswith("ag") else "Communion" for word in WORDS}


@pytest.fixture
def family(make_table):
    def make(name: str, rng: np.random.Generator, weights=(1.0, 1.0, 1.0), instruct: bool = True, frame: str = "chat"):
        """Tables of a pretrained and an instruct model and of an RM made of both and of something new."""
        pretrained, tuned, new = rng.normal(size=(3, len(WORDS), 2)) - 10.0
        after = pretrained + tuned
        reward = weights[0] * pretrained + weights[1] * tuned + weights[2] * new
        tables = [make_table(f"{name}-pt", WORDS, pretrained, family=name, kind="logprob", frame=frame)]
        if instruct:
            tables.append(make_table(f"{name}-it", WORDS, after, family=name, kind="logprob", frame=frame))
        return [*tables, make_table(f"{name}-rm", WORDS, reward, family=name)]

    return make


def values_of(tables, lexicon):
    joined = join_tables_of_stages(tables, lexicon)
    return dict(zip(joined.models, framing_contrast(joined.ranks, joined.framings), strict=True))


def test_each_stage_is_spearmans_correlation_and_the_r_squared_of_a_regression(family, make_lexicon):
    lexicon = make_lexicon(CATEGORIES)
    tables = [*family("A", np.random.default_rng(1)), *family("B", np.random.default_rng(2))]
    found = stages(tables, lexicon, catalog={})
    values = values_of(tables, lexicon)
    assert [item.of for item in found.found] == ["A", "B", "B − A"]
    columns = {
        "A": [values[f"A-{part}"] for part in ("pt", "it", "rm")],
        "B − A": [values[f"B-{part}"] - values[f"A-{part}"] for part in ("pt", "it", "rm")],
    }
    for item in (found.found[0], found.found[2]):
        pretrained, instruct, reward = columns[item.of]
        assert [fit.stage for fit in item.stages] == ["pretrained", "instruct"]
        assert item.stages[0].spearman == pytest.approx(spearmanr(reward, pretrained).statistic)
        assert item.stages[1].spearman == pytest.approx(spearmanr(reward, instruct).statistic)
        ranked = [rankdata(column) for column in (pretrained, instruct, reward)]
        one, two = (sm.OLS(ranked[2], sm.add_constant(np.column_stack(ranked[:n]))).fit().rsquared for n in (1, 2))
        assert [fit.r_squared for fit in item.stages] == pytest.approx([one, two])
        assert [fit.added for fit in item.stages] == pytest.approx([one, two - one])
        assert item.left == pytest.approx(1 - two) and item.left_ci_low < item.left < item.left_ci_high + 0.1


def test_what_a_reward_model_takes_from_pretraining_alone_is_found_there(family, make_lexicon):
    rng = np.random.default_rng(5)
    tables = [*family("A", rng, (1, 0, 0.01)), *family("B", rng, (1, 0, 0.01))]
    gap = stages(tables, make_lexicon(CATEGORIES), catalog={}).found[-1]
    assert gap.stages[0].added > 0.95 and gap.stages[1].added < 0.05 and gap.left < 0.05


def test_the_null_is_what_random_heads_explain(family, make_lexicon):
    lexicon = make_lexicon(CATEGORIES)
    tables = family("A", np.random.default_rng(1))
    rng = np.random.default_rng(9)
    heads = HeadWords("base", "A", tuple(sorted(WORDS)), rng.normal(size=(500, len(WORDS))).astype(np.float32))
    fit = stages(tables, lexicon, [heads], catalog={}).found[0].stages[0]
    values = values_of(tables, lexicon)
    null = [spearmanr(row, values["A-pt"]).statistic for row in heads.values]
    assert (fit.null_low, fit.null_high) == pytest.approx(tuple(np.quantile(null, [0.025, 0.975])))
    assert fit.p_null == pytest.approx((np.sum(np.abs(null) >= abs(fit.spearman)) + 1) / 501)
    assert fit.added_null == pytest.approx(np.mean(np.square(null)))
    assert fit.added_null == pytest.approx(1 / (len(WORDS) - 1), rel=0.2)  # of noise: 1 / (n − 1)


def test_a_null_of_another_family_is_not_used(family, make_lexicon):
    heads = HeadWords("base", "B", tuple(WORDS), np.zeros((3, len(WORDS)), dtype=np.float32))
    found = stages(family("A", np.random.default_rng(1)), make_lexicon(CATEGORIES), [heads], catalog={}).found[0]
    assert found.n_heads is None and "--null" in found.null_why and found.stages[0].p_null is None


def test_the_interval_over_words_covers_as_it_says(family, make_lexicon):
    """Independent words: the bootstrap's interval of Spearman's correlation is about 2 × 1.96 / √n wide."""
    fit = (
        stages(family("A", np.random.default_rng(3), (0, 0, 1)), make_lexicon(CATEGORIES), catalog={})
        .found[0]
        .stages[0]
    )
    assert fit.ci_high - fit.ci_low == pytest.approx(2 * 1.96 / np.sqrt(len(WORDS)), rel=0.3)


def test_a_single_language_model_is_one_stage(family, make_lexicon):
    found = stages(family("A", np.random.default_rng(1), instruct=False), make_lexicon(CATEGORIES), catalog={})
    assert [fit.stage for fit in found.found[0].stages] == ["language model"]
    assert "one" not in found.families and "two families" in found.gap_why


def test_the_catalog_knows_stages_better_than_the_order_of_the_tables(family, make_lexicon):
    pretrained, instruct, reward = family("A", np.random.default_rng(1))
    known = {
        name: Entry(name=name, kind="logprob", stage=stage)
        for name, stage in (("A-pt", "pretrained"), ("A-it", "instruct"))
    }
    lexicon = make_lexicon(CATEGORIES)
    turned = stages([reward, instruct, pretrained], lexicon, catalog=known).found[0]
    assert turned.stages == stages([pretrained, instruct, reward], lexicon, catalog={}).found[0].stages
    half = stages([instruct, pretrained, reward], lexicon, catalog={"A-it": known["A-it"]}).found[0]
    assert [fit.models for fit in half.stages] == [["A-pt"], ["A-it"]]


def test_several_reward_models_of_a_family_are_averaged(family, make_table, make_lexicon):
    lexicon = make_lexicon(CATEGORIES)
    tables = family("A", np.random.default_rng(1))
    more = make_table("A-rm2", WORDS, np.random.default_rng(8).normal(size=(len(WORDS), 2)), family="A")
    found = stages([*tables, more], lexicon, catalog={}).found[0]
    values = values_of([*tables, more], lexicon)
    mean = (values["A-rm"] + values["A-rm2"]) / 2
    assert found.reward_models == ["A-rm", "A-rm2"]
    assert found.stages[0].spearman == pytest.approx(spearmanr(mean, values["A-pt"]).statistic)


def test_what_is_missing_is_named(family, make_table, make_lexicon):
    lexicon = make_lexicon(CATEGORIES)
    pretrained, instruct, reward = family("A", np.random.default_rng(1))
    for tables, said in (
        ([pretrained, instruct], "tables of both"),
        ([pretrained, *family("B", np.random.default_rng(2))], "A has no reward model"),
        ([reward, *family("B", np.random.default_rng(2))], "A has no language model"),
    ):
        with pytest.raises(BirthmarkError, match=said):
            stages(tables, lexicon, catalog={})
    third = make_table("A-more", WORDS, np.zeros((len(WORDS), 2)), family="A", kind="logprob")
    with pytest.raises(BirthmarkError, match="--catalog"):
        stages([pretrained, instruct, third, reward], lexicon, catalog={})


def test_ranks_of_rewards_and_of_log_probabilities_are_those_of_each_alone(family, make_lexicon):
    lexicon = make_lexicon(CATEGORIES)
    tables = family("A", np.random.default_rng(1))
    together = join_tables_of_stages(tables, lexicon)
    assert np.array_equal(together.ranks[2], join_tables(tables[2:], lexicon).ranks[0])


def test_the_command_writes_a_record_a_figure_and_a_page(birthmark, family, make_lexicon, tmp_path):
    import jsonschema

    from birthmark.commands.schema import json_schema

    make_lexicon(CATEGORIES)
    tables = [*family("A", np.random.default_rng(1)), *family("B", np.random.default_rng(2))]
    paths = [write_scores(table, tmp_path / "scores") for table in tables]
    out = tmp_path / "out"
    asked = ("compare", "--stages", *paths, "--lexicon", tmp_path / "small.csv", "--out", out)
    answer = birthmark(*asked)
    assert answer.code == 0, answer.err
    assert "is left to the preference data" in " ".join(answer.out.split())
    record = json.loads((out / "stages" / "small.json").read_text())
    jsonschema.validate(record, json_schema("stages"))
    assert "B − A" in (out / "report.html").read_text(encoding="utf-8")
    assert (out / "figures" / "small-stages.svg").is_file()
    assert birthmark("report", out).code == 0
    assert birthmark(*asked, "--null", tmp_path).is_error("random heads")


def test_language_models_in_different_frames_are_compared_only_where_asked_for(
    birthmark, family, make_lexicon, tmp_path
):
    make_lexicon(CATEGORIES)
    tables = [*family("A", np.random.default_rng(1)), *family("B", np.random.default_rng(2), frame="qa")]
    paths = [write_scores(table, tmp_path / "scores") for table in tables]
    asked = ("compare", "--stages", *paths, "--lexicon", tmp_path / "small.csv", "--out", tmp_path / "out", "--json")
    assert birthmark(*asked).is_error("different frames", "--mixed-frames")
    answer = birthmark(*asked, "--mixed-frames")
    assert answer.code == 0 and any("frame" in text for text in json.loads(answer.out)[0]["warnings"])
