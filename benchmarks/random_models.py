"""Reward models in the shapes of published ones, their weights drawn: what speed and memory are measured on.

Speed does not depend on what the weights are, so a large model need not be downloaded to be timed. The shapes are the
published configurations'; the tokenizer comes from a folder.

    python benchmarks/random_models.py llama-3.1-8b TOKENIZER_FOLDER OUT    # a folder that birthmark score takes
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Gemma2Config,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
)

from birthmark.models.machine import choose_device

_LLAMA_31 = {
    "vocab_size": 128_256, "num_key_value_heads": 8, "max_position_embeddings": 131_072, "rms_norm_eps": 1e-5,
    "rope_parameters": {
        "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
    "bos_token_id": 128_000, "eos_token_id": 128_009, "pad_token_id": 128_004,
}  # fmt: skip

_SMOLLM2 = {
    "vocab_size": 49_152, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0},
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
}  # fmt: skip

SHAPES: dict[str, PretrainedConfig] = {
    "llama-3.1-8b": LlamaConfig(
        **_LLAMA_31, hidden_size=4096, intermediate_size=14_336, num_hidden_layers=32, num_attention_heads=32
    ),
    "smollm2-135m": LlamaConfig(
        **_SMOLLM2, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3,
    ),
    "smollm2-360m": LlamaConfig(
        **_SMOLLM2, hidden_size=960, intermediate_size=2560, num_hidden_layers=32, num_attention_heads=15,
        num_key_value_heads=5,
    ),
    "llama-3.2-1b": LlamaConfig(
        **_LLAMA_31, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, head_dim=64
    ),
    "llama-3.1-70b": LlamaConfig(
        **_LLAMA_31, hidden_size=8192, intermediate_size=28_672, num_hidden_layers=80, num_attention_heads=64
    ),
    "gemma-2-27b": Gemma2Config(
        vocab_size=256_000, hidden_size=4608, intermediate_size=36_864, num_hidden_layers=46, num_attention_heads=32,
        num_key_value_heads=16, head_dim=128, query_pre_attn_scalar=144, sliding_window=4096,
        attn_logit_softcapping=50.0, final_logit_softcapping=30.0, max_position_embeddings=8192,
        bos_token_id=2, eos_token_id=1, pad_token_id=0,
    ),
}  # fmt: skip


def random_model(shape: str, dtype: torch.dtype, device: torch.device, seed: int = 0) -> Any:
    """A sequence classifier with one output, drawn on the device as transformers initialises it; eager where it soft-caps."""
    config = SHAPES[shape]
    config.num_labels = 1
    torch.manual_seed(seed)
    attention = "eager" if getattr(config, "attn_logit_softcapping", None) else "sdpa"
    with device:
        model = AutoModelForSequenceClassification.from_config(config, dtype=dtype, attn_implementation=attention)
    return model.eval()


def load_drawn_tokenizer(shape: str, folder: str) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder, with the pad token that the shape's config names."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(SHAPES[shape].pad_token_id)
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("tokenizer", help="a folder with tokenizer.json and tokenizer_config.json")
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    model = random_model(asked.shape, torch.bfloat16, choose_device())
    if asked.out.exists():
        shutil.rmtree(asked.out)
    model.save_pretrained(asked.out, max_shard_size="5GB")
    load_drawn_tokenizer(asked.shape, asked.tokenizer).save_pretrained(asked.out)


if __name__ == "__main__":
    main()
