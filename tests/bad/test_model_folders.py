"""Altered model folders: each is one line that names the file, or the right scores; never anything else, and soon."""

import json
import os
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import model_cases as cases
import numpy as np
import pytest
from transformers import AutoModelForCausalLM
from transformers.utils import logging

import birthmark as bm
from birthmark.models import encoding, loading
from birthmark.models.scorers import make_scorer
from birthmark.models.tokenizer import load_tokenizer
from birthmark.scoring.local import naming
from tiny_gguf import write_gguf
from tiny_models import write_tiny_model

SECONDS = 10
GROUPS: dict[str, tuple[str, str, list[tuple[cases.Alteration, str]]]] = {
    "config": ("lm", "config.json", cases.CONFIG),
    "config of a reward model": ("rm", "config.json", cases.REWARD_CONFIG),
    "adapter": ("adapter", "adapter_config.json", cases.ADAPTER),
    "index": ("sharded", "model.safetensors.index.json", cases.INDEX),
    "tokenizer_config": ("lm", "tokenizer_config.json", cases.TOKENIZER_CONFIG),
    "tokenizer": ("lm", "tokenizer.json", cases.TOKENIZER),
    "special tokens": ("lm", "special_tokens_map.json", cases.SPECIAL_TOKENS),
    "added tokens": ("lm", "added_tokens.json", cases.ADDED_TOKENS),
    "generation": ("lm", "generation_config.json", cases.GENERATION),
    "template": ("lm", "chat_template.jinja", cases.TEMPLATE),
    "tensors": ("lm", "model.safetensors", cases.TENSORS),
    "adapter's tensors": ("adapter", "adapter_model.safetensors", cases.TENSORS[:-1]),
    "file: config": ("lm", "config.json", cases.FILE),
    "file: adapter": ("adapter", "adapter_config.json", cases.FILE),
    "file: index": ("sharded", "model.safetensors.index.json", cases.FILE),
    "file: tokenizer_config": ("lm", "tokenizer_config.json", cases.FILE),
    "file: tokenizer": ("lm", "tokenizer.json", cases.FILE),
    "file: special tokens": ("lm", "special_tokens_map.json", cases.FILE),
    "file: added tokens": ("lm", "added_tokens.json", cases.FILE),
    "gguf": ("gguf", "model.gguf", cases.GGUF),
}
ALL = [
    pytest.param(model, name, what, words, id=f"{group}-{number}-{cases.named(what)}")
    for group, (model, name, listed) in GROUPS.items()
    for number, (what, words) in enumerate(listed)
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model, the same in shards, as GGUF and under an adapter, and a reward model."""
    from peft import LoraConfig, get_peft_model

    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)  # PEFT's
    logging.disable_progress_bar()
    made = tmp_path_factory.mktemp("models")
    lm = write_tiny_model(made / "lm")
    write_tiny_model(made / "rm", reward=True)
    model = AutoModelForCausalLM.from_pretrained(lm)
    shutil.copytree(lm, made / "sharded")
    (made / "sharded/model.safetensors").unlink()
    model.save_pretrained(made / "sharded", max_shard_size="100KB")
    lora = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj"], init_lora_weights=False)
    adapter = get_peft_model(model, lora)
    adapter.peft_config["default"].base_model_name_or_path = str(lm)
    adapter.save_pretrained(made / "adapter")
    (made / "gguf").mkdir()
    write_gguf(made / "gguf/model.gguf", lm)
    return made


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "TEMPLATE_SECONDS", 1.0)
        yield


def scores(folder: Path) -> np.ndarray:
    """The way of every score: found, loaded, encoded, run."""
    resolved = bm.resolve(folder, quiet=True)
    model = loading.load_if_it_fits(resolved, dtype="float32", device="cpu")
    asked: Any = {"kind": resolved.kind, "words": ["love", "freedom"], "vocabulary": False, "frame": "chat"}
    with naming(resolved.name):
        scorer = make_scorer(model, load_tokenizer(resolved), engine="plain", **asked)
        return scorer.score("What?").scores


@pytest.fixture(scope="module")
def unaltered(folders: Path) -> Callable[[str], np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def scores_of(name: str) -> np.ndarray:
        if name not in found:
            found[name] = scores(folders / name)
        return found[name]

    return scores_of


@pytest.fixture
def altered(folders: Path, tmp_path: Path) -> Callable[[str, str, cases.Alteration], Path]:
    def make(model: str, name: str, what: cases.Alteration) -> Path:
        folder = Path(shutil.copytree(folders / model, tmp_path / "altered"))
        if not (folder / name).exists():
            (folder / name).write_text("{}", encoding="utf-8")
        cases.alter(folder / name, what)
        return folder

    return make


@pytest.mark.parametrize(("model", "name", "what", "words"), ALL)
def test_an_altered_folder_is_refused_in_one_line_or_scores_right(
    model: str, name: str, what: cases.Alteration, words: str, altered: Any, unaltered: Any, capfd: Any
) -> None:
    folder, start = altered(model, name, what), time.process_time()
    capfd.readouterr()
    try:
        found = scores(folder)
    except bm.BirthmarkError as error:
        message = str(error)
        assert "\n" not in message
        assert message.isprintable()
        assert len(message) < 1500
        assert str(folder) in message or model == "gguf" or "chat template" in message or "the candidate" in message
        assert words != cases.SAME, message
        assert words in message
    else:
        assert words in ("", cases.SAME)
        if what not in cases.OTHER_SCORES:
            np.testing.assert_allclose(found, unaltered(model), rtol=1e-5)  # a shifted header aligns numbers otherwise
    assert time.process_time() - start < SECONDS
    assert capfd.readouterr() == ("", "")  # a library's warnings


@pytest.mark.parametrize(("alteration", "words"), cases.CONFIG[::60])
def test_models_check_refuses_it_too(alteration: cases.Alteration, words: str, altered: Any) -> None:
    folder = altered("lm", "config.json", alteration)
    try:
        report = bm.check_model(folder)
    except bm.BirthmarkError as error:
        assert "\n" not in str(error)
        assert words in str(error)
    else:
        assert all("\n" not in finding.message for finding in report.findings)


if hasattr(os, "geteuid") and os.geteuid() != 0:  # the superuser reads everything

    def test_a_file_that_may_not_be_read_is_named(altered: Any) -> None:
        folder = altered("lm", "config.json", cases.unreadable)
        with pytest.raises(bm.BirthmarkError, match=r"config\.json cannot be read"):
            bm.resolve(folder)


def test_the_command_line_says_it_in_one_line(altered: Any, birthmark: Any) -> None:
    folder = altered("adapter", "adapter_config.json", {"lora_alpha": float("nan"), "unheard_of": 3})
    answer = birthmark("score", folder, "--prompt", "What?", "--candidates", "love")
    assert answer.is_error("adapter_config.json has lora_alpha = NaN, which must be a number")


def test_our_own_mistakes_are_not_taken_for_a_broken_file(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object, **__: object) -> None:
        raise AttributeError("a mistake of our own")

    mistaken.__code__ = mistaken.__code__.replace(co_filename=loading.__file__)
    monkeypatch.setattr(loading, "require_runs", mistaken)
    with pytest.raises(AttributeError, match="a mistake of our own"):
        scores(folders / "lm")


def test_repeated_members_are_the_same_or_refused(tmp_path: Path) -> None:
    from birthmark.models.config_checks import read_json

    path = tmp_path / "config.json"
    path.write_text('{"model_type": "llama", "a": [1], "a": [1], "b": NaN, "b": NaN}', encoding="utf-8")
    assert json.dumps(read_json(path)) == '{"model_type": "llama", "a": [1], "b": NaN}'
    path.write_text('{"model_type": "llama", "x": {"a": 1, "a": 2}}', encoding="utf-8")
    with pytest.raises(bm.BirthmarkError, match="has 'a' twice"):
        read_json(path)
