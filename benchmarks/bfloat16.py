"""What bfloat16 products would do to scores, and how fast they are here: plain, and split into high and low parts.

Two ways to multiply a decoder's linear layers, with sums, residual stream, norms, softmax, head and log-sum-exp in float32:
`plain` rounds both factors to bfloat16; `split` writes each as a sum of two bfloat16 numbers, x = hi + lo, and adds
hi·hi + hi·lo + lo·hi. Rounding is exact, and products of bfloat16 numbers are exact in float32, so accuracy is measured on any
CPU; only the order of the sums differs from a bfloat16 unit's. Speeds are of products that CPUs with a bfloat16 unit have.

    python benchmarks/bfloat16.py           # the two embedded base models, as language models and with a drawn head
"""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy
import torch
from measured import flops, layer_products, markdown, product_seconds, require_numbers
from transformers.utils import logging

from birthmark.inputs.lexicons import load_lexicon
from birthmark.inputs.prompts import load_prompts
from birthmark.models.machine import bfloat16_units, describe
from birthmark.models.packing import linear
from birthmark.models.scorers import make_scorer
from scoring import with_random_head

MODELS = {"smollm2-135m-instruct": "chat", "gemma-3-270m": "qa"}
ROWS = 1024  # tokens of a product that is timed
Product = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]


@dataclass(frozen=True)
class Row:
    """Scores of one way beside float32's after one prompt; of pairs, the share that changes order."""

    model: str
    kind: str
    candidates: str
    n: int
    way: str
    spearman: float
    max_abs_diff: float
    spread: float
    pairs_that_change_order: float


def rounded(values: torch.Tensor) -> torch.Tensor:
    """To bfloat16 and back."""
    return values.bfloat16().float()


def plain(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return linear(rounded(states), rounded(weight), bias)


def split(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    high, weight_high = rounded(states), rounded(weight)
    low, weight_low = rounded(states - high), rounded(weight - weight_high)
    return linear(high, weight_high, bias) + linear(high, weight_low) + linear(low, weight_high)


@contextmanager
def multiplying(decoder: Any, product: Product | None) -> Iterator[None]:
    """Within the block the decoder's linear layers multiply so; the prefix engine leaves such layers alone."""
    layers = [layer for layer in decoder.modules() if type(layer) is torch.nn.Linear] if product else []
    for layer in layers:
        layer.forward = partial(forward, layer, product)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def forward(layer: torch.nn.Linear, product: Product, states: torch.Tensor) -> torch.Tensor:
    return product(states, layer.weight, layer.bias)


def share_of_pairs_that_change(scores: np.ndarray, reference: np.ndarray) -> float:
    """Of all pairs that the reference orders, the share that the scores order otherwise or not at all: (1 − τ) ÷ 2."""
    tau = scipy.stats.kendalltau(scores, reference).statistic
    return float((1 - tau) / 2)


def measure(name: str) -> list[Row]:
    """Both ways on one model: log-probabilities of its vocabulary and of the lexicon's words, rewards of the words."""
    from birthmark.models.loading import load_model
    from birthmark.models.resolve import resolve
    from birthmark.models.tokenizer import load_tokenizer

    found = resolve(name)
    words, text = list(load_lexicon("starter").words), next(iter(load_prompts().prompts.values())).text
    rows: list[Row] = []
    for kind in ("logprob", "reward"):
        chat = found if kind == "logprob" or found.chat_template else resolve(name, chat_template="plain")
        model = (
            load_model(found, dtype="float32", device="cpu")
            if kind == "logprob"
            else with_random_head(str(found.path), torch.float32, torch.device("cpu"))
        )
        scorer = make_scorer(
            model,
            load_tokenizer(chat),
            kind=kind,
            words=words,
            vocabulary=kind == "logprob",
            frame=MODELS.get(name, "qa"),
        )
        scores = {}
        for way, product in {"float32": None, "plain": plain, "split": split}.items():
            with multiplying(model.get_decoder(), product):
                scores[way] = scorer.score(text).scores.astype(np.float64)
        places = {"lexicon": slice(-len(words), None)} | (
            {"vocabulary": slice(-len(words))} if kind == "logprob" else {}
        )
        for candidates, place in places.items():
            reference = scores["float32"][place]
            for way in ("plain", "split"):
                values = scores[way][place]
                rows.append(
                    Row(
                        model=name,
                        kind=kind,
                        candidates=candidates,
                        n=len(values),
                        way=way,
                        spearman=float(scipy.stats.spearmanr(values, reference).statistic),
                        max_abs_diff=float(np.abs(values - reference).max()),
                        spread=float(reference.std()),
                        pairs_that_change_order=share_of_pairs_that_change(values, reference),
                    )
                )
    return rows


def speeds(name: str) -> dict[str, float | str]:
    """GFLOP/s of a model's layers: float32, and as if float32, bfloat16 and its three products of the split."""
    from transformers import AutoConfig, AutoModel

    from birthmark.models.resolve import resolve

    with torch.device("meta"):
        decoder = AutoModel.from_config(AutoConfig.from_pretrained(resolve(name).path))
    products = layer_products(decoder, ROWS)
    total = sum(count * flops(shape) for shape, count in products.items())
    by_dtype = {
        dtype: total / sum(count * product_seconds(shape, dtype, 3) for shape, count in products.items()) / 1e9
        for dtype in ((torch.float32, torch.bfloat16) if bfloat16_units() else (torch.float32,))
    }
    half = by_dtype.get(torch.bfloat16)
    return {
        "model": name,
        "float32": by_dtype[torch.float32],
        "plain": "no bfloat16 unit here" if half is None else half,
        "split": "no bfloat16 unit here" if half is None else half / 3,
    }


def as_markdown(rows: list[Row]) -> str:
    return markdown(
        {
            " model": lambda row: row.model,
            " scores": lambda row: f"{row.kind}, {row.candidates} ({row.n:,})",
            " products": lambda row: row.way,
            "Spearman": lambda row: f"{row.spearman:.7f}",
            "largest difference": lambda row: f"{row.max_abs_diff:.1e}",
            "÷ SD of scores": lambda row: f"{row.max_abs_diff / row.spread:.1e}",
            "pairs that change order": lambda row: f"{row.pairs_that_change_order:.4%}",
        },
        rows,
    )


def speeds_as_markdown(rates: list[dict[str, float | str]]) -> str:
    def shown(way: str) -> Callable[[dict[str, float | str]], str]:
        return lambda row: row[way] if isinstance(row[way], str) else f"{row[way]:.0f}"

    columns = {" GFLOP/s of the layers": shown("model"), **{way: shown(way) for way in ("float32", "plain", "split")}}
    return markdown(columns, rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="catalog names; by default both embedded ones")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    rows = [row for name in asked.models or MODELS for row in measure(name)]
    require_numbers(map(asdict, rows))
    rates = [speeds(name) for name in asked.models or MODELS]
    if asked.json:
        print(json.dumps({"machine": describe(), "rows": [asdict(row) for row in rows], "gflops": rates}, indent=2))
        return
    print(as_markdown(rows) + "\n\n" + speeds_as_markdown(rates))


if __name__ == "__main__":
    main()
