"""SHA-256 of what a model is made of: weights, adapter, tokenizer, chat template.

A large file is hashed once: its digest is remembered in the cache under its path, size and times of change. Knows
nothing of what the files mean.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from birthmark.inputs.fetch import cache_folder, sha256_of

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
    """SHA-256 over the lines `name sha256` of the files, sorted by name: of their names and contents, not places."""
    lines = sorted(f"{path.name} {remembered_sha256(path)}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def digest_of_text(text: str) -> str:
    """SHA-256 of the text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def tokenizer_files(folder: Path) -> list[Path]:
    """The files in `folder` that say how text becomes tokens, sorted by name."""
    return [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]


def remembered_sha256(path: Path) -> str:
    """SHA-256 of a file, hashed again only where its size or a time of change is another than last time."""
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
