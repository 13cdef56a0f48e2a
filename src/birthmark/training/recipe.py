"""The recipe of a run (the study's, or a small one for a laptop), and the steps at which checkpoints are saved."""

import math
from typing import Any, Literal

from pydantic import ValidationError

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.text import did_you_mean
from birthmark.records import Recipe


def total_steps(pairs: int, epochs: float, batch: int) -> int:
    """Optimizer steps of a run: ⌈pairs · epochs / batch⌉; a batch may span two epochs."""
    return max(1, math.ceil(round(pairs * epochs) / batch))


def checkpoint_steps(total: int, every: int) -> list[int]:
    """Steps to save, ascending: 0 (before training), the powers of two, each multiple of `every`, and the last."""
    powers = {2**exponent for exponent in range(total.bit_length())}
    return sorted({0, total} | powers | set(range(every, total, every)))


Preset = Literal["study", "small"]


# Small: truncating on the left keeps the ends of answers, and a few dozen pairs change a model of some 100M parameters.
PRESETS: dict[Preset, dict[str, Any]] = {
    "study": {},
    "small": {
        "learning_rate": 2e-4,
        "batch": 8,
        "micro_batch": 2,
        "epochs": 1.0,
        "max_tokens": 192,
        "cut": "left",
        "precision": "float32",
        "recompute_activations": False,
        "checkpoint_every": 16,
    },
}


def make_recipe(preset: Preset = "study", **changes: Any) -> Recipe:
    """The preset's recipe with the user's changes; None keeps the preset's value.

    Raises `BirthmarkError` for an unknown preset or field, and for a value out of range.
    """
    if preset not in PRESETS:
        raise BirthmarkError(f"no preset is called {preset}: write study or small")
    given = {name: value for name, value in changes.items() if value is not None}
    for name in given:
        if name not in Recipe.model_fields:
            raise BirthmarkError(f"a recipe has no {name}: {did_you_mean(name, Recipe.model_fields)}")
    try:
        recipe = Recipe.model_validate({**PRESETS[preset], **given})
    except ValidationError as error:
        first = error.errors()[0]
        given_value = one_line(repr(first["input"]), 40)
        raise BirthmarkError(f"the recipe's {first['loc'][0]} cannot be {given_value}: {first['msg']}") from None
    if "batch" in given and "micro_batch" not in given and recipe.batch % recipe.micro_batch:
        recipe = recipe.model_copy(update={"micro_batch": 1})
    if recipe.batch % recipe.micro_batch:
        raise BirthmarkError(
            f"a batch of {recipe.batch} pairs cannot be split into micro-batches of {recipe.micro_batch}: choose a divisor"
        )
    return recipe


def describe_recipe(recipe: Recipe) -> list[tuple[str, str]]:
    """Name and value of every field that this recipe's loss uses, as printed before a run."""
    rows = [
        (name, ", ".join(value) if isinstance(value, list) else str(value))
        for name, value in recipe.model_dump().items()
    ]
    return [row for row in rows if recipe.loss != "bt" or not row[0].startswith("text_")]
