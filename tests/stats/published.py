"""The published Big Two ranks and medians, computed here without birthmark so that tests of `stats` stay apart."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.stats import rankdata

BASE = {
    "Skywork/Skywork-Reward-Gemma-2-27B": "gemma-2-27b-it",
    "Skywork/Skywork-Reward-Gemma-2-27B-v0.2": "gemma-2-27b-it",
    "nicolinho/QRM-Gemma-2-27B": "gemma-2-27b-it",
    "Ray2333/GRM-gemma2-2B-rewardmodel-ft": "gemma-2-2b-it",
    "Skywork/Skywork-Reward-Llama-3.1-8B-v0.2": "Llama-3.1-8B-Instruct",
    "nicolinho/QRM-Llama3.1-8B": "Llama-3.1-8B-Instruct",
    "LxzGordon/URM-LLaMa-3.1-8B": "Llama-3.1-8B-Instruct",
    "Ray2333/GRM-Llama3-8B-rewardmodel-ft": "Meta-Llama-3-8B-Instruct",
    "RLHFlow/ArmoRM-Llama3-8B-v0.1": "Meta-Llama-3-8B-Instruct",
    "Ray2333/GRM-Llama3.2-3B-rewardmodel-ft": "Llama-3.2-3B-Instruct",
}


class BigTwo(NamedTuple):
    """ranks [models, words, prompts], labels of its axes, and medians [models, categories, prompts]."""

    ranks: np.ndarray
    models: list[str]
    families: list[str]
    bases: list[str]
    categories: np.ndarray
    framings: np.ndarray
    medians: np.ndarray


@cache
def big_two(shared: Path) -> BigTwo:
    data = shared / "paper-data" / "data"
    lexicon = pl.read_csv(data / "corpora" / "dict_big2_nouns.csv")
    ranks = []
    for model in BASE:
        path = data / "reward_model_scores" / "dict_big2_nouns" / f"big2_rewards_{model.replace('/', '_')}.csv"
        scores = pl.read_csv(path)
        joined = lexicon.join(scores, left_on="token_decoded", right_on="response", maintain_order="left")
        prompts = scores.columns[1:]
        ranks.append(rankdata(-joined.select(prompts).to_numpy(), axis=0))
    categories = joined["Category"].to_numpy()
    negative = {"worst", "bad", "terrible"}
    framings = np.array(["negative" if prompt.split("_")[0] in negative else "positive" for prompt in prompts])
    stacked = np.stack(ranks)
    medians = np.stack([np.median(stacked[:, categories == c], axis=1) for c in ("Agency", "Communion")], axis=1)
    families = ["Gemma" if "gemma" in base else "Llama" for base in BASE.values()]
    return BigTwo(stacked, list(BASE), families, list(BASE.values()), categories, framings, medians)


def median_columns(data: BigTwo) -> tuple[np.ndarray, dict[str, list[str]], list[str]]:
    """The 1,080 medians in long form: y, factors, and the model of each."""
    n_models, _, n_prompts = data.medians.shape
    per_model = 2 * n_prompts
    factors = {
        "family": np.repeat(data.families, per_model).tolist(),
        "category": np.tile(np.repeat(["Agency", "Communion"], n_prompts), n_models).tolist(),
        "framing": np.tile(data.framings, 2 * n_models).tolist(),
    }
    return data.medians.reshape(-1), factors, np.repeat(data.models, per_model).tolist()


def panel_values(data: BigTwo) -> np.ndarray:
    """A model's value in each panel, its mean over prompts: [models, 4], Agency +, Agency −, Communion +, Communion −."""
    return np.stack(
        [data.medians[:, c][:, data.framings == f].mean(axis=1) for c in (0, 1) for f in ("positive", "negative")], 1
    )


def contrasts(data: BigTwo) -> np.ndarray:
    """The models' contrasts [models]."""
    panels = panel_values(data)
    return (panels[:, 0] - panels[:, 2]) - (panels[:, 1] - panels[:, 3])
