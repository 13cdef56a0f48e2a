"""How seconds and memory grow: with candidates, prompts and a model's size, and the fitted exponents.

Rewards and log-probabilities by the prefix engine, on models whose weights are drawn, with SmolLM2's tokenizer. Candidates and
prompts grow on a model of 4 layers, where tokenizing and Python weigh most; size grows over three published shapes. Each figure
comes from a process of its own, so that its peak memory is its own; seconds are of scoring alone, loading left out.

    python benchmarks/growth.py             # about eight minutes on two quiet cores
    python benchmarks/growth.py --quick     # a minute: up to 1,000 candidates, 8 prompts and two sizes
"""

import argparse
import json
from dataclasses import asdict, dataclass

import numpy as np
import torch
from measured import child, markdown, peak_bytes, require_numbers, slope, timed
from random_models import SHAPES
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, LlamaConfig
from transformers.utils import logging

from birthmark.inputs.prompts import load_prompts
from birthmark.models.machine import describe
from birthmark.models.scorers import make_scorer
from birthmark.models.vocabulary import read_vocabulary

TOKENIZER = "smollm2-135m-instruct"
SMALL = "4 layers of 256"
CONFIGS = SHAPES | {
    SMALL: LlamaConfig(
        vocab_size=49_152, hidden_size=256, intermediate_size=704, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=8192, pad_token_id=2,
    )
}  # fmt: skip
SIZES = ("smollm2-135m", "smollm2-360m", "llama-3.2-1b")
GROWS = {"reward": (100, 1_000, 10_000, 100_000), "logprob": (100, 1_000, 10_000)}
PROMPTS = (1, 8, 54)


@dataclass(frozen=True)
class Point:
    """One figure: what grows in it, and its cost."""

    kind: str
    grows: str
    model: str
    parameters: int
    candidates: int
    prompts: int
    seconds: float
    peak_bytes: int

    @property
    def size(self) -> int:
        return {"candidates": self.candidates, "prompts": self.prompts, "parameters": self.parameters}[self.grows]


def measure(kind: str, grows: str, shape: str, candidates: int, prompts: int) -> Point:
    """Score drawn pairs of words once; the model is warm."""
    from birthmark.models.resolve import resolve
    from birthmark.models.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(resolve(TOKENIZER))
    config = CONFIGS[shape]
    config.num_labels = 1
    torch.manual_seed(0)
    factory = AutoModelForSequenceClassification if kind == "reward" else AutoModelForCausalLM
    model = factory.from_config(config, dtype=torch.float32).eval()
    scorer = make_scorer(
        model, tokenizer, kind=kind, words=pairs_of_words(tokenizer, candidates), vocabulary=False, frame="chat"
    )
    texts = [prompt.text for prompt in load_prompts().prompts.values()][:prompts]

    def run() -> None:
        for batch in scorer.batches(texts):
            for found in scorer.score_together([texts[index] for index in batch]):
                assert np.isfinite(found.scores).all(), "a score is not finite"

    make_scorer(model, tokenizer, kind=kind, words=["one", "two"], vocabulary=False, frame="chat").score(texts[0])
    seconds, _ = timed(run)
    parameters = sum(each.numel() for each in model.get_decoder().layers.parameters())
    return Point(kind, grows, shape, parameters, candidates, prompts, seconds, peak_bytes())


def pairs_of_words(tokenizer: object, count: int) -> list[str]:
    """Different texts of two words, drawn with a seed."""
    words = [
        text.strip() for text in read_vocabulary(tokenizer, 49_152).texts if text.strip().isalpha() and len(text) > 3
    ]
    first, second = np.random.default_rng(0).integers(len(words), size=(2, 2 * count))
    return list(dict.fromkeys(f"{words[a]} {words[b]}" for a, b in zip(first, second, strict=True)))[:count]


def planned(quick: bool) -> list[tuple[str, str, str, int, int]]:
    """kind, what grows, shape, candidates, prompts of each figure."""
    most = 1_000 if quick else 10**9
    found = [(kind, "candidates", SMALL, n, 1) for kind, sizes in GROWS.items() for n in sizes if n <= most]
    found += [(kind, "prompts", SMALL, 200, n) for kind in GROWS for n in PROMPTS if n <= (8 if quick else 54)]
    return found + [("reward", "parameters", shape, 128, 1) for shape in SIZES[: 2 if quick else 3]]


def as_markdown(points: list[Point]) -> str:
    return markdown(
        {
            " kind": lambda point: point.kind,
            " model": lambda point: point.model,
            "layers' parameters": lambda point: f"{point.parameters / 1e6:,.0f} M",
            "candidates": lambda point: f"{point.candidates:,}",
            "prompts": lambda point: f"{point.prompts}",
            "seconds": lambda point: f"{point.seconds:.2f}",
            "peak": lambda point: f"{point.peak_bytes / 1e9:.2f} GB",
        },
        points,
    )


def exponents(points: list[Point]) -> list[dict[str, object]]:
    """Of each curve: the exponent over all its points, and between the last two, where fixed costs weigh least."""
    found: list[dict[str, object]] = []
    for kind, grows in dict.fromkeys((point.kind, point.grows) for point in points):
        curve = [point for point in points if (point.kind, point.grows) == (kind, grows)]
        if len(curve) > 1:
            sizes, seconds = [point.size for point in curve], [point.seconds for point in curve]
            found.append(
                {
                    "kind": kind,
                    "grows": grows,
                    "range": f"{sizes[0]:,} to {sizes[-1]:,}",
                    "exponent": slope(sizes, seconds),
                    "of_the_last_two": slope(sizes[-2:], seconds[-2:]),
                    "peak_ratio": curve[-1].peak_bytes / curve[0].peak_bytes,
                }
            )
    return found


def exponents_as_markdown(fitted: list[dict[str, object]]) -> str:
    return markdown(
        {
            " kind": lambda row: row["kind"],
            " grows": lambda row: row["grows"],
            "from … to": lambda row: row["range"],
            "exponent": lambda row: f"{row['exponent']:.2f}",
            "of the last two": lambda row: f"{row['of_the_last_two']:.2f}",
            "peak, last ÷ first": lambda row: f"{row['peak_ratio']:.2f}",
        },
        fitted,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--point", nargs=5, metavar=("KIND", "GROWS", "MODEL", "CANDIDATES", "PROMPTS"))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    logging.set_verbosity_error()
    if asked.point:
        kind, grows, shape, candidates, prompts = asked.point
        print(json.dumps(asdict(measure(kind, grows, shape, int(candidates), int(prompts)))))
        return
    points = [Point(**child(__file__, "--point", *each)) for each in planned(asked.quick)]
    fitted = exponents(points)
    require_numbers([*map(asdict, points), *fitted])
    if asked.json:
        print(
            json.dumps({"machine": describe(), "points": [asdict(each) for each in points], "fitted": fitted}, indent=2)
        )
        return
    print(as_markdown(points) + "\n\n" + exponents_as_markdown(fitted))


if __name__ == "__main__":
    main()
