"""TRL's reward trainer, extended with the GRM losses, the study's checkpoint schedule, and a stop at the first NaN.

Defaults of TRL 1.16 that differ from the study are turned off: `max_length` (drops long pairs), `disable_dropout` (turns off
LoRA's dropout), telemetry.
"""

import json
import math
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerState
from transformers.integrations import TensorBoardCallback, get_available_reporting_integrations
from trl import RewardConfig, RewardTrainer
from trl.trainer.reward_trainer import DataCollatorForPreference

from birthmark.errors import BirthmarkError
from birthmark.files import write_text
from birthmark.foreign import one_line
from birthmark.models.folder import CHECKPOINTS, checkpoint_folders, checkpoint_name
from birthmark.records import Recipe
from birthmark.training.callback import read_log
from birthmark.training.data import TokenizedPair
from birthmark.training.losses import answer_log_probs, dpo_text_loss, grm_loss, sft_text_loss
from birthmark.training.reward_model_init import save_adapter

RESUME, LOG, COMPLETE = "resume", "log.jsonl", "complete"


def training_arguments(
    run: Path, recipe: Recipe, *, seed: int, steps: int, bf16: bool, processes: int, device: torch.device,
    report_to: Sequence[str] = (),
) -> RewardConfig:  # fmt: skip
    """TRL's configuration for a recipe. Raises `BirthmarkError` if the batch cannot be split over the processes."""
    if processes == 1 and device.type == "cuda" and torch.cuda.device_count() > 1:
        raise BirthmarkError(
            f"one process sees {torch.cuda.device_count()} GPUs: start one process per GPU with the command from "
            "--print-command, or select one GPU with CUDA_VISIBLE_DEVICES=0"
        )
    at_once = recipe.micro_batch * processes
    if recipe.batch % at_once:
        raise BirthmarkError(
            f"a batch of {recipe.batch} pairs cannot be split over {processes} processes of {recipe.micro_batch} pairs each: "
            "choose --batch as a multiple of --micro-batch times the processes"
        )
    return RewardConfig(
        output_dir=str(run / RESUME),
        seed=seed,
        per_device_train_batch_size=recipe.micro_batch,
        gradient_accumulation_steps=recipe.batch // at_once,
        num_train_epochs=1,  # the data set has all epochs one after the other
        max_steps=steps,
        train_sampling_strategy="sequential",
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=int(recipe.warmup * steps),  # rounded down, so that a short run has no step without learning
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.clip,
        optim="adamw_torch",
        bf16=bf16,
        activation_checkpointing=recipe.recompute_activations,
        activation_checkpointing_kwargs={"use_reentrant": False} if recipe.recompute_activations else None,
        max_length=None,  # pairs are already truncated; TRL would drop the long ones
        disable_dropout=False,  # the base's is already off; TRL would turn off LoRA's too
        remove_unused_columns=False,
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",  # `ScheduledSaves` requests each save
        report_to=reporting(report_to) or "none",
        run_name=run.name,
        disable_tqdm=True,
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=device.type == "cuda",
        ddp_find_unused_parameters=False if processes > 1 else None,
    )


def reporting(report_to: Sequence[str]) -> list[str]:
    """Where the trainer logs in addition to `log.jsonl` (`none`: nowhere); by default TensorBoard if it is installed.

    Raises `BirthmarkError` for an integration that is not installed.
    """
    if list(report_to) == ["none"]:
        return []
    installed = get_available_reporting_integrations()
    for name in report_to:
        if name not in installed:
            raise BirthmarkError(f"{name} is not installed here: `pip install {name}`, or omit --report-to")
    return list(report_to) or [name for name in installed if name == "tensorboard"]


class ScheduledSaves(TrainerCallback):
    """Requests a checkpoint after each step of the schedule."""

    def __init__(self, steps: Sequence[int]) -> None:
        self.steps = frozenset(steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if state.global_step in self.steps:
            control.should_save = True
        return control


class AnswerCollator(DataCollatorForPreference):
    """TRL's collator, with the mask of answer tokens that the text losses need."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super().torch_call(examples)
        starts = [example[f"{side}_start"] for side in ("chosen", "rejected") for example in examples]
        places = torch.arange(batch["input_ids"].shape[1])
        batch["answer_mask"] = (places >= torch.tensor(starts)[:, None]) & batch["attention_mask"].bool()
        return batch


class RewardModelTrainer(RewardTrainer):
    """TRL's trainer for one run: checkpoints go to `run/checkpoints/`, and the state for resuming to `run/resume/`.

    `head` is the base's language head with its soft cap, for the GRM losses.
    """

    def __init__(
        self,
        *,
        run: Path,
        recipe: Recipe,
        chat_template: str,
        checkpoints: Sequence[int],
        head: tuple[torch.Tensor, float | None] | None,
        callbacks: Sequence[TrainerCallback] = (),
        **options: Any,
    ) -> None:
        self.run = run
        self.recipe = recipe
        self.chat_template = chat_template
        self.pad_token = str(options["processing_class"].pad_token)
        self.head = head
        pad = options["processing_class"].pad_token_id
        collator = AnswerCollator(pad_token_id=pad) if recipe.loss != "bt" else None
        super().__init__(data_collator=collator, callbacks=[ScheduledSaves(checkpoints), *callbacks], **options)
        self.remove_callback(PrinterCallback)
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, TensorBoardCallback):
                callback.logging_dir = str(run / "tensorboard")
        self._states: list[torch.Tensor] = []
        if head is not None:
            self.head = (head[0].to(self.args.device), head[1])
            self._body().register_forward_hook(
                lambda module, inputs, output: self._states.append(output.last_hidden_state)
            )

    def _send_telemetry(self) -> None:
        """Send no telemetry."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's Bradley–Terry loss and, for the GRM losses, the text loss from the same forward pass."""
        if self.recipe.loss == "bt":
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        mask = inputs.pop("answer_mask")
        self._states.clear()
        reward_loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        text_loss = self._text_loss(self._states.pop(), inputs, mask)
        mode = "train" if model.training else "eval"
        self._metrics[mode]["reward_loss"].append(reward_loss.item())
        self._metrics[mode]["text_loss"].append(text_loss.item())
        loss = grm_loss(reward_loss, text_loss, self.recipe.text_weight)
        return (loss, outputs) if return_outputs else loss

    def _text_loss(self, states: torch.Tensor, inputs: dict[str, Any], mask: torch.Tensor) -> torch.Tensor:
        """The mean text loss of a batch whose first half is the chosen side: states [2·pairs, length, hidden]."""
        recipe, ids, head = self.recipe, inputs["input_ids"], self.head
        assert head is not None
        rows = slice(None) if recipe.loss == "grm-dpo" else slice(len(ids) // 2)  # the SFT form uses only the chosen
        log_probs = answer_log_probs(states[rows], ids[rows], mask[rows], *head)
        if recipe.text_reference:
            with torch.no_grad(), self._bare().disable_adapter():
                reference = self._body()(ids[rows], attention_mask=inputs["attention_mask"][rows], use_cache=False)
                self._states.clear()
                log_probs = log_probs - answer_log_probs(reference.last_hidden_state, ids[rows], mask[rows], *head)
        if recipe.loss == "grm-dpo":
            chosen, rejected = log_probs.chunk(2)
            return dpo_text_loss(chosen, rejected, recipe.text_beta).mean()
        return sft_text_loss(log_probs, recipe.text_beta, plain=recipe.text_plain).mean()

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        try:
            loss = super().training_step(*args, **kwargs)
        except torch.OutOfMemoryError:
            raise BirthmarkError(
                f"memory ran out at step {self.state.global_step + 1}: start another run with a lower --micro-batch, or with "
                "--recompute"
            ) from None
        if not math.isfinite(value := loss.item()):
            raise BirthmarkError(
                f"the loss is {value} at step {self.state.global_step + 1}: training stopped, and {self.run / CHECKPOINTS} "
                "has the checkpoints up to the last good one; try a lower --learning-rate or --precision float32"
            )
        return loss

    def save_first(self) -> None:
        """Save the model before the first step."""
        if self.args.should_save:
            with _disk_errors(self.run, 0):
                save_adapter(
                    self._bare(), self.run / CHECKPOINTS / checkpoint_name(0), self.chat_template, self.pad_token
                )

    def _bare(self) -> Any:
        return self.accelerator.unwrap_model(self.model)

    def _body(self) -> Any:
        """The transformer below the head."""
        return self._bare().get_base_model().base_model

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Save adapters and head to the run's checkpoints; `output_dir` is only for optimizer and random state."""
        Path(str(output_dir)).mkdir(parents=True, exist_ok=True)
        if self.args.should_save:  # the trainer calls this in every process
            folder = self.run / CHECKPOINTS / checkpoint_name(self.state.global_step)
            save_adapter(self._bare(), folder, self.chat_template, self.pad_token)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        step = self.state.global_step
        with _disk_errors(self.run, step):
            Trainer._save_checkpoint(self, model, trial)  # TRL's would also write a model card
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                kept = self.run / RESUME / f"checkpoint-{step}"
                (kept / COMPLETE).touch()
                for other in (self.run / RESUME).glob("checkpoint-*"):
                    if other != kept:
                        shutil.rmtree(other, ignore_errors=True)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load the adapters and head of that step, and check that every tensor arrived unchanged."""
        path = (
            self.run
            / CHECKPOINTS
            / checkpoint_name(_step_of(Path(resume_from_checkpoint)))
            / "adapter_model.safetensors"
        )
        tensors = load_file(path)
        bare = self._bare()
        set_peft_model_state_dict(bare, tensors)
        arrived = get_peft_model_state_dict(bare, save_embedding_layers=False)
        if set(arrived) != set(tensors) or any(not torch.equal(arrived[name].cpu(), tensors[name]) for name in tensors):
            raise BirthmarkError(f"{path} is not a checkpoint of this run: remove {self.run} and start again")


@contextmanager
def library_warnings_off() -> Iterator[None]:
    """Silence warnings of the training libraries about each other that users cannot act on."""
    with warnings.catch_warnings():
        for message in ("`is_gradient_checkpointing` is deprecated", "`gradient_checkpointing` is deprecated"):
            warnings.filterwarnings("ignore", message, FutureWarning)
        yield


@contextmanager
def _disk_errors(run: Path, step: int) -> Iterator[None]:
    """Turn a failed write of a checkpoint into a one-line error; earlier checkpoints stay unchanged."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        shutil.rmtree(run / RESUME / f"checkpoint-{step}", ignore_errors=True)
        shutil.rmtree(run / RESUME / f".{checkpoint_name(step)}", ignore_errors=True)
        raise BirthmarkError(
            f"the checkpoint of step {step} cannot be written to {run} ({one_line(error, 300)}): free some disk space and run the "
            "same command again; it resumes from the previous checkpoint"
        ) from None


def resume_folder(run: Path) -> Path | None:
    """The newest state from which training can resume, or None. Raises `BirthmarkError` where it was altered."""
    whole = {_step_of(folder): folder for folder in (run / RESUME).glob("checkpoint-*") if _is_whole(run, folder)}
    if not whole:
        return None
    newest = whole[max(whole)]
    try:
        fits = TrainerState.load_from_json(str(newest / "trainer_state.json")).global_step == max(whole)
    except Exception:  # noqa: BLE001  the library reads any JSON into its fields
        fits = False
    if not fits:
        raise BirthmarkError(
            f"{newest / 'trainer_state.json'} was altered: remove {run / RESUME} to start this run again"
        )
    return newest


def clear_unfinished(run: Path) -> None:
    """Remove incomplete writes, and checkpoints after the step from which training resumes."""
    for folder in (run / RESUME).glob("checkpoint-*"):
        if not _is_whole(run, folder):
            shutil.rmtree(folder)
    resume = resume_folder(run)
    for step, folder in list(checkpoint_folders(run)):
        if step > (_step_of(resume) if resume else -1):
            shutil.rmtree(folder)


def _is_whole(run: Path, folder: Path) -> bool:
    return (folder / COMPLETE).is_file() and (run / CHECKPOINTS / checkpoint_name(_step_of(folder))).is_dir()


def _step_of(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def trim_log(run: Path, resume: Path | None) -> None:
    """Remove the lines of `log.jsonl` after the step from which training resumes; they will be written again."""
    path = run / LOG
    last = _step_of(resume) if resume else 0
    kept = [line for line in read_log(path) if line["step"] <= last]
    write_text(path, "".join(json.dumps(line) + "\n" for line in kept))


def as_dataset(pairs: Sequence[TokenizedPair], order: Sequence[int]) -> Any:
    """The tokenized pairs in TRL's format (`chosen_ids`, `rejected_ids`), in the order of training."""
    import datasets

    place = {pair.position: index for index, pair in enumerate(pairs)}
    ids = datasets.List(datasets.Value("int32"))
    features = datasets.Features(
        chosen_ids=ids, rejected_ids=ids, chosen_start=datasets.Value("int32"), rejected_start=datasets.Value("int32")
    )
    rows = {
        "chosen_ids": [pair.chosen.ids for pair in pairs],
        "rejected_ids": [pair.rejected.ids for pair in pairs],
        "chosen_start": [pair.chosen.start for pair in pairs],
        "rejected_start": [pair.rejected.start for pair in pairs],
    }
    return datasets.Dataset.from_dict(rows, features=features).select([place[position] for position in order])
