"""A model's tokenizer, read offline from the files that are a tokenizer's and nothing else."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from birthmark.models.folder import tokenizer_files
from birthmark.models.guard import reading_tokenizer, require_tokens
from birthmark.models.resolve import ResolvedModel
from birthmark.models.weights import only_these

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class _Source:
    """What decides how a model's tokenizer is read; models that are equal in it share one."""

    digest: str
    config: bytes
    model: ResolvedModel = field(compare=False)


@lru_cache(maxsize=2)
def _read_once(source: _Source) -> "PreTrainedTokenizerBase":
    return read_tokenizer(source.model)


def load_tokenizer(resolved: ResolvedModel) -> "PreTrainedTokenizerBase":
    """The model's tokenizer with the chat template in effect, for who changes nothing else of it and works in one thread.

    One of the same bytes that was read last or the time before is not read again: a large one takes seconds. Raises
    `BirthmarkError` if it cannot be read.
    """
    config = _config_beside(resolved)
    tokenizer = _read_once(_Source(resolved.digests.tokenizer, config.read_bytes() if config else b"", resolved))
    own = object.__new__(type(tokenizer))  # what some classes do to be copied reads their files again
    vars(own).update(vars(tokenizer))
    own.chat_template = resolved.chat_template
    return own


def read_tokenizer(resolved: ResolvedModel) -> "PreTrainedTokenizerBase":
    """`load_tokenizer` for who changes it, or works beside others in threads: read anew each time."""
    from transformers import AutoTokenizer

    folder = resolved.tokenizer_path
    with reading_tokenizer(folder), only_these(tokenizer_files(folder), _config_beside(resolved)) as view:
        tokenizer = AutoTokenizer.from_pretrained(view, local_files_only=True)
        require_tokens(tokenizer, folder)
    tokenizer.chat_template = resolved.chat_template
    return tokenizer


def _config_beside(resolved: ResolvedModel) -> Path | None:
    """The config that transformers reads with a tokenizer: one in the model's own folder."""
    config = resolved.path / "config.json"
    return config if resolved.tokenizer_path == resolved.path and config.is_file() else None
