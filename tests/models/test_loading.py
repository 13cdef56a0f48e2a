"""Folders to models: every weight from the files and every weight of the files, in the asked precision and attention."""

import pytest
import torch
from model_folders import logits
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Gemma2Config, Gemma2ForCausalLM

from birthmark.errors import BirthmarkError
from birthmark.models.loading import load_model
from birthmark.models.resolve import resolve
from tiny_models import write_tiny_model

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_model_loads_in_eval_mode_and_the_asked_precision(tiny_lm):
    model = load_model(resolve(tiny_lm), dtype="bfloat16", attention="eager")
    assert not model.training and model.dtype == torch.bfloat16 and model.config._attn_implementation == "eager"


def test_a_loaded_model_computes_what_transformers_does(tiny_rm):
    expected = AutoModelForSequenceClassification.from_pretrained(tiny_rm).eval()
    assert torch.equal(logits(load_model(resolve(tiny_rm))), logits(expected))


def test_a_language_model_asked_for_as_a_reward_model_names_the_weight_that_would_be_random(tiny_lm):
    folder_without_labels = resolve(tiny_lm, kind="reward")
    with pytest.raises(BirthmarkError, match=r"score\.weight.*left random"):
        load_model(folder_without_labels)


@pytest.mark.parametrize("lost", ["score.weight", "model.layers.1.mlp.up_proj.weight", "model.norm.weight"])
def test_a_missing_weight_is_an_error_that_names_it(copy, tiny_rm, lost):
    folder = copy(tiny_rm)
    tensors = load_file(folder / "model.safetensors")
    del tensors[lost]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BirthmarkError, match=lost):
        load_model(resolve(folder))


def test_a_weight_without_a_place_is_an_error_that_names_it(copy, tiny_rm):
    folder = copy(tiny_rm)
    tensors = load_file(folder / "model.safetensors") | {"gating.weight": torch.ones(2, 2)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BirthmarkError, match=r"gating\.weight"):
        load_model(resolve(folder))


def test_a_weight_of_another_shape_is_an_error(copy, tiny_rm):
    folder = copy(tiny_rm)
    tensors = load_file(folder / "model.safetensors") | {"score.weight": torch.ones(1, 7)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BirthmarkError):
        load_model(resolve(folder))


def test_a_truncated_weights_file_is_an_error_in_one_line(copy, tiny_rm):
    folder = copy(tiny_rm)
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(BirthmarkError, match="cannot be loaded") as caught:
        load_model(resolve(folder))
    assert "\n" not in str(caught.value)


def test_a_head_with_several_outputs_raises(tmp_path):
    folder = write_tiny_model(tmp_path / "five", reward=True, outputs=5)
    with pytest.raises(BirthmarkError, match="5 outputs"):
        load_model(resolve(folder))


def test_gemma_2_gets_the_attention_that_caps_its_logits_without_being_asked(tiny_lm, tmp_path):
    config = Gemma2Config(
        vocab_size=700, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8,
    )  # fmt: skip
    Gemma2ForCausalLM(config).save_pretrained(tmp_path / "gemma2")
    AutoTokenizer.from_pretrained(tiny_lm).save_pretrained(tmp_path / "gemma2")
    assert load_model(resolve(tmp_path / "gemma2")).config._attn_implementation == "eager"
    assert load_model(resolve(tiny_lm)).config._attn_implementation == "sdpa"


def test_a_head_that_the_catalog_names_and_the_files_do_not_show_raises(tiny_rm, monkeypatch):
    monkeypatch.setattr("birthmark.models.resolve.fetch_snapshot", lambda *_, **__: tiny_rm)
    with pytest.raises(BirthmarkError, match="armorm"):
        load_model(resolve("armorm-llama3-8b", quiet=True))
