"""Is a score right? A sample is rescored by the plain engine and held to a bound."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch

from birthmark.models.engine import Engine, PlainEngine
from birthmark.models.scored import Verification
from birthmark.records import Kind

FLOAT32_BOUND = 1e-4


class ScoresRows(Protocol):
    """The part of a scorer that the checks need: kind, model, engine, and float32 scores of some rows by any engine."""

    kind: Kind

    @property
    def model(self) -> Any: ...

    @property
    def engine(self) -> Engine: ...

    def score_rows(self, prompt_text: str, rows: np.ndarray, engine: Engine) -> np.ndarray: ...


def verify_rows(
    scorer: ScoresRows, prompt_texts: Sequence[str], rows: np.ndarray, scored: Mapping[str, np.ndarray]
) -> Verification:
    """Score rows with the plain engine after each prompt, and compare with `scored` or else with the scorer's own engine.

    float32: the bound is 1e-4; for rewards with a standard deviation above one, 1e-4 times that (rewards have no fixed
    scale, and rounding errors grow with it). Half precision: twice the difference of the plain engine from itself, between
    batches of 1 and of 64, and with perturbed rounding in every layer (on some machines the first difference is zero).
    """
    start = perf_counter()
    half = scorer.model.dtype in (torch.float16, torch.bfloat16)
    differences, own, scale = [], [0.0], 1.0
    for text in prompt_texts:
        found = scored[text][rows] if text in scored else scorer.score_rows(text, rows, scorer.engine)
        plain = scorer.score_rows(text, rows, PlainEngine(scorer.model))
        differences.append(np.abs(found - plain).max())
        if scorer.kind == "reward":
            scale = max(scale, float(plain.std()))
        if half:
            single = scorer.score_rows(text, rows, PlainEngine(scorer.model, batch_size=1))
            with perturb_rounding(scorer.model):
                other = scorer.score_rows(text, rows, PlainEngine(scorer.model))
            own += [float(np.abs(single - plain).max()), float(np.abs(other - plain).max())]
    return Verification(
        max_abs_diff=float(np.max(differences)),
        bound=max(FLOAT32_BOUND * scale, 2 * float(np.max(own))),
        seconds=perf_counter() - start,
    )


@contextmanager
def perturb_rounding(model: Any) -> Iterator[None]:
    """Within the block, every output of a layer is changed by up to half a unit in its last binary place, and rounded."""
    generator = torch.Generator().manual_seed(0)
    step = torch.finfo(model.dtype).eps

    def moved(states: torch.Tensor) -> torch.Tensor:
        shift = torch.rand(states.shape, generator=generator).to(states.device) - 0.5
        return (states.float() * (1 + step * shift)).to(states.dtype)

    def hook(layer: Any, given: Any, out: Any) -> Any:
        return (moved(out[0]), *out[1:]) if isinstance(out, tuple) else moved(out)

    lists = [module for module in model.get_decoder().children() if isinstance(module, torch.nn.ModuleList)]
    hooks = [layer.register_forward_hook(hook) for layer in max(lists, key=len)]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()
