"""birthmark: find the values a reward model was born with.

`import birthmark as bm` loads nothing heavy; each name below is read when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from birthmark.commands.audit import audit
    from birthmark.commands.audit_personas import audit_personas
    from birthmark.commands.calibrate import calibrate, calibrate_plan, calibrate_planted, calibrate_tests
    from birthmark.commands.card import card
    from birthmark.commands.choose import choose
    from birthmark.commands.compare import compare, compare_stages, hold_to_budget
    from birthmark.commands.consequences import consequences
    from birthmark.commands.edit import edit
    from birthmark.commands.implicit import implicit, implicit_grid
    from birthmark.commands.map import map_tables
    from birthmark.commands.models import check_model, check_published, resolve
    from birthmark.commands.replicate import replicate
    from birthmark.commands.score import explain, score, score_attributes, score_personas
    from birthmark.commands.track import track
    from birthmark.commands.train import train, train_grid
    from birthmark.errors import BirthmarkError, CheckFailed
    from birthmark.inputs.lexicons import load_lexicon
    from birthmark.inputs.prompts import load_prompts
    from birthmark.scoring.table import read_scores
    from birthmark.training.callback import ValuesCallback

__version__ = "1.0.0"

_HOMES = {
    "BirthmarkError": "birthmark.errors",
    "CheckFailed": "birthmark.errors",
    "ValuesCallback": "birthmark.training.callback",
    "audit": "birthmark.commands.audit",
    "audit_personas": "birthmark.commands.audit_personas",
    "calibrate": "birthmark.commands.calibrate",
    "calibrate_plan": "birthmark.commands.calibrate",
    "calibrate_planted": "birthmark.commands.calibrate",
    "calibrate_tests": "birthmark.commands.calibrate",
    "card": "birthmark.commands.card",
    "check_model": "birthmark.commands.models",
    "check_published": "birthmark.commands.models",
    "choose": "birthmark.commands.choose",
    "compare": "birthmark.commands.compare",
    "compare_stages": "birthmark.commands.compare",
    "edit": "birthmark.commands.edit",
    "consequences": "birthmark.commands.consequences",
    "explain": "birthmark.commands.score",
    "hold_to_budget": "birthmark.commands.compare",
    "implicit": "birthmark.commands.implicit",
    "implicit_grid": "birthmark.commands.implicit",
    "load_lexicon": "birthmark.inputs.lexicons",
    "load_prompts": "birthmark.inputs.prompts",
    "map_tables": "birthmark.commands.map",
    "read_scores": "birthmark.scoring.table",
    "replicate": "birthmark.commands.replicate",
    "resolve": "birthmark.commands.models",
    "score": "birthmark.commands.score",
    "score_attributes": "birthmark.commands.score",
    "score_personas": "birthmark.commands.score",
    "track": "birthmark.commands.track",
    "train": "birthmark.commands.train",
    "train_grid": "birthmark.commands.train",
}

__all__ = [
    "BirthmarkError",
    "CheckFailed",
    "ValuesCallback",
    "audit",
    "audit_personas",
    "calibrate",
    "calibrate_plan",
    "calibrate_planted",
    "calibrate_tests",
    "card",
    "check_model",
    "check_published",
    "choose",
    "compare",
    "compare_stages",
    "consequences",
    "edit",
    "explain",
    "hold_to_budget",
    "implicit",
    "implicit_grid",
    "load_lexicon",
    "load_prompts",
    "map_tables",
    "read_scores",
    "replicate",
    "resolve",
    "score",
    "score_attributes",
    "score_personas",
    "track",
    "train",
    "train_grid",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'birthmark' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
