"""The text losses of GRM training, which keep the answers likely under the language head. The Bradley–Terry loss is TRL's.

GRM (Yang et al. 2024, arXiv 2406.10216): (1 − α)·L_BT + α·L_text, with log π(y) the sum of the answer's token
log-probabilities, and α = 0.01, β = 0.1 in the authors' scripts.
"""

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

TOKENS_AT_ONCE = 512  # tokens whose logits over the vocabulary are in memory at once


def sft_text_loss(chosen: torch.Tensor, beta: float, *, plain: bool = False) -> torch.Tensor:
    """The text loss of GRM's SFT form, [pairs], from log π(chosen) [pairs]: −log σ(β · log π(chosen)).

    `plain` gives −log π(chosen) instead. With a reference model, pass log π(chosen) − log π_ref(chosen).
    """
    return -chosen if plain else -F.logsigmoid(beta * chosen)


def dpo_text_loss(chosen: torch.Tensor, rejected: torch.Tensor, beta: float) -> torch.Tensor:
    """The text loss of GRM's DPO form, [pairs]: −log σ(β · (log π(chosen) − log π(rejected))).

    With a reference model, pass each log-probability minus the reference's.
    """
    return -F.logsigmoid(beta * (chosen - rejected))


def grm_loss(reward_loss: torch.Tensor, text_loss: torch.Tensor, weight: float) -> torch.Tensor:
    """(1 − α) · reward loss + α · text loss, α = `weight`."""
    return (1 - weight) * reward_loss + weight * text_loss


def answer_log_probs(
    states: torch.Tensor,
    input_ids: torch.Tensor,
    answer_mask: torch.Tensor,
    head: torch.Tensor,
    softcap: float | None = None,
) -> torch.Tensor:
    """log π(answer | preceding tokens), the sum over the answer's tokens, [rows] float32.

    Parameters
    ----------
    states
        Hidden states after the final norm, [rows, length, hidden].
    input_ids, answer_mask
        [rows, length]; the mask is 1 on the tokens of the answer. The first token of a row never counts.
    head
        The language head's weight, [vocabulary, hidden], no bias.
    softcap
        c in the soft cap of logits, c · tanh(logits / c), for architectures that have one.
    """
    is_target = answer_mask[:, 1:].bool()  # the state at t predicts token t + 1
    before = states[:, :-1][is_target]  # [answer tokens, hidden]
    targets = input_ids[:, 1:][is_target]  # [answer tokens]
    parts = [
        checkpoint(_token_log_probs, before[start : start + TOKENS_AT_ONCE], targets[start : start + TOKENS_AT_ONCE],
                   head, softcap, use_reentrant=False)
        for start in range(0, len(targets), TOKENS_AT_ONCE)
    ]  # fmt: skip
    rows = torch.nonzero(is_target)[:, 0]
    total = torch.zeros(len(input_ids), dtype=torch.float32, device=states.device)
    return total.index_add(0, rows, torch.cat(parts)) if parts else total


def _token_log_probs(
    states: torch.Tensor, targets: torch.Tensor, head: torch.Tensor, softcap: float | None
) -> torch.Tensor:
    logits = F.linear(states.to(head.dtype), head).float()
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    return -F.cross_entropy(logits, targets, reduction="none")
