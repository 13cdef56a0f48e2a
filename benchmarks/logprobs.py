"""How long log-probabilities of words take: minicons beside birthmark's two engines, with the floor of the arithmetic.

The same words in the same forms after the same contexts, with the same model in float32, in one run; minicons is timed first
and last. birthmark's ways give the whole vocabulary's next tokens too. The floor is the products alone (the layers' over the
tokens that the prefix engine runs, the vocabulary's over the states that it reads), each at the speed that this machine
reaches for this very shape. minicons and plain score a seeded sample of the words after one prompt, since they take long.
Where minicons can't be imported, BIRTHMARK_MINICONS may name an environment that has it; without it, it is left out.

    python benchmarks/logprobs.py                       # the two embedded base models
    python benchmarks/logprobs.py gemma-3-270m --json
"""

import argparse
import importlib
import json
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measured import (
    child,
    markdown,
    peak_bytes,
    product_seconds,
    products_during,
    require_numbers,
    seconds_alone,
    timed,
)
from transformers.utils import logging

from birthmark.inputs.lexicons import load_lexicon
from birthmark.inputs.prompts import load_prompts
from birthmark.models.engine import LOGITS_IN_CACHE, PrefixEngine
from birthmark.models.machine import choose_device, describe
from birthmark.models.scorers import LogProbScorer, make_scorer

MODELS = {"smollm2-135m-instruct": "chat", "gemma-3-270m": "qa"}
VARIABLE = "BIRTHMARK_MINICONS"
AT_ONCE = 16  # conversations in a batch of minicons: it keeps every position's logits
WAYS = ("minicons", "plain", "prefix")


@dataclass(frozen=True)
class Row:
    """One way of scoring one model's words: milliseconds a word (all its forms) and prompt.

    `floor`: share of the time that the products alone take. `max_abs_diff`: from birthmark's plain engine, of words that
    both tokenize alike; `other_tokens` of the words they do not.
    """

    model: str
    way: str
    words: int
    prompts: int
    ms_a_word: float
    floor: float | None
    peak_bytes: int | None
    max_abs_diff: float
    other_tokens: int


def find_minicons() -> Any:
    """The module, or the reason why there is none."""
    if folder := os.environ.get(VARIABLE):
        sys.path += [str(path) for path in Path(folder).glob("lib/python*/site-packages")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("minicons.scorer")
    except ImportError as error:
        return f"minicons is left out: {error}; install it, or set {VARIABLE}"


class Minicons:
    """minicons's scorer of the same words: every form in full after its context, in batches."""

    def __init__(self, module: Any, scorer: LogProbScorer, tokenizer: Any) -> None:
        self.encoder = scorer.encoder
        seen = set(scorer.encoder.context("Hello"))
        # it leaves the padding token out where it counts the context, which SmolLM2 closes its turns with
        tokenizer.pad_token_id = next(index for index in tokenizer.all_special_ids if index not in seen)
        self.tokenizer = tokenizer
        self.model = module.IncrementalLMScorer(scorer.model, "cpu", tokenizer=tokenizer)

    def score(self, text: str, words: list[str]) -> np.ndarray:
        """float64 [words]: log Σ over a word's forms of exp Σ over its tokens."""
        written, found = self.encoder.written(text), []
        forms = [(place, form) for place, word in enumerate(words) for form in self.encoder.forms(word)]
        for start in range(0, len(forms), AT_ONCE):
            part = [form for _, form in forms[start : start + AT_ONCE]]
            found += self.model.conditional_score(
                [written] * len(part), part, separator="", reduction=lambda each: each.double().sum().item(),
                chat=self.encoder.frame == "chat",
            )  # fmt: skip
        sums = np.full(len(words), -np.inf)
        for (place, _), value in zip(forms, found, strict=True):
            sums[place] = np.logaddexp(sums[place], value)
        return sums

    def tokenizes_otherwise(self, text: str, word: str) -> bool:
        """Whether a form's tokens in the text are others than alone after the context."""
        written, context = self.encoder.written(text), self.encoder.context(text)
        special = self.encoder.frame != "chat"
        return any(
            self.tokenizer(written + form, add_special_tokens=special)["input_ids"] != [*context, *ids]
            for form, ids in zip(self.encoder.forms(word), self.encoder.form_ids(self.encoder.forms(word)), strict=True)
        )


def prepare(name: str, words: list[str], engine: str) -> tuple[LogProbScorer, Any]:
    """A scorer of a model's words and vocabulary, and a tokenizer of its own for another library."""
    from birthmark.models.loading import load_model
    from birthmark.models.resolve import resolve
    from birthmark.models.tokenizer import load_tokenizer

    found = resolve(name)
    model = load_model(found, dtype="float32", device="cpu")
    scorer = make_scorer(
        model, load_tokenizer(found), kind="logprob", words=words, vocabulary=True, frame=MODELS.get(name, "qa"),
        engine=engine,
    )  # fmt: skip
    assert isinstance(scorer, LogProbScorer)
    return scorer, load_tokenizer(found)


def sampled(words: list[str], count: int) -> list[str]:
    chosen = np.random.default_rng(0).choice(len(words), size=min(count, len(words)), replace=False)
    return [words[index] for index in sorted(chosen)]


def floor_seconds(scorer: LogProbScorer, texts: list[str]) -> float:
    """Seconds of the products alone: the layers' for the tokens that run, the head's for the states that are read."""
    engine = scorer.engine
    assert isinstance(engine, PrefixEngine)
    states: list[int] = []
    own = engine._token_log_probs

    def counted(found: torch.Tensor, *others: Any) -> Any:
        states.append(len(found))
        return own(found, *others)

    engine._token_log_probs = counted  # type: ignore[method-assign]
    products = products_during(engine.decoder, lambda: scorer.score_together(texts))
    del engine._token_log_probs
    weight = scorer.model.get_output_embeddings().weight
    seconds = seconds_alone(products)
    for rows in states:
        block = max(1, LOGITS_IN_CACHE // rows)
        seconds += product_seconds((rows, weight.shape[1], block), times=3) * weight.shape[0] / block
    return seconds


def measure(name: str, module: Any, count: int, repeats: int) -> list[Row]:
    """Time the ways on one model."""
    words = list(load_lexicon("starter").words)
    few = sampled(words, count)
    prompts = [prompt.text for prompt in load_prompts().prompts.values()]
    prefix, other_tokenizer = prepare(name, words, "prefix")
    texts = [prompts[index] for index in prefix.batches(prompts)[0]]
    plain = make_scorer(
        prefix.model, prefix.encoder.tokenizer, kind="logprob", words=few, vocabulary=False,
        frame=MODELS.get(name, "qa"), engine="plain",
    )  # fmt: skip
    ways: dict[str, Callable[[], Any]] = {
        "plain": lambda: plain.score(texts[0]).scores,
        "prefix": lambda: prefix.score_together(texts),
    }
    other = [False] * len(few)
    if not isinstance(module, str):
        lm = Minicons(module, prefix, other_tokenizer)
        ways = {
            "minicons, before": lambda: lm.score(texts[0], few),
            **ways,
            "minicons, after": lambda: lm.score(texts[0], few),
        }
        other = [lm.tokenizes_otherwise(texts[0], word) for word in few]
    place = [len(prefix._tokens) + words.index(word) for word in few]
    prefix.score_together(texts)
    found: dict[str, tuple[float, np.ndarray, int, int]] = {}
    floor = floor_seconds(prefix, texts)
    for way, run in ways.items():
        if way == "prefix":
            runs = [timed(run) for _ in range(repeats)]
            seconds = float(np.median([each for each, _ in runs]))
            found[way] = (seconds, runs[-1][1][0].scores[place], len(words), len(texts))
        else:
            seconds, scores = timed(run)
            found[way] = (seconds, np.asarray(scores), len(few), 1)
    alike = ~np.array(other)
    rows = []
    for way, (seconds, scores, n_words, n_prompts) in found.items():
        theirs = way.startswith("minicons")
        differences = np.abs(scores - found["plain"][1])[alike if theirs else slice(None)]
        rows.append(
            Row(
                model=name,
                way=way,
                words=n_words,
                prompts=n_prompts,
                ms_a_word=1000 * seconds / n_words / n_prompts,
                floor=floor / seconds if way == "prefix" else None,
                peak_bytes=child(__file__, name, "--peak", way.partition(",")[0], "--words", count),
                max_abs_diff=float(differences.max()),
                other_tokens=sum(other) if theirs else 0,
            )
        )
    return rows


def peak(name: str, way: str, count: int) -> int:
    """Peak memory of a process that scores in one way only, loading included."""
    words, prompts = list(load_lexicon("starter").words), [each.text for each in load_prompts().prompts.values()]
    few = sampled(words, count)
    scorer, tokenizer = prepare(name, words if way == "prefix" else few, "plain" if way == "plain" else "prefix")
    if way == "minicons":
        Minicons(find_minicons(), scorer, tokenizer).score(prompts[0], few[:8])
    else:
        scorer.score_together([prompts[index] for index in scorer.batches(prompts)[0]])
    return peak_bytes()


def as_markdown(rows: list[Row]) -> str:
    """The rows as a Markdown table; ratios are to minicons' mean of before and after."""
    theirs = {
        name: [row.ms_a_word for row in rows if row.model == name and row.way.startswith("minicons")]
        for name in {row.model for row in rows}
    }
    return markdown(
        {
            " model": lambda row: row.model,
            " way": lambda row: row.way,
            "words × prompts": lambda row: f"{row.words} × {row.prompts}",
            "ms a word": lambda row: f"{row.ms_a_word:.1f}",
            "× minicons": lambda row: f"{np.mean(found) / row.ms_a_word:.1f}" if (found := theirs[row.model]) else "",
            "share of the floor": lambda row: "" if row.floor is None else f"{row.floor:.0%}",
            "peak": lambda row: f"{row.peak_bytes / 1e9:.2f} GB",
            "largest difference": lambda row: f"{row.max_abs_diff:.1e}",
            "words of other tokens": lambda row: str(row.other_tokens),
        },
        rows,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="catalog names; by default both embedded ones")
    parser.add_argument("--words", type=int, default=16, help="of the lexicon, that minicons and plain score")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peak", choices=WAYS, help="print one model's peak memory in one way")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if asked.peak:
        print(peak(asked.models[0], asked.peak, asked.words))
        return
    module = find_minicons()
    if isinstance(module, str):
        print(module, file=sys.stderr)
    rows = [row for name in asked.models or MODELS for row in measure(name, module, asked.words, asked.repeats)]
    require_numbers(map(asdict, rows))
    if asked.json:
        machine = describe() | {"device": str(choose_device("cpu"))}
        left_out = module if isinstance(module, str) else None
        print(json.dumps({"machine": machine, "left_out": left_out, "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        print(as_markdown(rows))


if __name__ == "__main__":
    main()
