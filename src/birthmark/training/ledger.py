"""What a run tells while it goes: a line a step in `log.jsonl`, and the same live in a terminal.

Knows the trainer's logs; changes nothing about training.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback

from birthmark.progress import console

# As they are named in log.jsonl, beside the trainer's own names.
KEPT = ("loss", "accuracy", "margin", "reward_loss", "text_loss", "grad_norm", "learning_rate", "mean_reward")


class Ledger(TrainerCallback):
    """Appends each step's numbers to `log.jsonl` and shows them on a terminal.

    A line has `step`, `epoch` (pairs seen over pairs there are), `seconds` (since the line before), and those of `KEPT`
    that the loss has: means over the step's micro-batches.
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
        values = {name: _finite(logs[name]) for name in KEPT if name in logs}
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
    """The lines of a `log.jsonl`, a dict a step; an unfinished last line is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


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
