"""A tiny GGUF file written with the gguf library, and wheels that carry it, as on the package index."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import LlamaForCausalLM

from birthmark.inputs.catalog import Embedded, Entry, Wheel


def write_gguf(
    path: Path,
    source: Path,
    more: Mapping[str, np.ndarray] | None = None,
    fields: Mapping[str, int | float | str] | None = None,
) -> None:
    """Write the tiny Llama in the folder `source` (see `tiny_models`) as a float32 GGUF, tokenizer included.

    `more` are further tensors, such as a classifier's head; `fields` further metadata.
    """
    import json

    model = LlamaForCausalLM.from_pretrained(source, dtype=torch.float32)
    config = model.config
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].__getitem__)
    special = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary)
    types = gguf.TokenType
    writer.add_token_types([types.CONTROL if token in special else types.NORMAL for token in vocabulary])
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    writer.add_pad_token_id(config.pad_token_id)
    writer.add_unk_token_id(config.pad_token_id)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        projection = name.split(".")[-2]
        if projection in heads:  # the file keeps the two halves of a head's rotary dimensions interleaved
            rows, columns = tensor.shape
            tensor = tensor.view(heads[projection], 2, rows // heads[projection] // 2, columns).transpose(1, 2)
            tensor = tensor.reshape(rows, columns)
        stem, suffix = name.rsplit(".", 1)
        writer.add_tensor(f"{names.get_name(stem)}.{suffix}", tensor.contiguous().numpy())
    for name, values in (more or {}).items():
        writer.add_tensor(name, values)
    add = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
    for key, value in (fields or {}).items():
        add[type(value)](key, value)  # type: ignore[operator]
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_wheel(folder: Path, package: str, members: dict[str, bytes], version: str = "1.0.0") -> tuple[Path, str]:
    """A wheel that pip accepts, carrying `members`; its path and SHA-256."""
    stem = f"{package.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    path = folder / f"{stem}-py3-none-any.whl"
    everything = members | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in everything.items():
            archive.writestr(name, content)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def embedded_entry(downloads: Path, content: bytes, name: str = "tiny-embedded") -> Entry:
    """A catalog entry whose GGUF has this content, in two wheels that lie in `downloads`, with a licence text."""
    downloads.mkdir(parents=True, exist_ok=True)
    half = len(content) // 2
    wheels = []
    for number, part in enumerate((content[:half], content[half:]), start=1):
        member = f"tiny_part{number}/part{number}"
        _, sha256 = write_wheel(
            downloads, f"tiny-part{number}", {member: part, f"tiny_part{number}/__init__.py": b"1/0"}
        )
        wheels.append(Wheel(package=f"tiny-part{number}", version="1.0.0", sha256=sha256, members=(member,)))
    _, sha256 = write_wheel(downloads, "tiny-terms", {"tiny_terms/TERMS.txt": b"use it well"})
    terms = Wheel(package="tiny-terms", version="1.0.0", sha256=sha256, members=("tiny_terms/TERMS.txt",))
    return Entry(
        name=name,
        kind="logprob",
        family="Tiny",
        base_checkpoint="tiny",
        licence="Tiny Terms",
        embedded=Embedded(
            wheels=tuple(wheels),
            gguf_sha256=hashlib.sha256(content).hexdigest(),
            terms=terms,
            terms_address="https://example.org/terms",
            seconds=1,
        ),
    )
