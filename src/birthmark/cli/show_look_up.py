"""How what is looked up shows in a terminal: the catalog, lexicons, prompts, score tables, the machine. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from birthmark.cli.show import gigabytes, print_scores
from birthmark.cli.terminal import print_fields, print_rows, print_text, say
from birthmark.foreign import legible
from birthmark.inputs.words import visible

if TYPE_CHECKING:
    from birthmark.commands.card import CardResult
    from birthmark.inputs.catalog import Entry
    from birthmark.inputs.lexicon_check import LexiconFinding
    from birthmark.records import Doctor, PromptSetRecord
    from birthmark.scoring.table import ScoreTable


def print_doctor(found: Doctor) -> None:
    """The machine, what fits it, and a line for each thing that could be better."""
    rates = [f"{name} {rate / 1e9:,.1f} GFLOP/s" for name, rate in found.flops_per_second.items() if rate]
    answers = {True: "answers", False: "does not answer", None: "not asked"}
    facts = {
        "machine": f"{found.platform}, Python {found.python}",
        "torch": f"{found.torch} with transformers {found.transformers}",
        "device": ", ".join([found.device, *found.gpus, f"{found.threads} of {found.cores} cores"]),
        "memory": gigabytes(found.memory_bytes),
        "speed": rates,
        "cache": f"{found.cache.folder}: {gigabytes(found.cache.bytes)}, {gigabytes(found.cache.free_bytes)} free",
        "network": [f"{place} {answers[answer]}" for place, answer in found.network.items()],
        "extras": [f"{name} {version or 'not installed'}" for name, version in found.extras.items()],
    }
    print_fields(facts)
    say()
    fits = {True: "fits", False: "does not fit", None: "not known"}
    rows = [
        (
            model.name,
            gigabytes(model.memory_bytes),
            model.dtype,
            fits[model.fits],
            "yes" if model.fetched else "",
            model.note or "",
        )
        for model in found.models
    ]
    print_rows(("model", "memory", "precision", "here", "fetched", "note"), rows)
    say()
    for hint in found.hints:
        say(hint)


def print_card(result: CardResult) -> None:
    """The card itself; or what became of the model page, and where that was uploaded."""
    if result.change is None:
        print_text(result.card.read_text(encoding="utf-8"), end="")
        return
    said = {
        "inserted": "a section was added to",
        "replaced": "its section was replaced in",
        "unchanged": "nothing to change in",
    }
    say(f"Written to {result.card}; {said[result.change]} {result.model_card}")
    if result.pushed:
        say(f"Uploaded: {result.pushed}")


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
    print_rows(header, rows) if rows else say("No model of the catalog is like this.")


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
    shown["benchmarks"] = {name: f"{value:g}%" for name, value in facts["benchmarks"].items()}
    shown["sets"] = facts["sets"] or None
    known = {name: value for name, value in shown.items() if value not in (None, {}, [])}
    wanted = (*WANTED, *(WANTED_OF_REWARD if facts["kind"] == "reward" else ()))
    missing = [name.replace("_", " ") for name in wanted if name not in known]
    print_fields(known | ({"not confirmed": missing} if missing else {}))
    say()
    for source in facts["sources"]:
        say(f"- {source}")


def print_sets(sets: Mapping[str, Sequence[str]]) -> None:
    """A row a set of the catalog."""
    print_rows(("set", "models"), [(name, ", ".join(members)) for name, members in sets.items()])


def print_path(path: Path) -> None:
    """A path alone, for other programs."""
    print_text(str(path))


def print_lexicons(lexicons: Sequence[Mapping[str, Any]]) -> None:
    """A row a lexicon that goes by name."""
    rows = [(item["name"], "yes" if item["validated"] else "no", item["citation"]) for item in lexicons]
    print_rows(("name", "validated", "citation"), rows)


def print_findings(findings: Sequence[LexiconFinding]) -> None:
    """A line a finding on a lexicon."""
    print_text("\n".join(legible(str(item)) for item in findings) or "nothing to fix")


def print_prompts(prompts: PromptSetRecord) -> None:
    """A row a prompt."""
    rows = [(key, prompt.framing or "–", prompt.text) for key, prompt in prompts.prompts.items()]
    print_rows(("key", "framing", "text"), rows)


def print_prompt_check(prompts: PromptSetRecord) -> None:
    """How many prompts of which framing a file holds."""
    framings = [prompt.framing for prompt in prompts.prompts.values()]
    one_sided = len(set(framings)) == 1
    say(
        f"{len(framings)} prompt{'s' if len(framings) != 1 else ''}: {framings.count('positive')} positive, "
        f"{framings.count('negative')} negative" + ("; a contrast needs prompts of both framings" if one_sided else "")
    )
    hidden = [key for key, prompt in prompts.prompts.items() if visible(prompt.text) != prompt.text]
    if hidden:
        say(
            f"the texts of {', '.join(hidden)} have invisible characters, which the models read: remove them if not meant"
        )


def print_table(table: ScoreTable, csv: bool) -> None:
    """A table's best candidates, or every row as CSV, what cannot be seen by its code point."""
    if csv:
        print_text(table.frame.write_csv(), end="")
    else:
        print_scores(table, None)


def print_unaltered(table: ScoreTable) -> None:
    """That a table is as it was written; reading it proved that."""
    say(f"{table!r} is as it was written")
