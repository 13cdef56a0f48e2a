"""Family and base checkpoint as a model's own files state them, and adapters that count with their base."""

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForSequenceClassification

from birthmark.inputs.catalog import load_catalog
from birthmark.models.memory import count_model
from birthmark.models.origin import base_of_card
from birthmark.models.resolve import resolve

Run = Callable[..., Any]
CARD = "---\nlicence: mit\nbase_model: {}\n---\n# A model\n"


@pytest.fixture(scope="module")
def adapter(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA reward model on tiny_lm, which it names by its folder."""
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_lm, num_labels=1)
    lora = peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["q_proj"])
    folder = tmp_path_factory.mktemp("adapters") / "lora"
    with warnings.catch_warnings():  # PEFT uses a deprecated name of transformers
        warnings.simplefilter("ignore")
        peft.get_peft_model(model, lora).save_pretrained(folder)
    return folder


def parameters(*folders: Path) -> int:
    """Counted by safetensors itself."""
    total = 0
    for path in (path for folder in folders for path in folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            total += sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118
    return total


@pytest.fixture
def rm(tiny_rm: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "my-rm"
    shutil.copytree(tiny_rm, folder)
    return folder


@pytest.mark.parametrize(
    ("named", "family", "base"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "Llama", "Llama-3.1-8B-Instruct"),
        ("[google/gemma-2-2b-it]", "Gemma", "gemma-2-2b-it"),
        ("somebody/their-own-base", None, "their-own-base"),
        (
            "Skywork/Skywork-Reward-Llama-3.1-8B-v0.2",
            "Llama",
            "Llama-3.1-8B-Instruct",
        ),  # tuned further: its base counts
        ("[a/one, b/two]", None, None),  # a merge has no one base
        ("../somewhere", None, None),
    ],
)
def test_a_model_card_says_what_a_reward_model_was_tuned_from(
    rm: Path, named: str, family: str | None, base: str | None
) -> None:
    (rm / "README.md").write_text(CARD.format(named), encoding="utf-8")
    found = resolve(rm, quiet=True)
    assert (found.family, found.base_checkpoint) == (family, base)
    assert found.origin == ("README.md, base_model" if base else None)


@pytest.mark.parametrize(
    "text", ["", "# no front matter", "---\n[unclosed\n---\n", "---\n- a list\n---\n", "---\nbase_model: 3\n---\n"]
)
def test_a_card_without_a_base_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    assert base_of_card(tmp_path / "README.md") is None
    assert base_of_card(tmp_path / "absent.md") is None


def test_what_is_read_is_said_and_a_person_overrides_it(rm: Path) -> None:
    (rm / "README.md").write_text(CARD.format("google/gemma-2-2b-it"), encoding="utf-8")
    said: list[str] = []
    resolve(rm, note=said.append)
    assert any("gemma-2-2b-it (README.md, base_model)" in text and "--base-checkpoint" in text for text in said)
    found = resolve(rm, quiet=True, family="Qwen", base_checkpoint="other")
    assert (found.family, found.base_checkpoint, found.origin) == ("Qwen", "other", None)


def test_a_language_model_is_its_own_base_checkpoint(tiny_lm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lm"
    shutil.copytree(tiny_lm, folder)
    (folder / "README.md").write_text(CARD.format("google/gemma-2-2b"), encoding="utf-8")
    found = resolve(folder, quiet=True)
    assert (found.family, found.base_checkpoint) == ("Gemma", None)


def test_an_adapters_base_is_the_one_that_its_config_names(adapter: Path, tiny_lm: Path) -> None:
    found = resolve(adapter, quiet=True)
    assert (found.base_checkpoint, found.origin) == (tiny_lm.name, "adapter_config.json")


def test_an_adapter_counts_with_its_base(adapter: Path, tiny_lm: Path, birthmark: Run) -> None:
    expected = parameters(adapter, tiny_lm)
    assert count_model(tiny_lm, adapter) == expected > parameters(tiny_lm)
    (row,) = json.loads(birthmark("audit", adapter, "--dry-run", "--json").out)
    assert (row["parameters"], row["kind"]) == (expected, "reward")
    (alone,) = json.loads(birthmark("audit", tiny_lm, "--dry-run", "--json", "--candidates", "lexicon").out)
    assert row["memory_bytes"] > alone["memory_bytes"]


def test_an_adapter_whose_base_is_in_the_catalog_counts_with_that(
    adapter: Path, tmp_path: Path, birthmark: Run
) -> None:
    folder = tmp_path / "lora"
    shutil.copytree(adapter, folder)
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    hub = "meta-llama/Llama-3.1-8B-Instruct"
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": hub}), encoding="utf-8")
    entry = next(entry for entry in load_catalog().values() if entry.hub == hub)
    (row,) = json.loads(birthmark("audit", folder, "--dry-run", "--json").out)
    assert row["parameters"] == (entry.parameters or 0) + parameters(adapter)


def test_the_card_has_the_adapters_digest_and_its_bases(adapter: Path, birthmark: Run, tmp_path: Path) -> None:
    ran = birthmark(
        "audit",
        adapter,
        "--candidates",
        "love,freedom,power,care",
        "--prompt",
        "best_ever_one",
        "--out",
        tmp_path / "out",
        "-q",
    )
    assert ran.code == 0, ran.err
    digests = resolve(adapter, quiet=True).digests
    card = (tmp_path / "out" / "values-card.md").read_text(encoding="utf-8")
    assert digests.adapter is not None
    assert f"adapter `{digests.adapter[:12]}`" in card
    assert f"`{digests.weights[:12]}`" in card.partition("its base's weights")[2]
