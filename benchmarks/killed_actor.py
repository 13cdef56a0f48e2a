"""A model scored by actors of a local Ray, one of which is killed on the way: what the driver sees, line by line.

python benchmarks/killed_actor.py MODEL OUT
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil

import birthmark as bm
from birthmark.scoring.resume import Kept

KILL_AFTER = 4  # units
keep, begun, texts = Kept.write, time.monotonic(), list[str]()


def actors() -> list[int]:
    lines = {process.pid: process.cmdline() for process in psutil.Process().children(recursive=True)}
    return sorted(pid for pid, line in lines.items() if line and line[0].startswith("ray::_Actor"))


def say(text: str) -> None:
    print(f"{time.monotonic() - begun:6.1f} s  {text}", flush=True)


def write(self: Kept, text: str, *rest: Any) -> None:
    keep(self, text, *rest)
    texts.append(text)
    if len(texts) in (1, KILL_AFTER, 54):
        say(f"{len(texts)} units kept, actors {actors()}")
    if len(texts) == KILL_AFTER:
        os.kill(actors()[0], signal.SIGKILL)
        say("actor killed")


def main(model: str, out: str) -> None:
    Kept.write = write  # type: ignore[method-assign]
    record = bm.score(model, candidates="lexicon", out=Path(out), ray=True).record
    check = f"self-check {record.verify_max_abs_diff:.1e}; SHA-256 {record.sha256[:16]}"
    say(f"done: {len(texts)} units kept, {len(set(texts))} different; backend {record.backend}; {check}")


if __name__ == "__main__":
    main(*sys.argv[1:])
