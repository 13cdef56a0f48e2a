"""One GGUF file to a folder of safetensors, config and tokenizer that transformers loads offline.

The weights are dequantized to float32 as they are; the tokenizer that transformers rebuilds from a GGUF is set
right where the file does not say all that the original tokenizer does. Knows nothing of where the file came from.
"""

import contextlib
import errno
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from birthmark.errors import BirthmarkError


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write the model and tokenizer of the file `gguf` into `folder`, float32.

    Raises `BirthmarkError` where transformers cannot read the file, or where a weight of the model is not in it.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    where: dict[str, Any] = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    automatic: Any = AutoModelForCausalLM
    with contextlib.redirect_stderr(io.StringIO()), _parsed_once(gguf) as fields:  # stderr: its progress bars
        try:
            config = AutoConfig.from_pretrained(**where)
            tokenizer = AutoTokenizer.from_pretrained(**where, config=config)
            model, loading = automatic.from_pretrained(
                **where, config=config, dtype=torch.float32, output_loading_info=True
            )
        except (OSError, ValueError, KeyError, NotImplementedError, UnicodeDecodeError) as error:
            raise BirthmarkError(f"{gguf.name} cannot be read as GGUF: {' '.join(str(error).split())[:300]}") from None
        _require_complete(gguf.name, loading)
        model.hf_quantizer = None  # the weights are plain float32 now; saving must not call them quantized
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        with _full_disk_as_oserror():
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        keys = ("general.architecture", "tokenizer.ggml.pre")
        architecture, pre_tokenizer = (str(fields[key].contents()) if key in fields else "" for key in keys)
    repair_tokenizer(folder / "tokenizer.json", architecture, pre_tokenizer)


def repair_tokenizer(path: Path, architecture: str, pre_tokenizer: str) -> None:
    """Set right, in place, what a `tokenizer.json` rebuilt from a GGUF of these two metadata values has wrong.

    - `gemma3`: merges of runs of line breaks, spaces and tabs come in another order than in the original, so long runs
      fall into other pieces, and the runs of `▁` are not added tokens.
    - pre-tokenizer `smollm`: digits are split one by one before anything else, which the file states by name only.
    """
    if architecture != "gemma3" and pre_tokenizer != "smollm":
        return
    document = json.loads(path.read_text(encoding="utf-8"))
    if architecture == "gemma3":
        document["model"]["merges"] = _whitespace_merges_first(document["model"]["merges"])
        _add_space_runs(document)
    if pre_tokenizer == "smollm":
        digits = {"type": "Digits", "individual_digits": True}
        document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, document["pre_tokenizer"]]}
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


_RUN_CHARACTERS = "\n▁\t"


def _whitespace_merges_first(merges: list[list[str]]) -> list[list[str]]:
    """Merges within runs of one whitespace character ahead of all others: the longest left part first, then whole."""

    def is_run(merge: list[str]) -> bool:
        return merge[0][0] in _RUN_CHARACTERS and set(merge[0] + merge[1]) == {merge[0][0]}

    def order(merge: list[str]) -> tuple[int, int, int]:
        left, right = merge
        return -len(left), -len(right), _RUN_CHARACTERS.index(left[0])

    return sorted(filter(is_run, merges), key=order) + [merge for merge in merges if not is_run(merge)]


def _add_space_runs(document: dict[str, Any]) -> None:
    vocabulary = document["model"]["vocab"]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    known = {token["content"] for token in document["added_tokens"]}
    runs = [run for run in ("▁" * n for n in range(2, 32)) if run in vocabulary and run not in known]
    document["added_tokens"] += [{"id": vocabulary[run], "content": run, **flags} for run in runs]
    document["added_tokens"].sort(key=lambda token: token["id"])


@contextlib.contextmanager
def _full_disk_as_oserror() -> Iterator[None]:
    """safetensors and tokenizers tell of a full disk in errors of their own; as an `OSError` the cache's lock knows it."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and f"os error {errno.ENOSPC}" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


@contextlib.contextmanager
def _parsed_once(path: Path) -> Iterator[dict[str, Any]]:
    """The file's metadata; whoever opens a `gguf.GGUFReader` meanwhile shares the one that was read.

    transformers parses the file three times, half a minute each for a large vocabulary.
    """
    import gguf

    library: Any = gguf
    original = library.GGUFReader
    try:
        reader = original(path)
    except (ValueError, IndexError, OSError) as error:
        raise BirthmarkError(f"{path.name} cannot be read as GGUF: {' '.join(str(error).split())[:300]}") from None
    library.GGUFReader = lambda *_: reader
    try:
        yield reader.fields
    finally:
        library.GGUFReader = original


def _require_complete(name: str, loading: dict[str, Any]) -> None:
    absent = sorted(loading["missing_keys"]) + sorted(str(key) for key in loading["mismatched_keys"])
    if absent:
        raise BirthmarkError(f"{name} lacks the weight {absent[0]} of its model: bring a complete file")
