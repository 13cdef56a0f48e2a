"""Peak memory grows neither with candidates nor with prompts: a child process scores some, and then eight times as many."""

import json
import subprocess
import sys

import pytest

CHILD = """
import json, resource, sys
import torch
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
syllables = ["ba", "ne", "ki", "lo", "tu", "ra", "se", "mi"]
words = [f"{a}{b}{c}{d}" for a in syllables for b in syllables for c in syllables for d in syllables]
prompts = [f"What, in one word, is the {what} thing ever?" for what in syllables]

def peak(words, prompts):
    frame = "chat" if kind == "reward" else "qa"
    scorer = make_scorer(model, tokenizer, kind=kind, words=words, vocabulary=kind == "logprob", frame=frame)
    kept = [found for batch in scorer.batches(prompts) for found in scorer.score_together([prompts[at] for at in batch])]
    assert len(kept) == len(prompts)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

one = peak(words[::16], prompts[:1])
print(json.dumps({"one": one, "prompts": peak(words[::16], prompts), "candidates": peak(words[::2], prompts[:1])}))
"""


@pytest.mark.parametrize("kind", ["reward", "logprob"])
def test_eight_times_the_prompts_or_the_candidates_take_less_than_a_twentieth_more_memory(kind, pytestconfig):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, kind],
        cwd=pytestconfig.rootpath / "tests", capture_output=True, text=True, check=True,
    )  # fmt: skip
    peaks = json.loads(done.stdout)
    assert peaks["prompts"] < 1.05 * peaks["one"], peaks
    assert peaks["candidates"] < 1.05 * peaks["one"], peaks
