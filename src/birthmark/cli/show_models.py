"""How the catalog looks in a terminal. Computes nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from birthmark.cli.show import console, print_fields, print_rows
from birthmark.inputs.catalog import Entry

WANTED = ("revision", "family", "base_checkpoint", "parameters", "licence")
WANTED_OF_REWARD = ("parent", "data", "head", "benchmarks")


def print_models(entries: Sequence[Entry]) -> None:
    """A row a model; those that cannot be loaded say no."""
    header = ("name", "kind", "family", "base checkpoint", "head", "parameters", "loads", "hub")
    rows = [
        (
            entry.name,
            entry.kind,
            entry.family,
            entry.base_checkpoint,
            entry.head if entry.kind == "reward" else "",
            _billions(entry.parameters),
            "yes" if entry.loadable else "no",
            entry.path or entry.hub or "packages",
        )
        for entry in entries
    ]
    print_rows(header, rows) if rows else console.print("No model of the catalog is like this.", markup=False)


def _billions(parameters: int | None) -> str:
    return (
        "–" if parameters is None else f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M"
    )


def print_model(facts: Mapping[str, Any]) -> None:
    """What is known of one model, a fact a line; packages are counted, not listed."""
    embedded, memory = facts["embedded"], facts["memory_bytes"]
    shown = {
        name: value for name, value in facts.items() if name not in ("embedded", "memory_bytes", "sources", "sets")
    }
    if embedded:
        packages = [f"{wheel['package']} {wheel['version']}" for wheel in embedded["wheels"]]
        more = f" and {len(packages) - 1} more" if len(packages) > 1 else ""
        shown["comes in"] = f"{packages[0]}{more}: one GGUF file, SHA-256 {embedded['gguf_sha256']}"
        shown["terms"] = embedded["terms_address"]
    shown["parameters"] = None if facts["parameters"] is None else f"{facts['parameters']:,}"
    shown["memory"] = [f"{size / 2**30:.1f} GB in {dtype}" for dtype, size in memory.items()] if memory else None
    shown["sets"] = facts["sets"] or None
    known = {name: value for name, value in shown.items() if value not in (None, {}, [])}
    wanted = (*WANTED, *(WANTED_OF_REWARD if facts["kind"] == "reward" else ()))
    missing = [name.replace("_", " ") for name in wanted if name not in known]
    print_fields(known | ({"not confirmed": missing} if missing else {}))
    console.print()
    for source in facts["sources"]:
        console.print(f"- {source}", markup=False)
