"""What TRL's reward trainer does by default and the study does not: each shown, and shown to be off in ours."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, TaskType
from trl import RewardConfig, RewardTrainer

import birthmark as bm
from birthmark.models.resolve import resolve
from birthmark.training import trainer as birthmark_trainer
from birthmark.training.recipe import make_recipe
from birthmark.training.reward_model_init import load_reward_model_init
from birthmark.training.run import RunRequest, make_trainer, prepare
from birthmark.training.trainer import library_warnings_off
from tiny_models import make_tokenizer

IDS = {"chosen_ids": [[1, 5, 6], [1, 5, 6, 7, 8, 9]], "rejected_ids": [[1, 5, 9], [1, 5, 6, 7, 8, 8]]}


@pytest.fixture(scope="module")
def trl(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RewardTrainer]:
    """TRL's own trainer, with its defaults, on a tiny base."""

    def make(peft: LoraConfig, **options: Any) -> RewardTrainer:
        arguments = RewardConfig(
            str(tmp_path_factory.mktemp("trl")), use_cpu=True, bf16=False, report_to="none", activation_checkpointing=False,
            **options,
        )  # fmt: skip
        model = load_reward_model_init(resolve(tiny_lm, quiet=True), seed=0, precision="float32")
        with library_warnings_off():
            return RewardTrainer(
                model,
                arguments,
                train_dataset=Dataset.from_dict(IDS),
                processing_class=make_tokenizer(),
                peft_config=peft,
            )

    return make


@pytest.fixture(scope="module")
def ours(tiny_lm: Path, pairs_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    def make(**changes: Any) -> Any:
        asked = RunRequest(resolve(tiny_lm, quiet=True), pairs_file, make_recipe("small", **changes), "small")
        return make_trainer(asked, prepare(asked), tmp_path_factory.mktemp("ours"))

    return make


def lora(**options: Any) -> LoraConfig:
    return LoraConfig(**{"task_type": TaskType.SEQ_CLS, "lora_dropout": 0.05, "target_modules": ["q_proj"], **options})


def dropouts(model: Any) -> set[float]:
    return {
        module.p for name, module in model.named_modules() if isinstance(module, torch.nn.Dropout) and "lora" in name
    }


def trainable(model: Any) -> set[str]:
    names = {name for name, weight in model.named_parameters() if weight.requires_grad}
    return {part for part in ("lora_A", "lora_B", "score") if any(part in name for name in names)}


def test_max_length_drops_long_pairs_in_trl(trl: Callable[..., RewardTrainer]) -> None:
    assert len(trl(lora(), max_length=4).train_dataset) == 1


def test_long_pairs_are_truncated_and_kept_in_ours(ours: Callable[..., Any]) -> None:
    trainer = ours(max_tokens=12)
    assert len(trainer.train_dataset) == 24
    assert max(len(ids) for ids in trainer.train_dataset["chosen_ids"]) == 12
    assert trainer.args.max_length is None


def test_disable_dropout_silences_loras_in_trl(trl: Callable[..., RewardTrainer]) -> None:
    assert dropouts(trl(lora()).model) == {0}


def test_loras_dropout_is_the_recipes_in_ours(ours: Callable[..., Any]) -> None:
    assert dropouts(ours(lora_dropout=0.25).model) == {0.25}


def test_without_the_classification_task_the_head_never_trains_in_trl(trl: Callable[..., RewardTrainer]) -> None:
    assert trainable(trl(lora(task_type=None)).model) == {"lora_A", "lora_B"}


def test_adapters_and_head_train_in_ours(ours: Callable[..., Any]) -> None:
    trainer = ours()
    assert trainable(trainer.model) == {"lora_A", "lora_B", "score"}
    adapted = {name.split(".")[-4] for name, _ in trainer.model.named_parameters() if "lora_A" in name}
    assert adapted == {"q_proj", "k_proj", "v_proj", "o_proj"}


def test_a_pad_token_that_ends_the_conversation_moves_the_reward_a_token_forward_in_transformers(tiny_lm: Path) -> None:
    model = load_reward_model_init(resolve(tiny_lm, quiet=True), seed=0, precision="float32").eval()
    ids, end, free = torch.tensor([[1, 5, 6, 2]]), 2, 0
    padded = torch.tensor([[1, 5, 6, 2, 2, 2], [1, 5, 6, 7, 8, 2]])
    with torch.no_grad():
        model.config.pad_token_id = None
        right, early = model(ids).logits[0], model(ids[:, :3]).logits[0]
        model.config.pad_token_id = end
        torch.testing.assert_close(model(padded).logits[0], early)
        model.config.pad_token_id = free
        torch.testing.assert_close(
            model(padded.where(torch.tensor([[True] * 4 + [False] * 2] * 2), free)).logits[0], right
        )


def test_tensorboard_gets_loss_accuracy_and_margin_in_the_runs_folder(
    tiny_lm: Path, pairs_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a writer in TensorBoard's place, which not everyone has installed."""
    from transformers.integrations import integration_utils

    written: list[tuple[str, str, int]] = []

    class Writer:
        def __init__(self, log_dir: str) -> None:
            self.log_dir = log_dir

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((self.log_dir, name, step))

        def add_text(self, *_: Any) -> None: ...
        def flush(self) -> None: ...
        def close(self) -> None: ...

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    monkeypatch.setattr(integration_utils, "is_tensorboard_available", lambda: True)
    monkeypatch.setattr(birthmark_trainer, "get_available_reporting_integrations", lambda: ["tensorboard"])
    asked = {"preset": "small", "lora_rank": 2, "pairs": 8}
    bm.train(tiny_lm, pairs_file, out=tmp_path / "run", **asked)
    where = str(tmp_path / "run" / "tensorboard")
    assert {(where, f"train/{name}", 1) for name in ("loss", "accuracy", "margin")} <= set(written)
    written.clear()
    bm.train(tiny_lm, pairs_file, out=tmp_path / "silent", report_to=["none"], **asked)
    assert not written


def test_nothing_is_told_to_anyone(ours: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from trl.trainer import base_trainer

    monkeypatch.setattr(base_trainer, "send_telemetry", lambda **_: pytest.fail("telemetry was sent"))
    monkeypatch.delenv("CI", raising=False)
    assert ours().args.report_to == []
