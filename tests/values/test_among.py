"""Where one reward model stands among others; the published ten's values, recomputed by hand from the study's files."""

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import scipy

from birthmark.paper.data import study_data
from birthmark.records import to_json
from birthmark.values.among import published_values

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
