"""What a model's own files say of the model that it was tuned from: an adapter's config, a model card, a config.

Family and base checkpoint follow from the catalog's entry of that model. One that the catalog lacks is a base checkpoint of
its own name, and its family is not known.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from birthmark.inputs.catalog import HUB_ID, Catalog, Entry, find_entry
from birthmark.inputs.fetch import cache_folder
from birthmark.inputs.text import is_nested_too_deeply
from birthmark.models.folder import ADAPTER_CONFIG

CARD = "README.md"
LONGEST_CARD = 64 * 1024  # bytes that are read of a model card


@dataclass(frozen=True)
class Origin:
    """A model's family and base checkpoint, and the file that says so."""

    family: str | None
    base_checkpoint: str | None
    source: str


def stated_origin(folder: Path, config: dict[str, Any], catalog: Catalog) -> Origin | None:
    """What a full model's `_name_or_path` (where the catalog has it) or its model card (`base_model`) says; else None."""
    named = config.get("_name_or_path")
    if isinstance(named, str) and named:
        inside_cache = Path(named).parent == cache_folder() / "models"
        entry = find_entry(catalog, Path(named).name if inside_cache else named)
        if entry is not None:
            return Origin(entry.family, entry.base_checkpoint, "config.json")
    base = base_of_card(folder / CARD)
    return origin_of(base, catalog, f"{CARD}, base_model") if base else None


def origin_of(named: str, catalog: Catalog, source: str) -> Origin:
    """The origin of what was tuned from a model of this name: a hub id, a catalog name, or a folder."""
    last = Path(named).name
    entry: Entry | None = find_entry(catalog, named) or find_entry(catalog, last)
    if entry is not None:
        return Origin(entry.family, entry.base_checkpoint or entry.name, source)
    return Origin(None, last, source)


def adapter_origin(base: Origin, named: str, catalog: Catalog) -> Origin:
    """What an adapter's config says: its base's own origin, as far as that is known, else the base itself."""
    known = origin_of(named, catalog, ADAPTER_CONFIG)
    return Origin(base.family or known.family, base.base_checkpoint or known.base_checkpoint, ADAPTER_CONFIG)


def base_of_card(path: Path) -> str | None:
    """The one model that a model card's front matter names as `base_model`; None for several, for none, or for no hub id."""
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST_CARD).decode("utf-8", errors="replace")
    except OSError:
        return None
    front = re.match(r"\s*---\s*\n(.*?)\n---\s*(?:\n|$)", text.replace("\r\n", "\n"), re.DOTALL)
    if front is None or is_nested_too_deeply(front[1]):
        return None
    try:
        facts = yaml.safe_load(front[1])
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    base = facts.get("base_model") if isinstance(facts, dict) else None
    if isinstance(base, list) and len(base) == 1:
        base = base[0]
    return base if isinstance(base, str) and re.fullmatch(HUB_ID, base) else None
