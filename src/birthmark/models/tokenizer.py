"""A model's tokenizer, read offline from the files that are a tokenizer's and nothing else."""

from pathlib import Path
from typing import TYPE_CHECKING

from birthmark.models.folder import tokenizer_files
from birthmark.models.guard import reading_tokenizer, require_tokens
from birthmark.models.resolve import ResolvedModel
from birthmark.models.weights import only_these

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TOKENIZERS_KEPT = 2
_tokenizers: dict[tuple[str, bytes], "PreTrainedTokenizerBase"] = {}  # by what they were read from, the last one last


def load_tokenizer(resolved: ResolvedModel) -> "PreTrainedTokenizerBase":
    """The model's tokenizer with the chat template in effect, for who changes nothing else of it and works in one thread.

    One of the same bytes that was read last or the time before is not read again: a large one takes seconds. Raises
    `BirthmarkError` if it cannot be read.
    """
    config = _config_beside(resolved)
    key = (resolved.digests.tokenizer, config.read_bytes() if config is not None and config.is_file() else b"")
    tokenizer = _tokenizers.pop(key, None)
    if tokenizer is None:
        tokenizer = read_tokenizer(resolved)
    _tokenizers[key] = tokenizer
    for other in list(_tokenizers)[:-TOKENIZERS_KEPT]:
        _tokenizers.pop(other, None)
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
    folder = resolved.tokenizer_path
    return folder / "config.json" if folder == resolved.path else None
