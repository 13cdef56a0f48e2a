"""The study's recipe, the small one, and what a person may change. The steps that are kept, and the folders' names."""

from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.models.folder import checkpoint_folders, checkpoint_name
from birthmark.training.recipe import checkpoint_steps, describe_recipe, make_recipe, total_steps

# --- recipe


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


# --- schedule


@pytest.mark.parametrize(
    ("total", "every", "expected"),
    [
        (1, 500, [0, 1]),
        (16, 500, [0, 1, 2, 4, 8, 16]),
        (16, 6, [0, 1, 2, 4, 6, 8, 12, 16]),
        (10, 3, [0, 1, 2, 3, 4, 6, 8, 9, 10]),
    ],
)
def test_the_first_the_powers_of_two_every_kth_and_the_last_are_kept(total: int, every: int, expected: list) -> None:
    assert checkpoint_steps(total, every) == expected


@pytest.mark.parametrize(
    ("pairs", "epochs", "batch", "steps"),
    [(24, 2, 8, 6), (25, 1, 8, 4), (25, 2, 8, 7), (3, 1, 8, 1), (100, 0.5, 10, 5)],
)
def test_batches_run_on_from_one_epoch_into_the_next(pairs: int, epochs: float, batch: int, steps: int) -> None:
    assert total_steps(pairs, epochs, batch) == steps


def test_folders_are_found_in_the_order_of_steps_and_others_passed_over(tmp_path: Path) -> None:
    for name in (checkpoint_name(10), checkpoint_name(2), checkpoint_name(1_000_000), "step-x", ".step-000003"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    (tmp_path / "checkpoints" / checkpoint_name(7)).touch()
    assert [step for step, _ in checkpoint_folders(tmp_path)] == [2, 10, 1_000_000]
