"""The same questions under several system prompts: a whole study a persona, and each held against the neutral control.

Every persona's folder in OUT is a study like any other; `personas.json` beside them says how far each moves each model,
and a page says it in words.
Computes nothing but those differences.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from birthmark.inputs.personas import NEUTRAL
from birthmark.records import PersonaLeaning, Personas, to_json
from birthmark.runs import AuditResult, draw, run_audit, score_into
from birthmark.scores import ScoreTable, prompt_set_record, write_text
from birthmark.scoring import Measure, choose_frames, score_model
from birthmark.shown import Row, Shown

if TYPE_CHECKING:
    from birthmark.models.weights import ResolvedModel


@dataclass(frozen=True, repr=False)
class PersonasResult(Shown):
    """An audit a persona, the neutral control first, and what each persona changes."""

    out: Path
    audits: dict[str, AuditResult]
    record: Personas

    def to_dict(self) -> dict[str, object]:
        """What `--json` prints."""
        return {"out": str(self.out), **self.record.model_dump(mode="json")}

    def summary(self) -> str:
        return f"{len(self.audits)} personas in {self.out}"

    def rows(self) -> list[Row]:
        """A row a persona, lexicon and model."""
        return [leaning.model_dump() for leaning in self.record.leanings]


def under(measure: Measure, persona: str, system: str) -> Measure:
    """The same measurement with a persona's system prompt before every question."""
    prompts = measure.prompts
    return replace(measure, prompts=prompt_set_record(prompts.name, prompts.prompts, system, persona))


def audit_personas(
    models: "Sequence[ResolvedModel]", measure: Measure, systems: Mapping[str, str], out: Path, *, mixed_frames: bool
) -> PersonasResult:
    """Audit the models under each system prompt into `out/<persona>`, and write `out/personas.json` with its page."""
    audits = {
        persona: run_audit(models, under(measure, persona, system), out / persona, mixed_frames=mixed_frames)
        for persona, system in systems.items()
    }
    record = Personas(neutral=NEUTRAL, systems=dict(systems), leanings=_leanings(audits))
    write_text(out / "personas.json", to_json(record))
    draw(out)
    return PersonasResult(out, audits, record)


def score_personas(
    model: "ResolvedModel", measure: Measure, systems: Mapping[str, str], out: Path | None
) -> dict[str, ScoreTable]:
    """The model's score table under each system prompt, with `out` in `out/<persona>/scores`."""
    tables = {}
    for persona, system in systems.items():
        asked = under(measure, persona, system)
        if out is not None:
            tables[persona] = score_into(out / persona, model, asked)
        else:
            (frame,) = choose_frames([model], asked.frame, asked.protocol)
            tables[persona] = score_model(model, asked, frame)
    return tables


def _leanings(audits: Mapping[str, AuditResult]) -> list[PersonaLeaning]:
    control = {
        (effects.lexicon, effects.kind, model.model): model.mean_rank_contrast
        for effects in audits[NEUTRAL].effects
        for model in effects.models
    }
    found = []
    for persona, audit in audits.items():
        for effects in audit.effects:
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
