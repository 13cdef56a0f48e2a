"""A model's data files from the hub: safetensors, configuration and tokenizer, never code or pickles."""

from pathlib import Path

from birthmark.errors import NO_SPACE, BirthmarkError
from birthmark.foreign import one_line

DATA = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "spiece.model", "merges.txt", "vocab.txt", "README.md"]
NEVER = ["*/*", "consolidated*", "*.bin", "*.pt", "*.pth", "*.py"]


def fetch_snapshot(hub_id: str, revision: str | None = None, *, quiet: bool = False, weights: bool = True) -> Path:
    """The folder of a hub model's data files at `revision` (a commit, branch or tag; None for the newest).

    Without `weights`, only its configuration and tokenizer are asked for.

    Files in huggingface_hub's cache are used without the network. Raises `BirthmarkError` if the model is gated or does not
    exist, does not have this revision, is in the cache without its weights, or the hub cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars, logging

    bars_were_off, verbosity = are_progress_bars_disabled(), logging.get_verbosity()
    logging.set_verbosity_error()  # a line for each time that an unreachable hub is tried again
    if quiet:
        disable_progress_bars()
    try:
        wanted = DATA if weights else [pattern for pattern in DATA if pattern != "*.safetensors"]
        folder = Path(snapshot_download(hub_id, revision=revision, allow_patterns=wanted, ignore_patterns=NEVER))
    except Exception as error:  # noqa: BLE001  the hub's, the HTTP library's, the cache's
        raise BirthmarkError(_what_to_do(error, hub_id, revision)) from None
    finally:
        logging.set_verbosity(verbosity)
        if quiet and not bars_were_off:
            enable_progress_bars()
    if weights and not any(folder.glob("*.safetensors")):
        raise BirthmarkError(_why_no_weights(hub_id, revision, folder))
    return folder


def cached_folder(hub_id: str) -> Path | None:
    """The folder of a hub model that is in huggingface_hub's cache, in its newest revision there; nothing is fetched."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    for name in ("config.json", "adapter_config.json"):
        try:
            found = try_to_load_from_cache(hub_id, name)
        except HFValidationError:
            return None
        if isinstance(found, str):
            return Path(found).parent
    return None


def _what_to_do(error: Exception, hub_id: str, revision: str | None) -> str:
    """One line for what went wrong between this machine and the hub."""
    from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE, HF_HUB_OFFLINE
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page = f"https://huggingface.co/{hub_id}"
    reason = one_line(error, 200)
    if isinstance(error, GatedRepoError):
        return f"{hub_id} is gated: accept its terms at {page}, then log in with `hf auth login` or set HF_TOKEN"
    if isinstance(error, RevisionNotFoundError):
        return f"{hub_id} has no revision {revision} (any more): see {page}/commits/main"
    if isinstance(error, RepositoryNotFoundError):
        return f"{hub_id} is not on the hub, or is private: check the name, or log in with `hf auth login`"
    if isinstance(error, HFValidationError):
        return f"{hub_id} is not a hub id: {reason}"
    if isinstance(error, LocalEntryNotFoundError):
        where = "" if ENDPOINT == "https://huggingface.co" else f" at {ENDPOINT} (HF_ENDPOINT)"
        return (
            f"{hub_id}{f' at {one_line(revision)}' if revision else ''} is not on this machine and the hub cannot be "
            f"reached{where}: {'unset HF_HUB_OFFLINE and ' if HF_HUB_OFFLINE else ''}connect to the network, or give a local folder"
        )
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return f"{hub_id} does not fit on the disk: make room where {HF_HUB_CACHE} is, or set HF_HOME to another disk"
    if isinstance(error, (PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError)):
        return f"{hub_id} cannot be kept in the hub's cache ({reason}): correct {HF_HUB_CACHE}, or set HF_HOME"
    if isinstance(error, (ValueError, LookupError, UnicodeError)):
        return f"{hub_id} cannot be read from the hub's cache or its answer ({reason}): delete it in {HF_HUB_CACHE}"
    return (
        f"{hub_id} cannot be fetched from the hub ({reason}): check the network and its proxy, HF_ENDPOINT and HF_TOKEN, "
        "or try again later"
    )


def _why_no_weights(hub_id: str, revision: str | None, folder: Path) -> str:
    """One line for a model whose folder has no safetensors: what the hub has instead, or that only a part was fetched."""
    from huggingface_hub import model_info

    try:
        about = model_info(hub_id, revision=revision, timeout=10)  # asked once: others are repeated for minutes
        files = [each.rfilename for each in about.siblings or ()]
    except Exception as error:  # noqa: BLE001  the hub's and the HTTP library's
        there = sorted(path.name for path in folder.iterdir())
        return (
            f"{hub_id} is on this machine without its weights (*.safetensors; there is {', '.join(there[:4]) or 'nothing'}), "
            f"and the hub cannot be reached ({one_line(error, 120)}): connect to the network, or give a local folder"
        )
    pickles = [
        name for name in files if name.endswith((".bin", ".pt", ".pth", ".ckpt")) and "training_args" not in name
    ]
    if pickles:
        return (
            f"{hub_id} has its weights only as {pickles[0]}, and loading such a file can run code: look for a revision with "
            "safetensors, or, if you trust it, load it in transformers, call `model.save_pretrained(FOLDER)`, and use FOLDER"
        )
    if ggufs := [name for name in files if name.endswith(".gguf")]:
        return f"{hub_id} has its weights as GGUF: download one, such as {ggufs[0]}, to a folder and use that folder"
    return f"{hub_id} has no weights in safetensors"
