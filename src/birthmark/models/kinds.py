"""What a folder's files say that it is: a reward model, a language model, an adapter of which base."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from birthmark.errors import BirthmarkError
from birthmark.models.adapters import brings_score, kind_of_adapter, read_adapter
from birthmark.models.folder import kind_of, read_json
from birthmark.models.weights import ModelFiles, names_a_head, read_weights, tensor_shapes
from birthmark.records import Kind


def kind_by_tensors(config: dict[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> Kind | None:
    """`reward` where the tensors show a head, whatever the class; else what the config says."""
    from birthmark.models.heads.known import find_head

    return "reward" if find_head(shapes, config) is not None else kind_of(config)


def kind_in(folder: Path) -> Kind | None:
    """What a folder's files say that it is, read without its base; None where they do not say, or cannot be read."""
    try:
        files = read_weights(folder)
        if not files.is_adapter:
            return kind_by_tensors(read_json(folder / "config.json"), tensor_shapes(files.all))
        return "reward" if files.beside or brings_score(files) else kind_of_adapter(read_adapter(folder))
    except (BirthmarkError, OSError):
        return None


def base_of_adapter(folder: Path) -> str | Path | None:
    """The base that an adapter's folder names: a folder where that is one; None where the folder is no adapter's."""
    try:
        if not read_weights(folder).is_adapter:
            return None
        named = str(read_adapter(folder)["base_model_name_or_path"])
    except (BirthmarkError, OSError):
        return None
    beside = folder / named
    return beside.resolve() if beside.is_dir() else named


def require_no_head(files: ModelFiles, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """A language model's folder has no file and no tensor that could be a reward head which nobody reads."""
    if files.beside:
        raise BirthmarkError(
            f"{files.beside[0]} lies beside a language model's weights, and birthmark recognises no reward head in it: name the "
            "head in config.json (`birthmark_head`, see docs/heads.md), or move the file away"
        )
    heads = sorted(name for name in shapes if names_a_head(name))
    if any(name.startswith("cls.predictions.") for name in heads):
        raise BirthmarkError(
            f"{files.folder} is a model of BERT's kind ({heads[0]}), which fills in masked words: birthmark scores models that "
            "continue a text"
        )
    if heads:
        raise BirthmarkError(
            f"{files.folder} has the weight {heads[0]}, whose name says reward head, and birthmark does not know that kind: "
            "name the head in config.json (`birthmark_head`, see docs/heads.md), or use --as logprob to score it as a language "
            "model"
        )
