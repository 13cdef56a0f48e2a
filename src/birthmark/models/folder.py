"""A model's folder: configuration, tokenizer, template, the SHA-256 digests of its files, and why it cannot be read.

Only small text files are read; which weights there are is `weights.py`'s. A large file is hashed once: its digest is kept in
the cache with the file's path, size and time.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from birthmark.errors import BirthmarkError
from birthmark.files import sha256_of
from birthmark.foreign import one_line
from birthmark.inputs.fetch import cache_folder
from birthmark.models.config_checks import read_json, read_text
from birthmark.records import Kind

VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "vocab.txt",
)
SPECIAL_TOKENS = "special_tokens_map.json"
REMEMBERED_BYTES = 2**20  # a smaller file is hashed in a millisecond
TOKENIZER_FILES = (*VOCABULARIES, "added_tokens.json", "merges.txt", SPECIAL_TOKENS, "tokenizer_config.json")


def digest_of_files(paths: Iterable[Path]) -> str:
    """SHA-256 of the sorted lines `name sha256` of the files: of their names and contents, not their folder."""
    lines = sorted(f"{path.name} {remembered_sha256(path)}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def digest_of_text(text: str) -> str:
    """SHA-256 of the text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def tokenizer_files(folder: Path) -> list[Path]:
    """The tokenizer's files in `folder`, sorted by name."""
    versions = folder.glob("tokenizer.*.json")  # which tokenizer_config.json may name in place of tokenizer.json
    return sorted(path for path in {*(folder / name for name in TOKENIZER_FILES), *versions} if path.is_file())


def padding_file(adapter: Path) -> Path | None:
    """The file of an adapter without a tokenizer of its own that says which token padded its training."""
    path = adapter / SPECIAL_TOKENS
    return path if path.is_file() and not has_vocabulary(adapter) else None


def has_vocabulary(folder: Path) -> bool:
    """Whether a folder has a tokenizer's vocabulary, in any of the formats that transformers reads."""
    return any((folder / name).is_file() for name in VOCABULARIES)


def remembered_sha256(path: Path) -> str:
    """SHA-256 of a file; a large one's is computed again only if its size or modification time has changed."""
    real = path.resolve()
    stat = real.stat()
    if stat.st_size < REMEMBERED_BYTES:
        return sha256_of(real)
    state = [str(real), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    memory = cache_folder() / "digests"
    known = memory / f"{digest_of_text(str(real))[:32]}.json"
    try:
        remembered = json.loads(known.read_text(encoding="utf-8"))
        if remembered["state"] == state and re.fullmatch(r"[0-9a-f]{64}", remembered["sha256"]):
            return str(remembered["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    found = sha256_of(real)
    memory.mkdir(exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=memory, prefix=".unfinished-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"state": state, "sha256": found}, file)
    os.replace(unfinished, known)
    return found


ADAPTER_CONFIG = "adapter_config.json"


def require_tokenizer(folder: Path) -> None:
    """Raise `BirthmarkError` if the folder has no tokenizer, or one that needs its own code."""
    if not has_vocabulary(folder):
        native = "it has tekken.json only, Mistral's own format; " if (folder / "tekken.json").is_file() else ""
        raise BirthmarkError(
            f"{folder} has no tokenizer: {native}copy the model's tokenizer.json and tokenizer_config.json there"
        )
    names = {path.name for path in tokenizer_files(folder)}
    stated = read_json(folder / "tokenizer_config.json") if "tokenizer_config.json" in names else {}
    if "auto_map" in stated and not is_known_class(stated.get("tokenizer_class")):
        raise BirthmarkError(
            f"{folder} has a tokenizer that needs its own code ({stated.get('tokenizer_class')}), and birthmark never runs "
            "code shipped with a checkpoint"
        )


def is_known_class(name: str | None) -> bool:
    return name is not None and not known_classes().isdisjoint((name, name.removesuffix("Fast")))


@cache
def known_classes() -> frozenset[str]:
    """The names that transformers has; listing them takes half a second."""
    import transformers

    return frozenset(dir(transformers))


def vocabulary_size(folder: Path) -> int | None:
    """Tokens of the model in a folder, as its configuration counts them; None where it does not."""
    if not (folder / "config.json").is_file():
        return None
    config = read_json(folder / "config.json")
    size = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size")
    return int(size) if size else None


def architecture_of(config: dict[str, Any]) -> str | None:
    """The class name that a config names first, or None."""
    named = config.get("architectures") or [None]
    return named[0]


def kind_of(config: dict[str, Any]) -> Kind | None:
    """`reward` or `logprob` by the head or the class that a config names; None if it says neither."""
    architecture = architecture_of(config) or ""
    if config.get("birthmark_head") or "SequenceClassification" in architecture or "Reward" in architecture:
        return "reward"
    if architecture.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
        return "logprob"
    return None


def template_of(folder: Path) -> str | None:
    """The text of the folder's chat template, or None; if there are several, the one named `default`."""
    return _templates_of(folder).get("default")


def about_templates(folder: Path) -> tuple[str, ...]:
    """What to say of a folder with chat templates of which none is the one to use."""
    named = _templates_of(folder)
    if not named or "default" in named:
        return ()
    names = ", ".join(one_line(name, 40) for name in named)
    said = f"the folder has the chat templates {names} and none that is called default, so none of them is used; "
    return (f"{said}--chat-template gives one",)


def _templates_of(folder: Path) -> dict[str, str]:
    """The folder's chat templates by name, from the first place that has a default one, else from all.

    The places are in transformers' order.
    """
    further = sorted((folder / "additional_chat_templates").glob("*.jinja"))
    for path in further:
        if path.stem == "default":
            return {"default": read_text(path)}
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        return {"default": read_text(beside)}
    found: dict[str, str] = {}
    for name in ("chat_template.json", "tokenizer_config.json"):
        if "default" not in found and (folder / name).is_file():
            template = read_json(folder / name).get("chat_template")
            if isinstance(template, list):
                template = {item["name"]: item["template"] for item in template}
            listed = template if isinstance(template, dict) else {"default": template}
            found |= {str(key): text for key, text in listed.items() if isinstance(text, str)}
    return {path.stem: "" for path in further} | found


def and_more(names: list[str]) -> str:
    """` (and 3 more)` to follow the first of several names; empty if there is only one."""
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


CHECKPOINTS = "checkpoints"
CHECKPOINT_NAME = re.compile(r"step-(\d{6,})")


def checkpoint_name(step: int) -> str:
    """`step-000016`: at least six digits, so that names sort by step."""
    return f"step-{step:06d}"


def checkpoint_folders(run: Path) -> Iterator[tuple[int, Path]]:
    """The finished checkpoints of a run, by step."""
    found = [(CHECKPOINT_NAME.fullmatch(path.name), path) for path in (run / CHECKPOINTS).glob("step-*")]
    yield from sorted((int(match[1]), path) for match, path in found if match and path.is_dir())
