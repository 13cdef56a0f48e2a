"""Tiny random models of the architectures that reward models are built on, every trait of theirs switched on."""

from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    Gemma2Config,
    Gemma3TextConfig,
    LlamaConfig,
    Qwen2Config,
)

VOCABULARY = 97
WINDOW = 8
_SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "head_dim": 8,
    "pad_token_id": 0,
}  # fmt: skip

CONFIGS: dict[str, Any] = {
    "llama": LlamaConfig(**_SIZES, num_hidden_layers=3, num_key_value_heads=2),
    "gemma2": Gemma2Config(
        **_SIZES, num_hidden_layers=4, num_key_value_heads=2, sliding_window=WINDOW, query_pre_attn_scalar=8,
        attn_logit_softcapping=2.0, final_logit_softcapping=3.0,
    ),
    "gemma3": Gemma3TextConfig(
        **_SIZES, num_hidden_layers=4, num_key_value_heads=1, sliding_window=WINDOW, query_pre_attn_scalar=8,
        layer_types=["sliding_attention", "full_attention"] * 2,
    ),
    "qwen2": Qwen2Config(**_SIZES, num_hidden_layers=3, num_key_value_heads=2),
}  # fmt: skip


def tiny_model(architecture: str, reward: bool = False, seed: int = 0) -> Any:
    """A model with weights, norms and biases drawn from a seeded normal, so that nothing is at its neutral value."""
    config = CONFIGS[architecture].__class__(**CONFIGS[architecture].to_dict() | {"num_labels": 1})
    factory = AutoModelForSequenceClassification if reward else AutoModelForCausalLM
    model = factory.from_config(config).eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


def random_ids(count: int, seed: int) -> list[int]:
    """Token ids, none of them padding."""
    return torch.randint(1, VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def endings(count: int, longest: int, seed: int) -> list[list[int]]:
    """Random suffixes of one to `longest` tokens."""
    lengths = torch.randint(1, longest + 1, (count,), generator=torch.Generator().manual_seed(seed)).tolist()
    return [random_ids(length, seed + 1 + index) for index, length in enumerate(lengths)]
