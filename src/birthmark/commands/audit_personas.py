"""`birthmark audit --persona`: the same audit under several system prompts, and what each changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from birthmark.commands.audit import EMBEDDED, HEADS, AuditResult, Heads, Models, audit_resolved
from birthmark.commands.models import resolve_for
from birthmark.commands.score import Personas
from birthmark.files import write_text
from birthmark.inputs.prompts import NEUTRAL, load_personas
from birthmark.records import PersonaLeaning, to_json
from birthmark.records import Personas as PersonasRecord
from birthmark.records.base import Row, Shown
from birthmark.scoring.declarations import select, with_options
from birthmark.scoring.measure import make_measure, under
from birthmark.scoring.options import ControlOptions, MeasureOptions, MixedFrames, ModelOptions, Out, PersonaOptions
from birthmark.study import open_study


class AuditPersonasOptions(PersonaOptions, ControlOptions, ModelOptions, total=False):
    """All that `audit_personas` takes beside the personas."""


@dataclass(frozen=True, repr=False)
class PersonasResult(Shown):
    """An audit a persona, the neutral control first, and what each persona changes."""

    out: Path
    audits: dict[str, AuditResult]
    record: PersonasRecord

    def to_dict(self) -> dict[str, object]:
        """What `--json` prints."""
        return {"out": str(self.out), **self.record.model_dump(mode="json")}

    def summary(self) -> str:
        return f"{len(self.audits)} personas in {self.out}"

    def rows(self) -> list[Row]:
        """A row a persona, lexicon and model."""
        return [leaning.model_dump() for leaning in self.record.leanings]


@with_options
def audit_personas(
    *models: Models,
    personas: Personas,
    out: Out = "birthmark-audit",
    mixed_frames: MixedFrames = False,
    heads: Heads = HEADS,
    **options: Unpack[AuditPersonasOptions],
) -> PersonasResult:
    """Audit models under each system prompt of a file: a whole audit in `out/<persona>`, and `out/personas.json`.

    With no model, the two embedded base models. Raises `BirthmarkError` as `audit` and `load_personas` do.
    """
    systems = load_personas(personas)
    measure = make_measure(**select(options, MeasureOptions))
    found = [resolve_for(measure, model, **options) for model in models or EMBEDDED]
    study = open_study(Path(out), "audit", {"personas": dict(systems)}, page="personas")
    audits = {
        persona: audit_resolved(
            found, under(measure, persona, system), study.out / persona, mixed_frames=mixed_frames, heads=heads
        )
        for persona, system in systems.items()
    }
    record = PersonasRecord(neutral=NEUTRAL, systems=dict(systems), leanings=_leanings(audits))
    write_text(study.out / "personas.json", to_json(record))
    study.finish([], quiet=measure.quiet)
    return PersonasResult(study.out, audits, record)


def _leanings(audits: Mapping[str, AuditResult]) -> list[PersonaLeaning]:
    """Each persona's contrast of each model, and how far that lies from the neutral one."""
    control = {
        (effects.lexicon, effects.kind, model.model): model.mean_rank_contrast
        for effects in audits[NEUTRAL].effects
        for model in effects.models
    }
    found = []
    for persona, result in audits.items():
        for effects in result.effects:
            for model in effects.models:
                before = control.get((effects.lexicon, effects.kind, model.model))
                after = model.mean_rank_contrast
                found.append(
                    PersonaLeaning(
                        persona=persona,
                        lexicon=effects.lexicon,
                        categories=effects.categories,
                        kind=effects.kind,
                        model=model.model,
                        family=model.family,
                        contrast=model.contrast,
                        mean_rank_contrast=after,
                        shift=None if before is None or after is None else after - before,
                    )
                )
    return found
