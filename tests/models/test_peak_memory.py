"""Peak memory grows neither with candidates nor with prompts: a child process scores some, and then eight times as many."""

import json
import os
import subprocess
import sys

import pytest

CHILD = """
import json, sys
sys.path.append("../benchmarks")
import torch
from measured import peak_bytes
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, LlamaConfig
from birthmark.models.scorers import make_scorer
from tiny_models import make_tokenizer

torch.set_num_threads(1)
kind = sys.argv[1]
tokenizer = make_tokenizer()
config = LlamaConfig(
    vocab_size=40_000, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, num_labels=1,
)
factory = AutoModelForSequenceClassification if kind == "reward" else AutoModelForCausalLM
model = factory.from_config(config).eval()
syllables = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
words = [first + second for first in syllables for second in syllables]
prompts = [f"What, in one word, is the {what} thing ever?" for what in syllables[:8]]

def peak(words, prompts):
    frame = "chat" if kind == "reward" else "qa"
    scorer = make_scorer(model, tokenizer, kind=kind, words=words, vocabulary=kind == "logprob", frame=frame)
    kept = [found for batch in scorer.batches(prompts) for found in scorer.score_together([prompts[at] for at in batch])]
    assert len(kept) == len(prompts)
    return peak_bytes()

for count in range(3, 40, 3):  # oneDNN keeps sixteen compiled products, whatever is scored
    peak(words[:count], prompts[:1])
one = peak(words[:256], prompts[:1])
print(json.dumps({"one": one, "prompts": peak(words[:256], prompts), "candidates": peak(words[:2048], prompts[:1])}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process alone is read from Linux's /proc")
@pytest.mark.parametrize("kind", ["reward", "logprob"])
def test_eight_times_the_prompts_or_the_candidates_take_less_than_a_twentieth_more_memory(kind, pytestconfig):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, kind],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "1048576"},  # what is freed is given back, not kept for later
        cwd=pytestconfig.rootpath / "tests", capture_output=True, text=True, check=True,
    )  # fmt: skip
    peaks = json.loads(done.stdout)
    assert peaks["prompts"] < 1.05 * peaks["one"], peaks
    assert peaks["candidates"] < 1.05 * peaks["one"], peaks
