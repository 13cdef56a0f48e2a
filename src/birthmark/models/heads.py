"""Reward heads: from hidden states to one number a conversation.

A head says nothing of how states are computed or which conversation they belong to. Each takes the states after the
final norm at the last token, [n, hidden], and gives rewards [n]. `read_head` picks the head of a loaded model.
"""

from collections.abc import Callable
from typing import Any

import torch

from birthmark.errors import BirthmarkError

Head = Callable[[torch.Tensor], torch.Tensor]


class LinearHead:
    """reward = h · W, W [1, hidden], no bias: the head of `AutoModelForSequenceClassification` with one label.

    Raises `BirthmarkError` where the layer has several outputs.
    """

    def __init__(self, layer: torch.nn.Linear) -> None:
        if layer.out_features != 1:
            raise BirthmarkError(
                f"the model's head has {layer.out_features} outputs and a reward is one: name a model with one label"
            )
        self.layer = layer

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """Rewards [n] in the model's precision from last states [n, hidden]."""
        return self.layer(states)[:, 0]


def read_head(model: Any) -> Head:
    """The reward head of a loaded model; raises `BirthmarkError` where it has none that is known."""
    layer = getattr(model, "score", None)
    if not isinstance(layer, torch.nn.Linear):
        raise BirthmarkError(
            f"{type(model).__name__} has no reward head that birthmark knows: load it as a sequence classifier, or "
            "score it with --as logprob"
        )
    return LinearHead(layer)
