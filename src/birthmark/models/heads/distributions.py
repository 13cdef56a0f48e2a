"""Heads that give each attribute a mean and a spread (URM), or a distribution over levels (LDL), and join them.

Both read the last token's state alone, their gates included. Sources: arXiv 2410.00847 and two public serving
implementations of it (URM); the authors' model card and RewardBench's adapter (LDL).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from birthmark.errors import BirthmarkError
from birthmark.models.heads.base import (
    HELPSTEER,
    Reads,
    RewardHead,
    Shapes,
    Tensors,
    layer_numbers,
    linear,
    objective_names,
    require_agreement,
    require_positive,
)

LEVELS = 10  # of a rating, in LDL


class URMHead(RewardHead):
    """reward = Σ w · m: m the attributes' means, w = W₄ selu(W₂ selu(W₀ h)) their weights, neither a softmax nor a spread.

    Tensors: `score.weight` [2 · attributes, hidden], whose rows are mean and spread of each attribute in turn, and
    `weights.fc.0|2|4`. The study's published scores are another reading: see `URMFirstColumnHead`.
    """

    name = "urm"
    reads: ClassVar[Reads] = "before padding"

    def __init__(self, score: torch.nn.Linear, weights: list[torch.nn.Linear]) -> None:
        super().__init__()
        self.score = score
        self.layers = weights
        self.weights = torch.nn.ModuleList(weights)
        self.attributes = objective_names(score.out_features // 2, (HELPSTEER,))

    @classmethod
    def recognises(cls, shapes: Shapes, config: Mapping[str, Any]) -> bool:
        return any(name.startswith("weights.fc.") for name in shapes)

    @classmethod
    def expected(cls, shapes: Shapes, config: Mapping[str, Any]) -> set[str]:
        parts = {f"weights.fc.{layer}.{part}" for layer in (0, 2, 4) for part in ("weight", "bias")}
        return {"score.weight"} | parts

    @classmethod
    def build(cls, tensors: Tensors, config: Mapping[str, Any]) -> "URMHead":
        score = linear(tensors, "score", config.get("hidden_size"), None, cls.name)
        first = linear(tensors, "weights.fc.0", score.in_features, None, cls.name)
        second = linear(tensors, "weights.fc.2", first.out_features, None, cls.name)
        third = linear(tensors, "weights.fc.4", second.out_features, None, cls.name)
        if score.out_features != 2 * third.out_features:
            raise BirthmarkError(
                f"the `urm` head has {score.out_features} means and spreads and weights for {third.out_features} "
                "attributes, where two for each are needed: the file is of another model, or altered"
            )
        return cls(score, [first, second, third])

    def first_column(self) -> "URMHead":
        """The same head as the study read it."""
        return URMFirstColumnHead(self.score, self.layers)

    def reward(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        states = last.float()
        for layer in self.weights[:-1]:
            states = torch.selu(layer(states))
        return (self.attribute_scores(last) * self.weights[-1](states)).sum(dim=1)

    def attribute_scores(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        return self.score(last.float())[:, 0::2]


class URMFirstColumnHead(URMHead):
    """reward = the first row of `score.weight` times h, the mean of helpfulness: how the study read URM.

    It loaded the checkpoint as a plain classifier, without the head's own code. Never recognised, only named, or asked
    for by `--protocol christian2026`.
    """

    name = "urm-first-column"
    reads = "last unpadded"

    @classmethod
    def recognises(cls, shapes: Shapes, config: Mapping[str, Any]) -> bool:
        return False

    def reward(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        return self.attribute_scores(last)[:, 0]


class LDLHead(RewardHead):
    """reward = Σₖ wₖ Eₖ: Eₖ the expectation of a rating on 0, 1/9, …, 1 under dimension k's distribution, wₖ the gate.

    Tensors: `regression_layer.network.*`, linear layers with LeakyReLU between whose outputs are, by blocks of ten,
    a softmax's logits; `gating_layer.network.*`, a network like it with an output a dimension. The gate's outputs are
    the weights as they are; where the config says `softmax`, they are softmax(outputs / `temperature`).
    """

    name = "ldl"
    reads = "before padding"
    levels: torch.Tensor

    def __init__(
        self, regression: list[torch.nn.Linear], gating: list[torch.nn.Linear], temperature: float | None
    ) -> None:
        super().__init__()
        self.regression, self.gating = torch.nn.ModuleList(regression), torch.nn.ModuleList(gating)
        self.temperature = temperature
        self.register_buffer("levels", torch.linspace(0, 1, LEVELS))
        self.attributes = objective_names(gating[-1].out_features, ())

    @classmethod
    def recognises(cls, shapes: Shapes, config: Mapping[str, Any]) -> bool:
        return any(name.startswith(("regression_layer.network.", "gating_layer.")) for name in shapes)

    @classmethod
    def expected(cls, shapes: Shapes, config: Mapping[str, Any]) -> set[str]:
        return {
            f"{stem}.{number}.{part}"
            for stem in ("regression_layer.network", "gating_layer.network")
            for number in _numbers(shapes, stem)
            for part in ("weight", "bias")
        }

    @classmethod
    def build(cls, tensors: Tensors, config: Mapping[str, Any]) -> "LDLHead":
        regression = _network(tensors, "regression_layer.network", config.get("hidden_size"), cls.name)
        gating = _network(tensors, "gating_layer.network", config.get("hidden_size"), cls.name)
        outputs, dimensions = regression[-1].out_features, gating[-1].out_features
        if outputs != LEVELS * dimensions:
            raise BirthmarkError(
                f"the `ldl` head has {outputs} levels and a gate for {dimensions} dimensions, where {LEVELS} levels for "
                "each are needed: the file is of another model, or altered"
            )
        require_agreement(config, "num_objectives", outputs, cls.name)
        temperature = require_positive(config, "temperature", cls.name) if config.get("softmax") else None
        return cls(regression, gating, temperature)

    def reward(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        weights = _run(self.gating, last.float())  # [n, dimensions]
        if self.temperature is not None:
            weights = torch.softmax(weights / self.temperature, dim=1)
        return (weights * self.attribute_scores(last)).sum(dim=1)

    def attribute_scores(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        logits = _run(self.regression, last.float()).unflatten(1, (-1, LEVELS))  # [n, dimensions, levels]
        return torch.softmax(logits, dim=2) @ self.levels


def _numbers(shapes: Shapes, stem: str) -> list[int]:
    """Numbers of a network's linear layers: between two lies an activation, or an activation and a dropout."""
    there = layer_numbers(shapes, stem) or [4]
    step = 3 if all(number % 3 == 0 for number in there) else 2
    return list(range(0, max(there) + 1, step))


def _network(tensors: Tensors, stem: str, hidden: int | None, head: str) -> list[torch.nn.Linear]:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    layers: list[torch.nn.Linear] = []
    for number in _numbers(shapes, stem):
        inputs = layers[-1].out_features if layers else hidden
        layers.append(linear(tensors, f"{stem}.{number}", inputs, None, head))
    return layers


def _run(layers: torch.nn.ModuleList, states: torch.Tensor) -> torch.Tensor:
    for layer in layers[:-1]:
        states = torch.nn.functional.leaky_relu(layer(states))
    return layers[-1](states)
