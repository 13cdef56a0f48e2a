"""An interrupted run resumes without redoing a finished prompt, and ends with the bytes of an uninterrupted one."""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from birthmark.models.engine import PrefixEngine
from birthmark.models.scorers import ANSWERS_AT_ONCE, LogProbScorer, RewardScorer
from birthmark.scoring.local import ROWS_AT_ONCE

KILLS = Path(__file__).parents[1] / "bad" / "kills.py"


def parquet_bytes(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "scores").glob("*.parquet")}


def test_a_command_ended_at_any_time_of_its_life_leaves_what_the_next_run_finishes(tmp_path):
    """The same at many more moments, and of `audit` and `train`, is counted in docs/security.md."""
    words = [sys.executable, str(KILLS), str(tmp_path), "--points", "3", "--only", "score", "--only", "track"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("3 of 3 as if undisturbed") == 2


def test_a_finished_batch_of_prompts_is_not_scored_again(birthmark, tiny_lm, tmp_path, monkeypatch):
    monkeypatch.setattr(PrefixEngine, "_contexts_at_once", lambda self, longest, trees: 2)
    scored = []
    original = LogProbScorer.score_together

    def interrupted_at_the_third(self, texts):
        if len(scored) == 2:
            raise KeyboardInterrupt
        scored.extend(texts)
        return original(self, texts)

    monkeypatch.setattr(LogProbScorer, "score_together", interrupted_at_the_third)
    prompts = [f"--prompt={key}_ever_one" for key in ("best", "greatest", "good", "worst")]
    answer = birthmark("score", tiny_lm, *prompts, "--out", tmp_path / "out")
    assert answer.code == 130 and "resumes" in answer.err
    first = list(scored)
    next((tmp_path / "out").glob(".work/*/*.npz")).unlink()  # as if killed between the files of a batch

    def counted(self, texts):
        scored.extend(texts)
        return original(self, texts)

    monkeypatch.setattr(LogProbScorer, "score_together", counted)
    assert birthmark("score", tiny_lm, *prompts, "--out", tmp_path / "out").code == 0
    assert scored[2:] == [*first, *scored[4:]] and len(set(scored)) == 4
    monkeypatch.setattr(LogProbScorer, "score_together", original)
    assert birthmark("score", tiny_lm, *prompts, "--out", tmp_path / "whole").code == 0
    assert parquet_bytes(tmp_path / "out") == parquet_bytes(tmp_path / "whole")
    assert len(first) == 2


def test_blocks_of_answers_change_no_byte_and_a_finished_one_is_not_scored_again(
    birthmark, tiny_rm, tmp_path, monkeypatch
):
    assert ROWS_AT_ONCE % ANSWERS_AT_ONCE == 0
    monkeypatch.setattr("birthmark.models.scorers.ANSWERS_AT_ONCE", 2)
    words = "love,freedom,success,family,friendship,ability,care,wealth,peace,power,hope"
    asked = ("--prompt=best_ever_one", "--prompt=worst_ever_one", "--candidates", words)
    assert birthmark("score", tiny_rm, *asked, "--out", tmp_path / "whole").code == 0
    monkeypatch.setattr("birthmark.scoring.local.ROWS_AT_ONCE", 4)
    scored = []
    original = RewardScorer.score_together

    def interrupted_at_the_fifth(self, texts, rows):
        if len(scored) == 4:
            raise KeyboardInterrupt
        scored.append((texts[0], rows))
        return original(self, texts, rows)

    monkeypatch.setattr(RewardScorer, "score_together", interrupted_at_the_fifth)
    assert birthmark("score", tiny_rm, *asked, "--out", tmp_path / "out").code == 130
    assert [rows for _, rows in scored] == [range(4), range(4, 8), range(8, 11), range(4)]
    more = []
    monkeypatch.setattr(
        RewardScorer,
        "score_together",
        lambda self, texts, rows: more.append((texts[0], rows)) or original(self, texts, rows),
    )
    assert birthmark("score", tiny_rm, *asked, "--out", tmp_path / "out").code == 0
    assert more == [(scored[3][0], range(4, 8)), (scored[3][0], range(8, 11))]
    assert parquet_bytes(tmp_path / "out") == parquet_bytes(tmp_path / "whole")
    records = [next((tmp_path / name / "scores").glob("*.json")) for name in ("out", "whole")]
    contexts = [json.loads(path.read_text(encoding="utf-8"))["context_ids"] for path in records]
    assert contexts[0] == contexts[1]


def test_a_vocabulary_of_a_language_model_is_one_block(birthmark, tiny_lm, tmp_path, monkeypatch):
    monkeypatch.setattr("birthmark.scoring.local.ROWS_AT_ONCE", 4)
    assert birthmark("score", tiny_lm, "--prompt=best_ever_one", "--out", tmp_path / "out").code == 0


def test_prompts_that_are_all_done_are_only_put_together(birthmark, tiny_lm, tmp_path, monkeypatch):
    prompts = [f"--prompt={key}_ever_one" for key in ("best", "worst")]
    with monkeypatch.context() as stopped:
        stopped.setattr("birthmark.scoring.run._assemble", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        assert birthmark("score", tiny_lm, *prompts, "--out", tmp_path / "out").code == 130
    monkeypatch.setattr(LogProbScorer, "score_together", lambda self, texts: pytest.fail("scored again"))
    assert birthmark("score", tiny_lm, *prompts, "--out", tmp_path / "out").code == 0


def test_a_finished_table_is_taken_as_it_is_and_another_models_is_not(birthmark, tiny_lm, tmp_path, monkeypatch):
    asked = ("--prompt", "best_ever_one", "--out", tmp_path / "out")
    assert birthmark("score", tiny_lm, *asked).code == 0
    monkeypatch.setattr(LogProbScorer, "score_together", lambda self, texts: pytest.fail("scored again"))
    assert birthmark("score", tiny_lm, *asked).code == 0


def test_a_run_ended_between_its_table_and_the_clearing_of_its_work_is_cleared_by_the_next(
    birthmark, tiny_lm, tmp_path, monkeypatch
):
    asked = ("score", tiny_lm, "--prompt", "best_ever_one", "--out", tmp_path / "out")
    with monkeypatch.context() as stopped:
        stopped.setattr("birthmark.scoring.run.Kept.clear", lambda kept: (_ for _ in ()).throw(KeyboardInterrupt))
        assert birthmark(*asked).code == 130
    assert list((tmp_path / "out").glob(".work/*/*.npz"))
    assert birthmark(*asked).code == 0
    assert not list((tmp_path / "out").glob(".work/*/*"))


def test_unfinished_work_of_other_settings_is_not_taken(birthmark, tiny_lm, tmp_path):
    """The key of unfinished work holds the precision: the same name alone does not make it reusable."""
    asked = ("--prompt", "best_ever_one", "--out", tmp_path / "out")
    assert birthmark("score", tiny_lm, *asked).code == 0
    before = parquet_bytes(tmp_path / "out")
    assert birthmark("score", tiny_lm, *asked, "--dtype", "bfloat16").code == 0
    assert parquet_bytes(tmp_path / "out") != before
    assert birthmark("score", tiny_lm, *asked).code == 0
    assert parquet_bytes(tmp_path / "out") == before


def test_a_full_disk_is_one_line_and_the_next_run_finishes(birthmark, tiny_lm, tmp_path, monkeypatch):
    """A limit on the size of a file stands in for a full disk: the write fails in the same place in the same way."""
    asked = ("score", tiny_lm, "--candidates", "vocabulary", "--quiet", "--out", tmp_path / "out")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # or modules are compiled into cut files
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard[1]))
        answer = birthmark(*asked)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, hard)
        signal.signal(signal.SIGXFSZ, handler)
    assert answer.is_error("the disk is full")
    assert birthmark(*asked).code == 0
    assert len(parquet_bytes(tmp_path / "out")) == 1
