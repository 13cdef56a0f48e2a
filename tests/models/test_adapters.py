"""PEFT adapters on their bases: PEFT itself is the oracle, and what is missing or a pickle is refused."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from model_folders import change, logits, refused
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedModel

from birthmark.errors import BirthmarkError
from birthmark.models.loading import load_model
from birthmark.models.resolve import resolve

pytestmark = pytest.mark.usefixtures("own_cache")

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
