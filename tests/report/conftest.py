"""OUT folders to draw: two language models, reward models beside them, prompts without a framing."""

from pathlib import Path

import pytest
from report_outs import WORDS, handmade_effects, handmade_implicit, table, write_out

from birthmark.records import PromptRecord


@pytest.fixture(scope="session")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two language models of two families, with vocabulary, lexicon words, effects and implicit reward."""
    a = table("gemma-3-270m", "Gemma", "gemma-3-270m", lean=0.5, seed=1)
    b = table("smollm2-135m-instruct", "SmolLM", "SmolLM2-135M", lean=-0.4, seed=2)
    effects = {"starter": handmade_effects([a, b], "starter", WORDS)}
    return write_out(tmp_path_factory.mktemp("two"), [a, b], effects, handmade_implicit(a, b))


@pytest.fixture(scope="session")
def side_by_side(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two language and three reward models, two lexicons, the second of six categories; long model names."""
    a = table("gemma-3-270m", "Gemma", "gemma-3-270m", lean=0.5, seed=1)
    b = table("smollm2-135m-instruct", "SmolLM", "SmolLM2-135M", lean=-0.4, seed=2)
    rewards = [
        table(
            f"an-organisation--a-reward-model-with-a-very-long-name-{n}",
            family,
            family,
            kind="reward",
            seed=n,
            tokens=False,
        )
        for n, family in enumerate(["Gemma", "Llama", "Qwen"])
    ]
    listed = [word for group in WORDS.values() for word in group]
    six = {f"Category {n} <&>": listed[3 * n : 3 * n + 3] for n in range(6)}
    effects = {
        f"{name}.{kind}": handmade_effects(group, name, words, kind)
        for name, words in {"starter": WORDS, "six": six}.items()
        for kind, group in {"logprob": [a, b], "reward": rewards}.items()
    }
    return write_out(tmp_path_factory.mktemp("both"), [a, b, *rewards], effects, handmade_implicit(a, b))


@pytest.fixture
def no_framing(tmp_path: Path) -> Path:
    """One reward model, prompts without a framing, nothing else."""
    prompts = {"prompt_1": PromptRecord(text="What is love?")}
    return write_out(tmp_path, [table("rm", "Qwen", "Qwen2.5-3B", kind="reward", prompts=prompts, tokens=False)], {})
