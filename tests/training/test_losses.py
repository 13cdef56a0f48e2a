"""Losses against values worked out by hand."""

import math

import pytest
import torch

from birthmark.training import losses
from birthmark.training.losses import answer_log_probs, dpo_text_loss, grm_loss, sft_text_loss


def test_the_sft_form_is_minus_log_sigmoid_of_beta_times_the_log_probability() -> None:
    # log π = −20, β = 0.1: −ln σ(−2) = ln(1 + e²) = 2.126928; the plain form is 20
    chosen = torch.tensor([-20.0])
    assert sft_text_loss(chosen, 0.1).item() == pytest.approx(2.126928, abs=1e-6)
    assert sft_text_loss(chosen, 0.1, plain=True).item() == 20


def test_the_dpo_form_is_minus_log_sigmoid_of_beta_times_the_difference() -> None:
    # β (−20 + 30) = 1: −ln σ(1) = 0.313262
    assert dpo_text_loss(torch.tensor([-20.0]), torch.tensor([-30.0]), 0.1).item() == pytest.approx(0.313262, abs=1e-6)


def test_grm_weighs_the_reward_loss_and_the_text_loss() -> None:
    # 0.99 · 0.313262 + 0.01 · 2.126928 = 0.331399
    assert grm_loss(torch.tensor(0.313262), torch.tensor(2.126928), 0.01).item() == pytest.approx(0.331399, abs=1e-6)


def test_an_answers_log_probability_is_the_sum_over_its_tokens_alone() -> None:
    # Two tokens, head = identity: logits are the states. Row 0: the answer is tokens 2 and 3, predicted from the states
    # at 1 and 2: log softmax(1, 0)[0] + log softmax(0, 2)[1] = −0.313262 − 0.126928. Row 1: token 1 alone, from state 0.
    states = torch.tensor(
        [[[9.0, 9.0], [1.0, 0.0], [0.0, 2.0], [7.0, 7.0]], [[0.0, 0.0], [5.0, 1.0], [1.0, 1.0], [1.0, 1.0]]]
    )
    ids = torch.tensor([[0, 1, 0, 1], [0, 1, 1, 1]])
    mask = torch.tensor([[0, 0, 1, 1], [0, 1, 0, 0]])
    found = answer_log_probs(states, ids, mask, torch.eye(2))
    assert found.tolist() == pytest.approx([-0.313262 - 0.126928, -math.log(2)], abs=1e-6)


def test_logits_are_capped_where_the_architecture_caps_them() -> None:
    states, ids, mask = torch.tensor([[[3.0, 0.0], [0.0, 0.0]]]), torch.tensor([[0, 0]]), torch.tensor([[0, 1]])
    capped = 2 * math.tanh(1.5)
    found = answer_log_probs(states, ids, mask, torch.eye(2), softcap=2.0)
    assert found.item() == pytest.approx(capped - math.log(math.exp(capped) + 1), abs=1e-6)


def test_pieces_of_the_vocabulary_step_give_the_same_sum_and_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    states = torch.randn(3, 7, 4, requires_grad=True)
    ids, head = torch.randint(0, 11, (3, 7)), torch.randn(11, 4)
    mask = torch.tensor([[0, 1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1, 1], [0] * 7])
    whole = answer_log_probs(states, ids, mask, head)
    (gradient,) = torch.autograd.grad(whole.sum(), states)
    monkeypatch.setattr(losses, "TOKENS_AT_ONCE", 2)
    pieces = answer_log_probs(states, ids, mask, head)
    (in_pieces,) = torch.autograd.grad(pieces.sum(), states)
    torch.testing.assert_close(pieces, whole)
    torch.testing.assert_close(in_pieces, gradient)
    assert whole[2].item() == 0
