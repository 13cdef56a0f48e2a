"""How a closer look at a model shows in a terminal: what it reads, what is wrong with it, its values under personas."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from birthmark.cli.show import SHOWN_ROWS
from birthmark.cli.terminal import print_fields, print_rows, print_text, say
from birthmark.report.text import renamed, short_names
from birthmark.values.wording_lineage import personas_sentence

if TYPE_CHECKING:
    from birthmark.commands.audit_personas import PersonasResult
    from birthmark.records import Explanation, ModelCheck, PublishedCheck
    from birthmark.scoring.attributes import AttributeScores
    from birthmark.scoring.table import ScoreTable

SHOWN_CANDIDATES, SHOWN_DIFFERENCES = 5, 10


def print_explanation(found: Explanation) -> None:
    """The conversation, then a row a token with what is special about it."""
    facts: dict[str, object] = {
        "model": found.model,
        "scores": "rewards" if found.kind == "reward" else "log-probabilities",
        "head": found.head,
        "frame": found.frame,
        "protocol": found.protocol,
        "prompt": f"{found.prompt}: {found.question}",
        "candidate": f"{found.candidate!r}, one of {found.n_candidates:,}",
        "beginning-of-text tokens": found.bos,
        "system prompt": "empty" if found.system == "" else found.system,
        "of the template's own": found.template_system,
        "date that it shows": found.template_date,
    }
    print_fields({name: value for name, value in facts.items() if value is not None})
    print_text("\n" + found.rendered)
    if not found.rendered.endswith("\n"):
        say("(no line break at the end)")
    say()
    rows = [
        (place, index, repr(token), ", ".join(_remarks(found, place)))
        for place, (index, token) in enumerate(zip(found.token_ids, found.tokens, strict=True))
    ]
    print_rows(("place", "id", "token", ""), rows)
    if found.forms:
        forms = [(repr(form), ", ".join(map(str, ids))) for form, ids in found.forms.items()]
        print_rows(("written as", "ids after the context"), forms)
    for warning in found.warnings:
        say(f"Note: {warning}")


def _remarks(found: Explanation, place: int) -> list[str]:
    remarks = []
    if place == found.shared_prefix - 1:
        remarks.append("the last that all candidates share")
    if place == found.gate:
        remarks.append("the head's gate reads here")
    if place == found.read:
        remarks.append("the reward is read here" if found.kind == "reward" else "the answer follows")
    return remarks


def print_attribute_scores(found: AttributeScores) -> None:
    """The reward and each attribute of the best candidates, means over the prompts: a row an attribute."""
    best = found.best(SHOWN_CANDIDATES)
    say(f"{found.model}: the {len(best)} best by the head `{found.head}`, means over the prompts")
    rows = [(name, *best[name]) for name in ("reward", *found.attributes)]
    print_rows(("", *map(repr, best["candidate"])), rows)
    if found.path is not None:
        say(f"Written to {found.path}")


def print_check(found: ModelCheck) -> None:
    """A row a finding, what is wrong in capitals."""
    shown = {"ok": "ok", "note": "note", "wrong": "WRONG"}
    print_rows(("check", "", "found"), [(item.trap, shown[item.level], item.message) for item in found.findings])


def print_published_check(found: PublishedCheck) -> None:
    """Whether the scores are the published ones, and the words that differ most."""
    say(found.sentence, bold=True)
    rows = [
        (item.file, other.word, other.prompt, other.own, other.published, other.difference)
        for item in found.files
        for other in item.differing[:SHOWN_DIFFERENCES]
    ]
    if rows:
        print_rows(("file", "word", "prompt", "own", "published", "difference"), rows)


def print_personas(result: PersonasResult) -> None:
    """How far each persona moves each model's leaning from the neutral control's, in words and model by model."""
    names = short_names(item.model for item in result.record.leanings)
    say(personas_sentence(renamed(result.record, names)), bold=True)
    rows = [
        (item.persona, item.lexicon, item.model, item.mean_rank_contrast, item.shift) for item in result.record.leanings
    ]
    header = ("persona", "lexicon", "model", "contrast", "shift from neutral")
    print_rows(header, rows)
    say(f"Written to {result.out / 'report.html'}; each persona has a folder and a report of its own")


def print_persona_scores(tables: Mapping[str, ScoreTable], out: Path | None) -> None:
    """The neutral control's best candidates, with their mean over the prompts under each persona."""
    first = next(iter(tables.values()))
    best = first.best(SHOWN_ROWS)["candidate"].to_list()
    means = {
        persona: dict(zip(table.frame["candidate"], table.matrix().mean(axis=1).tolist(), strict=True))
        for persona, table in tables.items()
    }
    rows = [(repr(word), *(means[persona][word] for persona in tables)) for word in best]
    print_rows(("candidate", *tables), rows)
    if out is not None:
        say(f"Written to {out}, a folder a persona")
