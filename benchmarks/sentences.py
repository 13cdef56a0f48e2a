"""Rewards of words in sentences: every conversation in full beside the prefix engine, which shares what they have in common.

    python benchmarks/sentences.py
    python benchmarks/sentences.py --words 24

The twelve bundled sentences, one question. Sentences in which the word comes early have the most behind it that must be run
again for each word, so the bound is printed for early and late ones apart. All ways are timed in one run.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from measured import markdown, products_during, require_numbers, seconds_alone, timed, tokens_during
from transformers.utils import logging

from birthmark.inputs.answers import SENTENCES, AnswerTemplate, InSentence, load_answers
from birthmark.inputs.lexicons import load_lexicon
from birthmark.models.engine import PLAIN_ROWS
from birthmark.models.machine import describe
from birthmark.models.scorers import RewardScorer, make_scorer
from scoring import PROMPT, REACH, load, published

WHERE = ("early", "late")


@dataclass(frozen=True)
class Row:
    """One way of scoring words in some of the sentences. `bound`: tokens of all conversations ÷ tokens that the prefix engine
    runs; `share_of_products`: what its products alone would take, each at the speed measured for its shape."""

    model: str
    way: str
    position: str
    sentences: int
    words: int
    seconds_per_answer: float
    ratio: float
    bound: float
    share_of_products: float | None
    max_abs_diff: float


def scores(scorer: RewardScorer, templates: Mapping[str, AnswerTemplate]) -> np.ndarray:
    """Rewards float32 [sentences × words]."""
    return np.concatenate([scorer.score(InSentence(PROMPT, template)).scores for template in templates.values()])


def measure(name: str, n_words: int, repeats: int) -> list[Row]:
    """Time the ways on one model, early and late sentences apart."""
    model, tokenizer = load(name, torch.device("cpu"), "float32")
    words = list(load_lexicon("starter").words)[:n_words]
    plain, prefix = (
        make_scorer(model, tokenizer, kind="reward", words=words, vocabulary=False, frame="chat", engine=engine)
        for engine in ("plain", "prefix")
    )
    assert isinstance(plain, RewardScorer) and isinstance(prefix, RewardScorer)
    every = load_answers(SENTENCES).templates
    rows = []
    for position in WHERE:
        templates = {key: template for key, template in every.items() if template.position == position}
        rows += measure_some(name, model, tokenizer, plain, prefix, words, templates, position, repeats)
    return rows


def measure_some(
    name: str,
    model: Any,
    tokenizer: Any,
    plain: RewardScorer,
    prefix: RewardScorer,
    words: list[str],
    templates: Mapping[str, AnswerTemplate],
    position: str,
    repeats: int,
) -> list[Row]:
    """Time the ways on some of the sentences."""
    texts = [template.fill(word) for template in templates.values() for word in words]
    published(model, tokenizer, texts[:PLAIN_ROWS])
    decoder = model.get_decoder()
    needed = tokens_during(decoder, lambda: scores(prefix, templates))
    asked = [InSentence(PROMPT, template) for template in templates.values()]
    whole = sum(len(ids) for each in asked for ids in prefix.encoder.conversations(each, words))
    alone = seconds_alone(products_during(decoder, lambda: scores(prefix, templates)))
    before, reference = timed(lambda: published(model, tokenizer, texts))
    plain_seconds, plain_scores = timed(lambda: scores(plain, templates))
    times, found = zip(*(timed(lambda: scores(prefix, templates)) for _ in range(repeats)), strict=True)
    after, _ = timed(lambda: published(model, tokenizer, texts))
    runs = (
        ("published, before", before, reference),
        ("plain", plain_seconds, plain_scores),
        ("prefix", float(np.median(times)), found[-1]),
        ("published, after", after, reference),
    )
    return [
        Row(
            model=name,
            way=way,
            position=position,
            sentences=len(templates),
            words=len(words),
            seconds_per_answer=seconds / len(texts),
            ratio=(before + after) / 2 / seconds,
            bound=whole / needed,
            share_of_products=alone / seconds if way == "prefix" else None,
            max_abs_diff=float(np.abs(rewards - reference).max()),
        )
        for way, seconds, rewards in runs
    ]


def as_markdown(rows: list[Row]) -> str:
    return markdown(
        {
            " model": lambda row: row.model,
            " the word comes": lambda row: row.position,
            " way": lambda row: row.way,
            "ms an answer": lambda row: f"{1000 * row.seconds_per_answer:.1f}",
            "× published": lambda row: f"{row.ratio:.2f}",
            "bound": lambda row: f"{row.bound:.1f}" if row.way == "prefix" else "",
            "share of these products' rate": lambda row: (
                "" if row.share_of_products is None else f"{row.share_of_products:.0%}"
            ),
            "largest difference": lambda row: f"{row.max_abs_diff:.1e}",
        },
        rows,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="catalog names, hub ids or folders; by default both embedded ones")
    parser.add_argument("--words", type=int, default=60, help="of the starter lexicon")
    parser.add_argument("--repeats", type=int, default=3, help="runs of the prefix engine; the median counts")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    rows = [row for name in asked.models or REACH for row in measure(name, asked.words, asked.repeats)]
    require_numbers(map(asdict, rows))
    found: dict[str, Any] = {"machine": describe(), "rows": [asdict(row) for row in rows]}
    print(json.dumps(found, indent=2) if asked.json else as_markdown(rows))


if __name__ == "__main__":
    main()
