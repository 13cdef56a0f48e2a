"""Where one reward model stands among others; the published ten's values, recomputed by hand from the study's files."""

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import scipy

from birthmark.inputs.lexicons import Lexicon
from birthmark.paper.data import StudyData, study_data
from birthmark.records import to_json
from birthmark.scoring.table import ScoreTable
from birthmark.values.among import Reference, exact_share, one_table_a_model, percentile, published_values, standing
from birthmark.values.wording_among import ordinal, share_sentence

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_published", ROOT / "docs" / "generate_published.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_bundled_values_are_what_the_published_files_give(shared: Path, generator: ModuleType) -> None:
    found = generator.published(study_data(shared / "paper-data"))
    assert generator.TARGET.read_text(encoding="utf-8") == to_json(found)


def test_a_bundled_contrast_is_that_of_plain_ranks(shared: Path) -> None:
    data = shared / "paper-data" / "data"
    with (data / "corpora" / "dict_big2_nouns.csv").open(encoding="utf-8") as file:
        rows = [(row["token_decoded"], row["Category"]) for row in csv.DictReader(file)]
    path = data / "reward_model_scores" / "dict_big2_nouns" / "big2_rewards_Ray2333_GRM-gemma2-2B-rewardmodel-ft.csv"
    with path.open(encoding="utf-8") as file:
        scores = {row["response"]: row for row in csv.DictReader(file)}
    keys = [key for key in next(iter(scores.values())) if key != "response"]
    matrix = np.array([[float(scores[word][key]) for key in keys] for word, _ in rows])
    ranks = scipy.stats.rankdata(-matrix, axis=0)
    agency = np.array([category == "Agency" for _, category in rows])
    gap = ranks[agency].mean(axis=0) - ranks[~agency].mean(axis=0)
    bad = np.array([key.startswith(("worst", "bad", "terrible")) for key in keys])
    ten = next(item for item in published_values().lexicons if item.lexicon == "big-two-nouns")
    model = next(model for model in ten.models if model.model == "grm-gemma2-2b")
    assert model.mean_rank_contrast == pytest.approx(gap[~bad].mean() - gap[bad].mean(), abs=1e-4)
    assert model.ci_low is not None and model.ci_high is not None
    assert model.ci_low < model.mean_rank_contrast < model.ci_high


def test_the_bundle_holds_ten_models_on_five_base_checkpoints_and_no_word_but_those_of_starter() -> None:
    for item in published_values().lexicons:
        assert len(item.models) == 10
        assert len({model.base_checkpoint for model in item.models}) == 5
        assert (item.words is None) == (item.lexicon != "starter")


# ------------------------------------------------------------------------------------------------------ mine among others


@pytest.fixture(scope="module")
def study(shared: Path) -> StudyData:
    return study_data(shared / "paper-data")


@pytest.fixture(scope="module")
def by_tables(study: StudyData) -> Reference:
    return Reference("study", "the files", (tuple(study.big_two_tables), tuple(study.mfd2_tables)))


@pytest.fixture(scope="module")
def mine(study: StudyData) -> ScoreTable:
    """One of the ten under another name."""
    table = next(table for table in study.big_two_tables if table.model == "armorm-llama3-8b")
    return ScoreTable(table.frame, table.record.model_copy(update={"model": "mine"}))


@pytest.fixture(scope="module")
def nouns(study: StudyData) -> Lexicon:
    return study.lexicon("dict_big2_nouns")


def test_a_copy_of_a_published_model_stands_where_that_one_does(
    mine: ScoreTable, nouns: Lexicon, by_tables: Reference
) -> None:
    found = standing(mine, nouns, by_tables)
    assert found.nearest == "armorm-llama3-8b"
    assert found.others[0].distance == pytest.approx(0, abs=1e-9)
    assert found.others[0].spearman == pytest.approx(1)
    assert (found.others[0].difference_ci_low, found.others[0].difference_ci_high) == (0, 0)
    assert (found.place, found.n_models) == (8, 11)  # seven lean more to communion, two less, one is the same
    assert found.percentile == 25
    assert found.percentile_low is not None and found.percentile_high is not None
    assert 0 <= found.percentile_low < 25 < found.percentile_high < 100


def test_the_published_values_alone_give_the_same_place_as_the_score_tables(
    mine: ScoreTable, nouns: Lexicon, by_tables: Reference
) -> None:
    tables, values = standing(mine, nouns, by_tables), standing(mine, nouns, Reference("study", "values"))
    assert (values.basis, tables.basis) == ("published values", "score tables")
    assert (values.place, values.percentile, values.nearest) == (tables.place, tables.percentile, tables.nearest)
    assert [other.model for other in values.others] == [other.model for other in tables.others]
    for one, other in zip(values.others, tables.others, strict=True):
        assert one.distance == pytest.approx(other.distance, abs=1e-3)
        assert one.spearman is None


def test_a_model_is_not_placed_among_itself(study: StudyData, nouns: Lexicon, by_tables: Reference) -> None:
    found = standing(study.big_two_tables[0], nouns, by_tables)
    assert len(found.others) == 9
    assert study.big_two_tables[0].model not in {other.model for other in found.others}


def test_ten_categories_have_a_place_each(study: StudyData, by_tables: Reference) -> None:
    table = study.mfd2_tables[0]
    renamed = ScoreTable(table.frame, table.record.model_copy(update={"model": "mine"}))
    found = standing(renamed, study.lexicon("dict_MFD_20"), by_tables)
    assert found.place is None and found.percentile is None
    assert len(found.by_category) == 10
    for place in found.by_category:
        larger = sum(gain > place.gain + 1e-9 for gain in place.others.values())
        assert place.place == 1 + larger


def test_a_model_that_was_asked_other_questions_is_not_placed_by_values_alone(mine: ScoreTable, nouns: Lexicon) -> None:
    fewer = ScoreTable(mine.frame.select("candidate", "token_id", "best_ever_one"), mine.record)
    prompts = mine.record.prompt_set.model_copy(update={"prompts": {"best_ever_one": mine.prompts["best_ever_one"]}})
    fewer = ScoreTable(fewer.frame, mine.record.model_copy(update={"prompt_set": prompts}))
    found = standing(fewer, nouns, Reference("study", "values"))
    assert found.place is None
    assert found.mine_why is not None and "54 prompts" in found.mine_why


def test_an_unknown_lexicon_needs_the_tables(mine: ScoreTable) -> None:
    own = Lexicon("own", {"love": ("A",), "freedom": ("B",)}, False, None, None, "own.csv")
    assert "--data" in str(standing(mine, own, Reference("study", "values")).mine_why)


def test_tables_of_one_model_are_put_together(study: StudyData) -> None:
    merged = one_table_a_model([*study.big_two_tables, *study.mfd2_tables])
    assert len(merged) == 10
    assert all(table.frame["candidate"].n_unique() == table.frame.height == 2260 for table in merged)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0.0), (1.0, 12.5), (2.5, 50.0), (9.0, 100.0)])
def test_a_percentile_counts_equals_half(value: float, expected: float) -> None:
    assert percentile(value, [1.0, 2.0, 3.0, 4.0]) == expected


def test_an_exact_share_of_none_is_that_of_its_closed_form() -> None:
    low, high = exact_share(0, 5)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 5))


def test_a_place_among_five_base_checkpoints_is_said_to_be_about_them(
    mine: ScoreTable, nouns: Lexicon, by_tables: Reference
) -> None:
    found = standing(mine, nouns, by_tables)
    said = share_sentence(found)
    assert said is not None and "5 base checkpoints" in said


@pytest.mark.parametrize(("n", "said"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (12, "12th"), (22, "22nd")])
def test_ordinals(n: int, said: str) -> None:
    assert ordinal(n) == said
