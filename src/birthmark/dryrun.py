"""What a run would do and what it would take, before anything is fetched or loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import Catalog, Entry, find_entry, load_catalog, suggest
from birthmark.records import Kind
from birthmark.scoring import Measure

CONTEXT_TOKENS = 40  # of a prompt in its frame: 24 to 46 on the embedded models
ANSWER_TOKENS = 3.2  # of a one-word answer and what ends its turn


def plan_runs(models: Sequence[str | Path], measure: Measure, catalog: Path | None) -> list[dict[str, Any]]:
    """A row a model: what would be scored on which device, about how long, about how much memory.

    Seconds are 2 × parameters × tokens ÷ half the machine's measured matrix-product rate, with about 40 tokens a prompt
    and 3.2 a word: good to a factor of two. Null where the number of parameters is not known.
    """
    from birthmark.models.machine import choose_device, choose_dtype, estimate, free_memory
    from birthmark.models.placement import check_placement

    device = choose_device(measure.device)
    check_placement(device, measure.quantize, measure.device_map)
    free = free_memory(device, spread=measure.device_map is not None)
    rows = []
    for model in models:
        known, kind, parameters = facts_of(model, load_catalog(catalog))
        dtype = choose_dtype(measure.dtype, device, known.dtype if known else None)
        words = len(measure.candidates_for(kind or "logprob").words)
        per_prompt = CONTEXT_TOKENS + ANSWER_TOKENS * words
        tokens = round(len(measure.prompts.prompts) * per_prompt)
        quantize = measure.quantize
        cost = estimate(parameters, dtype, device, tokens=tokens, quantize=quantize) if parameters else None
        rows.append(
            {
                "model": str(model),
                "kind": kind,
                "prompts": len(measure.prompts.prompts),
                "words": words,
                "vocabulary": measure.candidates_for(kind or "logprob").vocabulary,
                "device": str(device),
                "dtype": dtype,
                "parameters": parameters,
                "seconds": round(cost.seconds, 4) if cost else None,
                "memory_bytes": cost.memory_bytes if cost else None,
                "free_bytes": free,
                "fits": cost.memory_bytes <= free if cost else None,
            }
        )
    return rows


def facts_of(model: str | Path, catalog: Catalog) -> tuple[Entry | None, Kind | None, int | None]:
    """A model's entry, its kind and its number of parameters, each null where it is not known; nothing is fetched.

    Raises `BirthmarkError` for what is neither in the catalog, nor a folder, nor a hub id.
    """
    from birthmark.models.memory import count_parameters
    from birthmark.models.weights import last_checkpoint

    known, folder = find_entry(catalog, str(model)), Path(model)
    folder = last_checkpoint(folder) or folder
    if known is None and not folder.is_dir() and "/" not in str(model):
        raise BirthmarkError(f"no model named {model}: {suggest(str(model), catalog) or 'name a folder'}")
    if known is None:
        return None, _kind_of(folder), count_parameters(folder)
    return known, known.kind, count_parameters(Path(known.path)) if known.path else known.parameters


def _kind_of(folder: Path) -> Kind | None:
    """What a folder's config or its adapter's says it is; None where that is not plain, and for what is not here."""
    from birthmark.models.folder import kind_of, kind_of_adapter, read_json

    for name, told in (("adapter_config.json", kind_of_adapter), ("config.json", kind_of)):
        if (folder / name).is_file() and (kind := told(read_json(folder / name))):
            return kind
    return None
