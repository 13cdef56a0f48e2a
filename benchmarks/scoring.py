"""How long a reward takes: the published procedure beside birthmark's two engines, on this machine.

The published procedure, in our own words: every conversation in full through the chat template, tokenized in batches
of 64 that are padded to their longest, through `AutoModelForSequenceClassification`. The engines score the same
candidates with the same model in the same precision, in one run; the published procedure is timed first and last.
Times include rendering and tokenizing. A seeded random linear head sits on each base model; models too large to have at
hand are drawn at random in memory, with the tokenizer of a folder. Where BIRTHMARK_VLLM names an environment with vLLM, its
server scores the same candidates with the same model in the same run, prefix caching on, as `--server` asks it.

    python benchmarks/scoring.py                              # the two embedded base models
    python benchmarks/scoring.py smollm2-135m-instruct --candidates 1024 --json
    python benchmarks/scoring.py --random llama-3.1-8b TOKENIZER_FOLDER --candidates 8192
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measured import child, markdown, peak_bytes, products_during, require_numbers, seconds_alone, timed, tokens_during
from random_models import SHAPES, load_drawn_tokenizer, random_model
from transformers.utils import logging
from vllm_server import VARIABLE, vllm

from birthmark.models.engine import PLAIN_ROWS
from birthmark.models.machine import choose_device, choose_dtype, describe, matmul_rate, release_memory
from birthmark.models.scorers import RewardScorer, make_scorer
from birthmark.models.vocabulary import read_vocabulary
from birthmark.scoring.serving import Connection, look_at

PROMPT = "What, in one word, is the greatest thing ever?"
REACH = {"smollm2-135m-instruct": 12.0, "gemma-3-270m": 6.5}
AGREEMENT = 1e-4


@dataclass(frozen=True)
class Row:
    """One way of scoring one model's candidates.

    `ratio`: seconds of the published procedure (mean of before and after) ÷ this way's. `bound`: tokens of all
    conversations ÷ tokens that the prefix engine runs, (prefix + suffix) ÷ suffix but for what forks early.
    `share_of_products`, of the prefix engine on a CPU: what its products alone would take, each at the speed measured for
    its shape. `peak_bytes` is of a process that scores in this way only. `reached`: the goal is met and the rewards agree;
    None where there is no goal. What vLLM runs is not counted: None.
    """

    model: str
    way: str
    candidates: int
    tokens_run: int | None
    seconds_per_candidate: float
    ratio: float
    bound: float
    share_of_matmul_rate: float | None
    share_of_products: float | None
    peak_bytes: int | None
    max_abs_diff: float
    reached: bool | None


def with_random_head(path: str, dtype: torch.dtype, device: torch.device) -> Any:
    """The base model as a sequence classifier with one label, its head drawn from N(0, 0.02²), seed 0."""
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=1, dtype=dtype)
    generator = torch.Generator().manual_seed(0)
    weight = model.score.weight
    weight.data.copy_(0.02 * torch.randn(weight.shape, generator=generator))
    return model.to(device).eval()


@torch.inference_mode()
def published(model: Any, tokenizer: Any, answers: list[str]) -> np.ndarray:
    """Every conversation in full, in padded batches of 64."""
    tokenizer.padding_side = "right"
    rewards = []
    for start in range(0, len(answers), PLAIN_ROWS):
        turns = [
            [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": answer}]
            for answer in answers[start : start + PLAIN_ROWS]
        ]
        texts = tokenizer.apply_chat_template(turns, tokenize=False)
        special = tokenizer.bos_token not in texts[0]  # no second BOS, so that all three ways score the same ids
        batch = tokenizer(texts, padding=True, add_special_tokens=special, return_tensors="pt").to(model.device)
        rewards.append(model(**batch).logits[:, 0].float().cpu().numpy())
    return np.concatenate(rewards)


def through_vllm(model: Any, tokenizer: Any, scorer: RewardScorer, answers: list[str]) -> tuple[float, np.ndarray]:
    """Seconds and rewards of a vLLM server, rendering and tokenizing included, starting it not."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        # the shared beginnings are shorter than the blocks of 128 tokens that vLLM caches on a CPU by default
        with vllm(folder, Path(temporary) / "log", "--runner", "pooling", "--block-size", "32") as address:
            connection = Connection(address)
            served = look_at(connection, [str(folder)])[0]
            end = served.rewards

            def rewards(wanted: list[str]) -> np.ndarray:
                conversations = scorer.encoder.conversations(PROMPT, wanted)
                starts = range(0, len(wanted), end.at_once)
                bodies = [end.body(served.model, conversations[at : at + end.at_once], False) for at in starts]
                found = connection.post_all(end.path, bodies, ["a batch"] * len(bodies))
                return np.array([values[0] for each in found for values in end.numbers(each)], dtype=np.float32)

            rewards(answers[:1])  # as a server that has been running for a while
            result = timed(lambda: rewards(answers))
            connection.close()
    return result


def padded_tokens(lengths: np.ndarray) -> int:
    """Tokens that batches of 64 padded to their longest run."""
    batches = [lengths[start : start + PLAIN_ROWS] for start in range(0, len(lengths), PLAIN_ROWS)]
    return int(sum(len(batch) * batch.max() for batch in batches))


def sampled_answers(tokenizer: Any, count: int) -> list[str]:
    """A seeded sample of the vocabulary's decodable tokens, as the published study scored them."""
    texts = read_vocabulary(tokenizer, len(tokenizer)).texts
    chosen = np.random.default_rng(0).choice(len(texts), size=count, replace=False)
    return [texts[index] for index in chosen]


def load(name: str, device: torch.device, dtype: str) -> tuple[Any, Any]:
    """A base model by name with a drawn head, and its tokenizer."""
    from birthmark.models.resolve import resolve
    from birthmark.models.tokenizer import load_tokenizer

    found = resolve(name) if resolve(name).chat_template else resolve(name, chat_template="plain")
    return with_random_head(str(found.path), getattr(torch, dtype), device), load_tokenizer(found)


def measure(name: str, count: int, device: torch.device, dtype: str, repeats: int) -> list[Row]:
    """Time the three ways on one model, and take the peak memory of each."""
    rows = measure_model(name, *load(name, device, dtype), count, repeats)
    ways = {row.way.partition(",")[0] for row in rows} - {"vllm"}
    peaks = {
        way: child(__file__, name, "--peak", way, "--candidates", count, "--device", device, "--dtype", dtype)
        for way in ways
    }
    return [replace(row, peak_bytes=peaks.get(row.way.partition(",")[0])) for row in rows]


def peak(name: str, way: str, count: int, device: torch.device, dtype: str) -> int:
    """Peak memory of this process, which scores in one way only: of the slow ways two batches, since all are alike."""
    model, tokenizer = load(name, device, dtype)
    answers = sampled_answers(tokenizer, count)
    if way == "published":
        published(model, tokenizer, answers[: 2 * PLAIN_ROWS])
        return peak_bytes()
    words = answers if way == "prefix" else answers[: 2 * PLAIN_ROWS]
    scorer = make_scorer(model, tokenizer, kind="reward", words=words, vocabulary=False, frame="chat", engine=way)
    scorer.score(PROMPT)
    return peak_bytes()


def measure_random(shape: str, folder: str, count: int, device: torch.device, dtype: str, repeats: int) -> list[Row]:
    """Time the three ways on a model of a shape whose weights are drawn."""
    tokenizer = load_drawn_tokenizer(shape, folder)
    return measure_model(shape, random_model(shape, getattr(torch, dtype), device), tokenizer, count, repeats)


def measure_model(name: str, model: Any, tokenizer: Any, count: int, repeats: int) -> list[Row]:
    """Time the three ways on a model in memory."""
    device, dtype = model.device, str(model.dtype).removeprefix("torch.")
    answers = sampled_answers(tokenizer, count)
    scorers = {
        engine: make_scorer(
            model, tokenizer, kind="reward", words=answers, vocabulary=False, frame="chat", engine=engine
        )
        for engine in ("plain", "prefix")
    }
    assert isinstance(scorers["prefix"], RewardScorer)
    conversations = scorers["prefix"].encoder.conversations(PROMPT, answers)
    lengths = np.array([len(ids) for ids in conversations])
    needed = tokens_during(model.get_decoder(), lambda: scorers["prefix"].score(PROMPT))
    on_cpu = device.type == "cpu" and dtype == "float32"
    products = products_during(model.get_decoder(), lambda: scorers["prefix"].score(PROMPT)) if on_cpu else {}
    alone = seconds_alone(products)
    parameters = sum(p.numel() for p in model.parameters()) - model.get_input_embeddings().weight.numel()
    rate = matmul_rate(device, dtype)

    ways: dict[str, Callable[[], np.ndarray]] = {
        "published": lambda: published(model, tokenizer, answers),
        "plain": lambda: scorers["plain"].score(PROMPT).scores,
        "prefix": lambda: scorers["prefix"].score(PROMPT).scores,
    }
    published(model, tokenizer, answers[:PLAIN_ROWS])
    before, reference = timed(ways["published"])
    plain, plain_scores = timed(ways["plain"])
    prefix_times, prefix_scores = zip(*(timed(ways["prefix"]) for _ in range(repeats)), strict=True)
    served = []
    if os.environ.get(VARIABLE):
        try:
            served = [("vllm", *through_vllm(model, tokenizer, scorers["prefix"], answers))]
        except RuntimeError as error:  # a class that vLLM does not have
            print(f"{name}: {error}", file=sys.stderr)
    after, _ = timed(ways["published"])

    full = padded_tokens(lengths)
    runs = [
        ("published, before", before, full, reference),
        ("plain", plain, full, plain_scores),
        ("prefix", float(np.median(prefix_times)), needed, prefix_scores[-1]),
        *((way, seconds, None, scores) for way, seconds, scores in served),
        ("published, after", after, full, reference),
    ]
    mean = (before + after) / 2
    rows = []
    for way, seconds, tokens, scores in runs:
        difference = float(np.abs(scores - reference).max())
        goal = REACH.get(name) if way == "prefix" and on_cpu else None
        rows.append(
            Row(
                model=name,
                way=way,
                candidates=count,
                tokens_run=tokens,
                seconds_per_candidate=seconds / count,
                ratio=mean / seconds,
                bound=float(lengths.sum() / needed),
                share_of_matmul_rate=None if tokens is None else 2 * parameters * tokens / seconds / rate,
                share_of_products=alone / seconds if alone and way == "prefix" else None,
                peak_bytes=None,
                max_abs_diff=difference,
                reached=None if goal is None else bool(mean / seconds >= goal and difference <= AGREEMENT),
            )
        )
    return rows


def as_markdown(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    percent = lambda share: "" if share is None else f"{share:.0%}"
    return markdown(
        {
            " model": lambda row: row.model,
            " way": lambda row: row.way,
            "ms a candidate": lambda row: f"{1000 * row.seconds_per_candidate:.2f}",
            "× published": lambda row: f"{row.ratio:.2f}",
            "bound": lambda row: f"{row.bound:.1f}" if row.way == "prefix" else "",
            "share of matrix rate": lambda row: percent(row.share_of_matmul_rate),
            "share of these products' rate": lambda row: percent(row.share_of_products),
            "peak": lambda row: "" if row.peak_bytes is None else f"{row.peak_bytes / 1e9:.2f} GB",
            "largest difference": lambda row: f"{row.max_abs_diff:.1e}",
        },
        rows,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="catalog names, hub ids or folders; by default both embedded ones")
    parser.add_argument(
        "--random",
        nargs=2,
        action="append",
        default=[],
        metavar=("SHAPE", "TOKENIZER"),
        help=f"{', '.join(SHAPES)} with drawn weights, and a folder with its tokenizer; repeatable",
    )
    parser.add_argument("--candidates", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3, help="runs of the prefix engine; the median counts")
    parser.add_argument("--device")
    parser.add_argument("--dtype")
    parser.add_argument("--threads", type=int, help="by default one a core")
    parser.add_argument("--peak", choices=("published", "plain", "prefix"), help="print one way's peak memory")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    device = choose_device(asked.device)
    dtype = choose_dtype(asked.dtype, device)
    if asked.peak:
        print(peak(asked.models[0], asked.peak, asked.candidates, device, dtype))
        return
    rows = []
    for name in asked.models or ([] if asked.random else list(REACH)):
        rows += measure(name, asked.candidates, device, dtype, asked.repeats)
    for shape, folder in asked.random:
        rows += measure_random(shape, folder, asked.candidates, device, dtype, asked.repeats)
        release_memory()
    require_numbers(map(asdict, rows))
    machine = describe() | {"device": str(device), "dtype": dtype, "matmul_flops": matmul_rate(device, dtype)}
    if asked.json:
        print(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=2))
        return
    print(as_markdown(rows))
    where = machine["cuda"][device.index or 0] if device.type == "cuda" else machine["processor"]
    print(
        f"\n{where}, {machine['threads']} threads, {device}, {dtype}, torch {machine['torch']}: "
        f"{machine['matmul_flops'] / 1e9:.0f} GFLOP/s in a matrix product. The published procedure is timed first and "
        "last, and ratios are to the mean of the two."
    )


if __name__ == "__main__":
    main()
