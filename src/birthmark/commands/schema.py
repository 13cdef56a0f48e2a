"""`birthmark schema`: JSON Schemas of what birthmark writes (`OUT/**/*.json`) and of what its commands print with `--json`.

A file's schema bears the file's name, a command's `COMMAND-output`. All are made from the types that the JSON is
written from; nothing is written by hand.
"""

from typing import Annotated, Any, Literal

from pydantic import TypeAdapter

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import Entry
from birthmark.inputs.text import did_you_mean
from birthmark.records import (
    SCHEMAS,
    Among,
    AnswerFormats,
    AnswersPlan,
    BudgetCheck,
    Calibration,
    Choice,
    ChoicePlan,
    Consequences,
    Doctor,
    Edit,
    Effects,
    Explanation,
    Implicit,
    ImplicitGrid,
    Lineage,
    Map,
    ModelCheck,
    Personas,
    Plan,
    PromptSetRecord,
    PublishedCheck,
    Record,
    Replication,
    ScoreRecord,
    Stages,
    Track,
    TrackPlan,
    TrainingPlan,
    TrainingRecord,
)
from birthmark.records.calibration import PlantedPlan
from birthmark.scoring.declarations import Argument


class Planned(Record):
    """A row of `--dry-run --json`: what a model would be asked, about how long that takes and how much memory."""

    model: str
    kind: str | None
    prompts: int
    words: int
    vocabulary: bool
    device: str
    dtype: str
    parameters: int | None
    seconds: float | None
    memory_bytes: int | None
    free_bytes: int | None = None
    fits: bool | None = None


class ModelFacts(Entry):
    """What `models show --json` prints: precision → bytes of memory with the weights and 1 GiB; sets it is in."""

    memory_bytes: dict[str, int] | None
    sets: list[str]


class AuditOutput(Record):
    out: str
    report: str
    tables: list[str]
    effects: list[Effects]
    implicit: Implicit | None
    lineage: Lineage | None = None
    map: Map | None = None
    among: Among | None = None
    formats: AnswerFormats | None = None


class ScoreOutput(Record):
    """`scores`: a row a candidate, with `candidate`, `token_id` and a score a prompt key; or where they are written."""

    record: ScoreRecord
    scores: list[dict[str, str | float | None]] | None = None
    path: str | None = None


class PersonasOutput(Personas):
    """What `audit --persona FILE --json` prints: `personas.json`, and where it lies."""

    out: str


class NamedLexicon(Record):
    name: str
    validated: bool
    citation: str


class LexiconFacts(Record):
    """`single_tokens`: model → category → how many of its words are one token in that model."""

    name: str
    validated: bool
    citation: str | None
    licence: str | None
    source: str
    words: int
    stems: int
    sizes: dict[str, int]
    single_tokens: dict[str, dict[str, int]] | None = None
    entries: dict[str, list[str]] | None = None


class LexiconFinding(Record):
    """An `error` keeps a lexicon from being read, a `warning` can shift ranks, a `note` informs."""

    level: Literal["error", "warning", "note"]
    message: str
    words: list[str]


class CardOutput(Record):
    """`change`: what became of the model page's section."""

    card: str
    model_card: str | None
    change: Literal["inserted", "replaced", "unchanged"] | None
    pushed: str | None


class EditOutput(Edit):
    """What `edit --json` prints: `birthmark.json`, and where the edited model and its page lie."""

    out: str
    report: str


OUTPUTS: dict[str, Any] = {
    "audit-output": AuditOutput | PersonasOutput | list[Planned],
    "score-output": ScoreOutput | Explanation | dict[str, ScoreOutput] | list[Planned],
    "implicit-output": Implicit | ImplicitGrid | list[Planned],
    "consequences-output": Consequences | list[AnswersPlan],
    "compare-output": list[Effects] | list[BudgetCheck] | list[Stages],
    "choose-output": Choice | list[ChoicePlan],
    "map-output": Map,
    "track-output": Track | list[TrackPlan],
    "train-output": TrainingRecord | TrainingPlan | list[TrainingRecord] | list[TrainingPlan],
    "edit-output": EditOutput,
    "models-list-output": list[Entry],
    "models-show-output": ModelFacts,
    "models-check-output": ModelCheck | PublishedCheck,
    "models-sets-output": dict[str, list[str]],
    "lexicons-list-output": list[NamedLexicon],
    "lexicons-show-output": LexiconFacts,
    "lexicons-check-output": list[LexiconFinding],
    "prompts-list-output": PromptSetRecord,
    "scores-show-output": ScoreOutput,
    "replicate-output": Replication,
    "calibrate-tests-output": Calibration,
    "calibrate-planted-output": Calibration | list[PlantedPlan],
    "calibrate-plan-output": Plan,
    "card-output": CardOutput,
    "doctor-output": Doctor,
}


def json_schema(
    name: Annotated[str, Argument("score, effects, implicit, study, …; or COMMAND-output: audit-output, …", "NAME")],
) -> dict[str, Any]:
    """The JSON Schema (2020-12) of that name; raises `BirthmarkError` for a name that has none."""
    known = {**SCHEMAS, **OUTPUTS}
    if name not in known:
        raise BirthmarkError(f"no schema is called {name}: {did_you_mean(name, known)}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **TypeAdapter(known[name]).json_schema(mode="serialization"),
    }
