"""A run's folder, its checkpoints as reward models, resuming, and what ends or refuses a run."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback

import birthmark as bm
from birthmark.commands.plan import plan_audit
from birthmark.commands.schema import json_schema
from birthmark.errors import BirthmarkError
from birthmark.models.resolve import resolve
from birthmark.training.recipe import make_recipe
from birthmark.training.run import RunRequest, prepare
from preference_files import pair_rows, write_rows

Train = Callable[..., Any]
STEPS = [0, 1, 2, 3, 4, 6]


class At(TrainerCallback):
    """Does something when a step begins or ends."""

    def __init__(self, step: int, action: Callable[[Any], None], *, begin: bool = False) -> None:
        self.step, self.action, self.begin = step, action, begin

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.begin and state.global_step + 1 == self.step:
            self.action(kwargs["model"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not self.begin and state.global_step == self.step:
            self.action(kwargs["model"])


def tensors(run: Any, step: int) -> dict[str, torch.Tensor]:
    return load_file(run.checkpoints[step] / "adapter_model.safetensors")


def assert_same_trajectory(run: Any, other: Any) -> None:
    assert list(run.checkpoints) == list(other.checkpoints) == STEPS
    for step in STEPS:
        a, b = tensors(run, step), tensors(other, step)
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a), step
    without_time = [[{**line, "seconds": 0} for line in item.log] for item in (run, other)]
    assert without_time[0] == without_time[1]


def make_nan(model: Any) -> None:
    with torch.no_grad():
        next(weight for name, weight in model.named_parameters() if "lora_B" in name).fill_(float("nan"))


def interrupt(model: Any) -> None:
    raise KeyboardInterrupt


def test_a_run_folder_has_what_the_contract_names(bt_run: Any) -> None:
    assert sorted(path.name for path in bt_run.out.iterdir() if path.name not in (".lock", "tensorboard")) == [
        "checkpoints",
        "dropped.jsonl",
        "log.jsonl",
        "run.json",
    ]
    record = json.loads((bt_run.out / "run.json").read_text())
    jsonschema.validate(record, json_schema("run"))
    assert {"recipe", "base", "revision", "source", "pairs", "seed", "versions", "data_digest"} <= set(record)
    assert (record["finished"], record["steps"], record["pairs"], record["source"]) == (True, 6, 24, "pairs")
    assert record["checkpoint_steps"] == STEPS
    assert {"trl", "peft", "torch"} <= set(record["versions"])


def test_a_checkpoint_is_adapters_head_template_and_padding_in_safetensors_and_text(bt_run: Any) -> None:
    for step, folder in bt_run.checkpoints.items():
        assert folder.name == f"step-{step:06d}"
        assert sorted(path.name for path in folder.iterdir()) == [
            "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "special_tokens_map.json",
        ]  # fmt: skip
        names = set(tensors(bt_run, step))
        assert "base_model.model.score.weight" in names
        assert len(names) == 1 + 2 * 4 * 2  # the head; A and B on q, k, v, o in two layers


def test_an_adapters_layers_are_written_in_one_order(bt_run: Any) -> None:
    for checkpoint in (bt_run.out / "checkpoints").iterdir():
        targets = json.loads((checkpoint / "adapter_config.json").read_text())["target_modules"]
        assert targets == sorted(targets) and len(targets) > 1


def test_the_first_checkpoint_is_the_base_with_the_seeds_head(bt_run: Any) -> None:
    first, last = tensors(bt_run, 0), tensors(bt_run, 6)
    assert all(not weight.any() for name, weight in first.items() if "lora_B" in name)
    drawn = torch.normal(0.0, 0.02, (1, 32), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(first["base_model.model.score.weight"], drawn)
    assert all(not torch.equal(first[name], last[name]) for name in first)


def test_a_checkpoint_scores_as_transformers_and_peft_say(bt_run: Any, tiny_lm: Path) -> None:
    from peft import PeftModel

    table = bm.score(bt_run.checkpoints[6], prompt=["best_ever_one"], candidates=["love", "power"])
    assert (table.record.kind, table.record.frame) == ("reward", "chat")
    model = AutoModelForSequenceClassification.from_pretrained(tiny_lm, num_labels=1)
    with pytest.warns(FutureWarning, match="is_gradient_checkpointing"):
        model = PeftModel.from_pretrained(model, bt_run.checkpoints[6]).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_lm)
    question = table.prompts["best_ever_one"].text
    for word, reward in zip(["love", "power"], table.matrix()[:, 0], strict=True):
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": word}]
        ids = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=True)["input_ids"]
        with torch.no_grad():
            assert model(ids).logits.item() == pytest.approx(float(reward), abs=1e-5)


def test_a_base_without_a_template_trains_with_plain_and_scores_with_it(
    train_small: Train, tiny_base: Path, tmp_path: Path
) -> None:
    run = train_small(tmp_path / "run", base=tiny_base, chat_template="plain", pairs=8, epochs=1.0)
    assert (run.record.chat_template, run.record.pairs, run.record.counts.trained) == ("plain", 8, 8)
    table = bm.score(run.checkpoints[1], prompt=["best_ever_one"], candidates=["love"])
    assert table.record.digests and table.record.digests.template == run.record.digests.template


def test_a_run_stands_for_its_last_checkpoint_under_its_own_name(bt_run: Any) -> None:
    run, last = bm.resolve(bt_run.out), bm.resolve(max(bt_run.checkpoints.values()))
    assert (run.adapter, run.digests, run.kind) == (last.adapter, last.digests, "reward")
    assert run.slug.startswith(bt_run.out.name) and run.name == str(bt_run.out.resolve())
    assert plan_audit(bt_run.out)[0]["kind"] == "reward"


def test_every_step_is_a_line_of_the_log(bt_run: Any) -> None:
    assert [line["step"] for line in bt_run.log] == [1, 2, 3, 4, 5, 6]
    assert [line["epoch"] for line in bt_run.log] == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3, 2], abs=1e-6)
    for line in bt_run.log:
        assert 0 <= line["accuracy"] <= 1 and line["loss"] > 0 and line["seconds"] > 0
    assert bt_run.log[0]["learning_rate"] == 2e-4  # no step of a short run goes without learning
    assert bt_run.record.final["accuracy"] == pytest.approx(sum(line["accuracy"] for line in bt_run.log) / 6)


def test_training_lowers_the_loss(train_small: Train, tmp_path: Path) -> None:
    run = train_small(tmp_path / "run", epochs=8.0, learning_rate=5e-3)
    assert run.log[-1]["loss"] < 0.6 < run.log[0]["loss"] and run.log[-1]["accuracy"] == 1


def test_a_run_that_is_killed_resumes_to_the_same_trajectory(bt_run: Any, train_small: Train, tmp_path: Path) -> None:
    """SIGKILL in the middle of a step past a checkpoint, dropout and all."""
    asked = {**bt_run.record.recipe.model_dump(), "preset": "small"}
    script = (
        "import json, os, signal, sys; import birthmark as bm; from transformers import TrainerCallback\n"
        "class Kill(TrainerCallback):\n"
        "    def on_step_begin(self, args, state, control, **_):\n"
        "        if state.global_step == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "base, pairs, out, asked = sys.argv[1:]\n"
        "bm.train(base, pairs, out=out, callbacks=[Kill()], **json.loads(asked))\n"
    )
    source = str(bt_run.record.source_path)
    words = [sys.executable, "-c", script, bt_run.record.base, source, str(tmp_path / "run"), json.dumps(asked)]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / "run" / "checkpoints" / "step-000004").is_dir()
    assert not (tmp_path / "run" / "checkpoints" / "step-000006").exists()
    resumed = train_small(tmp_path / "run")
    assert_same_trajectory(resumed, bt_run)
    assert not (tmp_path / "run" / "resume").exists()


def test_a_checkpoint_cut_off_while_being_written_is_made_again(
    bt_run: Any, train_small: Train, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "run", callbacks=[At(5, interrupt)])
    (tmp_path / "run" / "resume" / "checkpoint-4" / "complete").unlink()  # as if killed before the last word
    with (tmp_path / "run" / "log.jsonl").open("a") as log:
        log.write('{"step": 6, "lo')
    assert_same_trajectory(train_small(tmp_path / "run"), bt_run)


def test_state_for_resuming_is_read_as_weights_only(train_small: Train, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "run", callbacks=[At(5, interrupt)])
    (folder,) = (tmp_path / "run" / "resume").iterdir()
    assert {path.name for path in folder.iterdir()} == {
        "complete", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json",
    }  # fmt: skip
    for name in ("optimizer.pt", "scheduler.pt"):
        torch.load(folder / name, weights_only=True)


def test_a_finished_run_is_returned_as_it_is(bt_run: Any, train_small: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("birthmark.training.run._train", lambda *_, **__: pytest.fail("trained again"))
    assert train_small(bt_run.out).record == bt_run.record


def test_looking_on_does_not_change_the_trajectory(bt_run: Any, train_small: Train, tmp_path: Path) -> None:
    seen: list[int] = []
    run = train_small(tmp_path / "run", callbacks=[At(3, lambda model: seen.append(3))])
    assert seen == [3]
    assert_same_trajectory(run, bt_run)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate": 1e-3}, "learning_rate is 0.0002, not 0.001"),
        ({"seed": 1}, "its seed is 0, not 1"),
        ({"pairs": 8}, "its pairs is 24, not 8"),
        ({"loss": "grm-sft"}, "its loss is bt, not grm-sft"),
    ],
)
def test_a_folder_of_another_run_raises_and_kept(changes: dict, words: str, bt_run: Any, train_small: Train) -> None:
    before = {path: path.stat().st_mtime_ns for path in bt_run.out.rglob("*")}
    with pytest.raises(BirthmarkError, match=words):
        train_small(bt_run.out, **changes)
    assert {path: path.stat().st_mtime_ns for path in bt_run.out.rglob("*")} == before


def test_a_folder_of_something_else_raises(train_small: Train, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear")
    with pytest.raises(BirthmarkError, match="something else"):
        train_small(tmp_path)
    with pytest.raises(BirthmarkError, match="is a file"):
        train_small(tmp_path / "letter.txt")


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_what_is_good(
    bt_run: Any, train_small: Train, tmp_path: Path
) -> None:
    with pytest.raises(BirthmarkError, match="the loss is nan at step 5.*lower --learning-rate"):
        train_small(tmp_path / "run", callbacks=[At(5, make_nan, begin=True)])
    assert max(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == "step-000004"
    assert_same_trajectory(train_small(tmp_path / "run"), bt_run)


def test_weights_that_are_no_numbers_are_not_written(train_small: Train, tmp_path: Path) -> None:
    with pytest.raises(BirthmarkError, match="no longer finite.*step-000002"):
        train_small(tmp_path / "run", callbacks=[At(2, make_nan)])
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == ["step-000000", "step-000001"]


def test_a_full_disk_at_a_checkpoint_loses_nothing(
    bt_run: Any, train_small: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = safetensors.torch.save_file, []

    def full(values: Any, path: Path, **options: Any) -> None:
        written.append(path)
        if len(written) == 4:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(values, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", full)
        with pytest.raises(
            BirthmarkError, match="checkpoint of step 3 cannot be written.*No space left.*free some disk space"
        ):
            train_small(tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == [
        "step-000000", "step-000001", "step-000002",
    ]  # fmt: skip
    assert [path.name for path in (tmp_path / "run" / "resume").iterdir()] == ["checkpoint-2"]
    assert_same_trajectory(train_small(tmp_path / "run"), bt_run)


def test_drops_and_truncation_are_counted_and_listed(tiny_lm: Path, tmp_path: Path) -> None:
    rows = [
        *pair_rows(6),
        {"prompt": "a", "chosen": "b", "rejected": "b"},
        {"prompt": " ", "chosen": "b", "rejected": "c"},
    ]
    rows.append({"prompt": "x " * 300, "chosen": "b", "rejected": "c"})
    file = write_rows(tmp_path / "pairs.jsonl.gz", rows)
    recipe = {"preset": "small", "lora_rank": 2, "batch": 4, "max_tokens": 100}
    run = bm.train(tiny_lm, file, out=tmp_path / "run", cut="right", **recipe)
    counts = run.record.counts
    assert (counts.read, counts.usable, counts.sampled, counts.trained) == (9, 7, 7, 6)
    assert counts.dropped == {"an empty turn": 1, "the same after truncation": 1, "the same answer twice": 1}
    listed = [json.loads(line) for line in (run.out / "dropped.jsonl").read_text().splitlines()]
    assert sorted(item["row"] for item in listed) == [7, 8, 9]
    asked = RunRequest(resolve(tiny_lm, quiet=True), file, make_recipe(cut="left", **recipe), "small")
    left = prepare(asked).record.counts
    assert (left.trained, left.truncated) == (7, 1)


def test_nothing_left_to_train_on_is_said(tiny_lm: Path, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "pairs.jsonl", [{"prompt": "x " * 300, "chosen": "b", "rejected": "c"}])
    with pytest.raises(BirthmarkError, match="pairs has no usable pairs left: 1 for 'the same after truncation'"):
        bm.train(tiny_lm, file, out=tmp_path / "run", max_tokens=40)
    assert not (tmp_path / "run" / "run.json").exists()


def test_two_bases_see_the_same_pairs_in_the_same_order(tiny_lm: Path, tiny_base: Path, pairs_file: Path) -> None:
    records = [
        prepare(
            RunRequest(resolve(base, quiet=True, chat_template="plain"), pairs_file, make_recipe("small"), pairs=10)
        ).record
        for base in (tiny_lm, tiny_base)
    ]
    assert records[0].data_digest == records[1].data_digest
    assert records[0].trained_digest == records[1].trained_digest
    assert records[0].base != records[1].base


@pytest.mark.parametrize("loss", ["grm-sft", "grm-dpo"])
def test_the_text_loss_is_the_base_models_own_likelihood_of_the_answers(
    loss: str, train_small: Train, tiny_lm: Path, pairs_file: Path, tmp_path: Path
) -> None:
    """At the first step the adapters change nothing: −log σ(β …) of what `AutoModelForCausalLM` says."""
    run = train_small(tmp_path / "run", loss=loss, pairs=8, epochs=1.0)
    recipe = run.record.recipe
    prepared = prepare(RunRequest(resolve(tiny_lm, quiet=True), pairs_file, recipe, "small", pairs=8))
    model = AutoModelForCausalLM.from_pretrained(tiny_lm).eval()

    def log_prob(side: Any) -> float:
        ids = torch.tensor([side.ids])
        with torch.no_grad():
            of_tokens = model(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        return float(of_tokens[side.start - 1 :].sum())

    values = [
        0.1 * (log_prob(pair.chosen) - (log_prob(pair.rejected) if loss == "grm-dpo" else 0)) for pair in prepared.pairs
    ]
    text = -torch.nn.functional.logsigmoid(torch.tensor(values)).mean().item()
    first = run.log[0]
    assert first["text_loss"] == pytest.approx(text, rel=1e-4)
    assert first["loss"] == pytest.approx(0.99 * first["reward_loss"] + 0.01 * first["text_loss"], rel=1e-5)


def test_against_a_reference_the_text_loss_starts_at_log_two(train_small: Train, tmp_path: Path) -> None:
    run = train_small(tmp_path / "run", loss="grm-dpo", text_reference=True, learning_rate=5e-3)
    losses = [line["text_loss"] for line in run.log]
    assert losses[0] == pytest.approx(0.693147, abs=1e-5)
    assert losses[-1] != pytest.approx(0.693147, abs=1e-5)


def test_the_reward_part_of_grm_with_no_text_weight_is_bradley_terry(
    bt_run: Any, train_small: Train, tmp_path: Path
) -> None:
    run = train_small(tmp_path / "run", loss="grm-sft", text_weight=0.0)
    for name, weight in tensors(run, 6).items():
        torch.testing.assert_close(weight, tensors(bt_run, 6)[name], rtol=1e-4, atol=1e-6)


def test_recomputing_activations_gives_the_same_losses(bt_run: Any, train_small: Train, tmp_path: Path) -> None:
    run = train_small(tmp_path / "run", recompute_activations=True)
    losses = [[line["loss"] for line in item.log] for item in (run, bt_run)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_run_shows_itself(bt_run: Any) -> None:
    assert "6 steps, 6 checkpoints" in repr(bt_run)
    assert bt_run.to_polars().height == 6
