"""Heads that weigh several objectives by a gate which reads the end of the user's turn: ArmoRM and QRM.

The gate's token is the first of the last occurrence of the tokens that end the user's turn and open the assistant's.
Sources: arXiv 2406.12845 and the RLHFlow training scripts (ArmoRM), arXiv 2409.10164 and its model cards (QRM).
"""

from collections.abc import Mapping
from typing import Any

import torch

from birthmark.errors import BirthmarkError
from birthmark.models.heads.base import (
    HELPSTEER,
    RewardHead,
    Shapes,
    Tensors,
    layer_numbers,
    linear,
    objective_names,
    require_agreement,
    require_positive,
    require_shape,
)

GATE_PATTERNS = {
    "llama": (128009, 128006, 78191, 128007, 271),  # <|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n
    "gemma2": (107, 108, 106, 2516, 108),  # <end_of_turn>\n<start_of_turn>model\n
}
ARMORM_OBJECTIVES = (
    *HELPSTEER, "ultrafeedback-overall_score", "ultrafeedback-instruction_following", "ultrafeedback-truthfulness",
    "ultrafeedback-honesty", "ultrafeedback-helpfulness", "beavertails-is_safe", "prometheus-score",
    "argilla-overall_quality", "argilla-judge_lm", "code-complexity", "code-style", "code-explanation",
    "code-instruction-following", "code-readability",
)  # fmt: skip
_NORM_PARTS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
WITHOUT_TRANSFORM = "Gemma2ForQuantileSequenceClassification"  # QRM-Gemma-2-27B's index has no transform matrix


class Gate(torch.nn.Module):
    """softmax(network(h) / temperature) · scale, [n, objectives], of states [n, hidden] at the gate's token.

    The network is linear layers with ReLU between; a normalisation after a ReLU uses the statistics of the file.
    """

    scale: torch.Tensor

    def __init__(
        self, layers: list[torch.nn.Linear], norms: list[torch.nn.BatchNorm1d], temperature: float, scale: torch.Tensor
    ) -> None:
        super().__init__()
        self.layers, self.norms = torch.nn.ModuleList(layers), torch.nn.ModuleList(norms)
        self.temperature = temperature
        self.objectives = layers[-1].out_features
        self.register_buffer("scale", scale)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        for index, layer in enumerate(self.layers[:-1]):
            states = torch.relu(layer(states))
            if self.norms:
                states = self.norms[index](states)
        return torch.softmax(self.layers[-1](states) / self.temperature, dim=1) * self.scale


def _norm_numbers(shapes: Shapes) -> list[int]:
    return [
        number
        for number in layer_numbers(shapes, "gating.layers")
        if any(f"gating.layers.{number}.{part}" in shapes for part in _NORM_PARTS[2:])
    ]


def _linear_numbers(shapes: Shapes, config: Mapping[str, Any]) -> list[int]:
    """The numbers of the gate's linear layers: all without normalisation, else two before each norm, and the last."""
    norms = _norm_numbers(shapes)
    others = [number for number in layer_numbers(shapes, "gating.layers") if number not in norms]
    last = max(others, default=0)
    if norms:
        return sorted({number - 2 for number in norms} | {max(last, norms[-1] + 1)})
    hidden = config.get("gating_n_hidden")
    return list(range((hidden if isinstance(hidden, int) else last) + 1))


def _expected(shapes: Shapes, config: Mapping[str, Any]) -> set[str]:
    """Tensors of both heads: hidden layers before a norm have no bias, all others have one."""
    norms, linears = _norm_numbers(shapes), _linear_numbers(shapes, config)
    names = {f"gating.layers.{number}.weight" for number in linears}
    names |= {f"gating.layers.{number}.bias" for number in (linears[-1:] if norms else linears)}
    names |= {f"gating.layers.{number}.{part}" for number in norms for part in _NORM_PARTS}
    return names | {"gating.logit_scale", "regression_layer.weight", "reward_transform_matrix"}


def _read_gate(tensors: Tensors, config: Mapping[str, Any], head: str) -> Gate:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    layers: list[torch.nn.Linear] = []
    for number in _linear_numbers(shapes, config):
        inputs = layers[-1].out_features if layers else tensors["regression_layer.weight"].shape[1]
        layers.append(linear(tensors, f"gating.layers.{number}", inputs, None, head))
    norms = [
        _norm(tensors, f"gating.layers.{number}", layer.out_features, head)
        for number, layer in zip(_norm_numbers(shapes), layers, strict=False)
    ]
    require_agreement(config, "gating_n_hidden", len(layers) - 1, head)
    require_agreement(config, "gating_hidden_dim", layers[0].out_features, head)
    if norms and len(norms) != len(layers) - 1:
        raise BirthmarkError(f"the gate of the `{head}` head has {len(layers)} layers and {len(norms)} normalisations")
    temperature = require_positive(config, "gating_temperature", head)
    return Gate(layers, norms, temperature, require_shape(tensors, "gating.logit_scale", (1,), head))


def _norm(tensors: Tensors, stem: str, size: int, head: str) -> torch.nn.BatchNorm1d:
    norm = torch.nn.BatchNorm1d(size)
    parts = {part: require_shape(tensors, f"{stem}.{part}", (size,), head) for part in _NORM_PARTS[:-1]}
    norm.load_state_dict({**parts, "num_batches_tracked": tensors[f"{stem}.num_batches_tracked"]}, strict=True)
    return norm.requires_grad_(False).eval()


def _gate_pattern(config: Mapping[str, Any], head: str) -> tuple[int, ...]:
    stated = config.get("gating_token_pattern")
    if stated is not None:
        return tuple(int(token) for token in stated)
    pattern = GATE_PATTERNS.get(str(config.get("model_type")))
    if pattern is None:
        raise BirthmarkError(
            f"where the gate of a `{head}` head reads is not known for the model type {config.get('model_type')!r}: write "
            "the token ids that end the user's turn and open the assistant's as gating_token_pattern in config.json"
        )
    return pattern


class ArmoRMHead(RewardHead):
    """reward = Σ g · (r T): r = R h objectives, T their debiasing transform, g the gate on the end of the user's turn.

    Tensors: `regression_layer.weight` [objectives, hidden], `reward_transform_matrix` [objectives, objectives],
    `gating.layers.*`, `gating.logit_scale`; config: `gating_temperature`. Attributes are r, before the transform.
    """

    name = "armorm"
    reads = "before padding"
    transform: torch.Tensor

    def __init__(
        self,
        regression: torch.nn.Linear,
        transform: torch.Tensor,
        gate: Gate,
        pattern: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.regression, self.gate = regression, gate
        self.register_buffer("transform", transform)
        self.gate_pattern = pattern
        self.attributes = objective_names(len(transform), (ARMORM_OBJECTIVES, HELPSTEER))

    @classmethod
    def recognises(cls, shapes: Shapes, config: Mapping[str, Any]) -> bool:
        return _is_gated(shapes) and not _is_quantile(shapes, config)

    @classmethod
    def expected(cls, shapes: Shapes, config: Mapping[str, Any]) -> set[str]:
        return _expected(shapes, config)

    @classmethod
    def build(cls, tensors: Tensors, config: Mapping[str, Any]) -> "ArmoRMHead":
        gate = _read_gate(tensors, config, cls.name)
        count = gate.objectives
        require_agreement(config, "num_objectives", count, cls.name)
        regression = linear(tensors, "regression_layer", config.get("hidden_size"), count, cls.name)
        transform = require_shape(tensors, "reward_transform_matrix", (count, count), cls.name)
        return cls(regression, transform, gate, _gate_pattern(config, cls.name))

    def reward(self, last: torch.Tensor, gate: torch.Tensor | None) -> torch.Tensor:
        assert gate is not None
        return (self.gate(gate.float()) * (self.attribute_scores(last, gate) @ self.transform)).sum(dim=1)

    def attribute_scores(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        return self.regression(last.float())


class QRMHead(ArmoRMHead):
    """As `ArmoRMHead`, with each objective's r the mean of its quantiles, and a gate that normalises after each ReLU.

    Tensors: `regression_layer.weight` [objectives · quantiles, hidden], an objective's quantiles together; the gate's
    hidden layers without bias; the Gemma 2 checkpoint has no `reward_transform_matrix` (its rewards stay as they are).
    """

    name = "qrm"

    @classmethod
    def recognises(cls, shapes: Shapes, config: Mapping[str, Any]) -> bool:
        return _is_gated(shapes) and _is_quantile(shapes, config)

    @classmethod
    def expected(cls, shapes: Shapes, config: Mapping[str, Any]) -> set[str]:
        absent = {"reward_transform_matrix"} - shapes.keys() if _has_no_transform(config) else set()
        return _expected(shapes, config) - absent

    @classmethod
    def build(cls, tensors: Tensors, config: Mapping[str, Any]) -> "QRMHead":
        gate = _read_gate(tensors, config, cls.name)
        count = gate.objectives
        regression = linear(tensors, "regression_layer", config.get("hidden_size"), None, cls.name)
        quantiles, rest = divmod(regression.out_features, count)
        if rest:
            raise BirthmarkError(
                f"the weight regression_layer.weight of the `qrm` head has {regression.out_features} rows, which are not "
                f"as many quantiles for each of its gate's {count} objectives"
            )
        require_agreement(config, "num_objectives", count, cls.name)
        require_agreement(config, "num_quantiles", quantiles, cls.name)
        if "reward_transform_matrix" in tensors:
            transform = require_shape(tensors, "reward_transform_matrix", (count, count), cls.name)
        else:
            transform = torch.eye(count)
        return cls(regression, transform, gate, _gate_pattern(config, cls.name))

    def attribute_scores(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        quantiles = self.regression(last.float())  # [n, objectives · quantiles]
        return quantiles.unflatten(1, (len(self.attributes), -1)).mean(dim=2)


def _is_gated(shapes: Shapes) -> bool:
    return "regression_layer.weight" in shapes or any(name.startswith("gating.layers.") for name in shapes)


def _is_quantile(shapes: Shapes, config: Mapping[str, Any]) -> bool:
    return bool(_norm_numbers(shapes)) or config.get("num_quantiles") is not None


def _has_no_transform(config: Mapping[str, Any]) -> bool:
    return WITHOUT_TRANSFORM in (config.get("architectures") or ())
