"""Is a score right? A sample is rescored by the plain engine and held to a bound."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch

from birthmark.inputs.answers import Asked
from birthmark.models.engine import Engine, PlainEngine
from birthmark.models.scored import Verification
from birthmark.records import Kind

FLOAT32_BOUND = 1e-4  # nats, or of the rewards' standard deviation
NOISE_FACTOR = (
    16  # of what plain differs from itself in float32: processors differ from each other by more than batches do
)


class ScoresRows(Protocol):
    """The part of a scorer that the checks need: kind, model, engine, and float32 scores of some rows by any engine."""

    kind: Kind

    @property
    def model(self) -> Any: ...

    @property
    def engine(self) -> Engine: ...

    def score_rows(self, prompt_text: Asked, rows: np.ndarray, engine: Engine) -> np.ndarray: ...


def verify_rows(
    scorer: ScoresRows, prompt_texts: Sequence[Asked], rows: np.ndarray, scored: Mapping[Asked, np.ndarray]
) -> Verification:
    """Score rows with the plain engine after each prompt, and compare with `scored` or else with the scorer's own engine.

    float32: the bound is 1e-4 nats, or 1e-4 of the rewards' standard deviation, for rewards have no fixed scale. Past that, 16
    times plain's own noise: how it differs from itself between batches of 1 and of 64, and with perturbed rounding in every
    layer (on some machines the first difference is zero). Half precision: twice the noise.
    """
    start = perf_counter()
    half = scorer.model.dtype in (torch.float16, torch.bfloat16)
    plain = {text: scorer.score_rows(text, rows, PlainEngine(scorer.model)) for text in prompt_texts}
    difference = 0.0
    for text, expected in plain.items():
        found = scored[text][rows] if text in scored else scorer.score_rows(text, rows, scorer.engine)
        difference = float(np.maximum(difference, np.abs(found - expected).max()))  # NaN stays NaN
    scale = max(float(expected.std()) for expected in plain.values()) if scorer.kind == "reward" else 1.0
    bound = FLOAT32_BOUND * (max(1.0, scale) if half else scale)
    if half or not difference <= bound:  # a single word has no spread
        bound = max(bound, (2 if half else NOISE_FACTOR) * plain_noise(scorer, rows, plain))
    return Verification(max_abs_diff=difference, bound=bound, seconds=perf_counter() - start)


def plain_noise(scorer: ScoresRows, rows: np.ndarray, plain: Mapping[Asked, np.ndarray]) -> float:
    """By how much plain scores differ from themselves one conversation at a time, and with perturbed rounding.

    At least a unit in the last place of float32 of the largest score.
    """
    noise = float(np.finfo(np.float32).eps) * max(float(np.abs(expected).max()) for expected in plain.values())
    for text, expected in plain.items():
        single = scorer.score_rows(text, rows, PlainEngine(scorer.model, batch_size=1))
        with perturb_rounding(scorer.model):
            other = scorer.score_rows(text, rows, PlainEngine(scorer.model))
        noise = max(noise, float(np.abs(single - expected).max()), float(np.abs(other - expected).max()))
    return noise


@contextmanager
def perturb_rounding(model: Any) -> Iterator[None]:
    """Within the block, every output of a layer is changed by up to half a unit in its last binary place, and rounded."""
    generator = torch.Generator().manual_seed(0)
    step = torch.finfo(model.dtype).eps

    def moved(states: torch.Tensor) -> torch.Tensor:
        wide = torch.float64 if states.dtype == torch.float32 and states.device.type != "mps" else torch.float32
        shift = torch.rand(states.shape, generator=generator).to(states.device, wide) - 0.5
        return (states.to(wide) * (1 + step * shift)).to(states.dtype)

    def hook(layer: Any, given: Any, out: Any) -> Any:
        return (moved(out[0]), *out[1:]) if isinstance(out, tuple) else moved(out)

    lists = [module for module in model.get_decoder().children() if isinstance(module, torch.nn.ModuleList)]
    hooks = [layer.register_forward_hook(hook) for layer in max(lists, key=len)]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()
