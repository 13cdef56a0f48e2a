"""Answers drawn from a language model by transformers' `generate`.

Every answer has random numbers of its own, seeded by the study's seed, the question and the answer's number: what is drawn
does not depend on which answers are drawn together, or on where a run was stopped.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from birthmark.errors import BirthmarkError
from birthmark.inputs.words import clean_text
from birthmark.models.chat_template import ANSWER, QUESTION
from birthmark.models.encoding import Encoder
from birthmark.models.limits import Limits
from birthmark.models.packing import is_out_of_memory
from birthmark.models.scored import Sample


class GumbelNoise(LogitsProcessor):
    """Turns greedy decoding into sampling at a temperature: the largest logit / temperature + Gumbel noise is a draw.

    Each row has a generator of its own, on the CPU, so that a device does not change the noise.
    """

    def __init__(self, seeds: Sequence[int], temperature: float) -> None:
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.temperature = temperature

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """scores: [rows, vocabulary]"""
        if torch.isnan(scores).any():
            raise BirthmarkError("the next token's logits are not finite: try --dtype float32, or another policy")
        size, tiny = scores.shape[1], torch.finfo(torch.float32).tiny
        drawn = torch.stack([torch.empty(size).exponential_(generator=each) for each in self.generators])
        return scores.float() / self.temperature - drawn.clamp_min(tiny).log().to(scores.device)


def seed_of(seed: int, question: str, number: int) -> int:
    """The seed of one answer: 63 bits of the SHA-256 of the study's seed, the question's text and the answer's number."""
    digest = sha256(f"{seed}\0{question}\0{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Sampler:
    """Draws answers to questions; `encoder` has the chat template that opens the assistant's turn.

    An answer ends at the end token of the model's own generation config, of its tokenizer, or the one that the template
    writes after an answer; under a template without such a token, where the next turn would begin.
    """

    def __init__(self, model: Any, encoder: Encoder, *, max_tokens: int, temperature: float, seed: int) -> None:
        self.model, self.encoder = model, encoder
        self.max_tokens, self.temperature, self.seed = max_tokens, temperature, seed
        self.limits = Limits.of(model, encoder.tokenizer)
        self.ends, self.next_turn = ends_of_answers(encoder, model.generation_config)

    def sample(self, question: str, n: int) -> list[Sample]:
        """n answers to a question, white space around them left out. Raises `BirthmarkError` for one that is too long."""
        context = self.encoder.context(question)
        self.limits.check([context], further=self.max_tokens)
        return self._draw(question, context, range(n))

    def _draw(self, question: str, context: list[int], numbers: range) -> list[Sample]:
        try:
            return self._generate(question, context, numbers)
        except (RuntimeError, MemoryError) as error:
            if len(numbers) == 1 or not is_out_of_memory(error):
                raise
        half = numbers.start + len(numbers) // 2
        parts = (range(numbers.start, half), range(half, numbers.stop))
        return [sample for part in parts for sample in self._draw(question, context, part)]

    @torch.inference_mode()
    def _generate(self, question: str, context: list[int], numbers: range) -> list[Sample]:
        tokenizer = self.encoder.tokenizer
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.ends[0] if self.ends else 0
        self.model.generation_config = GenerationConfig(
            do_sample=False,
            max_new_tokens=self.max_tokens,
            eos_token_id=self.ends or None,
            pad_token_id=pad,
            bos_token_id=tokenizer.bos_token_id,
        )
        noise = GumbelNoise([seed_of(self.seed, question, number) for number in numbers], self.temperature)
        ids = torch.tensor([context] * len(numbers), device=self.model.get_input_embeddings().weight.device)
        found = self.model.generate(
            ids, attention_mask=torch.ones_like(ids), logits_processor=LogitsProcessorList([noise])
        )
        return [self._answer(row) for row in found[:, len(context) :].tolist()]

    def _answer(self, ids: list[int]) -> Sample:
        end = next((place for place, token in enumerate(ids) if token in self.ends), None)
        kept = ids[:end]
        text = self.encoder.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return answer_of(text, len(kept), end is not None, self.next_turn)


def answer_of(text: str, tokens: int, finished: bool, next_turn: str | None) -> Sample:
    """An answer as candidates are read (composed letters, nothing invisible), up to where the next turn begins."""
    before, mark, _ = text.partition(next_turn) if next_turn else (text, "", "")
    return Sample(clean_text(before).strip(), tokens, finished or bool(mark))


def ends_of_answers(encoder: Encoder, generation: Any = None) -> tuple[list[int], str | None]:
    """The tokens that end an answer, and the text that begins the next turn where no special token does."""
    tokenizer = encoder.tokenizer
    stated = getattr(generation, "eos_token_id", None)
    ends = [*(stated if isinstance(stated, list) else [stated]), tokenizer.eos_token_id]
    after = encoder.render(QUESTION, ANSWER).partition(ANSWER)[2]
    special = {token.content: at for at, token in tokenizer.added_tokens_decoder.items() if token.special}
    first = min((name for name in special if name in after), key=after.index, default=None)
    ends.append(special[first] if first is not None else None)
    second = "second" + QUESTION
    turn = encoder.render_turns(QUESTION, ANSWER, second).partition(ANSWER)[2].partition(second)[0]
    turn = turn.removeprefix(first or "")
    is_plain = bool(turn.strip()) and not any(name in turn for name in special)
    is_own = first is not None and special[first] != tokenizer.eos_token_id  # such as <|im_end|>, which ends every turn
    return list(
        dict.fromkeys(end for end in ends if end is not None)
    ), turn.rstrip() if is_plain and not is_own else None
