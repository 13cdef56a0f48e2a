"""The null of inherited values: what random heads on a base value, before anything is trained.

A random head's reward is h · w with w from a normal distribution, whose scale no rank can see. The states of every
conversation are computed once, for as many heads as one likes. Knows nothing of runs, steps or files.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import torch

from birthmark.errors import BirthmarkError
from birthmark.models.encoding import Encoder
from birthmark.models.engine import make_engine
from birthmark.scoring import Measure
from birthmark.values.ranks import framing_contrast, rank

if TYPE_CHECKING:
    from birthmark.models.weights import ResolvedModel


def random_head_words(
    model: Any,
    tokenizer: Any,
    measure: Measure,
    lexicons: Mapping[str, Sequence[str]],
    *,
    base: str,
    heads: int,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Each word's mean rank over positive prompts less that over negative ones under each head: float32 [heads, words].

    Parameters
    ----------
    model
        A sequence classifier; its own head is not used.
    measure
        Prompts of both framings, engine and protocol.
    lexicons
        Lexicon → the words that are ranked among themselves.
    base, seed
        Together they seed the heads, so that those of two bases are independent.

    Raises `BirthmarkError` where the prompts are not of both framings.
    """
    prompts = list(measure.prompts.prompts.values())
    framings = [prompt.framing for prompt in prompts]
    if not {"positive", "negative"} <= set(framings):
        raise BirthmarkError("random heads are held to a contrast, and that needs prompts of both framings")
    every = sorted({word for words in lexicons.values() for word in words})
    at = {name: [every.index(word) for word in words] for name, words in lexicons.items()}
    encoder = Encoder(tokenizer, "chat", measure.protocol, template_date=measure.template_date)
    engine = make_engine(measure.engine, model)
    rng = np.random.default_rng([seed, crc32(base.encode())])
    weights: np.ndarray | None = None
    ranks = {name: np.empty((len(prompts), len(rows), heads), dtype=np.float32) for name, rows in at.items()}
    for place, prompt in enumerate(prompts):
        states = _states(engine, encoder.conversations(prompt.text, every))
        if weights is None:
            weights = rng.standard_normal((states.shape[1], heads), dtype=np.float32)
        rewards = states @ weights  # [words, heads]
        for name, rows in at.items():
            ranks[name][place] = rank(rewards[rows])
    return {
        name: framing_contrast(of_lexicon.transpose(2, 1, 0), framings).astype(np.float32)
        for name, of_lexicon in ranks.items()
    }


def heads_key(model: "ResolvedModel", measure: Measure, lexicons: Mapping[str, Sequence[str]], heads: int) -> str:
    """SHA-256 of everything that moves the values of random heads."""
    moves = {
        "weights": model.digests.weights,
        "tokenizer": model.digests.tokenizer,
        "template": model.digests.template,
        "prompts": measure.prompts.sha256,
        "words": lexicons,
        "protocol": measure.protocol,
        "heads": heads,
        "seed": measure.seed,
    }
    return hashlib.sha256(json.dumps(moves, sort_keys=True).encode()).hexdigest()


@torch.inference_mode()
def _states(engine: Any, conversations: Sequence[Sequence[int]]) -> np.ndarray:
    """Last states float32 [conversations, hidden]."""
    found: np.ndarray | None = None
    for indices, states in engine.last_states(conversations):
        part = states.float().cpu().numpy()
        if found is None:
            found = np.empty((len(conversations), part.shape[1]), dtype=np.float32)
        found[indices] = part
    assert found is not None  # there is at least one word
    return found
