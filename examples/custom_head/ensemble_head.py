"""A reward head that birthmark does not come with: several linear heads that vote, held back where they disagree."""

from collections.abc import Mapping
from typing import Any

import torch

from birthmark.models.heads.base import RewardHead, Shapes, Tensors, layer_numbers, linear, require_positive


class EnsembleHead(RewardHead):
    """reward = mean − caution · spread over the members' rewards: `ensemble.0.weight` [1, hidden], `ensemble.1.weight`, …

    `ensemble_caution` is a config value that no tensor shows, so it has to be in config.json.
    """

    name = "ensemble"

    def __init__(self, members: list[torch.nn.Linear], caution: float) -> None:
        super().__init__()
        self.members = torch.nn.ModuleList(members)
        self.caution = caution
        self.attributes = tuple(f"member_{number}" for number in range(1, len(members) + 1))

    @classmethod
    def recognises(cls, shapes: Shapes, config: Mapping[str, Any]) -> bool:
        """Tensors of these names are nobody else's."""
        return any(name.startswith("ensemble.") for name in shapes)

    @classmethod
    def expected(cls, shapes: Shapes, config: Mapping[str, Any]) -> set[str]:
        """Every member up to the last: a gap is a missing weight, which birthmark then names."""
        members = range(max(layer_numbers(shapes, "ensemble")) + 1)
        return {f"ensemble.{number}.weight" for number in members}

    @classmethod
    def build(cls, tensors: Tensors, config: Mapping[str, Any]) -> "EnsembleHead":
        """`linear` makes a layer of `STEM.weight` (and `STEM.bias`), and refuses one that is not [1, any]."""
        members = [linear(tensors, f"ensemble.{number}", None, 1, cls.name) for number in range(len(tensors))]
        return cls(members, require_positive(config, "ensemble_caution", cls.name))

    def reward(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        """[n, hidden] states at the last tokens to rewards [n]; `gate` is None, since there is no `gate_pattern`."""
        votes = self.attribute_scores(last)
        return votes.mean(dim=1) - self.caution * votes.std(dim=1)

    def attribute_scores(self, last: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        """Each member's reward, [n, members]: what `birthmark score --attributes` shows."""
        return torch.cat([member(last.float()) for member in self.members], dim=1)
