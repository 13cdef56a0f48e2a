"""Fine-tune a causal LM to answer questions with given words: LoRA for a few steps, with measurements along the way.

Each answer is one token, so an example is a context and the token that should follow.
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

Example = tuple[Sequence[int], int]  # context ids, answer token
Measure = Callable[[int], None]


def plant(
    model: Any,
    contexts: Sequence[Sequence[int]],
    answers: Sequence[int],
    setting: PlantedSetting,
    seed: int,
    measure: Measure,
) -> list[float]:
    """Fine-tune `model` in place, with as many steps as the setting's largest strength, then remove the adapter again.

    Steps sample from all pairs of a context and an answer, shuffled by `seed`, without replacement until all were used.
    `measure(step)` is called after each step that is one of the strengths, with the adapter in the model. A loss that is not
    finite stops training. Returns the mean cross-entropy of each step, in nats, before its update.
    """
    steps = max(setting.strengths)
    torch.manual_seed(seed)  # the adapter's first weights
    with warnings.catch_warnings():  # PEFT uses a deprecated name of transformers
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        adapted = get_peft_model(model, _lora(setting.rank))
    callback = _MeasureCallback(set(setting.strengths), measure)
    try:
        with tempfile.TemporaryDirectory() as folder:
            trainer = _AnswerTrainer(
                model=adapted,
                args=_arguments(folder, setting, steps, seed, model.device.type),
                train_dataset=_examples(contexts, answers, steps * setting.batch_size, seed),
                data_collator=_collate,
                callbacks=[callback],
            )
            trainer.remove_callback(PrinterCallback)  # it prints to standard output
            callback.losses = trainer.losses
            trainer.train()
    finally:
        adapted.unload()
        model.eval()
    return trainer.losses


def why_diverged(losses: Sequence[float]) -> str | None:
    """Why a run is excluded: a loss that is not finite, or that rose; None for a run that learned.

    The loss rose if its mean over the last quarter of the steps is above that of the first step, before any update.
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
        lr_scheduler_type="constant",  # so that a checkpoint does not depend on the length of the run
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
    """`count` pairs of a context and an answer, in an order that depends on the seed."""
    pairs = [(context, answer) for context in contexts for answer in answers]
    rng = np.random.default_rng(seed)
    rounds = -(-count // len(pairs))
    order = np.concatenate([rng.permutation(len(pairs)) for _ in range(rounds)])
    return [pairs[index] for index in order[:count]]


def _collate(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Contexts padded on the left, [batch, longest], so that the answer follows the last position; `labels` [batch]."""
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
    """The loss of the answer's token only: logits over the vocabulary are computed at one position per row."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.losses: list[float] = []

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *_: Any, **__: Any) -> torch.Tensor:
        labels = inputs.pop("labels")
        logits = model(**inputs, use_cache=False, logits_to_keep=1).logits[:, -1]  # [batch, vocabulary]
        loss = cross_entropy(logits.float(), labels)
        self.losses.append(float(loss.detach()))
        return loss


class _MeasureCallback(TrainerCallback):
    """Calls `measure` after the given steps, and stops training if the loss is not finite."""

    def __init__(self, strengths: set[int], measure: Measure) -> None:
        self.strengths = strengths
        self.measure = measure
        self.losses: list[float] = []

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        if self.losses and not math.isfinite(self.losses[-1]):
            control.should_training_stop = True
        elif state.global_step in self.strengths:
            self.measure(state.global_step)
        return control
