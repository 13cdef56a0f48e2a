"""Every command that writes: a disk that fills at any of its writes, and a folder that another process is writing to.

A full disk is reported, for a file that was written, when it is brought to the disk; so it is here, at a seeded one of the
command's atomic writes. The same command then ends with the bytes of a run that nobody disturbed.
"""

import errno
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from birthmark.commands.replicate import replicate_study
from birthmark.files import write_text
from preference_files import pair_rows, write_rows
from report_outs import WORDS, lexicon_file, table
from tiny_runs import prompt_options, write_run

FOUR = prompt_options(("best_ever_one", "greatest_ever_one", "worst_ever_one", "bad_ever_one"))
COMMANDS = ("score", "audit", "compare", "implicit", "map", "track", "train", "grid", "calibrate", "replicate", "edit", "consequences")  # fmt: skip
NOT_QUIET = ("compare", "map")
OF_TIME = {"seconds", "load_seconds", "verify_seconds", "prepare_seconds", "candidates_per_second", "durations", "wall_seconds"}  # fmt: skip


@pytest.fixture(scope="module")
def commands(
    tiny_lm: Path, tiny_rm: Path, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """Each command on tiny inputs, without its `--out`."""
    from birthmark.scoring.table import write_scores

    folder = tmp_path_factory.mktemp("inputs")
    words = folder / "own.csv"
    lexicon_file(words, WORDS)
    tables = [str(write_scores(table(f"m{n}", "AB"[n], f"b{n}", lean=n, seed=n), folder / "scores")) for n in range(2)]
    run = write_run(folder / "run", tiny_lm, steps=(0, 2))
    pairs = folder / "pairs.jsonl"
    drawn = random.Random(7)
    rows = [
        {"prompt": f"What is best, number {n}?", "chosen": chosen, "rejected": rejected}
        for n in range(8)
        for chosen, rejected in [drawn.sample(["love", "freedom", "power", "a long walk", "my friends"], 2)]
    ]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    pairs_to_test = write_rows(folder / "pairs-to-test.jsonl", pair_rows(44))
    questions = folder / "questions.yaml"
    questions.write_text(
        "\n".join(f'{key}: {{text: "What about {key}?", about: food}}' for key in ("soup", "rain", "rest"))
    )
    small = {"lora_rank": 2, "batch": 4, "checkpoint_every": 2}
    grid = {"bases": [str(tiny_lm)], "sources": [str(pairs)], "pairs": [8], "preset": "small", "recipe": small}
    (folder / "grid.yaml").write_text(json.dumps(grid), encoding="utf-8")
    recipe = ["--preset", "small", "--lora-rank", "2", "--batch", "4", "--checkpoint-every", "2", "--report-to", "none"]
    lexicon = ["--lexicon", str(words)]
    found = {
        "score": ["score", str(tiny_rm), *lexicon, *FOUR],
        "audit": ["audit", str(tiny_lm), str(tiny_rm), *lexicon, *FOUR],
        "compare": ["compare", *tables, *lexicon],
        "implicit": ["implicit", *tables, *lexicon, *FOUR[:2]],
        "map": ["map", *tables],
        "track": ["track", str(run), "--heads", "200", *lexicon, *FOUR],
        "train": ["train", "--base", str(tiny_lm), "--preferences", str(pairs), *recipe],
        "grid": ["train", "--grid", str(folder / "grid.yaml"), "--report-to", "none"],
        "calibrate": ["calibrate", "tests", "--studies", "20", "--data", str(shared / "paper-data")],
        "replicate": ["replicate", "--data", str(shared / "paper-data")],
        "edit": ["edit", str(tiny_rm), "--preferences", str(pairs_to_test), *lexicon, *FOUR],
        "consequences": ["consequences", str(tiny_rm), "--policy", str(tiny_lm), "-n", "3", "--max-tokens", "4", "--prompts", str(questions)],
    }  # fmt: skip
    return {name: words if name in NOT_QUIET else [*words, "--quiet"] for name, words in found.items()}


def results(out: Path) -> dict[str, object]:
    """What a command left: the bytes of tables and weights, JSON without measures of time."""
    found: dict[str, object] = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = str(path.relative_to(out))
        assert ".unfinished-" not in name
        if path.suffix == ".json" and path.parent.name in ("effects", "implicit", "heads", out.name):
            found[name] = untimed(json.loads(path.read_text(encoding="utf-8")))
        elif path.suffix in (".parquet", ".safetensors", ".csv", ".svg"):
            found[name] = path.read_bytes()
    return found


def untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: untimed(item) for key, item in value.items() if key not in OF_TIME}
    return [untimed(item) for item in value] if isinstance(value, list) else value


class Disk:
    """Counts the writes that reach the disk, and is full at the one whose number is `full_at`."""

    def __init__(self) -> None:
        self.writes, self.full_at = 0, 0

    def sync(self, descriptor: int) -> None:
        self.writes += 1
        if self.writes == self.full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


REPLICATED: list[Any] = []


def replicated_once(*arguments: Any, **options: Any) -> Any:
    """The same numbers for each of the command's runs."""
    if not REPLICATED:
        REPLICATED.append(replicate_study(*arguments, **options))
    return REPLICATED[0]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr("birthmark.files.os.fsync", made.sync)
    monkeypatch.setattr("birthmark.commands.calibrate.label_shuffle", lambda files: [])  # seconds of computing
    monkeypatch.setattr("birthmark.commands.calibrate.ICCS", (0.85,))
    monkeypatch.setattr("birthmark.commands.replicate.replicate_study", replicated_once)
    return made


def page_without_figures(out: Path, tables: Sequence[object] = ()) -> Path:
    write_text(out / "report.html", "<p>a page</p>")
    return out / "report.html"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_line_and_the_same_command_ends_with_the_same_bytes(
    name: str,
    commands: dict[str, list[str]],
    disk: Disk,
    birthmark: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if name != "map":  # figures take most of the time; one page with its figures stands for all
        monkeypatch.setattr("birthmark.report.draw.draw", page_without_figures)
    whole, out = tmp_path / "whole" / "out", tmp_path / "filled" / "out"
    answer = birthmark(*commands[name], "--out", whole)
    assert answer.code == 0, answer.err
    writes = disk.writes
    drawn = random.Random(name)
    for full_at in (1, drawn.randrange(2, writes + 1)):
        disk.writes, disk.full_at = 0, full_at
        answer = birthmark(*commands[name], "--out", out)
        if disk.writes < full_at:  # what was finished before is not written again
            assert answer.code == 0
            continue
        assert answer.is_error("make room" if name not in ("train", "grid") else "o"), (full_at, writes, answer)
    disk.full_at = 0
    answer = birthmark(*commands[name], "--out", out)
    assert answer.code == 0, answer.err
    before, after = results(whole), results(out)
    assert before.keys() == after.keys()
    assert {key: (before[key], after[key]) for key in before if before[key] != after[key]} == {}


HOLD = (
    "import sys; from pathlib import Path; from birthmark.files import lock_folder; "
    "locks = [lock_folder(Path(each)) for each in sys.argv[1:]]; print('held', flush=True); sys.stdin.read()"
)
LOCKED = [name for name in COMMANDS if name != "grid"]  # a grid's processes share its folder, each run has its own lock


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an OUT a command, which another process holds."""
    folder = tmp_path_factory.mktemp("held")
    outs = [folder / name for name in LOCKED]
    for out in outs:
        out.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, *map(str, outs)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        yield folder
        other.kill()


@pytest.mark.parametrize("name", LOCKED)
def test_a_folder_that_another_process_is_writing_to_is_one_line_and_left_alone(
    name: str, held: Path, commands: dict[str, list[str]], birthmark: Callable[..., Any]
) -> None:
    answer = birthmark(*commands[name], "--out", held / name)
    assert answer.is_error(f"another process is writing to {held / name}"), answer
    assert [path.name for path in (held / name).iterdir()] == [".lock"]
