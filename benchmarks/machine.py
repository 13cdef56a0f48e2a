"""All of the benchmarks of one machine in one run: their tables, and with --out one JSON file.

    python benchmarks/machine.py --out machine.json     # about half an hour on two quiet cores
    python benchmarks/machine.py --quick                # about ten minutes: fewer candidates and sizes

Each part is a program of its own that can be run alone; a part that fails, or that has a figure that is NaN, ends the run.
A served vLLM and minicons stand beside the others where BIRTHMARK_VLLM and BIRTHMARK_MINICONS name environments with them.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bfloat16
import growth
import logprobs
import sentences
import where
from measured import child, markdown

import scoring

HERE = Path(__file__).parent
QUICK = {
    "scoring": ("--candidates", 128, "--repeats", 1),
    "sentences": ("--words", 16, "--repeats", 1),
    "logprobs": ("--words", 4, "--repeats", 1),
    "growth": ("--quick",),
}


def rows_of(kind: type) -> Callable[[dict[str, Any]], list[Any]]:
    return lambda found: [kind(**row) for row in found["rows"]]


def bfloat16_speeds(found: dict[str, Any]) -> str:
    return bfloat16.as_markdown(rows_of(bfloat16.Row)(found)) + "\n\n" + bfloat16.speeds_as_markdown(found["gflops"])


def growth_tables(found: dict[str, Any]) -> str:
    points = [growth.Point(**point) for point in found["points"]]
    return growth.as_markdown(points) + "\n\n" + growth.exponents_as_markdown(found["fitted"])


TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "scoring": ("Rewards", lambda found: scoring.as_markdown(rows_of(scoring.Row)(found))),
    "sentences": ("Words in sentences", lambda found: sentences.as_markdown(rows_of(sentences.Row)(found))),
    "logprobs": ("Log-probabilities", lambda found: logprobs.as_markdown(rows_of(logprobs.Row)(found))),
    "where": ("Where the time goes", lambda found: where.as_markdown(rows_of(where.Row)(found))),
    "bfloat16": ("Products in bfloat16", bfloat16_speeds),
    "growth": ("How cost grows", growth_tables),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, help="a file for the figures of all parts, as JSON")
    parser.add_argument("--only", choices=TABLES, action="append", help="a part; repeatable")
    asked = parser.parse_args()
    parts = {}
    for name in asked.only or TABLES:
        title, table = TABLES[name]
        parts[name] = child(str(HERE / f"{name}.py"), "--json", *(QUICK.get(name, ()) if asked.quick else ()))
        print(f"## {title}\n\n{table(parts[name])}\n", flush=True)
        if reason := parts[name].get("left_out"):
            print(f"{reason}\n", flush=True)
    machine = next(iter(parts.values()))["machine"]
    shown = ("processor", "bfloat16_units", "cores", "threads", "memory_bytes", "python", "torch")
    print(
        markdown({" machine": lambda row: row[0], " ": lambda row: str(row[1])}, [(key, machine[key]) for key in shown])
    )
    if asked.out:
        asked.out.write_text(json.dumps({"machine": machine, "parts": parts}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
