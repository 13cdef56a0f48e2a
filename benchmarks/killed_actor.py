"""A model scored by actors of a local Ray, one of which is killed on the way: what the driver sees, line by line.

python benchmarks/killed_actor.py MODEL OUT
"""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

import birthmark as bm
from birthmark.scoring.resume import Kept

ACTORS = 2  # how many have to be up before one is killed
keep, begun, texts, killed = Kept.write, time.monotonic(), list[str](), list[int]()


def actors() -> list[int]:
    lines = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            lines[process.pid] = process.cmdline()
    return sorted(
        pid for pid, line in lines.items() if line and line[0].startswith(("ray::_Actor.score", "ray::_Actor.des"))
    )


def say(text: str) -> None:
    print(f"{time.monotonic() - begun:6.1f} s  {text}", flush=True)


def write(self: Kept, text: str, *rest: Any) -> None:
    keep(self, text, *rest)
    texts.append(text)
    there = actors()
    if len(texts) in (1, 54) or len(there) == ACTORS and not killed:
        say(f"{len(texts)} units kept, actors at work {there}")
    if len(there) == ACTORS and not killed:
        os.kill(there[0], signal.SIGKILL)
        killed.append(there[0])
        say(f"actor {there[0]} killed")


def main(model: str, out: str) -> None:
    Kept.write = write  # type: ignore[method-assign]
    record = bm.score(model, candidates="lexicon", out=Path(out), ray=True).record
    check = f"self-check {record.verify_max_abs_diff:.1e}; SHA-256 {record.sha256[:16]}"
    say(f"done: {len(texts)} units kept, {len(set(texts))} different; backend {record.backend}; {check}")


if __name__ == "__main__":
    main(*sys.argv[1:])
