"""What was tried with the prefix engine on a CPU: seconds of each variant beside the engine as it is, in one run.

    python benchmarks/tried.py

Rewards of the starter lexicon's words after a few questions, by a drawn head on each of the two embedded models, and
log-probabilities of as many questions as a batch takes. The engine as it is is timed before and after every variant.
"""

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from statistics import mean
from typing import Any
from unittest.mock import patch

import torch
from logprobs import MODELS, prepare
from measured import markdown, timed
from transformers.utils import logging

from birthmark.inputs.lexicons import load_lexicon
from birthmark.inputs.prompts import load_prompts
from birthmark.models import engine, packing
from birthmark.models.scorers import make_scorer
from scoring import load

QUESTIONS = 2


def reward_variants(runner: Any) -> dict[str, Callable[[], Any]]:
    return {
        "all products by MKL": lambda: patch.object(engine, "fast_layers", lambda decoder: nullcontext()),
        "MLPs as their classes run them": lambda: patch.object(packing, "_is_gated", lambda mlp: False),
        "passes of 512 tokens": lambda: patch.object(runner._batching, "limit", 512),
        "passes of 2,048 tokens": lambda: patch.object(runner._batching, "limit", 2048),
    }


def word_variants() -> dict[str, Callable[[], Any]]:
    return {
        f"logits in blocks of {2 ** (power - 18)} MB": lambda power=power: patch.object(
            engine, "LOGITS_IN_CACHE", 2**power
        )  # type: ignore[misc]
        for power in (19, 20, 22)
    }


def rows_of(kind: str, model: str, run: Callable[[], Any], variants: dict[str, Callable[[], Any]]) -> list[tuple]:
    """(model, kind, variant, its seconds ÷ those of the engine as it is)."""
    run()
    rows = []
    for name, variant in variants.items():
        with variant():
            run()
        ratios = []
        for _ in range(2):
            before = timed(run)[0]
            with variant():
                seconds = timed(run)[0]
            ratios.append(2 * seconds / (before + timed(run)[0]))
        rows.append((model, kind, name, mean(ratios)))
    return rows


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    words = list(load_lexicon("starter").words)
    questions = [prompt.text for prompt in load_prompts().prompts.values()]
    rows = []
    for name in MODELS:
        model, tokenizer = load(name, torch.device("cpu"), "float32")
        rewards = make_scorer(model, tokenizer, kind="reward", words=words, vocabulary=False, frame="chat")
        run = lambda scorer=rewards: [scorer.score(question) for question in questions[:QUESTIONS]]  # type: ignore[misc]
        rows += rows_of("rewards", name, run, reward_variants(rewards.engine))
        scorer, _ = prepare(name, words, "prefix")
        texts = [questions[index] for index in scorer.batches(questions)[0]]
        together = lambda scorer=scorer, texts=texts: scorer.score_together(texts)  # type: ignore[misc]
        rows += rows_of("log-probabilities", name, together, word_variants())
    columns = {
        " model": lambda row: row[0],
        " scores": lambda row: row[1],
        " variant": lambda row: row[2],
        "time ÷ the engine's": lambda row: f"{row[3]:.2f}",
    }
    print(markdown(columns, rows))


if __name__ == "__main__":
    main()
