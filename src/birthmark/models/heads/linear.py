"""Heads that read only the last token's state: one linear layer, several named outputs, a small network, or a logit."""

from collections.abc import Mapping
from typing import Any

import torch

from birthmark.errors import BirthmarkError
from birthmark.models.heads.base import (
    RewardHead,
    Shapes,
    Tensors,
    layer_numbers,
    linear,
    require_agreement,
    require_positive,
    require_value,
)


class LinearHead(RewardHead):
    """reward = W h, W [1, hidden], no bias: `score.weight`, the head of `AutoModelForSequenceClassification`.

    Computed in the model's own precision, as transformers does. Raises `BirthmarkError` where the layer has several
    outputs.
    """

    name = "linear"
    reads = "last unpadded"

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        if layer.out_features != 1:
            raise BirthmarkError(several_outputs(layer.out_features))
        self.layer = layer

    @classmethod
    def recognises(cls, shapes: Shapes, config: Mapping[str, Any]) -> bool:
        return "score.weight" in shapes

    @classmethod
    def expected(cls, shapes: Shapes, config: Mapping[str, Any]) -> set[str]:
        return {"score.weight"}

    @classmethod
    def build(cls, tensors: Tensors, config: Mapping[str, Any]) -> "LinearHead":
        return cls(linear(tensors, "score", config.get("hidden_size"), None, cls.name))

    def beside(self, last: torch.Tensor, gate: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The states unchanged: the layer is part of the model, and transformers moves states to its device."""
        return last, gate

    def reward(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        """Rewards [n] in the layer's precision from last states [n, hidden]."""
        return self.layer(last)[:, 0]


def several_outputs(outputs: int) -> str:
    """The error message for a linear head with several outputs and no weights for them."""
    return (
        f"the model's head has {outputs} outputs and a reward is one number: use a model with one label, or give the outputs' "
        "names and weights, `head_weights = {helpfulness = 0.7, verbosity = -0.2, …}`, in a catalog entry or config.json"
    )


class AttributesHead(RewardHead):
    """reward = Σ wₖ · (W h)ₖ with a weight for each named attribute: `score.weight` [attributes, hidden].

    Names and weights, in the order of the rows, are `head_weights` of the catalog or of config.json; none are assumed.
    """

    name = "attributes"
    reads = "last unpadded"
    weights: torch.Tensor

    def __init__(self, layer: torch.nn.Linear, weights: Mapping[str, float]) -> None:
        super().__init__()
        if layer.out_features != len(weights):
            raise BirthmarkError(
                f"head_weights names {len(weights)} attributes and the head has {layer.out_features} outputs: name each"
            )
        self.layer = layer
        self.attributes = tuple(weights)
        self.register_buffer("weights", torch.tensor(list(weights.values()), dtype=torch.float32))

    @classmethod
    def recognises(cls, shapes: Shapes, config: Mapping[str, Any]) -> bool:
        return "score.weight" in shapes and (bool(config.get("head_weights")) or shapes["score.weight"][0] > 1)

    @classmethod
    def expected(cls, shapes: Shapes, config: Mapping[str, Any]) -> set[str]:
        return {"score.weight"} | ({"score.bias"} & shapes.keys())

    @classmethod
    def build(cls, tensors: Tensors, config: Mapping[str, Any]) -> "AttributesHead":
        weights = config.get("head_weights")
        if not weights:
            raise BirthmarkError(several_outputs(tensors["score.weight"].shape[0]))
        if not isinstance(weights, Mapping) or not all(
            isinstance(value, (int, float)) and not isinstance(value, bool) for value in weights.values()
        ):
            raise BirthmarkError("head_weights must be a table of names and numbers, one for each output of the head")
        return cls(linear(tensors, "score", config.get("hidden_size"), None, cls.name), weights)

    def reward(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        return self.attribute_scores(last, gate) @ self.weights

    def attribute_scores(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        return self.layer(last.float())


class OneLayerHead(RewardHead):
    """reward = W h (+ b): one linear layer that is not called `score`, read at the last token.

    OpenRLHF calls it `value_head`, or as `value_head_prefix` of its config says, and where that has `normalize_reward` the
    reward is (W h − mean) / std; DeepSpeed-Chat and Starling call it `v_head`, Eurus and UltraRM `regression_head`, Beaver
    `score_head`.
    """

    name = "one-layer"

    def __init__(self, layer: torch.nn.Linear, mean: float = 0.0, std: float = 1.0) -> None:
        super().__init__()
        self.layer, self.mean, self.std = layer, mean, std

    @classmethod
    def _stem(cls, shapes: Shapes, config: Mapping[str, Any]) -> str | None:
        stated = config.get("value_head_prefix") or (
            "score" if config.get("architectures") == ["RewardModel"] else None
        )
        stems = [stated, "value_head", "v_head", "regression_head", "score_head", "reward_head"]
        fits = (stem for stem in stems if shapes.get(f"{stem}.weight", ())[:1] == (1,))
        return next(fits, None)

    @classmethod
    def recognises(cls, shapes: Shapes, config: Mapping[str, Any]) -> bool:
        return cls._stem(shapes, config) is not None

    @classmethod
    def expected(cls, shapes: Shapes, config: Mapping[str, Any]) -> set[str]:
        stem = cls._stem(shapes, config) or "value_head"
        unused = {name for name in shapes if name.startswith("normalizer.")} if stem == "score_head" else set()
        return {f"{stem}.weight"} | ({f"{stem}.bias"} & shapes.keys()) | unused

    @classmethod
    def build(cls, tensors: Tensors, config: Mapping[str, Any]) -> "OneLayerHead":
        stem = cls._stem({name: tuple(tensor.shape) for name, tensor in tensors.items()}, config)
        assert stem is not None
        layer = linear(tensors, stem, config.get("hidden_size"), 1, cls.name)
        if config.get("score_type", "reward") != "reward":
            raise BirthmarkError(
                f"config.json has score_type = {config['score_type']!r}: the model's score is a cost, and no reward"
            )
        if config.get("do_normalize"):
            raise BirthmarkError(
                "config.json has do_normalize = true, and birthmark does not know that normalisation: set it to false for the "
                "head's own reward, which has the same ranks"
            )
        if not config.get("normalize_reward"):
            return cls(layer)
        mean = require_value(config, "mean", cls.name)
        if isinstance(mean, bool) or not isinstance(mean, (int, float)):
            raise BirthmarkError(f"config.json has mean = {mean!r}, and normalize_reward needs a number")
        return cls(layer, float(mean), require_positive(config, "std", cls.name))

    def reward(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        return (self.layer(last.float())[:, 0] - self.mean) / self.std


class FirstLogitHead(RewardHead):
    """reward = the logit of the vocabulary's first token after the conversation, as the Nemotron reward models have it.

    The tensors are a language model's, so that this head has to be named. W is the first row of the language head, or of the
    embedding where the two are one; a soft cap of the logits applies.
    """

    name = "first-logit"
    rows = 1

    def __init__(self, layer: torch.nn.Linear, cap: float | None) -> None:
        super().__init__()
        self.layer, self.cap = layer, cap

    @classmethod
    def recognises(cls, shapes: Shapes, config: Mapping[str, Any]) -> bool:
        return False

    @classmethod
    def expected(cls, shapes: Shapes, config: Mapping[str, Any]) -> set[str]:
        if "lm_head.weight" not in shapes and config.get("tie_word_embeddings", True):
            return set([name for name in shapes if name.endswith(("embed_tokens.weight", "wte.weight"))][:1]) or {
                "lm_head.weight"
            }
        return {"lm_head.weight"} | ({"lm_head.bias"} & shapes.keys())

    @classmethod
    def build(cls, tensors: Tensors, config: Mapping[str, Any]) -> "FirstLogitHead":
        scaled = [key for key in ("logit_scale", "logits_scaling") if config.get(key) not in (None, 1, 1.0)]
        if scaled:
            raise BirthmarkError(f"config.json has {scaled[0]}, which a head of the kind `{cls.name}` does not support")
        first = {f"row.{name.rpartition('.')[2]}": tensor[:1] for name, tensor in tensors.items()}
        cap = config.get("final_logit_softcapping")
        return cls(linear(first, "row", config.get("hidden_size"), 1, cls.name), None if cap is None else float(cap))

    def reward(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        logit = self.layer(last.float())[:, 0]
        return logit if self.cap is None else self.cap * torch.tanh(logit / self.cap)


class TwoLayerHead(RewardHead):
    """reward = W₂ relu(W₀ h + b₀) + b₂: `score.0.*`, `score.2.*`, as INF-ORM has it (dropout is off in scoring)."""

    name = "two-layer"
    reads = "before padding"

    def __init__(self, first: torch.nn.Linear, second: torch.nn.Linear) -> None:
        super().__init__()
        self.first, self.second = first, second

    @classmethod
    def recognises(cls, shapes: Shapes, config: Mapping[str, Any]) -> bool:
        return any(name.startswith("score.") and name.split(".")[1].isdigit() for name in shapes)

    @classmethod
    def expected(cls, shapes: Shapes, config: Mapping[str, Any]) -> set[str]:
        return {f"score.{layer}.{part}" for layer in (0, 2) for part in ("weight", "bias")}

    @classmethod
    def build(cls, tensors: Tensors, config: Mapping[str, Any]) -> "TwoLayerHead":
        first = linear(tensors, "score.0", config.get("hidden_size"), None, cls.name)
        return cls(first, linear(tensors, "score.2", first.out_features, 1, cls.name))

    def reward(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        return self.second(torch.relu(self.first(last.float())))[:, 0]


class ValueHead(RewardHead):
    """GRM's value head beside a language head: `v_head.summary.*`, a linear layer or linear layers with ReLU between.

    Which of the two is seen in the tensors; `vhead_layer_type` (`linear`, `mlp`), `vhead_num_layers` (hidden ones) and
    `vhead_num_neurons` of the config, where stated, have to agree. Dropout is off in scoring (arXiv 2406.10216).
    """

    name = "value"

    def __init__(self, layers: list[torch.nn.Linear]) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)

    @classmethod
    def recognises(cls, shapes: Shapes, config: Mapping[str, Any]) -> bool:
        return any(name.startswith("v_head.summary.") for name in shapes)

    @classmethod
    def expected(cls, shapes: Shapes, config: Mapping[str, Any]) -> set[str]:
        return {f"{stem}.{part}" for stem in cls._stems(shapes, config) for part in ("weight", "bias")}

    @classmethod
    def _stems(cls, shapes: Shapes, config: Mapping[str, Any]) -> list[str]:
        numbers = layer_numbers(shapes, "v_head.summary")
        if not numbers:
            return ["v_head.summary"]
        hidden = config.get("vhead_num_layers")
        last = 2 * hidden if isinstance(hidden, int) else max(numbers)
        return [f"v_head.summary.{number}" for number in range(0, last + 1, 2)]

    @classmethod
    def build(cls, tensors: Tensors, config: Mapping[str, Any]) -> "ValueHead":
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        stems = cls._stems(shapes, config)
        layers: list[torch.nn.Linear] = []
        for stem in stems:
            inputs = layers[-1].out_features if layers else config.get("hidden_size")
            layers.append(linear(tensors, stem, inputs, 1 if stem == stems[-1] else None, cls.name))
        plain = stems == ["v_head.summary"]
        require_agreement(config, "vhead_layer_type", "linear" if plain else "mlp", cls.name)
        if not plain:
            require_agreement(config, "vhead_num_layers", len(layers) - 1, cls.name)
            require_agreement(config, "vhead_num_neurons", layers[0].out_features, cls.name)
        return cls(layers)

    def reward(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        states = last.float()
        for layer in self.layers[:-1]:
            states = torch.relu(layer(states))
        return self.layers[-1](states)[:, 0]
