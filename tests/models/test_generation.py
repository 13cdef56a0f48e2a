"""Answers drawn by `generate`, against plain forward passes of transformers with the same noise, and their ends."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from birthmark.errors import BirthmarkError
from birthmark.models.encoding import Encoder
from birthmark.models.generation import GumbelNoise, Sampler, ends_of_answers, seed_of
from birthmark.models.resolve import read_template
from birthmark.models.scored import Sample
from tiny_models import CHAT_TEMPLATE, make_tokenizer, write_tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield write_tiny_model(tmp_path_factory.mktemp("policy") / "lm", seed=1)


def sampler(folder: Path, **options: object) -> Sampler:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    encoder = Encoder(AutoTokenizer.from_pretrained(folder), "chat")
    return Sampler(model, encoder, **{"max_tokens": 12, "temperature": 0.8, "seed": 5, **options})  # type: ignore[arg-type]


def by_hand(policy: Sampler, question: str, number: int) -> Sample:
    """One answer by whole forward passes, token after token."""
    ids = policy.encoder.context(question)
    noise = torch.Generator().manual_seed(seed_of(policy.seed, question, number))
    drawn: list[int] = []
    while len(drawn) < policy.max_tokens:
        with torch.inference_mode():
            logits = policy.model(torch.tensor([[*ids, *drawn]])).logits[0, -1]
        gumbel = -torch.empty(len(logits)).exponential_(generator=noise).log()
        token = int((logits / policy.temperature + gumbel).argmax())
        if token in policy.ends:
            break
        drawn.append(token)
    text = policy.encoder.tokenizer.decode(drawn, skip_special_tokens=True).strip()
    return Sample(text, len(drawn), len(drawn) < policy.max_tokens)


def test_an_answer_is_that_of_plain_forward_passes_whatever_is_drawn_beside_it(folder: Path) -> None:
    policy = sampler(folder)
    found = policy.sample("What is good?", 5)
    assert len(found) == 5 and len({item.text for item in found}) > 1
    for number, item in enumerate(found):
        wanted = by_hand(policy, "What is good?", number)
        assert (item.tokens, item.finished) == (wanted.tokens, wanted.finished)
    assert policy.sample("What is good?", 2) == found[:2]
    assert sampler(folder).sample("What is bad?", 5) != found
    assert sampler(folder, seed=6).sample("What is good?", 5) != found


def test_the_noise_draws_tokens_as_often_as_the_softmax_says() -> None:
    logits = torch.tensor([[1.0, 0.0, -1.0, 2.0]]).repeat(4_000, 1)
    noisy = GumbelNoise([seed_of(0, "q", at) for at in range(4_000)], 2.0)(torch.zeros(4_000, 1), logits)
    shares = np.bincount(noisy.argmax(dim=1).numpy(), minlength=4) / 4_000
    assert shares == pytest.approx(torch.softmax(logits[0] / 2.0, dim=0).numpy(), abs=0.03)


def test_memory_that_runs_out_halves_the_batch_and_changes_no_answer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = sampler(folder, max_tokens=6)
    wanted, generate, sizes = policy.sample("What?", 6), policy.model.generate, []

    def small(ids: torch.Tensor, **options: object) -> torch.Tensor:
        sizes.append(len(ids))
        if len(ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(ids, **options)

    monkeypatch.setattr(policy.model, "generate", small)
    assert policy.sample("What?", 6) == wanted
    assert sizes == [6, 3, 1, 2, 3, 1, 2]


def test_the_templates_own_end_of_a_turn_ends_an_answer() -> None:
    tokenizer = make_tokenizer()
    ends, next_turn = ends_of_answers(Encoder(tokenizer, "chat", chat_template=CHAT_TEMPLATE))
    assert ends == [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("</turn>")] and next_turn is None


def test_under_a_plain_template_an_answer_ends_where_the_next_turn_begins(tiny_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    ends, next_turn = ends_of_answers(Encoder(tokenizer, "chat", chat_template=read_template("plain")))
    assert (ends, next_turn) == ([tokenizer.eos_token_id], "\n\nUser:")


def test_an_answer_that_would_not_fit_is_an_error(folder: Path) -> None:
    with pytest.raises(BirthmarkError, match="positions"):
        sampler(folder, max_tokens=600).sample("What?", 2)
