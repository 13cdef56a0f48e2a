"""A model's folder: weights, configuration, tokenizer, template, their SHA-256 digests, and why it cannot be read.

Only small text files, names and headers are read. No weights are loaded, and no code from the folder is run. A large file is
hashed once: its digest is kept in the cache with the file's path, size and time.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from birthmark.errors import BirthmarkError
from birthmark.files import sha256_of
from birthmark.inputs.fetch import cache_folder
from birthmark.models.config_checks import read_json, read_text
from birthmark.records import Kind

if TYPE_CHECKING:
    import torch

TOKENIZER_FILES = (
    "added_tokens.json",
    "merges.txt",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)


def digest_of_files(paths: Iterable[Path]) -> str:
    """SHA-256 of the sorted lines `name sha256` of the files: of their names and contents, not their folder."""
    lines = sorted(f"{path.name} {remembered_sha256(path)}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def digest_of_text(text: str) -> str:
    """SHA-256 of the text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def tokenizer_files(folder: Path) -> list[Path]:
    """The tokenizer's files in `folder`, sorted by name."""
    return [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]


def remembered_sha256(path: Path) -> str:
    """SHA-256 of a file, computed again only if its size or modification time has changed."""
    real = path.resolve()
    stat = real.stat()
    state = [str(real), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    memory = cache_folder() / "digests"
    known = memory / f"{digest_of_text(str(real))[:32]}.json"
    try:
        remembered = json.loads(known.read_text(encoding="utf-8"))
        if remembered["state"] == state:
            return str(remembered["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = sha256_of(real)
    memory.mkdir(exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=memory, prefix=".unfinished-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"state": state, "sha256": found}, file)
    os.replace(unfinished, known)
    return found


ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_HEAD_PICKLE = "v_head.pt"  # written by GRM training next to an adapter
_VALUE_HEAD = "v_head."  # prefix of a reward head in a model with a language model's class
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a full model, sorted by name.

    Raises `BirthmarkError` if there are none, if there are only pickles, or if a shard of the index is missing.
    """
    files = sorted(path for path in folder.glob("*.safetensors") if path.name != ADAPTER_WEIGHTS)
    if not files:
        _raise_without_safetensors(folder)
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = set(read_json(index).get("weight_map", {}).values())
        absent = sorted(shards - {path.name for path in files})
        if absent:
            raise BirthmarkError(f"{folder} lacks {absent[0]}, a part of its weights: download or copy the model again")
        files = [path for path in files if path.name in shards]
    return files


def adapter_weights(folder: Path) -> Path:
    """The safetensors file of an adapter's folder. Raises `BirthmarkError` if there is none, or a pickle instead."""
    path = folder / ADAPTER_WEIGHTS
    if not path.is_file():
        _raise_without_safetensors(folder)
    if (folder / _HEAD_PICKLE).is_file():
        raise BirthmarkError(
            f"{folder} has its reward head in {_HEAD_PICKLE}, and loading such a file can run code: if you trust it, merge "
            "the adapter into its base, add the head's tensors to the safetensors as v_head.summary.*, and use that folder"
        )
    return path


def _raise_without_safetensors(folder: Path) -> None:
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    pickles = [name for name in pickles if name != "training_args.bin"]
    if pickles:
        raise BirthmarkError(
            f"{folder} has its weights only as {pickles[0]}, and loading such a file can run code: if you trust it, load it in "
            "transformers and call `model.save_pretrained(FOLDER)`, which writes safetensors; then use FOLDER"
        )
    raise BirthmarkError(f"{folder} has no weights: a model's folder needs *.safetensors files (or one *.gguf)")


def require_tokenizer(folder: Path) -> None:
    """Raise `BirthmarkError` if the folder has no tokenizer, or one that needs its own code."""
    names = {path.name for path in tokenizer_files(folder)}
    vocabularies = {"tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt"}
    if not names & vocabularies:
        raise BirthmarkError(
            f"{folder} has no tokenizer: copy the model's tokenizer.json and tokenizer_config.json there"
        )
    stated = read_json(folder / "tokenizer_config.json") if "tokenizer_config.json" in names else {}
    if "auto_map" in stated and not is_known_class(stated.get("tokenizer_class")):
        raise BirthmarkError(
            f"{folder} has a tokenizer that needs its own code ({stated.get('tokenizer_class')}), and birthmark never runs "
            "code shipped with a checkpoint"
        )


def is_known_class(name: str | None) -> bool:
    return name is not None and not {name, name.removesuffix("Fast")}.isdisjoint(_names_of_transformers())


@cache
def _names_of_transformers() -> frozenset[str]:
    import transformers

    return frozenset(dir(transformers))  # takes half a second


def tensor_shapes(paths: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in safetensors files, from their headers. Raises `BirthmarkError` for a broken file."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in paths:
        with _open_tensors(path, "numpy") as file:
            shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    return shapes


def read_tensors(paths: Iterable[Path], names: Collection[str]) -> "dict[str, torch.Tensor]":
    """The tensors of these names that are in some safetensors files. Raises `BirthmarkError` for a broken file."""
    tensors: dict[str, torch.Tensor] = {}
    for path in paths:
        with _open_tensors(path, "pt") as file:
            tensors |= {name: file.get_tensor(name) for name in file.keys() if name in names}  # noqa: SIM118
    return tensors


@contextmanager
def _open_tensors(path: Path, framework: str) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise BirthmarkError(
            f"{path} cannot be loaded: it is not a complete safetensors file ({one_line(error)}); download or copy it again"
        ) from None


def architecture_of(config: dict[str, Any]) -> str | None:
    """The class name that a config names first, or None."""
    named = config.get("architectures") or [None]
    return named[0]


def kind_of(config: dict[str, Any], names: Iterable[str] = ()) -> Kind | None:
    """`reward` or `logprob` by the class name in the config; None if it is neither.

    A language model's class with a value head among the tensors' `names` is a reward model.
    """
    architecture = architecture_of(config) or ""
    if any(name.startswith(_VALUE_HEAD) for name in names):
        return "reward"
    if "SequenceClassification" in architecture or "Reward" in architecture:
        return "reward"
    if architecture.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
        return "logprob"
    return None


def kind_of_adapter(config: dict[str, Any]) -> Kind | None:
    """`reward` or `logprob` by an adapter's task; None if it is neither."""
    tasks: dict[str, Kind] = {"SEQ_CLS": "reward", "CAUSAL_LM": "logprob"}
    return tasks.get(str(config.get("task_type")))


def template_of(folder: Path) -> str | None:
    """The text of the folder's chat template, or None; if there are several, the one named `default`."""
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        return read_text(beside)
    for name in ("chat_template.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            template = read_json(folder / name).get("chat_template")
            if isinstance(template, list):
                template = {item["name"]: item["template"] for item in template}.get("default")
            if isinstance(template, str):
                return template
    return None


def and_more(names: list[str]) -> str:
    """` (and 3 more)` to follow the first of several names; empty if there is only one."""
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def one_line(error: Exception) -> str:
    """A library's error message as one short line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


CHECKPOINTS = "checkpoints"
CHECKPOINT_NAME = re.compile(r"step-(\d{6,})")


def checkpoint_name(step: int) -> str:
    """`step-000016`: at least six digits, so that names sort by step."""
    return f"step-{step:06d}"


def checkpoint_folders(run: Path) -> Iterator[tuple[int, Path]]:
    """The finished checkpoints of a run, by step."""
    found = [(CHECKPOINT_NAME.fullmatch(path.name), path) for path in (run / CHECKPOINTS).glob("step-*")]
    yield from sorted((int(match[1]), path) for match, path in found if match and path.is_dir())
