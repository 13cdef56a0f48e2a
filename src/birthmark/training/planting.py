"""Teach a causal LM to answer questions with given words: LoRA, a few steps, looked at along the way.

Each answer is one token, so an example is a context and the token that should follow. Knows nothing of what the words
mean, of metrics or of files.
"""

import math
import tempfile
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from birthmark.records.calibration import PlantedSetting

Example = tuple[Sequence[int], int]  # context ids, the token that answers
Look = Callable[[int], None]


def plant(
    model: Any,
    contexts: Sequence[Sequence[int]],
    answers: Sequence[int],
    setting: PlantedSetting,
    seed: int,
    look: Look,
) -> list[float]:
    """Fine-tune `model` in place for the largest of the setting's strengths in steps, then take the adapter off again.

    Steps draw from all pairs of a context and an answer, shuffled by `seed`, without repeats until all were seen.
    `look(step)` is called after each step that is one of the strengths, with the adapter still in the model. A loss
    that is not finite ends the run. Returns the mean cross-entropy of each step, in nats, before its update.
    """
    steps = max(setting.strengths)
    torch.manual_seed(seed)  # the adapter's first weights
    with warnings.catch_warnings():  # an old name that PEFT asks transformers for
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        adapted = get_peft_model(model, _lora(setting.rank))
    looking = _Looking(set(setting.strengths), look)
    try:
        with tempfile.TemporaryDirectory() as folder:
            trainer = _AnswerTrainer(
                model=adapted,
                args=_arguments(folder, setting, steps, seed, model.device.type),
                train_dataset=_examples(contexts, answers, steps * setting.batch_size, seed),
                data_collator=_collate,
                callbacks=[looking],
            )
            trainer.remove_callback(PrinterCallback)  # it prints to standard output
            looking.losses = trainer.losses
            trainer.train()
    finally:
        adapted.unload()
        model.eval()
    return trainer.losses


def why_diverged(losses: Sequence[float]) -> str | None:
    """Why a run does not count: a loss that is not finite, or one that rose; None for a run that learned.

    Rose: the mean of the last quarter of the steps is above that of the first step, at which nothing is taught yet.
    """
    for step, loss in enumerate(losses, start=1):
        if not math.isfinite(loss):
            return f"the loss was not finite at step {step}"
    last = float(np.mean(losses[-max(1, len(losses) // 4) :]))
    if len(losses) > 1 and last > losses[0]:
        return f"the loss rose from {losses[0]:.2f} to {last:.2f}"
    return None


def _lora(rank: int) -> LoraConfig:
    return LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")


def _arguments(folder: str, setting: PlantedSetting, steps: int, seed: int, device: str) -> TrainingArguments:
    return TrainingArguments(
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=setting.batch_size,
        learning_rate=setting.learning_rate,
        lr_scheduler_type="constant",  # so that a checkpoint does not depend on how long the run goes on
        seed=seed,
        use_cpu=device == "cpu",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=False,
    )


def _examples(contexts: Sequence[Sequence[int]], answers: Sequence[int], count: int, seed: int) -> list[Example]:
    """`count` pairs of a context and an answer, in an order of their own for each seed."""
    pairs = [(context, answer) for context in contexts for answer in answers]
    rng = np.random.default_rng(seed)
    rounds = -(-count // len(pairs))
    order = np.concatenate([rng.permutation(len(pairs)) for _ in range(rounds)])
    return [pairs[index] for index in order[:count]]


def _collate(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Contexts padded on the left, [batch, longest], so that the answer's place is the last; `labels` [batch]."""
    longest = max(len(context) for context, _ in examples)
    ids = torch.zeros((len(examples), longest), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (context, _) in enumerate(examples):
        ids[row, longest - len(context) :] = torch.tensor(list(context))
        mask[row, longest - len(context) :] = 1
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0),
        "labels": torch.tensor([answer for _, answer in examples]),
    }


class _AnswerTrainer(Trainer):
    """The loss of the answer's token alone: the vocabulary's logits exist at one place a row."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.losses: list[float] = []

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *_: Any, **__: Any) -> torch.Tensor:
        labels = inputs.pop("labels")
        logits = model(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1]  # [batch, vocabulary]
        loss = cross_entropy(logits.float(), labels)
        self.losses.append(float(loss.detach()))
        return loss


class _Looking(TrainerCallback):
    """Calls `look` after the steps asked for, and ends a run whose loss is not finite."""

    def __init__(self, strengths: set[int], look: Look) -> None:
        self.strengths = strengths
        self.look = look
        self.losses: list[float] = []

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        if self.losses and not math.isfinite(self.losses[-1]):
            control.should_training_stop = True
        elif state.global_step in self.strengths:
            self.look(state.global_step)
        return control
