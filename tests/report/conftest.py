"""OUT folders to draw: two language models, reward models beside them, the study's ten, prompts without a framing."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from report_outs import PROMPTS, WORDS, lexicon_file, table, write_out

from birthmark.inputs.lexicons import load_lexicon
from birthmark.records import PromptRecord
from birthmark.report.audit import write_report
from birthmark.scoring.table import read_scores


@pytest.fixture(scope="session")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two language models of two families, with vocabulary, lexicon words, effects and implicit reward."""
    folder = tmp_path_factory.mktemp("two")
    a = table("gemma-3-270m", "Gemma", "gemma-3-270m", lean=0.5, seed=1)
    b = table("smollm2-135m-instruct", "SmolLM", "SmolLM2-135M", lean=-0.4, seed=2)
    return write_out(folder / "out", [a, b], [lexicon_file(folder / "own.csv", WORDS)], implicit=True)


@pytest.fixture(scope="session")
def side_by_side(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two language and five reward models, a neutral prompt, two lexicons, one of six categories; awkward names."""
    folder = tmp_path_factory.mktemp("both")
    asked = PROMPTS | {"neutral": PromptRecord(text="What comes to mind?")}
    a = table("gemma-3-270m", "Gemma", "gemma-3-270m", lean=0.5, seed=1, prompts=asked)
    b = table("smollm2-135m-instruct", "SmolLM", "SmolLM2-135M", lean=-0.4, seed=2, prompts=asked)
    rewards = [
        table(
            f"an-organisation--a-reward-model-with-a-very-long-name-{n}",
            family,
            f"{family} <{n // 2}>",
            kind="reward",
            seed=n,
            prompts=asked,
            tokens=False,
        )
        for n, family in enumerate(["Gemma", "Gemma", "Llama", "Llama", "Qwen & co"])
    ]
    listed = [word for group in WORDS.values() for word in group]
    six = {f"Category {n} <&>": listed[3 * n : 3 * n + 3] for n in range(6)}
    lexicons = [lexicon_file(folder / "own.csv", WORDS), lexicon_file(folder / "six.csv", six)]
    return write_out(folder / "out", [a, b, *rewards], lexicons, implicit=True)


@pytest.fixture(scope="session")
def ten_models(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study's ten reward models, compared by its agency and communion nouns."""
    data = shared / "paper-data" / "data"
    tables = [read_scores(path) for path in sorted((data / "reward_model_scores" / "dict_big2_nouns").glob("*.csv"))]
    lexicon = load_lexicon(data / "corpora" / "dict_big2_nouns.csv")
    return write_out(tmp_path_factory.mktemp("ten"), tables, [lexicon], command="compare")


@pytest.fixture(scope="session")
def no_framing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One reward model, prompts without a framing, nothing else."""
    prompts = {"prompt_1": PromptRecord(text="What is love?")}
    return write_out(
        tmp_path_factory.mktemp("bare"),
        [table("rm", "Qwen", "Qwen2.5-3B", kind="reward", prompts=prompts, tokens=False)],
    )


@pytest.fixture(scope="session")
def drawn(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """The report of an OUT folder by its fixture's name, drawn once."""
    return cache(lambda name: write_report(request.getfixturevalue(name)))
