"""`models check` and `score --explain` on tiny reward models with real tokenizers, each with one deliberate defect."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from head_checkpoints import HEADS, rewrite, write_checkpoint
from tokenizers import Tokenizer

import birthmark as bm
from birthmark.records import Explanation, ModelCheck
from tiny_models import CHAT_TEMPLATE, write_tiny_model

pytestmark = pytest.mark.usefixtures("tokenizers_read_once")
ON = pytest.mark.network
QUESTION = "What matters most?"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, tokenizer_files) -> Callable[[str], Path]:
    return cache(
        lambda head: write_checkpoint(
            tmp_path_factory.mktemp("defects") / head, head, tokenizer_files(HEADS[head].tokenizer)
        )
    )


def checked(folder: Path, **options) -> ModelCheck:
    return bm.check_model(folder, device="cpu", **options)


def level(found: ModelCheck, check: str) -> str:
    """The worst level of a check's findings."""
    levels = [item.level for item in found.findings if item.trap == check]
    return max(levels, key=["ok", "note", "wrong"].index)


def message(found: ModelCheck, check: str) -> str:
    return " ".join(item.message for item in found.findings if item.trap == check)


def reconfigured(folder: Path, into: Path, **changes: object) -> Path:
    """A copy of a model's folder whose config says something else."""
    copy = rewrite(folder, into, lambda tensors: tensors)
    config = json.loads((copy / "config.json").read_text()) | changes
    (copy / "config.json").write_text(json.dumps(config))
    return copy


def retemplated(folder: Path, into: Path, template: str) -> Path:
    copy = rewrite(folder, into, lambda tensors: tensors)
    config = json.loads((copy / "tokenizer_config.json").read_text()) | {"chat_template": template}
    (copy / "tokenizer_config.json").write_text(json.dumps(config))
    return copy


# ------------------------------------------------------------------------------------------------------- sound


@ON
@pytest.mark.parametrize("head", ["linear-llama", "linear-gemma2", "qrm-llama"])
def test_nothing_is_wrong_with_a_sound_model(checkpoint, head):
    found = checked(checkpoint(head))
    assert [item for item in found.findings if item.level == "wrong"] == []
    assert found.wrong == 0
    checks = {item.trap for item in found.findings}
    assert {"template", "beginning", "date", "system prompt", "answer's end", "padding", "trimmed answers", "thinking",
            "foreign code", "vocabulary", "weights", "attention", "scores", "engines"} <= checks  # fmt: skip


@ON
def test_a_double_bos_is_noted_and_one_is_kept(checkpoint):
    found = checked(checkpoint("linear-llama"))
    assert level(found, "beginning") == "note" and "<|begin_of_text|>" in message(found, "beginning")


@ON
def test_code_that_comes_with_a_model_is_noted_and_not_run(checkpoint):
    """The folder holds a modeling_custom.py that would end the process."""
    found = checked(checkpoint("qrm-llama"))
    assert level(found, "foreign code") == "note" and "auto_map" in message(found, "foreign code")


@ON
def test_gemma_2_is_run_with_the_attention_that_caps_its_logits(checkpoint):
    found = checked(checkpoint("linear-gemma2"))
    assert level(found, "attention") == "ok" and "eager" in message(found, "attention")


@ON
def test_trimmed_texts_of_the_vocabulary_are_counted(checkpoint):
    found = checked(checkpoint("linear-gemma2"))
    assert level(found, "trimmed answers") == "note" and "256,000" not in message(found, "trimmed answers")


# ------------------------------------------------------------------------------------------------------- checks


@ON
def test_the_old_llama_3_template_leads_a_gate_behind_the_answer(checkpoint, birthmark):
    """It opens a second assistant's turn, so the pattern's last occurrence ends the answer and not the question."""
    folder = checkpoint("armorm")
    found = checked(folder)
    assert level(found, "answer's end") == "note"
    assert level(found, "gate") == "wrong" and "<|eot_id|>" in message(found, "gate")
    answer = birthmark("models", "check", folder, "--device", "cpu")
    assert answer.code == 3 and "WRONG" in answer.out and "error:" in answer.err


@ON
def test_a_template_that_closes_the_answers_turn_leaves_the_gate_on_the_question(checkpoint, tmp_path, tokenizer_files):
    template = json.loads((tokenizer_files("llama3_1") / "tokenizer_config.json").read_text())["chat_template"]
    found = checked(retemplated(checkpoint("armorm"), tmp_path / "fixed", template))
    assert level(found, "gate") == "ok" and found.wrong == 0


@ON
def test_a_missing_head_tensor_is_wrong(checkpoint, tmp_path):
    without = rewrite(
        checkpoint("two-layer"),
        tmp_path / "without",
        lambda all_: {k: v for k, v in all_.items() if k != "score.2.bias"},
    )
    found = checked(without)
    assert found.wrong and "score.2.bias" in " ".join(item.message for item in found.findings)


@ON
def test_a_padding_token_that_ends_the_answer_is_noted(checkpoint, tmp_path):
    found = checked(reconfigured(checkpoint("linear-llama"), tmp_path / "padded", pad_token_id=128_009))
    assert level(found, "padding") == "note" and "<|eot_id|>" in message(found, "padding")
    assert level(checked(checkpoint("linear-llama")), "padding") == "ok"


@ON
def test_a_template_that_fails_is_wrong_and_ends_the_check(checkpoint, tmp_path):
    found = checked(retemplated(checkpoint("linear-llama"), tmp_path / "failing", "{{ raise_exception('no') }}"))
    assert [item.level for item in found.findings] == ["wrong"] and "no" in found.findings[0].message


@ON
def test_scores_that_are_not_numbers_are_wrong(checkpoint, tmp_path):
    broken = rewrite(
        checkpoint("linear-llama"),
        tmp_path / "nan",
        lambda all_: all_ | {"score.weight": torch.full((1, 32), torch.nan)},
    )
    found = checked(broken)
    assert level(found, "scores") == "wrong" and "score.weight is not a number" in message(found, "scores")


@ON
def test_scores_that_do_not_differ_are_wrong(checkpoint, tmp_path):
    dead = rewrite(
        checkpoint("linear-llama"), tmp_path / "dead", lambda all_: all_ | {"score.weight": torch.zeros(1, 32)}
    )
    assert level(checked(dead), "scores") == "wrong"


def test_a_pinned_date_and_a_system_prompt_of_the_templates_own_are_noted(tmp_path):
    template = "<turn>system\n{% set layout = '%Y-%m-%d' %}It is {{ strftime_now(layout) }}.</turn>\n" + CHAT_TEMPLATE
    folder = write_tiny_model(tmp_path / "dated", reward=True, chat_template=template)
    found = checked(folder, template_date="2025-03-01")
    assert level(found, "date") == "note" and "2025-03-01" in message(found, "date")
    assert "It is 2025-03-01." in message(found, "system prompt")


def test_a_language_model_without_a_template_is_asked_in_qa(tiny_base):
    found = checked(tiny_base)
    assert found.wrong == 0 and level(found, "template") == "note" and level(found, "engines") == "ok"


def test_a_check_prints_json_of_its_schema(birthmark, tiny_rm):
    answer = birthmark("models", "check", tiny_rm, "--device", "cpu", "--json")
    assert answer.code == 0
    assert ModelCheck.model_validate_json(answer.out).kind == "reward"


def test_a_model_that_is_not_there_is_bad_input(birthmark):
    assert birthmark("models", "check", "no-such-model").is_error("no-such-model")


# ----------------------------------------------------------------------------------------------------- explain


@ON
def test_explain_shows_the_tokens_the_shared_prefix_and_the_gate(checkpoint, birthmark):
    folder = checkpoint("qrm-llama")
    options = ("--prompt", QUESTION, "--candidates", "love,freedom,power")
    answer = birthmark("score", folder, "--explain", *options, "--json")
    assert answer.code == 0
    found = Explanation.model_validate_json(answer.out)
    written = (
        f"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{QUESTION}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nlove<|eot_id|>"
    )
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(written, add_special_tokens=False).ids
    assert found.rendered == written and found.token_ids == ids and "".join(found.tokens) == written
    assert found.shared_prefix == len(ids) - 2  # all but `love` and what ends its turn
    assert found.read == len(ids) - 1
    assert found.tokens[found.gate] == "<|eot_id|>" and found.gate == ids.index(128_009)
    table = bm.score(folder, prompt=[QUESTION], candidates="love,freedom,power", device="cpu")
    assert table.record.context_ids["prompt_1"] == ids[: found.shared_prefix]


@ON
def test_explain_says_it_in_words(checkpoint, birthmark):
    answer = birthmark(
        "score", checkpoint("qrm-llama"), "--explain", "--prompt", QUESTION, "--candidates", "love,freedom"
    )
    for words in ("the last that all candidates share", "the head's gate reads here", "the reward is read here"):
        assert words in answer.out


@ON
def test_explain_shows_the_studys_double_bos(checkpoint):
    found = bm.explain(checkpoint("linear-llama"), prompt=[QUESTION], candidates="love", protocol="christian2026")
    assert found.token_ids[:2] == [128_000] * 2 and any("twice" in warning for warning in found.warnings)


def test_explain_shows_a_language_models_context_and_forms(tiny_lm):
    found = bm.explain(tiny_lm, prompt=[QUESTION], candidates="love,freedom")
    assert found.rendered.endswith("<turn>assistant\n") and found.read == len(found.token_ids) - 1
    assert list(found.forms) == ["love", " love", "Love", " Love"]
    table = bm.score(tiny_lm, prompt=[QUESTION], candidates="love,freedom", device="cpu")
    assert table.record.context_ids["prompt_1"] == found.token_ids


def test_explain_shows_a_system_prompt(tiny_lm):
    found = bm.explain(tiny_lm, prompt=[QUESTION], candidates="love", system="Be brief.")
    assert found.system == "Be brief." and "Be brief." in found.rendered


def test_explain_takes_one_system_prompt_and_no_personas(birthmark, tiny_lm):
    assert birthmark("score", tiny_lm, "--explain", "--persona", "personas.yaml").is_error("--explain and --persona")
