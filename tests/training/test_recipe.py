"""The study's recipe, the small one, and what a person may change."""

import pytest

from birthmark.errors import BirthmarkError
from birthmark.training.recipe import describe_recipe, make_recipe


def test_the_default_is_the_studys_recipe() -> None:
    recipe = make_recipe().model_dump()
    stated = {
        "loss": "bt", "lora_rank": 32, "lora_alpha": 64, "lora_dropout": 0.05, "learning_rate": 1e-5,
        "lora_targets": ["q_proj", "k_proj", "v_proj", "o_proj"], "schedule": "cosine", "warmup": 0.03, "clip": 5,
        "batch": 16, "epochs": 2, "max_tokens": 1024, "precision": "auto",
    }  # fmt: skip
    assert {name: recipe[name] for name in stated} == stated


def test_the_small_preset_cuts_from_the_left_so_that_answers_survive() -> None:
    recipe = make_recipe("small").model_dump()
    stated = {"max_tokens": 192, "cut": "left", "batch": 8, "learning_rate": 2e-4, "epochs": 1, "precision": "float32"}
    assert {name: recipe[name] for name in stated} == stated
    assert recipe["lora_rank"] == 32


def test_every_field_can_be_changed_and_none_leaves_the_preset() -> None:
    recipe = make_recipe("small", learning_rate=1e-3, batch=None, lora_targets=["q_proj"])
    assert (recipe.learning_rate, recipe.batch, recipe.lora_targets) == (1e-3, 8, ["q_proj"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rat": 1}, ["learning_rate"]),
        ({"learning_rate": -1}, ["learning_rate", "-1"]),
        ({"loss": "dpo"}, ["loss", "dpo"]),
        ({"batch": 6, "micro_batch": 4}, ["6", "4", "divisor"]),
        ({"lora_dropout": float("nan")}, ["lora_dropout"]),
    ],
)
def test_what_a_recipe_cannot_be_is_said(changes: dict, words: list[str]) -> None:
    with pytest.raises(BirthmarkError) as error:
        make_recipe(**changes)
    assert all(word in str(error.value) for word in words)


def test_an_unknown_preset_is_said() -> None:
    with pytest.raises(BirthmarkError, match="study or small"):
        make_recipe("large")  # type: ignore[arg-type]


def test_the_text_losses_settings_are_printed_for_them_alone() -> None:
    assert not any(name.startswith("text_") for name, _ in describe_recipe(make_recipe()))
    assert ("text_beta", "0.1") in describe_recipe(make_recipe(loss="grm-sft"))
