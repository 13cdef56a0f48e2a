"""Every example that a command's help ends with, run as it is printed, in a folder that has the files it names.

Models of the catalog are stood in for by tiny random ones under the same name, so that what runs is the command itself.
Examples of the embedded models as they are, and those of the network, are run where `ELSEWHERE` says.
"""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import birthmark as bm
from birthmark.cli.app import command_tree
from tiny_models import write_tiny_model

ELSEWHERE = {
    "birthmark audit": "tests/test_real_audit.py",
    "birthmark audit --catalog-set study --out ten": "tests/test_zoo.py",
    "birthmark audit --catalog-set study --dry-run": "tests/test_zoo.py",
    "birthmark audit skywork-reward-v2-llama-3.2-1b --with-base --out beside-its-base": "tests/test_zoo.py",
    "birthmark audit ./my-reward-model --among study --out among-the-ten": "tests/cli/test_audit_among.py",
    "birthmark models check grm-gemma2-2b --published ./reward_models_inherit_value_biases_from_pretraining": (
        "tests/models/test_published_check.py"
    ),
    "birthmark models fetch smollm2-135m-instruct": "tests/models/test_embedded.py",
    "birthmark calibrate planted": "tests/training/test_planted.py",
    "birthmark audit smollm2-135m-instruct --persona personas.yaml --out personas": "tests/cli/test_personas.py",
    "birthmark implicit --grid gemma-3-270m -- smollm2-135m-instruct --words love,freedom --out grid": (
        "tests/cli/test_implicit.py"
    ),
    "birthmark train --grid grid.yaml --out runs": "tests/training/test_train_command.py",
    "birthmark train --grid grid.yaml --out runs --dry-run": "tests/training/test_train_command.py",
    "birthmark track runs/gemma-hh runs/smollm-hh --prompt best_ever_one --prompt worst_ever_one --out tracked": (
        "tests/training/test_trajectory.py"
    ),
    "birthmark track runs/gemma-hh runs/smollm-hh --dry-run": "tests/training/test_trajectory.py",
    "birthmark track ./trainer-output --lexicon my-words.csv": "tests/training/test_trajectory.py",
    "birthmark choose gemma-3-270m smollm2-135m-instruct --preferences pairs.jsonl --pairs 64,256": (
        "tests/training/test_choose.py"
    ),
}
OF_THE_NETWORK = ("--human fetch", "OWNER/", "skywork-80k", "birthmark replicate", "birthmark calibrate tests")


def all_examples() -> list[str]:
    found: list[str] = []

    def walk(command: object) -> None:
        found.extend(re.findall(r"`(birthmark [^`]+)`", getattr(command, "epilog", None) or ""))
        for child in getattr(command, "commands", {}).values():
            walk(child)

    for command in command_tree().values():
        walk(command)
    return found


def of_the_network(example: str) -> bool:
    return any(mark in example for mark in OF_THE_NETWORK)


def runs_here(example: str) -> bool:
    return example not in ELSEWHERE and not of_the_network(example) and "calibrate planted" not in example


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_lm: Path, tiny_base: Path, tiny_rm: Path) -> Path:
    """A folder with all that the examples name: models, tables, lists, preference pairs."""
    here = tmp_path_factory.mktemp("world")
    for name, folder in {
        "gemma-3-270m": tiny_base,
        "smollm2-135m-instruct": tiny_lm,
        "my-reward-model": tiny_rm,
    }.items():
        shutil.copytree(folder, here / name)
    write_lists(here)
    write_tables(here)
    return here


def write_lists(here: Path) -> None:
    words = {"Agency": ("freedom", "success", "power", "energy"), "Communion": ("love", "family", "peace", "trust")}
    rows = [f"{word},{category}" for category, group in words.items() for word in group]
    (here / "my-words.csv").write_text("\n".join(["word,category", *rows]) + "\n")
    (here / "my-prompts.yaml").write_text("mine: {text: 'What matters most?', framing: positive}\n")
    (here / "my-questions.yaml").write_text("good: What is good?\nsoup: How do I cook soup?\n")
    pairs = [
        {"prompt": f"What is {n} and {n}?", "chosen": f"It is {2 * n}.", "rejected": f"I like {n}."} for n in range(72)
    ]
    (here / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    pl.DataFrame(pairs).write_parquet(here / "pairs.parquet")


def write_tables(here: Path) -> None:
    both = [here / "gemma-3-270m", here / "smollm2-135m-instruct"]
    rewards = [here / "my-reward-model", write_tiny_model(here / "another", reward=True, seed=9)]
    bm.audit(*both, prompt=["best_ever_one", "worst_ever_one"], candidates="lexicon", out=here / "audit")
    for folder in ("birthmark-audit", "scored"):
        options = (
            {"prompt": ["best_ever_one", "worst_ever_one"]} if folder != "scored" else {"prompt": ["best_ever_one"]}
        )
        for model, family in zip(both[: 1 if folder == "scored" else 2], ("Gemma", "SmolLM"), strict=False):
            bm.score(model, **options, frame="qa", family=family, base_checkpoint=model.name, out=here / folder)
            copy_table(here / folder, model.name, here / folder / "scores" / model.name)
    for family, model, reward in zip(("gemma", "llama"), both, rewards, strict=True):
        asked = {"prompt": ["best_ever_one", "worst_ever_one"], "family": family.title(), "base_checkpoint": model.name}
        bm.score(model, candidates="lexicon", frame="qa", out=here / f"{family}-words", **asked)
        copy_table(here / f"{family}-words", model.name, here / f"{family}-lm")
        bm.score(reward, out=here / f"{family}-rewards", **asked)
        for name in (f"{family}-rm", "new" if family == "gemma" else "reference"):
            copy_table(here / f"{family}-rewards", reward.name, here / name)


def copy_table(out: Path, model: str, target: Path) -> None:
    (path,) = (out / "scores").glob(f"{model}-????????.parquet")
    for suffix in (".parquet", ".json"):
        shutil.copy(path.with_suffix(suffix), target.with_name(target.name + suffix))


@pytest.mark.parametrize("example", [example for example in all_examples() if runs_here(example)])
def test_an_example_runs(
    example: str, world: Path, birthmark: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = shutil.copytree(world, tmp_path / "here")
    monkeypatch.chdir(here)
    if "birthmark-audit" not in example:
        shutil.rmtree(here / "birthmark-audit")  # the command itself is about to make it
    answer = birthmark(*stood_in(example, here))
    assert answer.code in (0, 3), answer.err
    assert (answer.out if answer.code == 0 else answer.err).strip()


def stood_in(example: str, here: Path) -> list[str]:
    """The example's arguments; a model's name that has a folder here becomes that folder, unless the catalog is asked."""
    arguments = shlex.split(example)[1:]
    if arguments[:2] == ["models", "show"]:
        return arguments
    return [f"./{word}" if (here / word / "config.json").is_file() else word for word in arguments]


@pytest.mark.parametrize("example", [example for example in all_examples() if of_the_network(example)])
def test_an_example_of_the_network_asks_for_what_is_there(
    example: str, birthmark: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a network or the file it says which; it is not refused for how it is written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    answer = birthmark(*shlex.split(example)[1:])
    assert answer.code == 2
    assert "option" not in answer.err
