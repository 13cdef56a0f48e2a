"""Alterations of tiny model folders: which file, what is done to it, and whether the model then still scores the same.

A dict sets keys of a JSON object (`DROP` removes one; a key with dots goes into objects), bytes replace the whole file,
a function gets its path. The words are those that the one-line error has, besides the file's name; `SAME` stands for the
scores of the model as it was.
"""

import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

SAME = "the scores of the unaltered model"
DROP = object()
HUGE = 10**12
DEEP = b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
NESTED = b'{"model_type": "llama", "x": ' + b'{"x": ' * 900 + b"1" + b"}" * 900 + b"}"
Alteration = dict[str, Any] | bytes | Callable[[Path], object]


def alter(path: Path, what: Alteration) -> None:
    """Do to a file what a case says."""
    if isinstance(what, bytes):
        path.write_bytes(what)
    elif isinstance(what, dict):
        document = json.loads(path.read_text(encoding="utf-8"))
        for key, value in what.items():
            outer, _, inner = key.partition(".")
            place = document[outer] if inner else document
            place[inner or outer] = value
            if value is DROP:
                del place[inner or outer]
        path.write_text(json.dumps(document), encoding="utf-8")
    else:
        what(path)


def named(what: Alteration) -> str:
    """A case's name in a test report."""
    text = getattr(what, "__name__", None) or (
        what.decode("utf-8", "replace") if isinstance(what, bytes) else str(what)
    )
    text = re.sub(r" at 0x\w+", "", text)  # each worker collects the same names
    return "".join(each if each.isalnum() else "_" for each in text[:40]).replace("__", "_")


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("gone"))


def unreadable(path: Path) -> None:
    path.chmod(0)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def with_bom(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def utf16(path: Path) -> None:
    path.write_bytes(path.read_text(encoding="utf-8").encode("utf-16"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def twice(text: str) -> Callable[[Path], object]:
    """Write a member at the beginning of a JSON object, before those that it has."""

    def alter(path: Path) -> None:
        path.write_bytes(b"{" + text.encode() + b"," + path.read_bytes().lstrip()[1:])

    return alter


def replaced(old: str, new: str) -> Callable[[Path], object]:
    def alter(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return alter


def header(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Change a safetensors file's header, and leave its numbers alone."""

    def alter(path: Path) -> None:
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        document = json.loads(data[8 : 8 + length])
        change(document)
        new = json.dumps(document).encode()
        path.write_bytes(struct.pack("<Q", len(new)) + new + data[8 + length :])

    return alter


def of_first(**keys: Any) -> Callable[[Path], object]:
    def change(document: dict[str, Any]) -> None:
        document[next(name for name in document if name != "__metadata__")].update(keys)

    return header(change)


FILE: list[tuple[Alteration, str]] = [  # done to every JSON file that is read
    (b"", ""), (b"{", ""), (b"[]", ""), (b"null", ""), (b"3", ""), (DEEP, ""), (b"\xff\xfe\x00{", ""), (b'{"a": "\xff"}', ""),
    (b'{"a": 1' + b"0" * 5000 + b"}", ""), (utf16, ""), (cut, ""), (directory, ""), (loop, ""), (dangling, ""), (pipe, ""),
    (with_bom, ""),
]  # fmt: skip

CONFIG: list[tuple[Alteration, str]] = [
    (NESTED, ""),
    ({"architectures": [3]}, "architectures"),
    ({"architectures": "LlamaForCausalLM"}, "architectures"),
    ({"architectures": {}}, "architectures"),
    ({"architectures": [[]]}, "architectures"),
    ({"architectures": []}, ""),
    ({"architectures": ["Evil\nForCausalLM"]}, "Evil"),
    ({"model_type": 3}, "model_type"),
    ({"model_type": ["llama"]}, "model_type"),
    ({"model_type": {"a": 1}}, "model_type"),
    ({"model_type": None}, "model_type"),
    ({"model_type": DROP}, "model_type"),
    ({"model_type": "evil"}, "evil"),
    ({"model_type": "gpt2"}, ""),
    ({"model_type": "bert"}, ""),
    ({"model_type": "llava"}, ""),
    ({"hidden_size": "32"}, "hidden_size"),
    ({"hidden_size": 0}, "hidden_size"),
    ({"hidden_size": -32}, "hidden_size"),
    ({"hidden_size": 32.5}, "hidden_size"),
    ({"hidden_size": True}, "hidden_size"),
    ({"hidden_size": None}, "hidden_size"),
    ({"hidden_size": [32]}, "hidden_size"),
    ({"hidden_size": {}}, "hidden_size"),
    ({"hidden_size": HUGE}, "hidden_size"),
    ({"hidden_size": 10**30}, "hidden_size"),
    ({"hidden_size": float("nan")}, "hidden_size"),
    ({"hidden_size": float("inf")}, "hidden_size"),
    ({"hidden_size": 33}, ""),
    ({"hidden_size": 64}, ""),
    ({"num_attention_heads": 0}, "num_attention_heads"),
    ({"num_attention_heads": -4}, "num_attention_heads"),
    ({"num_attention_heads": "4"}, "num_attention_heads"),
    ({"num_attention_heads": 3}, ""),
    ({"num_attention_heads": 10**9}, "num_attention_heads"),
    ({"num_key_value_heads": 0}, "num_key_value_heads"),
    ({"num_key_value_heads": 3}, ""),
    ({"num_key_value_heads": "two"}, "num_key_value_heads"),
    ({"num_hidden_layers": 1_000_000}, "num_hidden_layers"),
    ({"num_hidden_layers": 3}, "num_hidden_layers"),
    ({"num_hidden_layers": 1}, ""),
    ({"num_hidden_layers": 0}, "num_hidden_layers"),
    ({"num_hidden_layers": -1}, "num_hidden_layers"),
    ({"num_hidden_layers": "2"}, "num_hidden_layers"),
    ({"head_dim": 0}, "head_dim"),
    ({"head_dim": 7}, ""),
    ({"head_dim": "8"}, "head_dim"),
    ({"intermediate_size": HUGE}, "intermediate_size"),
    ({"intermediate_size": "64"}, "intermediate_size"),
    ({"intermediate_size": 65}, ""),
    ({"vocab_size": 5}, ""),
    ({"vocab_size": 10**9}, "vocab_size"),
    ({"vocab_size": "626"}, "vocab_size"),
    ({"vocab_size": -1}, "vocab_size"),
    ({"vocab_size": None}, "vocab_size"),
    ({"max_position_embeddings": 0}, "max_position_embeddings"),
    ({"max_position_embeddings": "512"}, "max_position_embeddings"),
    ({"max_position_embeddings": -1}, "max_position_embeddings"),
    ({"hidden_act": "evil"}, "hidden_act"),
    ({"hidden_act": 3}, "hidden_act"),
    ({"hidden_act": ["silu"]}, "hidden_act"),
    ({"rms_norm_eps": "1e-6"}, "rms_norm_eps"),
    ({"rms_norm_eps": float("nan")}, "rms_norm_eps"),
    ({"rms_norm_eps": float("inf")}, "rms_norm_eps"),
    ({"rms_norm_eps": -1}, "rms_norm_eps"),
    ({"rms_norm_eps": []}, "rms_norm_eps"),
    ({"attention_dropout": "x"}, "attention_dropout"),
    ({"attention_dropout": 2}, "attention_dropout"),
    ({"attention_bias": "yes"}, "attention_bias"),
    ({"mlp_bias": 3}, "mlp_bias"),
    ({"tie_word_embeddings": "false"}, "tie_word_embeddings"),
    ({"tie_word_embeddings": []}, "tie_word_embeddings"),
    ({"use_cache": "evil"}, "use_cache"),
    ({"initializer_range": "x"}, "initializer_range"),
    ({"initializer_range": -1}, "initializer_range"),
    ({"pad_token_id": 10**9}, "pad_token_id"),
    ({"pad_token_id": 626}, "pad_token_id"),
    ({"pad_token_id": -10**9}, "pad_token_id"),
    ({"pad_token_id": "0"}, "pad_token_id"),
    ({"pad_token_id": 0.5}, "pad_token_id"),
    ({"pad_token_id": [0]}, "pad_token_id"),
    ({"pad_token_id": None}, SAME),
    ({"pad_token_id": -1}, SAME),
    ({"bos_token_id": "x"}, "bos_token_id"),
    ({"bos_token_id": {}}, "bos_token_id"),
    ({"eos_token_id": "x"}, "eos_token_id"),
    ({"eos_token_id": ["x"]}, "eos_token_id"),
    ({"eos_token_id": [1, 2]}, SAME),
    ({"id2label": "x"}, "id2label"),
    ({"id2label": []}, "id2label"),
    ({"id2label": [["0", "LABEL_0"]]}, "id2label"),
    ({"id2label": {"a": "b"}}, "id2label"),
    ({"id2label": {"0": []}}, "id2label"),
    ({"id2label": 3}, "id2label"),
    ({"id2label": None}, SAME),
    ({"label2id": "x"}, "label2id"),
    ({"label2id": {"LABEL_0": "zero"}}, "label2id"),
    ({"num_labels": "x"}, "num_labels"),
    ({"num_labels": 0}, "num_labels"),
    ({"num_labels": -1}, "num_labels"),
    ({"num_labels": HUGE}, "num_labels"),
    ({"problem_type": 3}, "problem_type"),
    ({"problem_type": "evil"}, ""),
    ({"quantization_config": "x"}, "quantization_config"),
    ({"quantization_config": []}, "quantization_config"),
    ({"quantization_config": {}}, ""),
    ({"quantization_config": {"quant_method": "evil"}}, ""),
    ({"quantization_config": {"quant_method": 3}}, ""),
    ({"quantization_config": {"quant_method": "gptq"}}, ""),
    ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, ""),
    ({"quantization_config": {"quant_method": "fp8"}}, ""),
    ({"rope_parameters": {"rope_type": "evil"}}, "rope"),
    ({"rope_parameters": {"rope_type": "evil", "rope_theta": 10000.0}}, "rope"),
    ({"rope_parameters": {"rope_type": 3, "rope_theta": 10000.0}}, "rope"),
    ({"rope_parameters": {"rope_type": ["default"], "rope_theta": 10000.0}}, "rope"),
    ({"rope_parameters": {"rope_type": "default"}}, ""),
    ({"rope_parameters": {"rope_type": "default", "rope_theta": "x"}}, "rope_theta"),
    ({"rope_parameters": {"rope_type": "default", "rope_theta": -1}}, "rope_theta"),
    ({"rope_parameters": {"rope_type": "default", "rope_theta": 0}}, "rope_theta"),
    ({"rope_parameters": {"rope_type": "default", "rope_theta": float("nan")}}, "rope_theta"),
    ({"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0}}, ""),
    ({"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": "x"}}, "factor"),
    ({"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 0}}, "factor"),
    ({"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": float("nan")}}, "factor"),
    ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 10000.0}}, ""),
    ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0}}, ""),
    ({"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0], "long_factor": [1.0]}}, ""),
    ({"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": "x", "long_factor": 3}}, ""),
    ({"rope_parameters": "x"}, "rope_parameters"),
    ({"rope_parameters": []}, "rope_parameters"),
    ({"rope_parameters": 3}, "rope_parameters"),
    ({"rope_parameters": {"full_attention": "x"}}, "rope"),
    ({"rope_parameters": DROP, "rope_scaling": "x"}, "rope_scaling"),
    ({"rope_parameters": DROP, "rope_scaling": {"type": "evil"}}, "rope"),
    ({"rope_parameters": DROP, "rope_theta": "x"}, "rope_theta"),
    ({"rope_parameters": DROP, "rope_theta": -5}, "rope_theta"),
    ({"rope_parameters": DROP, "rope_theta": 10000.0}, SAME),
    ({"layer_types": "x"}, "layer_types"),
    ({"layer_types": ["x"]}, "layer_types"),
    ({"layer_types": ["full_attention"]}, "layer_types"),
    ({"layer_types": ["evil", "evil"]}, "layer_types"),
    ({"layer_types": [1, 2]}, "layer_types"),
    ({"layer_types": 3}, "layer_types"),
    ({"layer_types": ["full_attention", "full_attention"]}, SAME),
    ({"dtype": "evil"}, "dtype"),
    ({"dtype": 3}, "dtype"),
    ({"dtype": []}, "dtype"),
    ({"dtype": "load"}, "dtype"),
    ({"dtype": "int8"}, "dtype"),
    ({"dtype": DROP, "torch_dtype": "evil"}, "dtype"),
    ({"dtype": "bfloat16"}, SAME),
    ({"dtype": "auto"}, ""),
    ({"auto_map": "x"}, "auto_map"),
    ({"auto_map": []}, "auto_map"),
    ({"auto_map": {"AutoConfig": "evil.Evil"}}, SAME),
    ({"auto_map": {"AutoModelForCausalLM": 3}}, ""),
    ({"_attn_implementation": "you/kernel"}, ""),
    ({"_name_or_path": ["x"]}, ""),
    ({"_name_or_path": "a\0b"}, ""),
    ({"birthmark_head": 3}, "birthmark_head"),
    ({"birthmark_head": ["linear"]}, "birthmark_head"),
    ({"return_dict": False}, ""),
    ({"output_hidden_states": True}, SAME),
    ({"output_attentions": True}, ""),
    ({"pruned_heads": {"0": [1]}}, ""),
    ({"tokenizer_class": 3}, ""),
    ({"tokenizer_class": "Evil"}, ""),
    ({"text_config": "x"}, ""),
    ({"text_config": {"hidden_size": "x"}}, ""),
    ({"sub_configs": 3}, ""),
    ({"attribute_map": 3}, ""),
    ({"to_dict": 3}, ""),
    ({"get_text_config": 3}, ""),
    ({"__class__": 3}, ""),
    ({"__dict__": 3}, ""),
    ({"self": 3}, ""),
    ({"pretraining_tp": "x"}, ""),
    ({"\x1b[31m": "\x1b[31m"}, SAME),
    ({"base_model_tp_plan": "x"}, ""),
    ({"transformers_weights": "evil.bin"}, ""),
    ({"transformers_weights": 3}, ""),
    ({"attn_logit_softcapping": "x"}, "attn_logit_softcapping"),
    (twice('"hidden_size": 64'), "hidden_size"),
    (twice('"hidden_size": 32'), SAME),
]  # fmt: skip

ADAPTER: list[tuple[Alteration, str]] = [
    ({"peft_type": "EVIL"}, "EVIL"),
    ({"peft_type": ["LORA"]}, "peft_type"),
    ({"peft_type": {"a": 1}}, "peft_type"),
    ({"peft_type": 3}, "peft_type"),
    ({"peft_type": None}, "peft_type"),
    ({"peft_type": DROP}, "peft_type"),
    ({"peft_type": "lora"}, ""),
    ({"peft_type": "IA3"}, ""),
    ({"peft_type": "VERA"}, ""),
    ({"task_type": "EVIL"}, "task_type"),
    ({"task_type": ["CAUSAL_LM"]}, "task_type"),
    ({"task_type": 3}, "task_type"),
    ({"r": "x"}, "adapter_config.json has r"),
    ({"r": 0}, "adapter_config.json has r"),
    ({"r": -1}, "adapter_config.json has r"),
    ({"r": 2.5}, "adapter_config.json has r"),
    ({"r": HUGE}, "adapter_config.json has r"),
    ({"r": None}, "adapter_config.json has r"),
    ({"r": 5}, ""),
    ({"lora_alpha": float("nan")}, "lora_alpha"),
    ({"lora_alpha": float("inf")}, "lora_alpha"),
    ({"lora_alpha": "x"}, "lora_alpha"),
    ({"lora_alpha": None}, "lora_alpha"),
    ({"lora_alpha": []}, "lora_alpha"),
    ({"lora_dropout": "x"}, "lora_dropout"),
    ({"lora_dropout": 2}, "lora_dropout"),
    ({"lora_dropout": float("nan")}, "lora_dropout"),
    ({"target_modules": 3}, "target_modules"),
    ({"target_modules": "("}, ""),
    ({"target_modules": [3]}, "target_modules"),
    ({"target_modules": ["evil"]}, ""),
    ({"target_modules": None}, ""),
    ({"target_modules": {}}, "target_modules"),
    ({"target_modules": "(a+)+$"}, ""),
    ({"exclude_modules": 3}, ""),
    ({"modules_to_save": 3}, "modules_to_save"),
    ({"modules_to_save": ["evil"]}, ""),
    ({"layers_to_transform": "x"}, ""),
    ({"layers_to_transform": [99]}, ""),
    ({"layers_pattern": 3}, ""),
    ({"rank_pattern": "x"}, "rank_pattern"),
    ({"rank_pattern": {"q_proj": "x"}}, "rank_pattern"),
    ({"rank_pattern": {"q_proj": 10**12}}, "rank_pattern"),
    ({"rank_pattern": {"(": 4}}, ""),
    ({"alpha_pattern": []}, ""),
    ({"alpha_pattern": {"q_proj": "x"}}, "alpha_pattern"),
    ({"alpha_pattern": {"q_proj": float("nan")}}, "alpha_pattern"),
    ({"bias": "evil"}, "bias"),
    ({"bias": 3}, "bias"),
    ({"use_dora": "x"}, "use_dora"),
    ({"use_dora": True}, ""),
    ({"use_rslora": "x"}, "use_rslora"),
    ({"fan_in_fan_out": "x"}, "fan_in_fan_out"),
    ({"fan_in_fan_out": True}, ""),
    ({"init_lora_weights": "evil"}, ""),
    ({"init_lora_weights": 3}, ""),
    ({"megatron_config": "x"}, ""),
    ({"megatron_config": {"a": 1}, "megatron_core": "os"}, ""),
    ({"eva_config": "x"}, ""),
    ({"corda_config": "x"}, ""),
    ({"layer_replication": "x"}, ""),
    ({"layer_replication": [[0, 10**9]]}, ""),
    ({"layer_replication": [[0, 2], [0, 2]]}, ""),
    ({"runtime_config": "x"}, ""),
    ({"trainable_token_indices": "x"}, ""),
    ({"trainable_token_indices": [10**9]}, ""),
    ({"auto_mapping": "x"}, ""),
    ({"auto_mapping": {"base_model_class": "Evil", "parent_library": "os"}}, ""),
    ({"base_model_name_or_path": 3}, "base_model_name_or_path"),
    ({"base_model_name_or_path": ["x"]}, "base_model_name_or_path"),
    ({"base_model_name_or_path": ""}, "base_model_name_or_path"),
    ({"base_model_name_or_path": None}, "base_model_name_or_path"),
    ({"base_model_name_or_path": DROP}, "base_model_name_or_path"),
    ({"base_model_name_or_path": "a\0b"}, ""),
    ({"base_model_name_or_path": "x" * 100_000}, ""),
    ({"base_model_name_or_path": "no such base"}, "no such base"),
    ({"base_model_name_or_path": "evil\nname"}, ""),
    ({"base_model_name_or_path": "~nobody-here/x"}, ""),
    ({"revision": 3}, "revision"),
    ({"revision": ["x"]}, "revision"),
    ({"peft_version": "99"}, SAME),
    ({"unheard_of": 3}, ""),
]  # fmt: skip

INDEX: list[tuple[Alteration, str]] = [
    ({"weight_map": []}, "weight_map"),
    ({"weight_map": "x"}, "weight_map"),
    ({"weight_map": None}, "weight_map"),
    ({"weight_map": DROP}, "weight_map"),
    ({"weight_map": {}}, "weight_map"),
    ({"weight_map": {"a": 3}}, "weight_map"),
    ({"weight_map": {"a": ["model.safetensors"]}}, "weight_map"),
    ({"weight_map": {"a": None}}, "weight_map"),
    ({"weight_map": {"a": "gone.safetensors"}}, "gone.safetensors"),
    ({"weight_map": {"a": "../secret.safetensors"}}, "secret.safetensors"),
    ({"weight_map": {"a": "/etc/passwd"}}, "passwd"),
    ({"weight_map": {"a": "a\0b"}}, "weight_map"),
    ({"weight_map": {"a": ""}}, "weight_map"),
    ({"weight_map": {"a": "config.json"}}, "config.json"),
    ({"weight_map": {"a": "x" * 10_000}}, "weight_map"),
    ({"metadata": 3}, ""),
    ({"metadata": DROP}, ""),
    ({"metadata": {"total_size": "x"}}, ""),
]  # fmt: skip

TOKENIZER_CONFIG: list[tuple[Alteration, str]] = [
    ({"tokenizer_class": 3}, "tokenizer_class"),
    ({"tokenizer_class": ["x"]}, "tokenizer_class"),
    ({"tokenizer_class": "Evil"}, ""),
    ({"tokenizer_class": "LlamaTokenizer"}, ""),
    ({"tokenizer_class": "AutoModel"}, ""),
    ({"tokenizer_class": None}, ""),
    ({"bos_token": 3}, "bos_token"),
    ({"bos_token": ["x"]}, "bos_token"),
    ({"bos_token": {"a": 1}}, "bos_token"),
    ({"bos_token": {"content": 3}}, "bos_token"),
    ({"bos_token": {"__type": "AddedToken", "content": "<bos>"}}, SAME),
    ({"eos_token": {}}, "eos_token"),
    ({"pad_token": 3}, "pad_token"),
    ({"pad_token": None}, SAME),
    ({"extra_special_tokens": 3}, "extra_special_tokens"),
    ({"extra_special_tokens": [3]}, "extra_special_tokens"),
    ({"extra_special_tokens": "x"}, "extra_special_tokens"),
    ({"extra_special_tokens": {"a": 3}}, "extra_special_tokens"),
    ({"additional_special_tokens": 3}, "additional_special_tokens"),
    ({"model_max_length": "x"}, "model_max_length"),
    ({"model_max_length": []}, "model_max_length"),
    ({"model_max_length": -1}, ""),
    ({"model_max_length": float("nan")}, ""),
    ({"added_tokens_decoder": 3}, "added_tokens_decoder"),
    ({"added_tokens_decoder": []}, "added_tokens_decoder"),
    ({"added_tokens_decoder": {"x": {"content": "a"}}}, "added_tokens_decoder"),
    ({"added_tokens_decoder": {"3": "a"}}, "added_tokens_decoder"),
    ({"added_tokens_decoder": {"3": {"content": 3}}}, "added_tokens_decoder"),
    ({"added_tokens_decoder": {"3": {"content": "x", "evil": 3}}}, ""),
    ({"added_tokens_decoder": {"-3": {"content": "x"}}}, ""),
    ({"added_tokens_decoder": {"99999999999": {"content": "x"}}}, ""),
    ({"chat_template": 3}, "chat_template"),
    ({"chat_template": [3]}, "chat_template"),
    ({"chat_template": [{"name": 3}]}, "chat_template"),
    ({"chat_template": [{"name": "default"}]}, "chat_template"),
    ({"chat_template": {"a": "b"}}, ""),
    ({"auto_map": 3}, "auto_map"),
    ({"auto_map": {"AutoTokenizer": ["evil.Evil", None]}}, ""),
    ({"padding_side": "evil"}, "padding_side"),
    ({"padding_side": 3}, "padding_side"),
    ({"truncation_side": "evil"}, "truncation_side"),
    ({"model_input_names": 3}, ""),
    ({"add_bos_token": "x"}, "add_bos_token"),
    ({"backend": "evil"}, ""),
    ({"tokenizer_file": "/etc/passwd"}, ""),
    ({"name_or_path": 3}, ""),
    ({"tokenizer_object": 3}, ""),
    ({"fast_tokenizer_files": 3}, ""),
    ({"fast_tokenizer_files": ["tokenizer.1.0.json"]}, ""),
    ({"fast_tokenizer_files": ["tokenizer.x.json"]}, ""),
    ({"fast_tokenizer_files": ["../tokenizer.4.0.json"]}, ""),
    ({"gguf_file": "x"}, ""),
    ({"__init__": 3}, ""),
    ({"init_inputs": 3}, ""),
    ({"cls_token": "\ud800"}, ""),
    ({"split_special_tokens": "x"}, ""),
]  # fmt: skip

TOKENIZER: list[tuple[Alteration, str]] = [
    ({"model": 3}, ""),
    ({"model": DROP}, ""),
    ({"model": {"type": "Evil"}}, ""),
    ({"model.vocab": 3}, ""),
    ({"model.vocab": {}}, ""),
    ({"model.vocab": {"a": -1}}, ""),
    ({"model.vocab": {"a": 10**9}, "model.merges": []}, ""),
    ({"model.merges": 3}, ""),
    ({"model.merges": [["evil", "evil"]]}, ""),
    ({"model.type": "WordPiece"}, ""),
    ({"added_tokens": 3}, ""),
    ({"added_tokens": [3]}, ""),
    ({"added_tokens": []}, ""),
    ({"pre_tokenizer": 3}, ""),
    ({"pre_tokenizer": {"type": "Evil"}}, ""),
    ({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False}}, ""),
    ({"pre_tokenizer": None}, ""),
    ({"post_processor": 3}, ""),
    ({"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<evil>", "type_id": 0}}], "pair": [],
                         "special_tokens": {}}}, ""),
    ({"normalizer": {"type": "Evil"}}, ""),
    ({"decoder": None}, ""),
    ({"decoder": {"type": "Evil"}}, ""),
    ({"truncation": {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 5}}, ""),
    ({"padding": 3}, ""),
    ({"version": 3}, ""),
    ({"version": "9"}, ""),
]  # fmt: skip

SPECIAL_TOKENS: list[tuple[Alteration, str]] = [
    (b'{"bos_token": 3}', "bos_token"),
    (b'{"bos_token": ["x"]}', "bos_token"),
    (b'{"bos_token": {"content": 3}}', "bos_token"),
    (b'{"additional_special_tokens": 3}', "additional_special_tokens"),
    (b'{"additional_special_tokens": [3]}', "additional_special_tokens"),
    (b'{"additional_special_tokens": "x"}', ""),
    (b'{"evil": 3}', ""),
    (b'{"bos_token": "<bos>"}', SAME),
]  # fmt: skip

ADDED_TOKENS: list[tuple[Alteration, str]] = [
    (b'{"<bos>": "x"}', "added_tokens.json"),
    (b'{"x": 99999999999999}', ""),
    (b'{"x": -1}', ""),
    (b'{"x": [3]}', ""),
    (b'{"x": 1.5}', ""),
]  # fmt: skip

GENERATION: list[tuple[Alteration, str]] = [
    ({"eos_token_id": "x"}, ""),
    ({"pad_token_id": []}, ""),
    ({"transformers_version": 3}, ""),
    ({"watermarking_config": "x"}, ""),
    ({"compile_config": 3}, ""),
]  # fmt: skip

TEMPLATE: list[tuple[Alteration, str]] = [
    (b"{% if", ""),
    (b"{{ evil() }}", ""),
    (b"{{ messages[99].x.y }}", ""),
    (b"{{ 1 / 0 }}", ""),
    (b"{% for i in range(99999999999) %}x{% endfor %}", ""),
    (b"{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", ""),
    (b"{{ 'a' * 99999999999 }}", ""),
    (b"{{ '%099999999999d' % 3 }}", ""),
    (b"{{ ''.__class__.__mro__ }}", ""),
    (b"{% include 'x' %}", ""),
    (b"{{ raise_exception('no\nsuch') }}", ""),
    (b"{{ raise_exception('') }}", ""),
    (b"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", ""),
    (b"\xff\xfe", "chat_template.jinja"),
    (b"", ""),
    (b"nothing of the messages", ""),
    (b"{{ messages[0].content }}\xed\xa0\x80", "chat_template.jinja"),
    (directory, "chat_template.jinja"),
    (loop, "chat_template.jinja"),
    (dangling, "chat_template.jinja"),
    (b"{{ messages | tojson }}" * 3, ""),
    (b"{{ strftime_now(3) }}", ""),
]  # fmt: skip

TENSORS: list[tuple[Alteration, str]] = [
    (b"", ""), (b"\0" * 8, ""), (b"\xff" * 100, ""), (b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", ""), (cut, ""),
    (directory, ""), (loop, ""), (dangling, ""), (pipe, ""),
    (struct.pack("<Q", 2) + b"{}", ""),
    (struct.pack("<Q", 4) + b"null", ""),
    (struct.pack("<Q", 200_000) + b'{"a":' + b"[" * 199_995, ""),
    (header(lambda document: document.clear()), ""),
    (of_first(shape=[-1]), ""),
    (of_first(shape=[10**30]), ""),
    (of_first(shape=[2**62, 4]), ""),
    (of_first(shape=[]), ""),
    (of_first(shape="x"), ""),
    (of_first(shape=[1, 2, 3]), ""),
    (of_first(dtype="EVIL"), ""),
    (of_first(dtype="I8"), ""),
    (of_first(dtype=3), ""),
    (of_first(data_offsets=[0]), ""),
    (of_first(data_offsets=[0, 2**63]), ""),
    (of_first(data_offsets=[4, 0]), ""),
    (of_first(data_offsets="x"), ""),
    (header(lambda document: document.update(evil={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]})), "evil"),
    (header(lambda document: document.update({"evil\nname": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}})), "evil"),
    (header(lambda document: document.update({"": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}})), ""),
    (header(lambda document: document.update(__metadata__=3)), ""),
    (header(lambda document: document.update(__metadata__={"format": "tf"})), ""),
    (header(lambda document: document.update(__metadata__={"format": "evil"})), ""),
    (header(lambda document: document.pop("__metadata__")), SAME),
    (header(lambda document: document.pop("model.norm.weight")), ""),
]  # fmt: skip

REWARD_CONFIG: list[tuple[Alteration, str]] = [
    ({"num_labels": 3}, ""),
    ({"id2label": {"0": "a", "1": "b"}}, ""),
    ({"pad_token_id": 10**9}, "pad_token_id"),
    ({"birthmark_head": "evil"}, "evil"),
    ({"birthmark_head": 3}, "birthmark_head"),
    ({"head_weights": "x"}, "head_weights"),
    ({"head_weights": {"a": float("nan")}}, "head_weights"),
    ({"head_weights": {"a": "x"}}, "head_weights"),
    ({"num_hidden_layers": 1_000_000}, "num_hidden_layers"),
    ({"hidden_act": "evil"}, "hidden_act"),
    ({"problem_type": "regression"}, SAME),
]  # fmt: skip


def patched(name: bytes, value: bytes, skip: int = 4) -> Callable[[Path], object]:
    """Write over the value of a field of a GGUF header; `skip` bytes for its type."""

    def alter(path: Path) -> None:
        data = path.read_bytes()
        at = data.index(name) + len(name) + skip
        path.write_bytes(data[:at] + value + data[at + len(value) :])

    return alter


def bytes_at(at: int, value: bytes) -> Callable[[Path], object]:
    def alter(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[:at] + value + data[at + len(value) :])

    return alter


GGUF: list[tuple[Alteration, str]] = [
    (b"", ""), (b"GGUF", ""), (b"GGUF" + b"\xff" * 40, ""), (cut, ""), (b"x" * 100, ""),
    (bytes_at(4, struct.pack("<I", 99)), ""),
    (bytes_at(8, struct.pack("<Q", 2**62)), ""),
    (bytes_at(16, struct.pack("<Q", 2**62)), ""),
    (patched(b"llama.block_count", struct.pack("<I", 1_000_000)), "block_count"),
    (patched(b"llama.block_count", struct.pack("<I", 0)), "block_count"),
    (patched(b"llama.embedding_length", struct.pack("<I", 2**31)), "embedding_length"),
    (patched(b"llama.attention.head_count", struct.pack("<I", 0)), ""),
    (patched(b"general.architecture", b"evil!", 12), ""),
    (patched(b"llama.block_count", struct.pack("<I", 77), 0), ""),
    (patched(b"tokenizer.ggml.tokens", struct.pack("<IQ", 8, 2**60)), ""),
]  # fmt: skip
OTHER_SCORES: list[Alteration] = [
    b"",
    b"nothing of the messages",
    b"{{ messages | tojson }}" * 3,
    {"pre_tokenizer": None},
]
