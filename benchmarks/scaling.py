"""What a study costs on 1, 8 and 64 GPUs, on paper, and where it stops scaling; the tables of docs/scaling.md.

    python benchmarks/scaling.py                            # all from figures below, no GPU needed
    python benchmarks/scaling.py --ms 0.15 --price 4.00     # with cost a candidate and a price of your own
    python benchmarks/scaling.py --measure                  # speed-up of a second actor here, and Ray's overhead a unit

Work is laid out as `birthmark audit --ray` does it: a unit is a model, a prompt and a block of its candidates, GPUs take units
in turn, and a GPU that goes to another model loads it first.
"""

import argparse
import heapq
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from birthmark.inputs.catalog import load_catalog, load_set
from birthmark.scoring.local import blocks_of

# Measured (docs/benchmarks.md, one H200, bfloat16): a reward model in the shape of Llama 3.1 8B.
MS_A_CANDIDATE, OF_PARAMETERS = 0.15, 7.5e9
RATE = 724e12  # operations a second of a bfloat16 matrix product there
SHARE = 0.33  # of it that scoring reached; training is assumed to reach the same
VOCABULARY = {"Llama": 126_639, "Gemma": 256_000, "Qwen": 151_643}  # Llama's is counted, the others at most

# Assumed.
PROMPTS = 54
READ = 2e9  # bytes a second from storage to GPU
START = 20.0  # seconds until a worker has imported torch, once a GPU and model
CONTEXT = 40  # tokens of a question in a language model's frame
PAIRS, TOKENS = 153_000, 2 * 500  # pairs seen in a run (9,578 steps of 16), tokens of a pair's two conversations
PASSES = 4  # a forward pass, its recomputation, and a backward pass of twice its cost
RUNS = {"gemma-2-2b": 12, "llama-3.2-3b": 12}  # two sources × three losses × two seeds on each
PAIR_MODELS = (
    *("gemma-2-2b", "gemma-2-2b-it", "gemma-2-9b", "gemma-2-9b-it", "gemma-2-27b", "gemma-2-27b-it"),
    *("llama-3.2-1b", "llama-3.2-1b-instruct", "llama-3.2-3b", "llama-3.2-3b-instruct", "llama-3.1-8b"),
    *("llama-3.1-8b-instruct", "meta-llama-3-8b", "meta-llama-3-8b-instruct", "qwen2.5-3b", "qwen2.5-3b-instruct"),
    *("qwen2.5-7b", "qwen2.5-7b-instruct", "qwen2.5-14b", "qwen2.5-14b-instruct"),
)
PRICES = {"2.50": 2.50, "4.00": 4.00}  # dollars a GPU hour: a rented H100 or H200, low and high
GPUS = (1, 8, 64)


@dataclass(frozen=True)
class Work:
    """One model's units: how many, seconds each, and seconds to load it on a GPU."""

    name: str
    units: int
    seconds: float
    load: float


def rewards(ms: float) -> list[Work]:
    """Ten reward models × 54 prompts × their vocabularies."""
    catalog = load_catalog()
    found = []
    for name in load_set("study"):
        entry = catalog[name]
        candidates = VOCABULARY[entry.family]
        blocks = len(blocks_of("reward", candidates))
        seconds = ms / 1000 * entry.parameters / OF_PARAMETERS * candidates / blocks
        found.append(Work(name, PROMPTS * blocks, seconds, loading(entry.parameters)))
    return sorted(found, key=lambda work: -work.seconds)


def base_pairs() -> list[Work]:
    """Ten pairs of language models; a whole vocabulary takes one pass over the question."""
    catalog = load_catalog()
    return [
        Work(name, PROMPTS, 2 * catalog[name].parameters * CONTEXT / (SHARE * RATE), loading(catalog[name].parameters))
        for name in PAIR_MODELS
    ]


def training() -> list[Work]:
    """The grid: a run is one unit."""
    catalog = load_catalog()
    return [
        Work(name, runs, PASSES * 2 * catalog[name].parameters * PAIRS * TOKENS / (SHARE * RATE), loading(2 * 3e9))
        for name, runs in RUNS.items()
    ]


def loading(parameters: float) -> float:
    return START + 2 * parameters / READ


def schedule(works: list[Work], gpus: int) -> tuple[float, float]:
    """Seconds until all is done, and seconds that GPUs were busy.

    A GPU stays with a model as long as it has units left, then goes to the first that has units and not yet all the places
    that it asks for: as many as prompts, or its share of the cluster.
    """
    free: list[tuple[float, int]] = [(0.0, gpu) for gpu in range(gpus)]
    left, places = [work.units for work in works], [0] * len(works)
    most = max(PROMPTS, gpus // len(works))
    held: dict[int, int] = {}
    busy, end = 0.0, 0.0
    while free and any(left):
        at, gpu = heapq.heappop(free)
        model = held.get(gpu)
        load = 0.0
        if model is None or not left[model]:
            model = next((index for index, units in enumerate(left) if units and places[index] < most), None)
            if model is None:
                continue
            held[gpu] = model
            places[model] += 1
            load = works[model].load
        left[model] -= 1
        taken = load + works[model].seconds
        busy += taken
        end = max(end, at + taken)
        heapq.heappush(free, (at + taken, gpu))
    return end, busy


def in_time(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds >= 3600
        else f"{seconds / 60:.0f} min"
        if seconds >= 120
        else f"{seconds:.0f} s"
    )


def print_tables(ms: float, prices: dict[str, float]) -> None:
    parts = {
        "ten reward models": rewards(ms),
        "ten base pairs": base_pairs(),
        "training grid, 24 runs": training(),
    }
    columns = [f"{gpus} GPU{'s' * (gpus > 1)}" for gpus in GPUS]
    print(
        f"| part | units | {' | '.join(columns)} | speed-up | GPU hours | {' | '.join('$' + each for each in prices)} |"
    )
    print(f"| --- | ---: | {'---: | ' * len(columns)}---: | ---: | {' | '.join(['---:'] * len(prices))} |")
    for name, works in parts.items():
        ends = [schedule(works, gpus)[0] for gpus in GPUS]
        hours = GPUS[1] * ends[1] / 3600  # what 8 rented GPUs are paid for
        money = " | ".join(f"{hours * price:,.0f}" for price in prices.values())
        cells = " | ".join(in_time(end) for end in ends)
        units = sum(work.units for work in works)
        print(f"| {name} | {units:,} | {cells} | {ends[0] / ends[-1]:.0f}× | {hours:.1f} | {money} |")
    print()
    largest = max(parts["ten reward models"], key=lambda work: work.units * work.seconds)
    print(f"| GPUs | ten reward models | busy | `{largest.name}` alone |")
    print("| ---: | ---: | ---: | ---: |")
    for gpus in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024):
        end, busy = schedule(parts["ten reward models"], gpus)
        alone, _ = schedule([largest], gpus)
        print(f"| {gpus} | {in_time(end)} | {busy / end / gpus:.0%} | {in_time(alone)} |")


def measure(model: str) -> None:
    """Seconds of scoring with one and two actors of one thread each, and what Ray itself takes for an empty unit."""
    import os

    os.environ["OMP_NUM_THREADS"] = "1"
    import ray

    import birthmark as bm
    from birthmark.scoring.cluster import Request, connect
    from birthmark.scoring.places import Places

    connect("local")

    def nothing(_: object) -> object:
        return None

    with Places(Request(1), 1, lambda place: ray.remote(nothing).options(**place.options)) as one:
        run = lambda count: sum(1 for _ in one.run(range(count), lambda task, item: task.remote(item), str))
        run(10)
        start = time.perf_counter()
        run(500)
        print(f"an empty unit: {(time.perf_counter() - start) / 500 * 1000:.1f} ms, load {os.getloadavg()[0]:.1f}")
    asked = {"candidates": "lexicon", "lexicons": "starter"}
    for actors in (1, 2):
        holder = None
        if actors == 1:  # the other CPU is taken
            holder = ray.remote(num_cpus=1)(type("Holder", (), {"ready": lambda self: True})).remote()
            ray.get(holder.ready.remote())
        with tempfile.TemporaryDirectory() as out:
            start = time.perf_counter()
            table = bm.score(model, out=Path(out), ray=True, **asked)
        if holder is not None:
            ray.kill(holder)
        whole = time.perf_counter() - start
        print(
            f"{actors} actors: {table.record.seconds:.1f} s of scoring, {whole:.1f} s in all, load {os.getloadavg()[0]:.1f}"
        )
    ray.shutdown()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--ms", type=float, default=MS_A_CANDIDATE, help="milliseconds a candidate of an 8B reward model"
    )
    parser.add_argument("--price", type=float, help="dollars a GPU hour")
    parser.add_argument("--measure", nargs="?", const="smollm2-135m-instruct", metavar="MODEL")
    asked = parser.parse_args(arguments)
    if asked.measure:
        measure(asked.measure)
    else:
        print_tables(asked.ms, {f"{asked.price:.2f}": asked.price} if asked.price else PRICES)


if __name__ == "__main__":
    main(sys.argv[1:])
