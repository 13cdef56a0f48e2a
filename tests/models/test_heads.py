"""Heads: which one a checkpoint has, the proof that every weight came from its files, what is refused, other packages'.

Whether the numbers are right is the business of `test_head_oracles.py`.
"""

import pytest
import torch
from architectures import tiny_model

from birthmark.errors import BirthmarkError
from birthmark.models.heads.known import read_head
from birthmark.models.heads.linear import LinearHead


def test_a_linear_reward_is_the_dot_product_of_state_and_weight():
    layer = torch.nn.Linear(3, 1, bias=False)
    layer.weight.data = torch.tensor([[1.0, -2.0, 0.5]])
    with torch.inference_mode():
        rewards = LinearHead(layer)(torch.tensor([[1.0, 1.0, 2.0], [0.0, 3.0, 0.0]]))
    assert rewards.tolist() == [0.0, -6.0]


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "gemma3", "qwen2"])
def test_the_head_of_a_sequence_classifier_is_its_score_layer(architecture):
    model = tiny_model(architecture, reward=True)
    states = torch.randn(5, 32)
    with torch.inference_mode():
        assert torch.equal(read_head(model)(states), model.score(states)[:, 0])


def test_several_outputs_are_refused():
    with pytest.raises(BirthmarkError, match="2 outputs"):
        LinearHead(torch.nn.Linear(3, 2))


def test_a_model_without_a_head_is_refused():
    with pytest.raises(BirthmarkError, match="no reward head"):
        read_head(tiny_model("llama"))
