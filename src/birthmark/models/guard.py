"""Calls into libraries with a person's files: quiet, and what they raise becomes one line that names the file and the field.

A mistake of our own is not hidden: what our code raises itself, such as an `AttributeError`, passes.
"""

import contextlib
import ctypes
import io
import json
import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from birthmark.errors import NO_SPACE, BirthmarkError
from birthmark.foreign import one_line

PACKAGE = str(Path(__file__).parents[1])
_OURS = (AttributeError, TypeError, NameError, LookupError, AssertionError)


@contextmanager
def reading(*files: Path) -> Iterator[None]:
    """Within the block a library reads these files, the likeliest cause of an error first.

    Warnings, logs and progress bars of libraries are not shown. Raises `BirthmarkError` for whatever a library raises, except
    a full disk, want of memory, and the end of the program.
    """
    with quiet():
        try:
            yield
        except (BirthmarkError, MemoryError):
            raise
        except BaseException as error:
            if not is_fault_of_a_file(error):
                raise
            raise BirthmarkError(describe(error, files)) from None


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings, log lines, progress bars and prints within the block."""
    from transformers.utils import logging as of_transformers

    disabled, bars = logging.root.manager.disable, of_transformers.is_progress_bar_enabled()
    logging.disable(max(disabled, logging.ERROR))
    of_transformers.disable_progress_bar()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        if bars:
            of_transformers.enable_progress_bar()


def is_fault_of_a_file(error: BaseException) -> bool:
    """Whether an exception may come from what a file holds.

    Not where our own code raises it, and not a full disk. `PanicException` is what libraries written in Rust raise.
    """
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return False
    if not isinstance(error, Exception):
        return type(error).__name__ == "PanicException"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    in_our_code = trace is not None and trace.tb_frame.f_code.co_filename.startswith(PACKAGE)
    return not (in_our_code and isinstance(error, _OURS))


def describe(error: BaseException, files: tuple[Path, ...]) -> str:
    """One line: the file, the field that the error is about where that can be told, and what the library says."""
    said = one_line(error, 300)
    text = f"{type(error).__name__}: {said}" if isinstance(error, LookupError) or not said else said
    if isinstance(error, ImportError):
        return f"{files[0]} asks for a package that is not installed ({text})"
    for path in files:
        if field := _field(error, path):
            return f"{path} has {field}, which cannot be used ({text}): correct it, or download the file again"
    return f"{files[0]} cannot be used ({text}): correct it, or download the file again"


def _field(error: BaseException, path: Path) -> str | None:
    """The member of a JSON file that an error names, by its name or by its value, as `name = value`."""
    if path.suffix != ".json":
        return None
    try:
        fields = list(_members(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, RecursionError):
        return None
    message = str(error)
    by_name = {name.rpartition(".")[2]: (name, value) for name, value in reversed(fields)}
    by_value = {value: (name, value) for name, value in reversed(fields) if isinstance(value, str)}
    named = re.findall(r"[Ff]ield '(\w+)'", message)
    words = re.findall(r"\w+", message) + [name for name in by_name if name.replace("_", " ") in message]
    found = next((by_name[word] for word in named if word in by_name), None)
    found = found or next((by_value[text] for text in re.findall(r"'([^']+)'", message) if text in by_value), None)
    found = found or next((by_name[word] for word in words if len(word) > 1 and word in by_name), None)
    return None if found is None else f"{found[0]} = {one_line(json.dumps(found[1]), 60)}"


def _members(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All members of a JSON object and of those in it, as `outer.inner` and the value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield prefix + key, inner
            yield from _members(inner, f"{prefix}{key}.")


class _TooLong(BaseException):
    pass


@contextmanager
def limited(seconds: float, message: str) -> Iterator[None]:
    """Raise `BirthmarkError` with the message where the block's Python code takes longer."""
    lock, thread, finished = threading.Lock(), threading.get_ident(), False

    def stop() -> None:
        with lock:
            if not finished:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_TooLong))

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        try:
            yield
        finally:
            with lock:
                finished = True
            timer.cancel()
    except _TooLong:
        raise BirthmarkError(message) from None


@contextmanager
def limited_memory(more: int) -> Iterator[None]:
    """Within the block the process may take at most so many bytes of memory more: what wants them gets a `MemoryError`.

    The limit is the whole process's, so only the main thread sets it: what is prepared in another thread is prepared while
    a model runs, which must have its memory. Where the system keeps no such limit (macOS, Windows), nothing is limited.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = psutil.Process().memory_info().vms + more
        ours = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (ours if soft == resource.RLIM_INFINITY else min(ours, soft), hard))
    except (ImportError, ValueError, OSError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def read_config(folder: Path) -> Any:
    """A model's configuration as transformers reads it. Raises `BirthmarkError` for one that it refuses."""
    from transformers import AutoConfig

    with reading(folder / "config.json"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        config.update({"return_dict": True, "output_hidden_states": False})
    return config


def require_runs(model: Any) -> None:
    """Run one token through a model: what a config sets wrong may show only there. Raises what the model raises."""
    import torch

    ids = torch.zeros((1, 1), dtype=torch.long, device=model.get_input_embeddings().weight.device)
    with torch.inference_mode():
        model.base_model(input_ids=ids)


@contextmanager
def reading_tokenizer(folder: Path) -> Iterator[None]:
    """`reading`, for a tokenizer's files: tokenizer.json is named where it cannot be read alone."""
    from tokenizers import Tokenizer

    whole, settings = folder / "tokenizer.json", folder / "tokenizer_config.json"
    with quiet(), _terminal_closed():
        try:
            yield
        except BirthmarkError:
            raise
        except BaseException as error:
            if not is_fault_of_a_file(error):
                raise
            try:
                if whole.is_file():
                    Tokenizer.from_file(str(whole)).encode("a")
            except BaseException as its_own:
                if not is_fault_of_a_file(its_own):
                    raise
                raise BirthmarkError(
                    f"{whole} is not a tokenizer ({one_line(its_own, 200)}): download it again"
                ) from None
            raise BirthmarkError(describe(error, (settings if settings.is_file() else whole,))) from None


@contextmanager
def _terminal_closed() -> Iterator[None]:
    """Nothing reaches the terminal within the block: a library written in Rust writes remarks and panics there itself."""
    try:
        kept = [os.dup(stream) for stream in (1, 2)]
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        yield
    finally:
        for stream, old in zip((1, 2), kept, strict=True):
            os.dup2(old, stream)
            os.close(old)
        os.close(nowhere)


def require_tokens(tokenizer: Any, folder: Path) -> None:
    """Raise `BirthmarkError` unless a text has tokens by this tokenizer; raises what the tokenizer raises."""
    ids = tokenizer("a")["input_ids"]
    if not ids or not isinstance(ids[0], int) or not isinstance(len(tokenizer), int):
        raise BirthmarkError(
            f"the tokenizer of {folder} has no tokens for the letter a: is it a tokenizer of this model?"
        )
