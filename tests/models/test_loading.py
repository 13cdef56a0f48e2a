"""Folders to models: every weight from the files and every weight of the files, in the asked precision and attention. PEFT adapters on their bases: PEFT itself is the oracle, and what is missing or a pickle is refused. 8 and 4 bits and device maps: what `from_pretrained` is told, and a clear refusal where they cannot be had."""

import contextlib
import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from model_folders import change, logits, refused
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    PreTrainedModel,
)

import birthmark as bm
from birthmark.errors import BirthmarkError
from birthmark.models.loading import check_placement, is_spread, load_model, placement
from birthmark.models.resolve import resolve
from tiny_models import write_tiny_model

# --- loading

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_model_loads_in_eval_mode_and_the_asked_precision(tiny_lm):
    model = load_model(resolve(tiny_lm), dtype="bfloat16", attention="eager")
    assert not model.training and model.dtype == torch.bfloat16 and model.config._attn_implementation == "eager"


def test_a_loaded_model_computes_what_transformers_does(tiny_rm):
    expected = AutoModelForSequenceClassification.from_pretrained(tiny_rm).eval()
    assert torch.equal(logits(load_model(resolve(tiny_rm))), logits(expected))


@pytest.mark.parametrize("before", ["module.", "_orig_mod."])
def test_names_that_a_wrapper_put_before_each_weight_are_shown_with_the_cure(before, tiny_rm, copy):
    folder = copy(tiny_rm)
    tensors = load_file(folder / "model.safetensors")
    wrapped = {before + name: tensor for name, tensor in tensors.items()}
    save_file(wrapped, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BirthmarkError, match=f"names with '{before}' before them") as caught:
        load_model(resolve(folder))
    assert "\n" not in str(caught.value)
    cured = {name.removeprefix(before): tensor for name, tensor in wrapped.items()}
    save_file(cured, folder / "model.safetensors", metadata={"format": "pt"})
    assert torch.equal(logits(load_model(resolve(folder))), logits(load_model(resolve(tiny_rm))))


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


# --- adapters


HEAD_PICKLE = "v_head.pt"  # of the study's own GRM runs


@pytest.fixture(scope="module")
def reward_adapter(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LoRA on the tiny language model with a reward head trained in full, all of it random."""
    torch.manual_seed(7)
    base = AutoModelForSequenceClassification.from_pretrained(tiny_lm, num_labels=1)
    lora = LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["q_proj", "v_proj"])
    return save_random_adapter(base, lora, tmp_path_factory.mktemp("adapters") / "tiny-adapter")


@contextlib.contextmanager
def peft_asks_by_an_old_name() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


def save_random_adapter(base: PreTrainedModel, lora: LoraConfig, folder: Path, **how: bool) -> Path:
    with peft_asks_by_an_old_name():
        adapted = get_peft_model(base, lora)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    adapted.save_pretrained(folder, **how)
    return folder


def by_peft(adapter: Path, base: Path, dtype: torch.dtype = torch.float32) -> PeftModel:
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, dtype=dtype)
    with peft_asks_by_an_old_name():
        return PeftModel.from_pretrained(model, adapter).eval()


def test_an_adapter_stands_on_its_base(reward_adapter, tiny_lm):
    found = resolve(reward_adapter)
    assert (found.path, found.adapter, found.kind) == (tiny_lm, reward_adapter, "reward")
    base = resolve(tiny_lm)
    assert found.digests.weights == base.digests.weights and found.digests.adapter is not None
    assert found.slug == f"tiny-adapter-{found.digests.adapter[:8]}" and found.chat_template == base.chat_template


def test_an_adapted_model_computes_what_peft_does(reward_adapter, tiny_lm):
    ours = logits(load_model(resolve(reward_adapter)))
    assert ours.shape == (1, 1)
    torch.testing.assert_close(ours, logits(by_peft(reward_adapter, tiny_lm)), atol=1e-4, rtol=1e-4)


def test_in_half_precision_an_adapter_is_not_rounded_away(reward_adapter, tiny_lm):
    ours = load_model(resolve(reward_adapter), dtype="bfloat16")
    assert torch.equal(logits(ours), logits(by_peft(reward_adapter, tiny_lm, torch.bfloat16)))
    assert isinstance(ours.score, torch.nn.Linear)


def test_an_adapter_of_a_language_model_is_a_logprob_model(tiny_lm, tmp_path):
    base = AutoModelForCausalLM.from_pretrained(tiny_lm)
    lora = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"])
    found = resolve(save_random_adapter(base, lora, tmp_path / "lm-adapter"))
    assert found.kind == "logprob"
    assert not torch.equal(logits(load_model(found)), logits(AutoModelForCausalLM.from_pretrained(tiny_lm)))


@pytest.mark.filterwarnings("ignore")  # PEFT warns of each of these
@pytest.mark.parametrize(
    "how",
    [
        {"target_modules": ["embed_tokens", "q_proj"]},
        {"target_modules": ["lm_head", "q_proj"]},
        {"target_modules": ["q_proj"], "layer_replication": [[0, 2], [0, 2]]},
        {"target_modules": ["q_proj"], "lora_bias": True},
        {"target_modules": ["q_proj", "v_proj"]},
    ],
    ids=["embedding", "head", "layers repeated", "bias", "plain"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_shares_its_weight_with_another_layer_is_changed_alone(how, dtype, tmp_path):
    """A base whose embedding is its vocabulary's head too, as that of most small models: merging would change both."""
    tied = write_tiny_model(tmp_path / "tied", seed=3, tied=True)
    base = AutoModelForCausalLM.from_pretrained(tied)
    assert base.lm_head.weight is base.get_input_embeddings().weight
    folder = save_random_adapter(base, LoraConfig(task_type="CAUSAL_LM", r=2, **how), tmp_path / "adapter")
    model = AutoModelForCausalLM.from_pretrained(tied, dtype=dtype)
    with peft_asks_by_an_old_name():
        peer = PeftModel.from_pretrained(model, folder).eval()
    found = load_model(resolve(folder), dtype=dtype)
    torch.testing.assert_close(logits(found), logits(peer), atol=1e-4, rtol=1e-4)
    if dtype == torch.float32:
        words = ["love", "freedom", "success"]
        by_default, plainly = (
            bm.score(folder, prompt=["best_ever_one"], candidates=words, engine=engine).matrix()
            for engine in ("prefix", "plain")
        )
        np.testing.assert_allclose(by_default, plainly, atol=1e-4)


def test_an_adapter_with_another_tensor_missing_or_left_over_raises(copy, reward_adapter):
    folder = copy(reward_adapter)
    tensors = load_file(folder / "adapter_model.safetensors")
    lost = next(name for name in tensors if "lora_B" in name)
    for changed in (
        {name: tensor for name, tensor in tensors.items() if name != lost},
        tensors | {"base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight": torch.ones(4, 32)},
    ):
        save_file(changed, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        with pytest.raises(BirthmarkError, match="lora_"):
            load_model(resolve(folder))


def test_an_adapter_without_its_reward_head_names_the_weight_that_would_be_random(copy, reward_adapter):
    folder = copy(reward_adapter)
    tensors = load_file(folder / "adapter_model.safetensors")
    without = {name: tensor for name, tensor in tensors.items() if "score" not in name}
    save_file(without, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BirthmarkError, match=r"neither .* reward head \(score\.weight\).*v_head\.pt"):
        load_model(resolve(folder))


def test_an_adapters_pickle_raises(copy, reward_adapter):
    folder = copy(reward_adapter)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    refused(folder, "adapter_model.bin", "can run code")


def test_a_value_head_that_is_a_pickle_beside_the_adapter_raises(copy, reward_adapter):
    folder = copy(reward_adapter)
    (folder / HEAD_PICKLE).write_bytes(b"not a pickle")
    refused(folder, HEAD_PICKLE, "can run code", "v_head.summary")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_adapter_that_brings_a_longer_vocabulary_lengthens_its_bases(tiny_lm, tmp_path, dtype):
    """The study's own runs on Llama added a padding token, so that their adapters hold the whole embedding."""
    torch.manual_seed(8)
    base = AutoModelForSequenceClassification.from_pretrained(tiny_lm, num_labels=1)
    rows = base.config.vocab_size + 1
    base.resize_token_embeddings(rows)
    torch.nn.init.normal_(base.get_input_embeddings().weight, std=0.2)
    lora = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["q_proj"])
    folder = save_random_adapter(base, lora, tmp_path / "padded", save_embedding_layers=True)
    saved = load_file(folder / "adapter_model.safetensors")
    model = load_model(resolve(folder), dtype=dtype)
    embedding = model.get_input_embeddings().weight
    assert embedding.shape[0] == rows == model.config.vocab_size
    (key,) = [name for name in saved if "embed_tokens" in name]
    assert torch.equal(embedding, saved[key].to(embedding.dtype))


def test_an_adapter_whose_base_is_unknown_or_unnamed_raises(copy, reward_adapter):
    folder = copy(reward_adapter)
    change(folder / "adapter_config.json", base_model_name_or_path="gemma-3-27om")
    refused(folder, "base of the adapter", "did you mean gemma-3-270m")
    change(folder / "adapter_config.json", base_model_name_or_path=None)
    refused(folder, "does not name the base")


# --- placement


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_fewer_bits_without_a_gpu_raise_with_what_to_do(bits):
    with pytest.raises(BirthmarkError, match=f"--quantize {bits} needs an NVIDIA GPU.*cpu.*--dtype bfloat16"):
        check_placement("cpu", bits, None)


def test_fewer_bits_without_bitsandbytes_say_how_to_get_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        BirthmarkError, match=r"bitsandbytes, which is not installed: pip install 'birthmark\[quantized\]'"
    ):
        check_placement("cuda", "8bit", None)


@pytest.mark.parametrize(
    ("quantize", "device_map", "words"),
    [("2bit", None, "'2bit' is not a quantization"), (None, "balanced", "'balanced' is not a device map")],
)
def test_other_names_raise(gpu, quantize, device_map, words):
    with pytest.raises(BirthmarkError, match=words):
        check_placement("cuda", quantize, device_map)


def test_on_the_cpu_nothing_is_told():
    assert placement("cpu", torch.float32) == {"device_map": None}


def test_on_another_device_the_whole_model_goes_there():
    assert placement("cuda:1", torch.bfloat16) == {"device_map": {"": "cuda:1"}}


def test_a_device_map_goes_before_the_device():
    assert placement("cuda", torch.bfloat16, device_map="auto") == {"device_map": "auto"}


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_quantized_model_keeps_its_head_and_computes_in_the_dtype(gpu, monkeypatch, bits):
    import transformers

    told = {}
    monkeypatch.setattr(transformers, "BitsAndBytesConfig", lambda **options: told.update(options) or "config")
    arguments = placement("cuda", torch.float16, quantize=bits)
    assert arguments == {"device_map": {"": "cuda"}, "quantization_config": "config"}
    assert "score" in told["llm_int8_skip_modules"] and told[f"load_in_{bits}"] is True
    assert told.get("bnb_4bit_compute_dtype", torch.float16) is torch.float16


@pytest.mark.parametrize(
    ("placed", "spread"),
    [(None, False), ({"": "cpu"}, False), ({"a": 0, "b": 0}, False), ({"a": 0, "b": "cpu"}, True)],
)
def test_a_model_is_spread_where_its_layers_lie_on_several_devices(placed, spread):
    assert is_spread(SimpleNamespace(hf_device_map=placed)) is spread
    assert is_spread(SimpleNamespace()) is False
