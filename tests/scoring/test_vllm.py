"""Scores of the real vLLM beside the local ones, on a real base model: opt-in, `BIRTHMARK_VLLM=FOLDER make test-servers`.

FOLDER is an environment in which vLLM is installed (FOLDER/bin/vllm). Both runs print their figures: docs/servers.md has them.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from vllm_server import VARIABLE, vllm

import birthmark as bm
from birthmark.scoring.table import ScoreTable

BASE = "smollm2-135m-instruct"
ASKED = {"prompt": ["best_ever_one", "worst_ever_one"]}
WORDS = ["love", "freedom", "family", "power", "hope", "money", "truth", "peace", "victory", "kindness"]

pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not os.environ.get(VARIABLE), reason="BIRTHMARK_VLLM names no folder with bin/vllm"),
]


@pytest.fixture(scope="module")
def reward_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2 with a linear head that is drawn, seed 0."""
    from transformers import AutoModelForSequenceClassification

    from birthmark.models.resolve import resolve
    from birthmark.models.tokenizer import load_tokenizer

    base, folder = resolve(BASE), tmp_path_factory.mktemp("served") / "smollm2-rm"
    model = AutoModelForSequenceClassification.from_pretrained(base.path, num_labels=1, dtype=torch.float32)
    drawn = torch.randn(model.score.weight.shape, generator=torch.Generator().manual_seed(0))
    model.score.weight.data.copy_(0.02 * drawn)
    model.save_pretrained(folder)
    load_tokenizer(base).save_pretrained(folder)
    return folder


def timed(run: Callable[[], ScoreTable]) -> tuple[ScoreTable, float]:
    start = time.perf_counter()
    return run(), time.perf_counter() - start


def told(what: str, served: ScoreTable, seconds: float, own: ScoreTable, own_seconds: float) -> float:
    """The largest difference, printed with what was run."""
    difference = float(np.abs(served.matrix() - own.matrix()).max())
    rows, prompts = served.matrix().shape
    print(
        f"\n{what}: {rows:,} candidates × {prompts} prompts, largest |Δ| from local {difference:.1e}; vLLM {seconds:.1f} s "
        f"(scoring alone {served.record.seconds:.1f}), local {own_seconds:.1f} s (scoring alone {own.record.seconds:.1f}); "
        f"self-check {served.record.verify_max_abs_diff:.1e} of {served.record.verify_bound:.1e} allowed"
    )
    return difference


def test_rewards_of_vllm_are_the_local_ones(reward_model, tmp_path, birthmark):
    own, own_seconds = timed(lambda: bm.score(reward_model, candidates="lexicon", **ASKED))
    with vllm(reward_model, tmp_path / "log", "--runner", "pooling") as address:
        served, seconds = timed(lambda: bm.score(reward_model, candidates="lexicon", server=address, **ASKED))
        answer = birthmark("score", BASE, "--server", address, "--candidates", "love,hope")
    assert told("/classify", served, seconds, own, own_seconds) < 1e-5
    assert served.record.served.path == "/classify" and not served.record.warnings
    assert served.record.context_ids == own.record.context_ids
    assert answer.is_error("serves", "smollm2-rm", "and not smollm2-135m-instruct")


def test_log_probabilities_of_vllm_are_the_local_ones(tmp_path):
    path = bm.resolve(BASE).path
    own, own_seconds = timed(lambda: bm.score(BASE, candidates=WORDS, **ASKED))
    whole, whole_seconds = timed(lambda: bm.score(BASE, candidates="vocabulary", **ASKED))
    with vllm(path, tmp_path / "log", "--runner", "generate", "--max-logprobs", "-1") as address:
        served, seconds = timed(lambda: bm.score(BASE, candidates=WORDS, server=address, **ASKED))
        all_of_it, all_seconds = timed(lambda: bm.score(BASE, candidates="vocabulary", server=address, **ASKED))
    assert told("/v1/completions", served, seconds, own, own_seconds) < 1e-4
    assert told("the whole vocabulary", all_of_it, all_seconds, whole, whole_seconds) < 1e-4
    assert served.record.context_ids == own.record.context_ids
    assert all_of_it.record.left_out == whole.record.left_out
