"""The page over several personas: how far each moves each model's leaning, with the way to each one's own report.

Reads `personas.json` and computes nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from birthmark.foreign import html
from birthmark.records import PersonaLeaning, Personas, read_record
from birthmark.report.columns import Column, Table
from birthmark.report.layout import Page, Text, Topic, write_page
from birthmark.report.text import renamed, short_names
from birthmark.values.formats import SCORES, signed
from birthmark.values.wording_lineage import personas_sentence
from birthmark.values.wording_page import quoted

TITLE = "The same questions under other personas"
PERSONAS = (
    Column("persona", "Persona"),
    Column("system", "System prompt", quoted),
    Column("report", "Its own report", lambda place: html('<a href="./{}">{}</a>', quote(place), place)),
)


def write_personas_report(out: Path) -> Path:
    """Draw `out/report.html` from `out/personas.json`; returns the page's path."""
    record = read_record(out / "personas.json", Personas)
    record = renamed(record, short_names(item.model for item in record.leanings))
    groups: dict[tuple[str, str], list[PersonaLeaning]] = {}
    for item in record.leanings:
        groups.setdefault((item.lexicon, item.kind), []).append(item)
    topics = [
        Topic(f"list-{at}", f"{lexicon} ({SCORES[kind]})", [_directions(items), _shifts(items, record)])
        for at, ((lexicon, kind), items) in enumerate(groups.items(), start=1)
    ]
    asked = Topic("personas", "The personas", [_personas(record)])
    return write_page(out, Page(TITLE, [Text(personas_sentence(record), "lead")], [*topics, asked]))


def _directions(items: Sequence[PersonaLeaning]) -> str:
    """What the numbers' sign says."""
    categories = items[0].categories
    if len(categories) != 2:
        return "A leaning is that of two categories against each other, and this list has not two."
    first, second = (name.lower() for name in categories)
    return (
        f"The control's column is each model's contrast of mean ranks, in places, the others what a persona adds to it: below zero "
        f"towards {first}, above zero towards {second}, when asked for good things rather than bad ones."
    )


def _shifts(items: Sequence[PersonaLeaning], record: Personas) -> Table:
    """A row a model: its leaning under the control, then each persona's shift."""
    found = {(item.model, item.persona): item for item in items}
    others = [name for name in record.systems if name != record.neutral]
    rows = []
    for model in dict.fromkeys(item.model for item in items):
        control = found.get((model, record.neutral))
        shifts = [found.get((model, persona)) for persona in others]
        rows.append(
            {
                "model": model,
                "leaning": control.mean_rank_contrast if control else None,
                **{f"shift {at}": item.shift if item else None for at, item in enumerate(shifts)},
            }
        )
    columns = (
        Column("model", "Model"),
        Column("leaning", f"Leaning, {record.neutral}", signed),
        *(Column(f"shift {at}", f"Shift, {name}", signed) for at, name in enumerate(others)),
    )
    return Table("How far each persona moves each model, in places", columns, rows)


def _personas(record: Personas) -> Table:
    rows = [{"persona": name, "system": text, "report": f"{name}/report.html"} for name, text in record.systems.items()]
    return Table("Each persona's system prompt and report", PERSONAS, rows)
