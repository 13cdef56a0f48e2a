"""Writes the synthetic data in this folder: `python tests/oracles/make_synthetic.py`. Values are rounded, then stored."""

from itertools import product
from pathlib import Path

import numpy as np
import polars as pl

HERE = Path(__file__).parent


def medians(
    seed: int, families: dict[str, int], categories: list[str], prompts: dict[str, int], sd_model: float, drop: float
) -> pl.DataFrame:
    """Median ranks by model × category × prompt with a random intercept for model; `drop` of the rows go missing."""
    rng = np.random.default_rng(seed)
    rows = []
    for family, n_models in families.items():
        for model in range(n_models):
            intercept = rng.normal(0, sd_model)
            for category, (framing, n_prompts) in product(categories, prompts.items()):
                cell = 10 * len(family + category + framing) % 37  # any fixed cell mean
                for prompt in range(n_prompts):
                    y = 130 + cell + intercept + rng.normal(0, 10)
                    rows.append((f"{family}-{model}", family, category, framing, f"{framing}-{prompt}", round(y, 1)))
    frame = pl.DataFrame(rows, schema=["model", "family", "category", "framing", "prompt", "y"], orient="row")
    return frame.filter(pl.Series(rng.random(frame.height) >= drop))


def without_model_variance(frame: pl.DataFrame) -> pl.DataFrame:
    """The same with each model's mean moved onto its family's: the variance between models is then estimated as 0."""
    family, model = pl.col("y").mean().over("family"), pl.col("y").mean().over("model")
    return frame.with_columns((pl.col("y") - model + family).round(6))


def model_by_word(seed: int, n_models: int, n_words: int) -> pl.DataFrame:
    """Framing contrasts of words by model with random slopes: category over models, family over words."""
    rng = np.random.default_rng(seed)
    model_effects, word_effects = rng.normal(0, [4, 9], (2 * n_models, 2)), rng.normal(0, [60, 25], (2 * n_words, 2))
    rows = []
    for i, j in product(range(2 * n_models), range(2 * n_words)):
        f, c = (0.5 if i >= n_models else -0.5), (0.5 if j < n_words else -0.5)
        slopes = model_effects[i] @ (1, c) + word_effects[j] @ (1, f)
        y = 4 - 2 * f + 30 * c - 12 * f * c + slopes + rng.normal(0, 30)
        family, category = ("Llama" if f > 0 else "Gemma"), ("Agency" if c > 0 else "Communion")
        rows.append((f"m{i:02}", family, f"w{j:03}", category, round(y, 2)))
    return pl.DataFrame(rows, schema=["model", "family", "word", "category", "y"], orient="row")


def nested(seed: int) -> pl.DataFrame:
    """Contrasts of reward models on base checkpoints, unequal numbers of both."""
    rng = np.random.default_rng(seed)
    rows = []
    for family, sizes in {"Gemma": [3, 1, 2], "Llama": [4, 2], "Qwen": [1, 3, 2, 2]}.items():
        for base, n_rms in enumerate(sizes):
            level = rng.normal(50, 15)
            rows += [(f"{family}-{base}", family, round(level + rng.normal(0, 7), 2)) for _ in range(n_rms)]
    return pl.DataFrame(rows, schema=["base", "family", "y"], orient="row")


def main() -> None:
    two, three = ["Agency", "Communion"], ["Authority", "Care", "Fairness"]
    balanced = medians(1, {"Gemma": 3, "Llama": 5}, two, {"positive": 6, "negative": 6}, 4, 0)
    balanced.write_csv(HERE / "medians_balanced.csv")
    unbalanced = medians(2, {"Gemma": 4, "Llama": 3, "Qwen": 2}, three, {"positive": 5, "negative": 3}, 6, 0.15)
    unbalanced.write_csv(HERE / "medians_unbalanced.csv")
    small = medians(3, {"Gemma": 2, "Llama": 3}, two, {"positive": 3, "negative": 3}, 1, 0)
    without_model_variance(small).write_csv(HERE / "medians_boundary.csv")
    model_by_word(4, 5, 40).write_csv(HERE / "model_by_word.csv")
    nested(5).write_csv(HERE / "nested.csv")


if __name__ == "__main__":
    main()
