"""Pairs that no training sees: held out by their question, and the rewards that a reward model gives their two answers."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.models.resolve import ResolvedModel
from birthmark.progress import progress_bar
from birthmark.training.data import Drop, Pair, tokenize_pairs

Load = Callable[..., AbstractContextManager[Any]]
MAX_TOKENS = 1024


@dataclass(frozen=True)
class Split:
    """The pairs for training and those held out, each in the order given; `set_aside` share a held-out question."""

    training: list[Pair]
    held_out: list[Pair]
    set_aside: int


@dataclass(frozen=True)
class PairRewards:
    """Rewards of both answers, float32 [pairs] in the order of the pairs; NaN for a pair that is among `drops`."""

    chosen: np.ndarray
    rejected: np.ndarray
    drops: list[Drop]

    @property
    def margins(self) -> np.ndarray:
        """Chosen minus rejected, float64 [pairs]: sums of equal shares must be equal, which in float32 they are not."""
        return self.chosen.astype(np.float64) - self.rejected.astype(np.float64)

    def correct(self) -> np.ndarray:
        """1 where the chosen answer has the higher reward, ½ where both have the same, 0 else; NaN for a dropped pair."""
        return np.where(np.isnan(self.margins), np.nan, 0.5 + 0.5 * np.sign(self.margins))


def hold_out(pairs: Sequence[Pair], count: int, *, seed: int = 0) -> Split:
    """Hold `count` pairs out, each of a question of its own (all turns before the answer), drawn by the seed.

    Further pairs of a held-out question are in neither part: none of theirs is trained on, and held-out pairs are
    independent of each other. Raises `BirthmarkError` where there are fewer questions.
    """
    of_question: dict[object, list[Pair]] = {}
    for pair in pairs:
        of_question.setdefault(_question(pair), []).append(pair)
    if not 0 < count <= len(of_question):
        raise BirthmarkError(
            f"{count:,} pairs cannot be held out of {len(pairs):,}, which have {len(of_question):,} different questions: "
            "hold out fewer, or give more pairs"
        )
    questions = list(of_question)
    drawn = np.random.default_rng([seed, len(questions)]).permutation(len(questions))[:count]
    taken = {questions[index] for index in drawn}
    held_out = [of_question[question][0] for question in questions if question in taken]
    training = [pair for pair in pairs if _question(pair) not in taken]
    return Split(training, held_out, set_aside=len(pairs) - len(training) - len(held_out))


def _question(pair: Pair) -> object:
    return pair.chosen[:-1]


def pair_rewards(
    model: ResolvedModel,
    pairs: Sequence[Pair],
    *,
    device: str = "cpu",
    dtype: str = "float32",
    max_tokens: int = MAX_TOKENS,
    cut: str = "left",
    load: Load | None = None,
    quiet: bool = True,
) -> PairRewards:
    """The reward of both answers of each pair, read where the model's own class reads it.

    Parameters
    ----------
    model
        A reward model, or a checkpoint of a run, as `resolve` finds it; conversations go through its own chat template.
    max_tokens, cut
        Longer conversations are cut to this length at that end (`left`, `right`), as in training.
    load
        Gives the loaded model within a block (`AdapterSwap().model`); without it the model is loaded from its files.

    Pairs that the template refuses, or whose two sides are the same after the cut, are dropped. Raises `BirthmarkError`
    for a language model, and for a reward that is not a number.
    """
    from birthmark.models.loading import load_if_it_fits
    from birthmark.models.tokenizer import load_tokenizer

    if model.kind != "reward":
        raise BirthmarkError(f"{model.name} is a language model: rewards of pairs come from a reward model")
    tokenizer = load_tokenizer(model)
    opened = (
        load(model, dtype=dtype, device=device)
        if load is not None
        else nullcontext(load_if_it_fits(model, dtype=dtype, device=device))
    )
    with opened as network:
        return _rewards(network, tokenizer, model, pairs, max_tokens=max_tokens, cut=cut, quiet=quiet)


def _rewards(
    network: Any, tokenizer: Any, model: ResolvedModel, pairs: Sequence[Pair], *, max_tokens: int, cut: Any, quiet: bool
) -> PairRewards:
    import torch

    from birthmark.models.encoding import Encoder
    from birthmark.models.engine_choice import choose_engine
    from birthmark.models.heads.known import read_head
    from birthmark.models.limits import Limits
    from birthmark.models.reading import Reading, padding_token

    encoder = Encoder(tokenizer, "chat", chat_template=model.chat_template)
    kept, drops = tokenize_pairs(pairs, encoder, max_tokens=max_tokens, cut=cut)
    engine, _ = choose_engine("prefix", network)
    head, limits = read_head(network), Limits.of(network, tokenizer)
    reading = Reading(head.reads, padding_token(model, tokenizer, getattr(network, "reward_head", None) is None))
    found = np.full((len(pairs), 2), np.nan, dtype=np.float32)
    for pair in progress_bar(kept, "held-out pairs", unit="pairs", quiet=quiet):
        sides = [pair.chosen.ids, pair.rejected.ids]
        runs, others, exchanged = reading.cut(sides, head.gate_positions(sides))
        limits.check(runs)
        for indices, last, other in engine.states(runs, others):
            with torch.inference_mode():
                gate = other
                if other is not None and exchanged is not None:
                    swap = torch.tensor([exchanged[index] for index in indices], device=last.device)[:, None]
                    last, gate = torch.where(swap, other, last), torch.where(swap, last, other)
                found[pair.position, indices] = head(last, gate).float().cpu().numpy()
        if not np.isfinite(found[pair.position]).all():
            raise BirthmarkError(
                f"{model.name}: the reward of the pair in row {pairs[pair.position].row} is not a number"
            )
    return PairRewards(found[:, 0], found[:, 1], drops)
