"""`birthmark train` on the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from birthmark.commands.schema import json_schema

Command = Callable[..., Any]
SMALL = ("--preset", "small", "--lora-rank", "2", "--pairs", "8")


def test_the_recipe_is_printed_then_the_run_then_what_to_do_next(
    birthmark: Command, tiny_lm: Path, pairs_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    answer = birthmark("train", "--base", tiny_lm, "--preferences", pairs_file, *SMALL, "--out", out)
    assert (answer.code, answer.err) == (0, "")
    for words in ("lora_rank", "learning_rate", "0.0002", "checkpoints at 0, 1", "birthmark track"):
        assert words in answer.out
    assert answer.out.index("lora_rank") < answer.out.index("birthmark track")
    assert (out / "checkpoints" / "step-000001" / "adapter_model.safetensors").is_file()
    again = birthmark("train", "--base", tiny_lm, "--preferences", pairs_file, *SMALL, "--out", out, "--json")
    record = json.loads(again.out)
    jsonschema.validate(record, json_schema("train-output"))
    assert record["finished"] and record["pairs"] == 8


def test_a_dry_run_prints_and_writes_nothing(
    birthmark: Command, tiny_lm: Path, pairs_file: Path, tmp_path: Path
) -> None:
    asked = ("train", "--base", tiny_lm, "--preferences", pairs_file, "--out", tmp_path / "run", "--dry-run")
    answer = birthmark(*asked)
    assert answer.code == 0 and "1e-05" in answer.out and "24 pairs read" in answer.out
    plan = json.loads(birthmark(*asked, "--json").out)
    jsonschema.validate(plan, json_schema("train-output"))
    assert (plan["recipe"]["lora_rank"], plan["state"]) == (32, "new")
    assert plan["estimated_seconds"] > 0 and plan["memory_bytes"] > 2**30
    assert not (tmp_path / "run").exists()


def test_a_grid_is_trained_from_the_command_line(
    birthmark: Command, tiny_lm: Path, pairs_file: Path, tmp_path: Path
) -> None:
    grid = {"bases": [str(tiny_lm)], "sources": [str(pairs_file)], "pairs": [8], "preset": "small"}
    (tmp_path / "grid.yaml").write_text(json.dumps({**grid, "recipe": {"lora_rank": 2}}))
    asked = ("train", "--grid", tmp_path / "grid.yaml", "--out", tmp_path / "runs", "--dry-run")
    assert "1 of 1 runs are left" in birthmark(*asked).out and not (tmp_path / "runs").exists()
    answer = birthmark("train", "--grid", tmp_path / "grid.yaml", "--out", tmp_path / "runs")
    (plan,) = json.loads(birthmark(*asked, "--json").out)
    jsonschema.validate([plan], json_schema("train-output"))
    assert plan["state"] == "finished" and plan["run"] in answer.out
    assert answer.code == 0 and "_pairs_8_bt_seed0" in answer.out
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "run.json").is_file()
    answer = birthmark("train", "--grid", tmp_path / "grid.yaml", "--out", tmp_path / "runs", "--json")
    jsonschema.validate(json.loads(answer.out), json_schema("train-output"))


def test_a_recipe_is_printed_once_for_all_runs_that_share_it(bt_run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from birthmark.cli.show_training import print_each_training

    show = print_each_training()
    for record in (bt_run.record, bt_run.record.model_copy(update={"seed": 1})):
        show(record)
    out = capsys.readouterr().out
    assert out.count("lora_rank") == 1 and "seed 0" in out and "seed 1" in out


def test_print_command_is_the_line_for_several_gpus(birthmark: Command) -> None:
    asked = ("--base", "a", "--preferences", "my pairs.jsonl", "--lora-target", "q_proj", "--lora-target", "v_proj")
    answer = birthmark("train", *asked, "--no-recompute", "--epochs", "1", "--print-command")
    assert answer.out == (
        'srun accelerate launch --num_processes "${SLURM_GPUS_ON_NODE:-1}" -m birthmark train --base a '
        "--preferences 'my pairs.jsonl' --epochs 1.0 --lora-target q_proj --lora-target v_proj --no-recompute\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("--base", "--preferences", "--grid")),
        (("--base", "x"), ("--preferences",)),
        (("--grid", "grid.yaml", "--pairs", "3"), ("--pairs", "grid")),
        (("--grid", "grid.yaml"), ("grid.yaml", "does not exist")),
        (("--base", "{base}", "--preferences", "{pairs}"), ("--chat-template", "plain")),
        (("--base", "{lm}", "--preferences", "missing.jsonl"), ("missing.jsonl",)),
        (("--base", "{lm}", "--preferences", "{pairs}", "--pairs", "25"), ("25", "24")),
        (("--base", "{lm}", "--preferences", "{pairs}", "--pairs", "2", "--every", "2"), ("both",)),
        (("--base", "{lm}", "--preferences", "{pairs}", "--learning-rate", "-1"), ("--learning-rate",)),
        (
            ("--base", "{lm}", "--preferences", "{pairs}", "--lora-target", "c_attn"),
            ("c_attn", "q_proj", "--lora-target"),
        ),
        (("--base", "{lm}", "--preferences", "{pairs}", "--report-to", "wandb"), ("wandb", "not installed")),
        (("--base", "{rm}", "--preferences", "{pairs}"), ("reward model already",)),
        (("--base", "no-such-model", "--preferences", "{pairs}"), ("no-such-model",)),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], words: tuple[str, ...], birthmark: Command, tiny_lm: Path, tiny_base: Path, tiny_rm: Path,
    pairs_file: Path, tmp_path: Path,
) -> None:  # fmt: skip
    filled = [item.format(base=tiny_base, lm=tiny_lm, rm=tiny_rm, pairs=pairs_file) for item in arguments]
    answer = birthmark("train", *filled, "--out", tmp_path / "run")
    assert answer.is_error(*words), answer


def test_the_name_in_the_library_is_found_without_the_room() -> None:
    import birthmark as bm

    assert "train" in bm.__all__ and callable(bm.train)
