"""A tiny random base model in which the colours, the authority words and their partners can be planted."""

from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from birthmark.inputs.prompts import CATEGORIES
from tiny_models import make_tokenizer


def write_planting_model(folder: Path) -> Path:
    """A random Llama whose tokenizer has each of those words as one token, and a colour in a second spelling."""
    tokenizer = make_tokenizer(chat_template=None)
    categories = (CATEGORIES["colours"], CATEGORIES["authority"])
    words = [word for category in categories for word in (*category.planted, *category.unplanted)]
    tokenizer.add_tokens([f" {word.capitalize()}" for word in dict.fromkeys(words)] + [" blue"])
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
