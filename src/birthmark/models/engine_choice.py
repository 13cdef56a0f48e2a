"""Which engine runs a model: the one that was asked for, or the plain one where the prefix engine cannot run its architecture."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.models.engine import Engine, PlainEngine, PrefixEngine
from birthmark.models.loading import is_spread
from birthmark.models.packing import is_out_of_memory

EngineName = Literal["plain", "prefix"]
TRIED = ((1, 2, 3), (1, 2, 4, 5))  # two short sequences with a common beginning
# Shares of the largest number, of states and of log-probabilities: this tells architectures apart, a table's self-check measures.
TOLERANCE, ROUGH = (1e-3, 1e-3), (0.5, 0.05)  # in float32, and in half precision


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
    head = model.get_output_embeddings()
    if head is not None and not isinstance(head, torch.nn.Linear):
        return "its vocabulary's head is more than one product"
    try:
        plain = [_states(PlainEngine(model))]
    except BirthmarkError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return _without_states(model, kind, error)
    try:
        prefix = PrefixEngine(model)
        found = [_states(prefix)]
        if head is not None:
            plain.append(list(PlainEngine(model).log_probs(TRIED[0], TRIED[1:])))
            found.append(list(prefix.log_probs(TRIED[0], TRIED[1:])))
    except BirthmarkError as error:
        return str(error).partition(":")[0]
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return f"the prefix engine does not support {kind}"
    tolerances = TOLERANCE if model.dtype == torch.float32 else ROUGH
    if all(_alike(*both) for both in zip(plain, found, tolerances[: len(plain)], strict=True)):
        return None
    return f"the prefix engine does not compute {kind} as its own class does"


def _without_states(model: Any, kind: str, failed: Exception) -> str:
    """Why the prefix engine cannot run a language model that gives logits and no states.

    Raises `BirthmarkError` for a model that does not run at all.
    """
    try:
        if model.get_output_embeddings() is None:
            raise failed
        PlainEngine(model).log_probs(TRIED[0], TRIED)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise BirthmarkError(
            f"{type(model).__name__} fails on two short texts ({one_line(error, 120)}): is its config.json that of these weights?"
        ) from None
    return f"{kind} gives no states"


def _alike(some: Sequence[np.ndarray], others: Sequence[np.ndarray], tolerance: float) -> bool:
    """Whether arrays are close; a number that is not finite is the model's own fault, and is found later."""
    scale = max(1.0, *(float(np.abs(part[np.isfinite(part)]).max(initial=0)) for part in some))
    pairs = [(a, b, np.isfinite(a) & np.isfinite(b)) for a, b in zip(some, others, strict=True)]
    return all(bool((np.abs(a - b)[there] <= tolerance * scale).all()) for a, b, there in pairs)


def _states(engine: Engine) -> list[np.ndarray]:
    """Each tried sequence's last state, float32 [hidden]."""
    found = {}
    for indices, states in engine.last_states(TRIED):
        found.update(dict(zip(indices, states.float().cpu().numpy(), strict=True)))
    return [found[index] for index in range(len(TRIED))]
