"""Tiny random checkpoints of real architectures with a small trained tokenizer: folders that birthmark can audit."""

import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast

from birthmark.inputs.lexicons import load_lexicon
from birthmark.inputs.prompts import load_prompts

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<turn>{{ message['role'] }}\n{{ message['content'] }}</turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>assistant\n{% endif %}"
)


def make_tokenizer(chat_template: str | None = CHAT_TEMPLATE) -> PreTrainedTokenizerFast:
    """A byte-level BPE of some 700 tokens, trained on the prompts and half of the starter words."""
    words = load_lexicon("starter").words
    texts = [prompt.text for prompt in load_prompts().prompts.values()]
    texts += [f" {word}" for word in words[::2]] * 4 + [word.capitalize() for word in words[::4]] * 4
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<pad>", "<bos>", "<eos>", "<turn>", "</turn>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>",
        additional_special_tokens=["<turn>", "</turn>"],
    )  # fmt: skip
    fast.chat_template = chat_template
    return fast


def write_tiny_model(
    folder: Path,
    *,
    reward: bool = False,
    seed: int = 0,
    chat_template: str | None = CHAT_TEMPLATE,
    outputs: int = 1,
    tied: bool = False,
) -> Path:
    """Write a random Llama of two layers, an LM or an RM, with its tokenizer; the same seed gives the same weights."""
    torch.manual_seed(seed)
    random.seed(seed)
    tokenizer = make_tokenizer(chat_template)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, num_labels=outputs, tie_word_embeddings=tied,
    )  # fmt: skip
    model = (LlamaForSequenceClassification if reward else LlamaForCausalLM)(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
