"""`bm.ValuesCallback` inside TRL's own `RewardTrainer`: what it logs, and that it changes nothing."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from safetensors.torch import load_file
from transformers import TrainerCallback
from trl import RewardConfig, RewardTrainer

import birthmark as bm
from birthmark.errors import BirthmarkError
from birthmark.values.families import leaning
from birthmark.values.ranks import rank

EXAMPLE = Path(__file__).parents[2] / "examples" / "values_callback.py"
pytestmark = pytest.mark.filterwarnings(
    "ignore:.* is deprecated and will be removed in v6:FutureWarning",  # TRL's and PEFT's names in transformers 5
    "ignore:'pin_memory' argument is set as true but no accelerator:UserWarning",
)


class Logged(TrainerCallback):
    """What a logger that the trainer knows is told."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        self.seen.append({**logs, "step": state.global_step})


def pairs(n: int) -> list[dict[str, Any]]:
    return [
        {
            "prompt": [{"role": "user", "content": f"What matters, {n}?"}],
            "chosen": [{"role": "assistant", "content": "Love and care."}],
            "rejected": [{"role": "assistant", "content": "Power."}],
        }
        for n in range(n)
    ]


def trainer_of(model: Path, out: Path, callbacks: list[Any], *, lora: bool = True, **more: Any) -> RewardTrainer:
    settings = {
        "max_steps": 4, "per_device_train_batch_size": 2, "learning_rate": 1e-2, "save_strategy": "steps", "save_steps": 2,
        "eval_strategy": "steps", "eval_steps": 2, "logging_steps": 1, "report_to": "none", "bf16": False, "use_cpu": True,
        "disable_tqdm": True, "seed": 7, **more,
    }  # fmt: skip
    return RewardTrainer(
        model=str(model),
        args=RewardConfig(output_dir=str(out), **settings),
        train_dataset=Dataset.from_list(pairs(8)),
        eval_dataset=Dataset.from_list(pairs(2)),
        peft_config=LoraConfig(task_type="SEQ_CLS", r=4, lora_dropout=0.1, target_modules=["q_proj", "v_proj"]) if lora else None,
        callbacks=callbacks,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RewardTrainer, Any, Logged, Path]:
    """A finished training with the callback, a logger that comes before it, and the output folder."""
    out = tmp_path_factory.mktemp("trained")
    logger, callback = Logged(), bm.ValuesCallback()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* is deprecated and will be removed in v6", FutureWarning)
        warnings.filterwarnings("ignore", "'pin_memory' argument", UserWarning)
        trainer = trainer_of(tiny_lm, out, [logger, callback], eval_on_start=True)
        trainer.train()
    return trainer, callback, logger, out


def test_each_evaluation_and_save_is_logged_once_to_every_logger(trained):
    trainer, callback, logger, _ = trained
    assert [entry["step"] for entry in callback.history] == [0, 2, 4]
    for seen in (logger.seen, trainer.state.log_history):
        of_values = [entry for entry in seen if "values/contrast" in entry]
        assert [entry["step"] for entry in of_values] == [0, 2, 4]
        for logged, kept in zip(of_values, callback.history, strict=True):
            assert kept.items() <= logged.items()


def test_the_contrast_lies_in_its_interval_and_stands_beside_the_medians(trained):
    _, callback, _, _ = trained
    for entry in callback.history:
        assert entry["values/contrast_ci_low"] <= entry["values/contrast"] <= entry["values/contrast_ci_high"]
        medians = {key: entry[f"values/{key}"] for key in ("Agency/positive", "Communion/positive", "Agency/negative", "Communion/negative")}  # fmt: skip
        agency = medians["Agency/positive"] - medians["Agency/negative"]
        assert entry["values/contrast"] == pytest.approx(
            agency - medians["Communion/positive"] + medians["Communion/negative"]
        )


def test_values_are_those_of_birthmark_score_on_the_saved_checkpoint(trained):
    _, callback, _, out = trained
    table = bm.score(out / "checkpoint-4", prompt=callback.prompt_keys)
    assert table.frame["candidate"].to_list() == list(callback.words)
    np.testing.assert_allclose(callback.rewards, table.matrix(), atol=1e-5)
    lexicon = bm.load_lexicon("starter")
    categories = {word: lexicon.match([word])[word] for word in table.frame["candidate"]}
    framings = [table.prompts[key].framing for key in table.prompt_keys]
    expected = leaning(rank(table.matrix()), categories, framings)
    last = callback.history[-1]
    assert last["values/contrast"] == pytest.approx(expected.contrast, abs=0.5)  # two words may swap by rounding
    compared = bm.compare([table])[0].models[0]
    assert last["values/mean_rank_contrast"] == pytest.approx(compared.mean_rank_contrast, abs=0.1)


def test_training_is_the_same_without_the_callback(trained, tiny_lm, tmp_path):
    *_, out = trained
    trainer_of(tiny_lm, tmp_path, [], eval_on_start=True).train()
    with_it, without = (load_file(folder / "checkpoint-4" / "adapter_model.safetensors") for folder in (out, tmp_path))
    assert with_it.keys() == without.keys()
    assert all(torch.equal(with_it[name], without[name]) for name in with_it)


def test_each_layer_keeps_its_own_mode(tiny_rm):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(tiny_rm).train()
    model.model.layers[0].eval()
    before = [module.training for module in model.modules()]
    bm.ValuesCallback(prompt=["best_ever_one"]).measure(model, AutoTokenizer.from_pretrained(tiny_rm))
    assert [module.training for module in model.modules()] == before and True in before and False in before


def test_a_model_trained_in_full_is_scored_too_with_one_framing_only(tiny_lm, tmp_path):
    callback = bm.ValuesCallback(prompt=["best_ever_one", "greatest_ever_one"], engine="plain")
    trainer = trainer_of(tiny_lm, tmp_path, [callback], lora=False, max_steps=2, eval_strategy="no")
    trainer.train()
    (entry,) = callback.history
    assert entry["step"] == 2 and "values/contrast" not in entry and "values/Agency/positive" in entry
    scored = bm.score(tmp_path / "checkpoint-2", prompt=callback.prompt_keys)
    np.testing.assert_allclose(callback.rewards, scored.matrix(), atol=1e-5)


def test_a_lexicon_of_ones_own_with_three_categories_logs_medians(tiny_rm, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    file = tmp_path / "three.csv"
    file.write_text("word,category\nlove,Care\npower,Rule\nclean,Purity\npure,Purity\n", encoding="utf-8")
    model = AutoModelForSequenceClassification.from_pretrained(tiny_rm)
    found = bm.ValuesCallback(file).measure(model, AutoTokenizer.from_pretrained(tiny_rm))
    assert found.contrast is None and len(found.medians) == 6


def test_what_would_fail_later_fails_before_the_first_step(tiny_lm, tiny_base, tmp_path):
    trainer = trainer_of(tiny_lm, tmp_path, [bm.ValuesCallback()], lora=False, max_steps=2)
    trainer.processing_class.chat_template = None
    trainer.callback_handler.processing_class.chat_template = None
    with pytest.raises(BirthmarkError, match="chat template"):
        trainer.train()
    assert not list(tmp_path.glob("checkpoint-*"))
    with pytest.raises(BirthmarkError, match="no key"):
        bm.ValuesCallback(prompt=["bestt_ever_one"])
    with pytest.raises(BirthmarkError, match="lexicon"):
        bm.ValuesCallback("startr")


def test_a_language_model_raises_in_one_line(tiny_lm):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with pytest.raises(BirthmarkError, match="sequence classifier"):
        bm.ValuesCallback().measure(
            AutoModelForCausalLM.from_pretrained(tiny_lm), AutoTokenizer.from_pretrained(tiny_lm)
        )


def test_the_example_is_a_plain_trl_script_that_runs(tiny_lm, tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(map(json.dumps, pairs(8))), encoding="utf-8")
    command = [sys.executable, str(EXAMPLE), str(tiny_lm), str(file), str(tmp_path / "out")]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stdout.splitlines() if line.startswith("step ")]
    assert [line.split(":")[0] for line in shown] == ["step 0", "step 2", "step 3"]
