"""What a chat template does to a conversation, found by rendering small ones, and the input of a model for one candidate."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from birthmark.errors import BirthmarkError
from birthmark.inputs.answers import Asked, question_of, template_of
from birthmark.models.encoding import Bos, Encoder, Frame, common_prefix_length, unknown_answers
from birthmark.models.heads.base import RewardHead
from birthmark.models.heads.known import HeadFiles, head_tensors
from birthmark.models.heads.linear import LinearHead
from birthmark.models.reading import Read, Reading, padding_token
from birthmark.models.resolve import ResolvedModel
from birthmark.models.tokenizer import load_tokenizer
from birthmark.models.vocabulary import Protocol, read_vocabulary
from birthmark.records import Explanation

QUESTION, ANSWER = "birthmarkquestion", "birthmarkanswer"


@dataclass(frozen=True)
class ChatShape:
    """The text that a template writes around a question and its answer.

    `between`: between question and answer of a complete conversation. `opening`: after the question if the assistant's turn
    is opened; `closing`: if it is not. `after`: after the answer. `system`: the template's default system prompt (without the
    user's own), or None.
    """

    before: str
    between: str
    after: str
    opening: str
    closing: str
    system: str | None

    @property
    def opens_a_turn(self) -> bool:
        """Whether the template opens an assistant's turn at the end even without being asked to."""
        return self.between != "" and self.closing == self.between

    @property
    def inserted(self) -> str:
        """Text before the answer of a complete conversation that an opened turn does not have, such as a thinking block."""
        return self.between.removeprefix(self.opening) if self.between.startswith(self.opening) else ""


def read_shape(encoder: Encoder) -> ChatShape:
    """The shape of an encoder's template. Raises `BirthmarkError` if the template fails on a simple conversation."""
    whole = encoder.render(QUESTION, ANSWER)
    before, _, rest = whole.partition(QUESTION)
    between, _, after = rest.partition(ANSWER)
    return ChatShape(
        before=before,
        between=between,
        after=after,
        opening=encoder.render(QUESTION).partition(QUESTION)[2],
        closing=encoder.render(QUESTION, opened=False).partition(QUESTION)[2],
        system=_default_system_prompt(encoder),
    )


def _default_system_prompt(encoder: Encoder) -> str | None:
    """The text before the first question but not before the second, without special tokens and the role's name."""
    second = "second" + QUESTION
    try:
        written = encoder.render_turns(QUESTION, ANSWER, second)
    except BirthmarkError:
        return (
            None  # a template for a single question: its default prompt cannot be separated from the turn's beginning
        )
    special = [token.content for token in encoder.tokenizer.added_tokens_decoder.values() if token.special]
    for token in sorted(special, key=len, reverse=True):
        written = written.replace(token, "")
    before, _, rest = written.partition(QUESTION)
    turn = _common_ending(before, rest.partition(second)[0])
    added = before[: len(before) - len(turn)]
    return re.sub(r"^\s*system\b:?\s*", "", added).strip() or None


def _common_ending(a: str, b: str) -> str:
    length = 0
    while length < min(len(a), len(b)) and a[-1 - length] == b[-1 - length]:
        length += 1
    return a[len(a) - length :]


@dataclass(frozen=True)
class Trimming:
    """How many candidates a template changes at their ends, and how many become equal to another candidate."""

    n_candidates: int
    changed: int
    merged: int


def read_trimming(encoder: Encoder, candidates: Sequence[str]) -> Trimming:
    """Count the candidates that are changed in the rendered conversation.

    The template is tried on one candidate for each kind of ends (white space before and after), because what it strips does
    not depend on the text between.
    """
    shape = read_shape(encoder)
    tried: dict[str, str] = {}
    seen = {}
    for text in dict.fromkeys(candidates):
        core = text.strip()
        left, _, right = text.partition(core) if core else (text, "", "")
        if not left + right:
            seen[text] = text
            continue
        sample = left + ANSWER + right if core else text
        if sample not in tried:
            tried[sample] = _answer_in(encoder.render(QUESTION, sample), shape)
        seen[text] = tried[sample].replace(ANSWER, core)
    changed = [text for text in seen if seen[text] != text]
    return Trimming(len(seen), len(changed), len(seen) - len(set(seen.values())))


def _answer_in(rendered: str, shape: ChatShape) -> str:
    return rendered[len(shape.before + QUESTION + shape.between) : len(rendered) - len(shape.after)]


@dataclass(frozen=True)
class ChatFacts:
    """The facts of what a model reads in a record: the template's default system prompt, the number of trimmed candidates,
    how many beginning-of-text tokens there are, where a reward is read, and warnings."""

    system: str | None = None
    trimmed: int | None = None
    bos: int = 0
    read_token: str | None = None
    read_early: int | None = None
    warnings: tuple[str, ...] = ()


TRIED = 2048  # conversations that are looked at to see where they are read


def read_facts(encoder: Encoder, candidates: Sequence[str] | None = None, reading: Reading | None = None) -> ChatFacts:
    """The facts of the template that affect scores; `candidates` are an RM's answers, None for an LM."""
    found = []
    bos = count_bos(encoder.tokenizer, encoder.context("Hello"))
    if bos > 1 and encoder.protocol == "christian2026":
        found.append("every context begins with the beginning-of-text token twice, as in the published study")
    elif encoder.bos == "two" and bos < 2:
        found.append(
            f"two beginning-of-text tokens were asked for, and conversations begin with {bos or 'none'}: the chat template "
            "and the tokenizer do not both write one"
        )
    if encoder.frame != "chat":
        return ChatFacts(bos=bos, warnings=tuple(found))
    shape = read_shape(encoder)
    if encoder.system_place == "user":
        found.append(
            "the chat template does not support a system prompt: it is put at the beginning of the user's turn"
        )
    if candidates is None:
        if shape.inserted:
            found.append(
                f"in a complete conversation the chat template puts {shape.inserted!r} before an answer, but not when it opens "
                "the assistant's turn: the next tokens may be a thought instead of an answer"
            )
        return ChatFacts(shape.system, bos=bos, warnings=tuple(found))
    if shape.opens_a_turn:
        found.append(
            "the chat template opens another assistant's turn after the answer: rewards are read there, not at the end of "
            "the answer"
        )
    trimming = read_trimming(encoder, candidates)
    if trimming.changed:
        found.append(
            f"the chat template trims white space from {trimming.changed:,} of {trimming.n_candidates:,} candidates; "
            f"{trimming.merged:,} give the same conversation as another"
        )
    place = _read_place(encoder, candidates, reading) if reading else None
    if place and place.warning:
        found.append(place.warning)
    return ChatFacts(
        system=shape.system,
        trimmed=trimming.changed,
        bos=bos,
        read_token=place.token if place else None,
        read_early=place.early if place else None,
        warnings=tuple(found),
    )


@dataclass(frozen=True)
class ReadPlace:
    """The token at which most conversations are read, how many tokens before the end that is at most, and a warning where
    the end and the class's place are not the same."""

    token: str
    early: int
    warning: str | None


def _read_place(encoder: Encoder, candidates: Sequence[str], reading: Reading) -> ReadPlace:
    conversations = encoder.conversations("Hello", candidates[-TRIED:])
    tokens = Counter(ids[reading.place(ids)] for ids in conversations)
    token = token_texts(encoder.tokenizer, [tokens.most_common(1)[0][0]])[0]
    early = [len(ids) - 1 - reading.of_class(ids) for ids in conversations]
    most, moved = max(early), sum(count > 0 for count in early)
    warning = None
    if moved:
        pad = token_texts(encoder.tokenizer, [int(reading.pad or 0)])[0]
        where = f"{most} token{'s' * (most > 1)} before the end"
        which = "every conversation" if moved == len(early) else f"{moved:,} of {len(early):,} conversations"
        warning = (
            f"the padding token {pad!r} stands in {which}, and the model's own class reads the reward {where}, at {token!r}: "
            "so it is read here; --read end reads the end"
            if reading.read == "class"
            else f"rewards are read at the end (--read end), at {token!r}; the model's own class reads {where}, because the "
            f"padding token {pad!r} stands in {which}"
        )
    return ReadPlace(token, most if reading.read == "class" else 0, warning)


def count_bos(tokenizer: Any, ids: Sequence[int]) -> int:
    """How many beginning-of-text tokens the ids begin with."""
    return next((place for place, token in enumerate(ids) if token != tokenizer.bos_token_id), len(ids))


CONVERSATIONS = 2048  # at most this many are tokenized to find their common prefix


def explain(
    model: ResolvedModel,
    *,
    prompt: str,
    asked: Asked,
    words: Sequence[str],
    vocabulary: bool,
    frame: Frame,
    protocol: Protocol = "birthmark",
    template_date: str | None = None,
    system: str | None = None,
    bos: Bos | None = None,
    read: Read = "class",
) -> Explanation:
    """Explain the model's input for the first candidate after one question, under the key `prompt`.

    The candidates are `words` or, without words, the vocabulary's texts; the first 2,048 determine the common prefix.
    Raises `BirthmarkError` if there is no candidate, and as `Encoder` does.
    """
    tokenizer = load_tokenizer(model)
    kind = model.kind
    encoder = Encoder(tokenizer, "chat" if kind == "reward" else frame, protocol, None, template_date, system, bos)
    if kind == "reward":
        lost = unknown_answers(encoder, words)
        words = [word for word in words if word not in lost] or words
    candidates = list(words) or list(read_vocabulary(tokenizer, len(tokenizer), protocol).texts if vocabulary else ())
    if not candidates:
        raise BirthmarkError("there are no candidates: give words, or use the vocabulary")
    candidate, template = candidates[0], template_of(asked)
    head = reward_head(model) if kind == "reward" else None
    if kind == "reward":
        conversations = encoder.conversations(asked, candidates[:CONVERSATIONS])
        ids, shared = conversations[0], common_prefix_length(conversations)
        rendered = encoder.render(question_of(asked), template.fill(candidate) if template else candidate)
    else:
        ids = encoder.context(asked)
        shared = len(ids)
        rendered = encoder.written(asked)
    gates = head.gate_positions([ids]) if head else None
    forms = encoder.forms(candidate, template) if kind == "logprob" else ()
    reading = reading_of(model, tokenizer, head, read) if kind == "reward" else None
    facts = read_facts(encoder, candidates if kind == "reward" else None, reading)
    return Explanation(
        model=model.name,
        kind=kind,
        head=head.name if head else None,
        frame=encoder.frame,
        protocol=protocol,
        prompt=prompt,
        question=question_of(asked),
        system=system,
        system_place=encoder.system_place,
        template_system=facts.system,
        template_date=encoder.template_date,
        candidate=candidate,
        n_candidates=len(candidates),
        rendered=rendered,
        token_ids=ids,
        tokens=token_texts(tokenizer, ids),
        shared_prefix=shared,
        read=reading.place(ids) if reading else len(ids) - 1,
        bos=count_bos(tokenizer, ids),
        gate=gates[0] if gates else None,
        forms={form: list(form_ids) for form, form_ids in zip(forms, encoder.form_ids(forms), strict=True)} or None,
        warnings=list(facts.warnings),
    )


def reading_of(model: ResolvedModel, tokenizer: Any, head: RewardHead | None, read: Read = "class") -> Reading:
    """Where a reward model is read, before it is loaded; an adapter's head is that of a sequence classifier."""
    reads = head.reads if head else LinearHead.reads
    return Reading(reads, padding_token(model, tokenizer, head is None or isinstance(head, LinearHead)), read)


def reward_head(model: ResolvedModel) -> RewardHead | None:
    """A reward model's head, built from its own tensors; None for an adapter, whose head is part of the adapter, and for a
    model whose weights are not here."""
    if not model.digests.weights:
        return None
    files = HeadFiles.of(model.name, model.path, model.entry, model.adapter)
    if model.adapter is not None or files.head is None:
        return None
    expected = files.head.expected(files.shapes, files.config)
    return files.head.build(head_tensors(files.files, expected), files.config)


def token_texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """The text of each token; special tokens by their names."""
    return tokenizer.batch_decode([[index] for index in ids], clean_up_tokenization_spaces=False)
