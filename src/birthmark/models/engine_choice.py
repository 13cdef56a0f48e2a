"""Which engine runs a model: the one that was asked for, or the plain one where the prefix engine cannot run its architecture."""

from typing import Any, Literal

import numpy as np
import torch

from birthmark.errors import BirthmarkError
from birthmark.models.engine import Engine, PlainEngine, PrefixEngine
from birthmark.models.loading import is_spread
from birthmark.models.packing import is_out_of_memory

EngineName = Literal["plain", "prefix"]
TRIED = ((1, 2, 3), (1, 2, 4, 5))  # two short sequences with a common beginning
TOLERANCE = {torch.float32: 1e-2}
ROUGH = 0.5  # in half precision: this tells architectures apart, the self-check of a table measures


def choose_engine(name: EngineName, model: Any) -> tuple[Engine, str | None]:
    """The engine of that name, or the plain one and why.

    The prefix engine is tried on two short sequences, in a few tokens' time: models differ in more than their attributes
    say (learned positions, attention without an interface, latent attention, states that are no keys and values).
    """
    if name == "plain":
        return PlainEngine(model), None
    if is_spread(model):
        return PlainEngine(model), "its layers lie on several devices"
    why = _unsupported(model)
    return (PlainEngine(model), why) if why else (PrefixEngine(model), None)


def _unsupported(model: Any) -> str | None:
    """Why the prefix engine cannot run a model, or None."""
    kind = type(model.get_decoder()).__name__
    plain = _states(PlainEngine(model))
    try:
        prefix = PrefixEngine(model)
        found = _states(prefix)
        if model.get_output_embeddings() is not None:
            plain += list(PlainEngine(model).log_probs(TRIED[0], TRIED[1:]))
            found += list(prefix.log_probs(TRIED[0], TRIED[1:]))
    except BirthmarkError as error:
        return str(error).partition(":")[0]
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return f"the prefix engine does not support {kind}"
    tolerance = TOLERANCE.get(model.dtype, ROUGH)
    scale = max(1.0, *(float(np.abs(part[np.isfinite(part)]).max(initial=0)) for part in plain))
    if all(_alike(a, b, tolerance * scale) for a, b in zip(plain, found, strict=True)):
        return None
    return f"the prefix engine does not compute {kind} as its own class does"


def _alike(a: np.ndarray, b: np.ndarray, bound: float) -> bool:
    """Whether two arrays are close; a number that is not finite is the model's own fault, and is found later."""
    there = np.isfinite(a) & np.isfinite(b)
    return bool((np.abs(a - b)[there] <= bound).all())


def _states(engine: Engine) -> list[np.ndarray]:
    """Each tried sequence's last state, float32 [hidden]."""
    found = {}
    for indices, states in engine.last_states(TRIED):
        found.update(dict(zip(indices, states.float().cpu().numpy(), strict=True)))
    return [found[index] for index in range(len(TRIED))]
