"""Scores of candidates after a prompt: rewards from a reward model, log-probabilities from a causal LM.

A scorer combines an encoder (text to ids), an engine (ids to states and log-probabilities) and, for rewards, a head.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import groupby
from typing import Any, Literal

import numpy as np
import polars as pl
import torch

from birthmark.errors import BirthmarkError
from birthmark.inputs.answers import AnswerTemplate, Asked, template_of
from birthmark.models.chat_template import read_facts
from birthmark.models.encoding import (
    Bos,
    Encoder,
    Frame,
    WordForms,
    common_prefix_length,
    distinct_forms,
    tokenize_words,
    unknown_answers,
)
from birthmark.models.engine import Engine, make_engine
from birthmark.models.heads.base import RewardHead
from birthmark.models.heads.known import read_head
from birthmark.models.limits import Limits
from birthmark.models.packing import prefetch
from birthmark.models.reading import Read, Reading
from birthmark.models.scored import PromptScores, Verification, sample_rows
from birthmark.models.verification import verify_rows
from birthmark.models.vocabulary import Protocol, Vocabulary, read_vocabulary
from birthmark.records import Kind, Mass

ANSWERS_AT_ONCE = 2048  # conversations in memory as token ids at once
CHECKED_SHARE = 0.25  # of the tokens of scoring, that the self-check may read
FEWEST_CHECKED = 6  # candidates after a prompt
_Read = Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]


class LogProbScorer:
    """log p(candidate | context) from a causal LM.

    A vocabulary row is its own token's log-probability; a word's is the log of the sum over its forms, each form's
    the sum of its tokens' (chain rule). Within a sentence a word has one form, and the context is what stands before it; what
    follows it has no part. `limits` are by default those of `model`, which may be None where they are given
    and the engine runs elsewhere; such an engine gives no next tokens where there is no vocabulary.
    """

    kind: Kind = "logprob"
    head = None

    def __init__(
        self,
        model: Any,
        encoder: Encoder,
        engine: Engine,
        words: Sequence[str],
        vocabulary: Vocabulary | None,
        limits: Limits | None = None,
    ) -> None:
        self.model = model
        self.encoder = encoder
        self.engine = engine
        self.left_out = vocabulary.left_out if vocabulary else None
        self.unknown_words, self._alone = tokenize_words(encoder, words)
        self._words = _known(words, self.unknown_words, vocabulary)
        words = self._words
        self.candidates = _candidates(vocabulary, words)
        self.template_date = encoder.template_date
        self.chat = read_facts(encoder)
        self.limits = limits or Limits.of(model, encoder.tokenizer)
        self._within: dict[str, WordForms] = {}  # a sentence, by the sign before the word
        self.limits.check(self._alone.sequences)
        self._tokens = np.array(vocabulary.token_ids if vocabulary else (), dtype=np.int64)
        self.word_tokens = {
            word: max(len(self._alone.sequences[form]) for form in forms)
            for word, forms in zip(words, self._alone.of_words, strict=True)
        }

    def score(self, prompt_text: Asked) -> PromptScores:
        """Score every candidate after one prompt."""
        return self.score_together([prompt_text])[0]

    def batches(self, prompt_texts: Sequence[Asked]) -> list[range]:
        """Which of the prompts are scored together: neighbours after which the words have the same forms."""
        found: list[range] = []
        for _, group in groupby(range(len(prompt_texts)), lambda at: _before(template_of(prompt_texts[at]))):
            places = list(group)
            texts = [prompt_texts[at] for at in places]
            batches = self.engine.batches([self._context(text) for text in texts], self._forms(texts[0]).sequences)
            found += [range(places[0] + batch.start, places[0] + batch.stop) for batch in batches]
        return found

    def score_together(self, prompt_texts: Sequence[Asked]) -> list[PromptScores]:
        """Score every candidate after each prompt of a batch."""
        contexts, forms = [self._context(text) for text in prompt_texts], self._forms(prompt_texts[0])
        found = self.engine.log_probs_after(contexts, forms.sequences)
        return [self._scores(context, *of_it, forms) for context, of_it in zip(contexts, found, strict=True)]

    def ids_of(self, prompt_text: Asked, row: int) -> list[int]:
        """What is read for the candidate of a row."""
        return self.encoder.context(prompt_text)

    def _context(self, prompt_text: Asked) -> list[int]:
        context = self.encoder.context(prompt_text)
        self.limits.check([context], further=self._forms(prompt_text).longest - 1)
        return context

    def _forms(self, prompt_text: Asked) -> WordForms:
        """The words' forms where they stand."""
        template = template_of(prompt_text)
        if template is None or not template.before:
            return self._alone
        sign = _before(template)
        if sign not in self._within:
            self._within[sign] = distinct_forms(
                self.encoder, [self.encoder.forms(word, template) for word in self._words]
            )
        return self._within[sign]

    def _scores(
        self, context: list[int], following: np.ndarray, log_probs: np.ndarray, forms: WordForms
    ) -> PromptScores:
        scores = self._join(following, log_probs, np.arange(len(self._tokens)), forms.of_words)
        probabilities = np.exp(following.astype(np.float64))
        mass = Mass(
            lexicon=float(np.exp(log_probs[forms.disjoint]).sum()),
            left_out=float(np.delete(probabilities, self._tokens).sum()) if len(probabilities) else 1.0,
        )
        return PromptScores(scores, context, mass)

    def verify(
        self,
        prompt_texts: Sequence[Asked],
        sample: int = 64,
        seed: int = 0,
        scored: Mapping[Asked, np.ndarray] | None = None,
    ) -> Verification:
        """Rescore a seeded sample of candidates (words and tokens) with the plain engine after each of the prompts.

        `scored` has the scores to check, by prompt text; a prompt without scores is scored again.
        """
        return verify_rows(self, prompt_texts, self.sample_rows(sample, seed), scored or {})

    def sample_rows(self, sample: int, seed: int) -> np.ndarray:
        """A seeded sample of the candidates' rows."""
        return sample_rows(len(self._tokens), len(self._words), sample, seed)

    def score_rows(self, prompt_text: Asked, rows: np.ndarray, engine: Engine) -> np.ndarray:
        """Scores of some rows, float32 [rows], computed by the given engine."""
        tokens = rows[rows < len(self._tokens)]
        every = self._forms(prompt_text)
        chosen = [every.of_words[row - len(self._tokens)] for row in rows[rows >= len(self._tokens)]]
        used = sorted({form for forms in chosen for form in forms})
        place = {form: index for index, form in enumerate(used)}
        context = self._context(prompt_text)
        following, forms = engine.log_probs(context, [every.sequences[form] for form in used])
        return self._join(following, forms, tokens, [[place[form] for form in word] for word in chosen])

    def _join(
        self, following: np.ndarray, forms: np.ndarray, tokens: np.ndarray, word_forms: Sequence[Sequence[int]]
    ) -> np.ndarray:
        with np.errstate(invalid="ignore"):  # a score that is not finite is named where it is checked
            words = np.array([np.logaddexp.reduce(forms[list(word)]) for word in word_forms], dtype=np.float64)
        return np.concatenate([following[self._tokens[tokens]], words]).astype(np.float32)


class RewardInputs:
    """The candidates of a reward model, and what it reads for each: conversations by its own chat template."""

    kind: Kind = "reward"

    def __init__(
        self, encoder: Encoder, words: Sequence[str], vocabulary: Vocabulary | None, reading: Reading, limits: Limits
    ) -> None:
        self.encoder = encoder
        self.reading = reading
        self.left_out = vocabulary.left_out if vocabulary else None
        lost = unknown_answers(encoder, words)
        self.unknown_words = tuple(word for word in words if word in lost)
        words = _known(words, self.unknown_words, vocabulary)
        self.candidates = _candidates(vocabulary, words)
        self.template_date = encoder.template_date
        self.chat = read_facts(encoder, self.candidates["candidate"].to_list(), reading)
        self.limits = limits
        self.word_tokens = dict(zip(words, map(len, encoder.form_ids(words)), strict=True))
        self.n_tokens = len(vocabulary.token_ids) if vocabulary else 0

    def sample_rows(self, sample: int, seed: int) -> np.ndarray:
        """A seeded sample of the candidates' rows."""
        return sample_rows(self.n_tokens, self.candidates.height - self.n_tokens, sample, seed)


class RewardScorer(RewardInputs):
    """The reward of each candidate as the answer to a prompt, by the model's own chat template and head.

    `reading` says where it is read; by default where the model's class reads it, by the padding token of its config.
    """

    def __init__(
        self,
        model: Any,
        encoder: Encoder,
        engine: Engine,
        words: Sequence[str],
        vocabulary: Vocabulary | None,
        head: RewardHead,
        reading: Reading | None = None,
    ) -> None:
        reading = reading or Reading(head.reads, model.config.get_text_config().pad_token_id)
        super().__init__(encoder, words, vocabulary, reading, Limits.of(model, encoder.tokenizer))
        self.model = model
        self.engine = engine
        self.head = head

    def score(self, prompt_text: Asked, rows: range | None = None) -> PromptScores:
        """Score every candidate after one prompt, or a block of them."""
        every = self.candidates["candidate"]
        answers = (every if rows is None else every[rows.start : rows.stop]).to_list()
        scores, shared = self._score_answers(prompt_text, answers, self.engine)
        return PromptScores(scores, shared, None)

    def batches(self, prompt_texts: Sequence[Asked]) -> list[range]:
        """Each prompt alone."""
        return [range(index, index + 1) for index in range(len(prompt_texts))]

    def score_together(self, prompt_texts: Sequence[Asked], rows: range | None = None) -> list[PromptScores]:
        """Score every candidate after each of the prompts, or a block of them."""
        return [self.score(text, rows) for text in prompt_texts]

    def verify(
        self,
        prompt_texts: Sequence[Asked],
        sample: int = 64,
        seed: int = 0,
        scored: Mapping[Asked, np.ndarray] | None = None,
    ) -> Verification:
        """Rescore a seeded sample of candidates with the plain engine; see `LogProbScorer.verify`.

        The sample is cut so that the check costs about a quarter of the tokens that scoring the prompts did, or to six.
        """
        sample = min(sample, max(FEWEST_CHECKED, self._affordable(prompt_texts[0])))
        return verify_rows(self, prompt_texts, self.sample_rows(sample, seed), scored or {})

    def _affordable(self, prompt_text: Asked) -> int:
        """How many whole conversations have a quarter of the tokens of one prompt's shared prefix and all its endings."""
        answers = self.candidates["candidate"]
        some = answers.gather(np.linspace(0, len(answers) - 1, min(len(answers), 32)).astype(int)).to_list()
        conversations = self.encoder.conversations(prompt_text, some)
        whole = sum(map(len, conversations)) / len(conversations)
        shared = common_prefix_length(conversations)
        return int(CHECKED_SHARE * (shared + len(answers) * (whole - shared)) / whole)

    def score_rows(self, prompt_text: Asked, rows: np.ndarray, engine: Engine) -> np.ndarray:
        """Scores of some rows, float32 [rows], computed by the given engine."""
        return self._score_answers(prompt_text, self.candidates["candidate"].gather(rows).to_list(), engine)[0]

    def ids_of(self, prompt_text: Asked, row: int) -> list[int]:
        """What is read for the candidate of a row."""
        return self.encoder.conversation(prompt_text, self.candidates["candidate"][row])

    def score_attributes(self, prompt_text: Asked) -> np.ndarray:
        """Each candidate's reward and its head's attributes after one prompt, float32 [candidates, 1 + attributes].

        Raises `BirthmarkError` where the head has no attributes.
        """
        if not self.head.attributes:
            raise BirthmarkError(f"a head of the kind `{self.head.name}` has one score and no attributes to show")

        def read(last: torch.Tensor, gate: torch.Tensor | None) -> torch.Tensor:
            attributes = self.head.attribute_scores(*self.head.beside(last, gate))
            return torch.cat([self.head(last, gate)[:, None], attributes], dim=1)

        return self._score_answers(prompt_text, self.candidates["candidate"].to_list(), self.engine, read)[0]

    def states(self, prompt_text: Asked) -> np.ndarray:
        """The states that the head reads each candidate's reward from after one prompt, float32 [candidates, hidden]."""
        return self._score_answers(prompt_text, self.candidates["candidate"].to_list(), self.engine, _last)[0]

    def states_of(self, conversations: Sequence[Sequence[int]]) -> np.ndarray:
        """The same of conversations as token ids, float32 [conversations, hidden]."""
        return self._read_conversations(conversations, self.engine, _last)

    def score_with_random_heads(
        self, prompt_text: Asked, answers: Sequence[str], heads: int, seed: list[int]
    ) -> np.ndarray:
        """Rewards of answers of any kind to one prompt, and what random heads give, float32 [answers, 1 + heads].

        A random head is a direction w from a standard normal distribution, drawn from the seed; it gives the state that the
        reward is read from, times w.
        """
        size = self.model.config.get_text_config().hidden_size
        drawn = np.random.default_rng(seed).standard_normal((size, heads), dtype=np.float32)

        def read(last: torch.Tensor, gate: torch.Tensor | None) -> torch.Tensor:
            directions = torch.from_numpy(drawn).to(last.device)
            return torch.cat([self.head(last, gate).float()[:, None], last.float() @ directions], dim=1)

        return self._score_answers(prompt_text, answers, self.engine, read)[0]

    def _score_answers(
        self, prompt_text: Asked, answers: Sequence[str], engine: Engine, read: _Read | None = None
    ) -> tuple[np.ndarray, list[int]]:
        """Rewards, float32 [answers] (or what `read` makes of the states), and the ids that begin all conversations."""

        def encode(start: int) -> tuple[int, list[list[int]]]:
            return start, self.encoder.conversations(prompt_text, answers[start : start + ANSWERS_AT_ONCE])

        found: list[np.ndarray] = []
        beginnings: list[list[int]] = []
        for _, conversations in prefetch(range(0, len(answers), ANSWERS_AT_ONCE), encode):
            beginnings.append(conversations[0][: common_prefix_length(conversations)])
            found.append(self._read_conversations(conversations, engine, read or self.head))
        return np.concatenate(found), reduce(lambda a, b: a[: common_prefix_length([a, b])], beginnings)

    def _read_conversations(self, conversations: Sequence[Sequence[int]], engine: Engine, read: _Read) -> np.ndarray:
        """What `read` makes of the states of conversations, float32 [conversations, …]."""
        found: np.ndarray | None = None
        runs, others, exchanged = self.reading.cut(conversations, self.head.gate_positions(conversations))
        self.limits.check(runs)
        for indices, last, other in engine.states(runs, others):
            with torch.inference_mode():
                gate = other
                if other is not None and exchanged is not None:
                    swap = torch.tensor([exchanged[index] for index in indices], device=last.device)[:, None]
                    last, gate = torch.where(swap, other, last), torch.where(swap, last, other)
                values = read(last, gate).float().cpu().numpy()
            if found is None:
                found = np.empty((len(conversations), *values.shape[1:]), dtype=np.float32)
            found[indices] = values
        assert found is not None
        return found


Scorer = LogProbScorer | RewardScorer


def _last(last: torch.Tensor, gate: torch.Tensor | None) -> torch.Tensor:
    """The state that a reward is read from."""
    return last


def make_scorer(
    model: Any,
    tokenizer: Any,
    *,
    kind: Kind,
    words: Sequence[str],
    vocabulary: bool,
    frame: Frame,
    protocol: Protocol = "birthmark",
    engine: Literal["prefix", "plain"] = "prefix",
    template_date: str | None = None,
    system: str | None = None,
    bos: Bos | None = None,
    read: Read = "class",
    padding: int | None | Literal["config"] = "config",
) -> Scorer:
    """The scorer of a loaded model.

    Parameters
    ----------
    model, tokenizer
        As transformers loads them; the tokenizer carries the chat template.
    kind
        `reward` (a model with a reward head, always framed as a chat) or `logprob` (a causal LM).
    words
        Word candidates, in the order of the table's word rows.
    vocabulary
        Whether each decodable token is a candidate too.
    system
        A system prompt before every question.
    bos
        As for `Encoder`.
    read, padding
        Whether a reward is read where the model's own class reads it, or at the `end`; and the padding token that the class
        searches for, by default the one of the model's config.

    Raises `BirthmarkError` where a chat template is needed and missing, a word is empty, or the head is not known.
    """
    if not words and not vocabulary:
        raise BirthmarkError("there are no candidates: give words, or use the vocabulary")
    model.eval()
    chosen: Frame = "chat" if kind == "reward" else frame
    encoder = Encoder(tokenizer, chosen, protocol, template_date=template_date, system=system, bos=bos)
    runner = make_engine(engine, model)
    rows = model.get_input_embeddings().weight.shape[0]
    tokens = read_vocabulary(tokenizer, rows, protocol) if vocabulary else None
    if kind == "logprob":
        return LogProbScorer(model, encoder, runner, words, tokens)
    head = read_head(model, protocol)
    pad = model.config.get_text_config().pad_token_id if padding == "config" else padding
    return RewardScorer(model, encoder, runner, words, tokens, head, Reading(head.reads, pad, read))


def _candidates(vocabulary: Vocabulary | None, words: Sequence[str]) -> pl.DataFrame:
    """Token rows in id order, then word rows, whose `token_id` is null."""
    texts = vocabulary.texts if vocabulary else ()
    ids = vocabulary.token_ids if vocabulary else ()
    return pl.DataFrame(
        {"candidate": [*texts, *words], "token_id": [*ids, *[None] * len(words)]},
        schema={"candidate": pl.String, "token_id": pl.Int64},
    )


def _before(template: AnswerTemplate | None) -> str:
    """The sign that a word stands after in a sentence: a space or another; nothing where the word begins."""
    return template.before[-1:] and (" " if template.before.endswith(" ") else "…") if template else ""


def _known(words: Sequence[str], unknown: Sequence[str], vocabulary: Vocabulary | None) -> list[str]:
    """The words that the tokenizer can write. Raises `BirthmarkError` where no candidate is left."""
    known = [word for word in words if word not in unknown]
    if not known and vocabulary is None:
        raise BirthmarkError(
            f"the tokenizer has no tokens for {', '.join(unknown[:5])}, which it would write as its unknown token: give "
            "words that it knows"
        )
    return known
