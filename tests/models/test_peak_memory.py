"""Peak memory does not grow with the number of candidates: a child process scores some and eight times as many."""

import subprocess
import sys

import pytest

CHILD = """
import resource, sys
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, LlamaConfig
from birthmark.models.scorers import make_scorer
from tiny_models import make_tokenizer

torch.set_num_threads(1)
kind, count = sys.argv[1], int(sys.argv[2])
tokenizer = make_tokenizer()
config = LlamaConfig(
    vocab_size=40_000, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, num_labels=1,
)
factory = AutoModelForSequenceClassification if kind == "reward" else AutoModelForCausalLM
model = factory.from_config(config).eval()
syllables = ["ba", "ne", "ki", "lo", "tu", "ra", "se", "mi"]
words = [f"{a}{b}{c}{d}" for a in syllables for b in syllables for c in syllables for d in syllables][:: 4096 // count]
scorer = make_scorer(
    model, tokenizer, kind=kind, words=words[:count], vocabulary=False, frame="chat" if kind == "reward" else "qa"
)
scorer.score("What, in one word, is the greatest thing ever?")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("kind", ["reward", "logprob"])
def test_eight_times_the_candidates_take_less_than_a_twentieth_more_memory(kind, pytestconfig):
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", CHILD, kind, str(count)],
                cwd=pytestconfig.rootpath / "tests", capture_output=True, text=True, check=True,
            ).stdout
        )
        for count in (256, 2048)
    ]  # fmt: skip
    assert peaks[1] < 1.05 * peaks[0]
