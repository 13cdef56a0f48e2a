"""A model of the Hugging Face hub as a folder on this machine, with what goes wrong said in one line.

Only data is fetched: safetensors, configuration and tokenizer, no pickles and no code. Knows nothing of models.
"""

from pathlib import Path

from birthmark.errors import BirthmarkError

DATA = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "spiece.model", "merges.txt", "vocab.txt"]
NEVER = ["*/*", "consolidated*", "*.bin", "*.pt", "*.pth", "*.py"]


def fetch_snapshot(hub_id: str, revision: str | None = None, *, quiet: bool = False) -> Path:
    """The folder of a hub model's data files at `revision` (a commit, branch or tag; the newest where None).

    What is in huggingface_hub's cache is used without the network. Raises `BirthmarkError` for a model that is gated,
    absent, or has not this revision, and where the hub cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    page = f"https://huggingface.co/{hub_id}"
    bars_were_off = are_progress_bars_disabled()
    if quiet:
        disable_progress_bars()
    try:
        folder = Path(snapshot_download(hub_id, revision=revision, allow_patterns=DATA, ignore_patterns=NEVER))
        if not any(folder.glob("*.safetensors")):
            _refuse_without_safetensors(hub_id, revision)
        return folder
    except GatedRepoError:
        raise BirthmarkError(
            f"{hub_id} is gated: accept its terms at {page}, then log in with `hf auth login` or set HF_TOKEN"
        ) from None
    except RevisionNotFoundError:
        raise BirthmarkError(f"{hub_id} has no revision {revision} (any more): see {page}/commits/main") from None
    except RepositoryNotFoundError:
        raise BirthmarkError(
            f"{hub_id} is not on the hub, or is private: check the name, or log in with `hf auth login`"
        ) from None
    except LocalEntryNotFoundError:
        raise BirthmarkError(
            f"{hub_id} is not on this machine and the hub cannot be reached: connect, or name a local folder"
        ) from None
    except HFValidationError as error:
        raise BirthmarkError(f"{hub_id} is not a hub id: {' '.join(str(error).split())[:200]}") from None
    except (HfHubHTTPError, OSError) as error:
        raise BirthmarkError(f"{hub_id} cannot be fetched from the hub: {' '.join(str(error).split())[:200]}") from None
    finally:
        if quiet and not bars_were_off:
            enable_progress_bars()


def _refuse_without_safetensors(hub_id: str, revision: str | None) -> None:
    from huggingface_hub import list_repo_files

    files = list_repo_files(hub_id, revision=revision)
    pickles = [
        name for name in files if name.endswith((".bin", ".pt", ".pth", ".ckpt")) and "training_args" not in name
    ]
    if pickles:
        raise BirthmarkError(
            f"{hub_id} has its weights only as {pickles[0]}, and loading such a file can run code: look for a revision with "
            "safetensors, or, where you trust it, load it in transformers, `model.save_pretrained(FOLDER)`, and name FOLDER"
        )
    if ggufs := [name for name in files if name.endswith(".gguf")]:
        raise BirthmarkError(
            f"{hub_id} has its weights as GGUF: download one, say {ggufs[0]}, to a folder and name that"
        )
    raise BirthmarkError(f"{hub_id} has no weights in safetensors")
