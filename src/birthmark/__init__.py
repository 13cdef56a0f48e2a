"""birthmark: find the values a reward model was born with.

`import birthmark as bm` loads nothing heavy; each name below is read when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from birthmark.api import audit, calibrate, compare, implicit, implicit_grid, replicate, resolve, score, train
    from birthmark.errors import BirthmarkError, CheckFailed
    from birthmark.inputs.lexicons import load_lexicon
    from birthmark.inputs.prompts import load_prompts
    from birthmark.inspections import audit_personas, check_model, explain, score_attributes, score_personas
    from birthmark.scores import read_scores
    from birthmark.training.callback import ValuesCallback
    from birthmark.training.trajectory import track

__version__ = "0.1.0"

_HOMES = {
    "audit": "birthmark.api",
    "audit_personas": "birthmark.inspections",
    "check_model": "birthmark.inspections",
    "explain": "birthmark.inspections",
    "score_attributes": "birthmark.inspections",
    "score_personas": "birthmark.inspections",
    "calibrate": "birthmark.api",
    "compare": "birthmark.api",
    "implicit": "birthmark.api",
    "implicit_grid": "birthmark.api",
    "replicate": "birthmark.api",
    "resolve": "birthmark.api",
    "score": "birthmark.api",
    "train": "birthmark.api",
    "BirthmarkError": "birthmark.errors",
    "CheckFailed": "birthmark.errors",
    "load_lexicon": "birthmark.inputs.lexicons",
    "load_prompts": "birthmark.inputs.prompts",
    "read_scores": "birthmark.scores",
    "ValuesCallback": "birthmark.training.callback",
    "track": "birthmark.training.trajectory",
}

__all__ = [
    "BirthmarkError",
    "CheckFailed",
    "ValuesCallback",
    "audit",
    "audit_personas",
    "calibrate",
    "check_model",
    "compare",
    "explain",
    "implicit",
    "implicit_grid",
    "load_lexicon",
    "load_prompts",
    "read_scores",
    "replicate",
    "resolve",
    "score",
    "score_attributes",
    "score_personas",
    "track",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'birthmark' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
