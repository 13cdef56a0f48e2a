"""Training runs without training: folders of checkpoints whose adapters and heads are drawn, laid out as runs leave them."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

SIX = (
    *("best_ever_one", "greatest_ever_one", "good_ever_one"),
    *("worst_ever_one", "bad_ever_one", "terrible_ever_one"),
)


def prompt_options(keys: Sequence[str] = SIX) -> list[str]:
    return [part for key in keys for part in ("--prompt", key)]


def write_adapter(base: Path, folder: Path, *, seed: int, strength: float = 0.1, head_seed: int = 0) -> Path:
    """An adapter with a reward head on a base, its LoRA matrices scaled by `strength` (0: the base as it is)."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
        lora = LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["q_proj", "v_proj"], modules_to_save=["score"])
        adapted = get_peft_model(model, lora)
    logging.set_verbosity(before)
    generator = torch.Generator().manual_seed(seed)
    heads = torch.Generator().manual_seed(head_seed)
    for name, parameter in adapted.named_parameters():
        if "lora" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * strength
        elif "score.modules_to_save" in name:
            parameter.data = torch.randn(parameter.shape, generator=heads) * 0.02
    adapted.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def write_run(
    run: Path,
    base: Path,
    *,
    steps: Sequence[int] = (0, 1, 2, 4),
    seed: int = 0,
    source: str = "hh",
    pairs: int = 32,
    batch: int = 8,
) -> Path:
    """A RUN folder: `run.json` with the keys that a track reads, and a checkpoint a step, further from the base each."""
    for step in steps:
        folder = run / "checkpoints" / f"step-{step:06d}"
        write_adapter(base, folder, seed=seed + step, strength=0.08 * step, head_seed=seed)
    record = {"base": str(base), "family": None, "base_checkpoint": None, "source": source, "pairs": pairs, "loss": "bt",
              "seed": seed, "finished": True, "recipe": {"batch": batch}, "versions": {}}  # fmt: skip
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return run


def write_small_lexicon(folder: Path) -> Path:
    """A lexicon file with three words of either category."""
    file = folder / "small.csv"
    rows = ["love,Communion", "kindness,Communion", "care,Communion", "power,Agency", "skill,Agency", "success,Agency"]
    file.write_text("\n".join(["word,category", *rows]) + "\n", encoding="utf-8")
    return file
