"""Where the time of scoring goes, by torch's profiler: products, attention, norms, copies, log-sum-exp, tokenizing, Python.

    python benchmarks/where.py                          # rewards and log-probabilities on the two embedded base models
    python benchmarks/where.py gemma-3-270m --json

Shares are of processor time of the thread that scores; what the profiler itself costs counts as Python. The last column is
the share of the measured rate of the products alone (each at this machine's speed for its shape) without the profiler.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from logprobs import MODELS, floor_seconds, prepare
from measured import markdown, products_during, require_numbers, seconds_alone, timed
from torch.profiler import ProfilerActivity, profile, record_function
from transformers import AttentionInterface
from transformers.utils import logging

from birthmark.inputs.lexicons import load_lexicon
from birthmark.inputs.prompts import load_prompts
from birthmark.models import engine, shared_attention
from birthmark.models.encoding import Encoder
from birthmark.models.machine import describe
from birthmark.models.scorers import make_scorer
from scoring import PROMPT, sampled_answers, with_random_head

PARTS = {
    "products": ("mkldnn::_linear_pointwise", "aten::addmm", "aten::mm"),
    "copies": (
        "aten::copy_",
        "aten::cat",
        "aten::index",
        "aten::_index_put_impl_",
        "aten::index_select",
        "aten::fill_",
    ),
}
COLUMNS = ("layers' products", "vocabulary's product", "log-sum-exp", "attention", "norms, activations, rotary",
           "gather and scatter", "tokenizing", "Python and rest")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Shares of processor time by part, and of the floor."""

    model: str
    kind: str
    seconds: float
    shares: dict[str, float]
    floor: float


def labelled(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*given: Any, **named: Any) -> Any:
        with record_function(name):
            return function(*given, **named)

    return run


@contextmanager
def labels() -> Iterator[None]:
    """Within the block the profiler sees which part an operation belongs to."""
    places = [
        (engine.PrefixEngine, "_logits", "vocabulary's product"),
        (engine, "_log_sum_exp", "log-sum-exp"),
        (Encoder, "context", "tokenizing"),
        (Encoder, "conversations", "tokenizing"),
    ]
    own = [getattr(where, name) for where, name, _ in places]
    for (where, name, label), function in zip(places, own, strict=True):
        setattr(where, name, labelled(label, function))
    AttentionInterface.register(shared_attention.NAME, labelled("attention", shared_attention.attend))
    try:
        yield
    finally:
        for (where, name, _), function in zip(places, own, strict=True):
            setattr(where, name, function)
        AttentionInterface.register(shared_attention.NAME, shared_attention.attend)


def shares(run: Callable[[], Any]) -> dict[str, float]:
    """Each part's share of the processor time of a call."""
    with labels(), profile(activities=[ProfilerActivity.CPU]) as profiler, record_function("whole"):
        run()
    events = profiler.events()
    whole = next(event for event in events if event.name == "whole")
    found = dict.fromkeys(COLUMNS, 0.0)
    for event in events:
        if event.thread == whole.thread and event is not whole:
            found[part_of(event)] += event.self_cpu_time_total
    found["Python and rest"] += whole.self_cpu_time_total
    total = sum(found.values())
    return {name: value / total for name, value in found.items()}


def part_of(event: Any) -> str:
    """By the label around it, else by its name."""
    outer = event
    while outer is not None:
        if outer.name in COLUMNS:
            return outer.name if event is not outer or outer.name == "tokenizing" else "Python and rest"
        outer = outer.cpu_parent
    if event.name in PARTS["products"]:
        return "layers' products"
    if event.name in PARTS["copies"]:
        return "gather and scatter"
    return "norms, activations, rotary" if event.name.startswith("aten::") else "Python and rest"


def measure(name: str, candidates: int) -> list[Row]:
    from birthmark.models.resolve import resolve
    from birthmark.models.tokenizer import load_tokenizer

    scorer, _ = prepare(name, list(load_lexicon("starter").words), "prefix")
    prompts = [prompt.text for prompt in load_prompts().prompts.values()]
    texts = [prompts[index] for index in scorer.batches(prompts)[0]]
    rows = [row(name, "log-probabilities", lambda: scorer.score_together(texts), lambda: floor_seconds(scorer, texts))]
    found = resolve(name) if resolve(name).chat_template else resolve(name, chat_template="plain")
    model, tokenizer = with_random_head(str(found.path), torch.float32, torch.device("cpu")), load_tokenizer(found)
    answers = sampled_answers(tokenizer, candidates)
    rewards = make_scorer(model, tokenizer, kind="reward", words=answers, vocabulary=False, frame="chat")
    run = lambda: rewards.score(PROMPT)
    alone = lambda: seconds_alone(products_during(model.get_decoder(), run))
    return [*rows, row(name, "rewards", run, alone)]


def row(name: str, kind: str, run: Callable[[], Any], alone: Callable[[], float]) -> Row:
    run()
    seconds = sorted(timed(run)[0] for _ in range(3))[1]
    return Row(name, kind, seconds, shares(run), alone() / seconds)


def as_markdown(rows: list[Row]) -> str:
    columns: dict[str, Callable[[Row], str]] = {" model": lambda row: row.model, " scores": lambda row: row.kind}
    for part in COLUMNS:
        columns[part] = lambda row, part=part: f"{row.shares[part]:.1%}"  # type: ignore[misc]
    columns["share of the products' rate"] = lambda row: f"{row.floor:.0%}"
    return markdown(columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="catalog names; by default both embedded ones")
    parser.add_argument("--candidates", type=int, default=512, help="rewards")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    rows = [each for name in asked.models or MODELS for each in measure(name, asked.candidates)]
    require_numbers([{"floor": row.floor, **row.shares} for row in rows])
    if asked.json:
        print(json.dumps({"machine": describe(), "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        print(as_markdown(rows))


if __name__ == "__main__":
    main()
