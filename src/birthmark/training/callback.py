"""Callbacks: values while a reward model trains (`bm.ValuesCallback`), and the log that a run writes and shows.

`ValuesCallback` goes into transformers' `Trainer` and TRL's `RewardTrainer`: at each evaluation and each save it scores
a lexicon's words and logs the contrast.
"""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import CallbackHandler

from birthmark.errors import BirthmarkError
from birthmark.inputs.candidates import load_candidates
from birthmark.inputs.lexicons import Lexicon, load_lexicons
from birthmark.inputs.prompts import load_prompts, select_prompts
from birthmark.models.encoding import Encoder
from birthmark.models.engine_choice import choose_engine
from birthmark.models.heads.linear import LinearHead
from birthmark.models.scorers import RewardScorer
from birthmark.progress import console
from birthmark.values.families import Leaning, leaning
from birthmark.values.ranks import rank

LOGGED = ("loss", "accuracy", "margin", "reward_loss", "text_loss", "grad_norm", "learning_rate", "mean_reward")


class LogCallback(TrainerCallback):
    """Appends each step's numbers to `log.jsonl` and shows them on a terminal.

    A line has `step`, `epoch` (pairs seen ÷ number of pairs), `seconds` (since the previous line), and those of `LOGGED` that
    the loss has, as means over the step's micro-batches.
    """

    def __init__(self, path: Path, epochs_per_step: float, *, quiet: bool) -> None:
        self.path = path
        self.epochs_per_step = epochs_per_step
        self.progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]} accuracy {task.fields[accuracy]} margin {task.fields[margin]}"),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self.last = perf_counter()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.last = perf_counter()
        if state.is_world_process_zero:
            self.progress.start()
            self.task = self.progress.add_task(
                "", total=state.max_steps, completed=state.global_step, loss="–", accuracy="–", margin="–"
            )

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        now = perf_counter()
        values = {name: _finite(logs[name]) for name in LOGGED if name in logs}
        line = {
            "step": state.global_step,
            "epoch": round(state.global_step * self.epochs_per_step, 6),
            **values,
            "seconds": round(now - self.last, 4),
        }
        self.last = now
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        shown: dict[str, Any] = {name: _short(values.get(name)) for name in ("loss", "accuracy", "margin")}
        self.progress.update(self.task, completed=state.global_step, **shown)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.close()

    def close(self) -> None:
        self.progress.stop()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a `log.jsonl`, one dict per step; an incomplete last line is dropped.

    Raises `BirthmarkError` where a line is not what `LogCallback` writes.
    """
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [_step(line, path) for line in lines if line.endswith("}")]


def _step(line: str, path: Path) -> dict[str, Any]:
    """A line's numbers by name; raises `BirthmarkError` for a line that was not written here."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("step"), int) or "seconds" not in found:
        raise BirthmarkError(f"{path} was altered: remove the folder {path.parent} and train again")
    if not all(isinstance(value, int | float) or (value is None and name in LOGGED) for name, value in found.items()):
        raise BirthmarkError(
            f"{path} was altered: a value is no number: remove the folder {path.parent} and train again"
        )
    return found


def final_numbers(log: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Means of loss, accuracy and margin over the last steps (up to ten) of a log."""
    tail = log[-10:]
    values = {
        name: [line[name] for line in tail if line.get(name) is not None] for name in ("loss", "accuracy", "margin")
    }
    return {name: sum(numbers) / len(numbers) if numbers else None for name, numbers in values.items()}


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


SIX_PROMPTS = (
    *("best_ever_one", "greatest_ever_one", "good_ever_one"),
    *("worst_ever_one", "bad_ever_one", "terrible_ever_one"),
)


class ValuesCallback(TrainerCallback):
    """Log what a reward model values, at each evaluation and at each save.

    Use it as `RewardTrainer(…, callbacks=[bm.ValuesCallback()])`. Parameters as on the command line:

    lexicon
        A lexicon's name or file. With two categories a contrast is logged, with any number median ranks.
    prompts, prompt
        A prompt set, and the keys or texts to use: six by default, three of each framing.
    engine
        `prefix`, which gives way to `plain` where it does not support the model, or `plain`.
    seed
        Seed of the bootstrap over words.

    Rewards are read where the model's own class reads them: where the trainer pads with the token that ends a conversation,
    that is the token before it, in training and here.

    Logged: `values/contrast` with `values/contrast_ci_low` and `…_high` (95% over words), `values/mean_rank_contrast`,
    and `values/<category>/<framing>` (mean over prompts of median ranks, 1 is best). `history` has the same values with the
    step, and `rewards` the last scores, float32 [words, prompts], with rows as in `words` and columns as in `prompt_keys`.

    Raises `BirthmarkError` for a lexicon or prompts that do not exist; and, when training begins, for a model that is not a
    reward model or whose weights are split over processes, and for a tokenizer without a chat template.
    """

    def __init__(
        self,
        lexicon: str | Path | Lexicon = "starter",
        *,
        prompts: str | Path = "christian2026",
        prompt: Sequence[str] | None = None,
        engine: Literal["prefix", "plain"] = "prefix",
        seed: int = 0,
    ) -> None:
        (self.lexicon,) = load_lexicons(lexicon)
        known = load_prompts(prompts)
        default = [key for key in SIX_PROMPTS if key in known.prompts] or list(known.prompts)
        self.prompts = select_prompts(known, prompt or default).prompts
        self.words = load_candidates("lexicon", (self.lexicon,), "reward").words
        self.history: list[dict[str, float]] = []
        self.rewards: np.ndarray | None = None
        self._engine = engine
        self._seed = seed
        self._step: int | None = None

    @property
    def prompt_keys(self) -> tuple[str, ...]:
        return tuple(self.prompts)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Check, before any training, that values can be measured later."""
        self._step = None
        _require_whole(args)
        _reward_model(kwargs["model"])
        if kwargs.get("processing_class") is None:
            raise BirthmarkError("ValuesCallback needs the tokenizer: pass it to the trainer as processing_class")
        Encoder(kwargs["processing_class"], "chat")

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._log_values(args, state, control, kwargs, _handler(sys._getframe(1)))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._log_values(args, state, control, kwargs, _handler(sys._getframe(1)))

    def _log_values(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        kwargs: dict[str, Any],
        handler: CallbackHandler | None,
    ) -> None:
        """Score and log once per step: an evaluation and a save at the same step see the same weights."""
        if self._step == state.global_step or not state.is_world_process_zero:
            return
        self._step = state.global_step
        found = self.measure(kwargs["model"], kwargs["processing_class"])
        logs = _as_logs(found)
        self.history.append({"step": state.global_step, **logs})
        state.log_history.append({**logs, "epoch": state.epoch, "step": state.global_step})
        if handler is not None:
            handler.on_log(args, state, control, {**logs, "epoch": state.epoch})

    def measure(self, model: Any, tokenizer: Any) -> Leaning:
        """The values of a reward model in its present state, adapters included. The model is left unchanged."""
        inner, layer = _reward_model(model)
        with _evaluating(inner):
            engine, _ = choose_engine(self._engine, inner)
            scorer = RewardScorer(
                inner,
                Encoder(tokenizer, "chat"),
                engine,
                self.words,
                None,
                LinearHead(layer),
            )
            columns = [scorer.score(item.text).scores for item in self.prompts.values()]
        self.rewards = np.stack(columns, axis=1)
        categories = {word: tuple(sorted(names)) for word, names in self.lexicon.match(self.words).items()}
        return leaning(rank(self.rewards), categories, [item.framing for item in self.prompts.values()], self._seed)


def _as_logs(found: Leaning) -> dict[str, float]:
    numbers = {
        "contrast": found.contrast,
        "contrast_ci_low": found.ci_low,
        "contrast_ci_high": found.ci_high,
        "mean_rank_contrast": found.mean_rank_contrast,
        **{f"{category}/{framing}": value for (category, framing), value in found.medians.items()},
    }
    return {f"values/{name}": value for name, value in numbers.items() if value is not None}


def _handler(caller: Any) -> CallbackHandler | None:
    """The trainer's callback handler, found in the caller's frame: only it knows what the trainer logs to.

    A callback does not receive the trainer, and adding to its `logs` is too late for loggers that were called before it.
    """
    handler = caller.f_locals.get("self")
    return handler if isinstance(handler, CallbackHandler) else None


def _reward_model(model: Any) -> tuple[Any, torch.nn.Linear]:
    """The sequence classifier inside wrappers and adapters, and its active head.

    Raises `BirthmarkError` for a model whose output is not one number.
    """
    inner = model
    while isinstance(getattr(inner, "module", None), torch.nn.Module):  # wrappers for distributed training
        inner = inner.module
    inner = getattr(inner, "_orig_mod", inner)  # torch.compile's
    if hasattr(inner, "get_base_model"):  # PEFT's
        inner = inner.get_base_model()
    layer: Any = getattr(inner, "score", None)
    if hasattr(layer, "modules_to_save"):  # PEFT's copy of a head that is trained in full
        layer = layer.modules_to_save[layer.active_adapters[0]]
    if not isinstance(layer, torch.nn.Linear) or layer.out_features != 1:
        raise BirthmarkError(
            f"ValuesCallback does not support the model {type(inner).__name__}: train a sequence classifier with one label, "
            "and its head in full"
        )
    return inner, layer


def _require_whole(args: TrainingArguments) -> None:
    split = bool(getattr(args, "fsdp", None)) or getattr(getattr(args, "deepspeed_plugin", None), "zero_stage", 0) == 3
    if split:
        raise BirthmarkError(
            "ValuesCallback does not support weights that are split over processes (FSDP, ZeRO-3): omit it, and run "
            "`birthmark track` on the saved checkpoints"
        )


@contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Put the model into eval mode, and restore each layer's mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
