"""What a chat template does to a conversation, found by rendering small ones, and what a model reads for one candidate."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from birthmark.errors import BirthmarkError
from birthmark.models.encoding import Encoder, Frame, Protocol, read_vocabulary
from birthmark.models.engine import common_prefix_length
from birthmark.models.heads.base import RewardHead
from birthmark.models.heads.known import HeadFiles, head_tensors
from birthmark.models.resolve import ResolvedModel, load_tokenizer
from birthmark.records import Explanation

QUESTION, ANSWER = "birthmarkquestion", "birthmarkanswer"


@dataclass(frozen=True)
class ChatShape:
    """What a template writes around a question and its answer.

    `between` stands between the question and the answer of a whole conversation, `opening` after the question where the
    assistant's turn is opened, `closing` after it where it is not, `after` after the answer. `system` is the system
    prompt that the template adds of its own (the person's own left out), None where it adds none.
    """

    before: str
    between: str
    after: str
    opening: str
    closing: str
    system: str | None

    @property
    def opens_a_turn(self) -> bool:
        """Whether an assistant's turn is opened after whatever comes last, though nobody asked for it."""
        return self.between != "" and self.closing == self.between

    @property
    def inserted(self) -> str:
        """What a whole conversation has before its answer and an opened turn has not: a thinking block."""
        return self.between.removeprefix(self.opening) if self.between.startswith(self.opening) else ""


def read_shape(encoder: Encoder) -> ChatShape:
    """The shape of an encoder's template; raises `BirthmarkError` where the template fails on a plain conversation."""
    whole = encoder.render(QUESTION, ANSWER)
    before, _, rest = whole.partition(QUESTION)
    between, _, after = rest.partition(ANSWER)
    return ChatShape(
        before=before,
        between=between,
        after=after,
        opening=encoder.render(QUESTION).partition(QUESTION)[2],
        closing=encoder.render(QUESTION, opened=False).partition(QUESTION)[2],
        system=_system_of_its_own(encoder),
    )


def _system_of_its_own(encoder: Encoder) -> str | None:
    """What a template writes before the first question and not before the second, special tokens and role's name aside."""
    second = "second" + QUESTION
    try:
        written = encoder.render_turns(QUESTION, ANSWER, second)
    except BirthmarkError:
        return None  # a template for one question: what precedes it cannot be told from what precedes each
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
    """Of some candidates: how many a template changes at their ends, and how many so become another candidate."""

    n_candidates: int
    changed: int
    merged: int


def read_trimming(encoder: Encoder, candidates: Sequence[str]) -> Trimming:
    """Count the candidates that do not stand in the rendered conversation as they are.

    A template is tried on one candidate of each kind of ends (its white space before and after), since what it takes off
    does not depend on what stands between.
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
    """What a record says of a template: the system prompt of its own, candidates it trims (an RM's), and sentences."""

    system: str | None = None
    trimmed: int | None = None
    warnings: tuple[str, ...] = ()


def read_facts(encoder: Encoder, candidates: Sequence[str] | None = None) -> ChatFacts:
    """What a reader of scores must know of the template; `candidates` are an RM's answers, None for an LM."""
    found = []
    if begins_twice(encoder.tokenizer, encoder.context("Hello")):
        found.append("every context begins with the beginning-of-text token twice, as in the published study")
    if encoder.frame != "chat":
        return ChatFacts(warnings=tuple(found))
    shape = read_shape(encoder)
    if encoder.system_place == "user":
        found.append("the chat template takes no system prompt: it opens the user's turn instead")
    if candidates is None:
        if shape.inserted:
            found.append(
                f"in a whole conversation the chat template puts {shape.inserted!r} before an answer, and where it opens "
                "the assistant's turn it does not: what follows may be a thought, not an answer"
            )
        return ChatFacts(shape.system, None, tuple(found))
    if shape.opens_a_turn:
        found.append(
            "the chat template opens another assistant's turn after the answer: rewards are read there, and not where "
            "the answer ends"
        )
    trimming = read_trimming(encoder, candidates)
    if trimming.changed:
        found.append(
            f"the chat template trims {trimming.changed:,} of {trimming.n_candidates:,} candidates, whose white space the "
            f"model never sees; {trimming.merged:,} become the same conversation as another"
        )
    return ChatFacts(shape.system, trimming.changed, tuple(found))


def begins_twice(tokenizer: Any, ids: Sequence[int]) -> bool:
    """Whether ids begin with the beginning-of-text token two times over."""
    bos = tokenizer.bos_token_id
    return bos is not None and list(ids[:2]) == [bos, bos]


CONVERSATIONS = 2048  # at most so many are tokenized to find what all share


def explain(
    model: ResolvedModel,
    *,
    prompt: str,
    question: str,
    words: Sequence[str],
    vocabulary: bool,
    frame: Frame,
    protocol: Protocol = "birthmark",
    template_date: str | None = None,
    system: str | None = None,
) -> Explanation:
    """The conversation of the first candidate after one question, under the key `prompt`.

    The candidates are `words`, or, where there are none, the vocabulary's texts (of which the first 2,048 say what all
    share). Raises `BirthmarkError` where there is no candidate, and what `Encoder` raises.
    """
    tokenizer = load_tokenizer(model)
    kind = model.kind
    encoder = Encoder(tokenizer, "chat" if kind == "reward" else frame, protocol, None, template_date, system)
    candidates = list(words) or list(read_vocabulary(tokenizer, len(tokenizer), protocol).texts if vocabulary else ())
    if not candidates:
        raise BirthmarkError("there are no candidates: name words, or take the vocabulary")
    candidate = candidates[0]
    head = reward_head(model) if kind == "reward" else None
    if kind == "reward":
        conversations = encoder.conversations(question, candidates[:CONVERSATIONS])
        ids, shared = conversations[0], common_prefix_length(conversations)
        rendered = encoder.render(question, candidate)
    else:
        ids = encoder.context(question)
        shared = len(ids)
        rendered = encoder.written(question)
    gates = head.gate_positions([ids]) if head else None
    forms = encoder.forms(candidate) if kind == "logprob" else ()
    facts = read_facts(encoder, candidates if kind == "reward" else None)
    return Explanation(
        model=model.name,
        kind=kind,
        head=head.name if head else None,
        frame=encoder.frame,
        protocol=protocol,
        prompt=prompt,
        question=question,
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
        read=len(ids) - 1,
        gate=gates[0] if gates else None,
        forms={form: list(form_ids) for form, form_ids in zip(forms, encoder.form_ids(forms), strict=True)} or None,
        warnings=list(facts.warnings),
    )


def reward_head(model: ResolvedModel) -> RewardHead | None:
    """A reward model's head from its own tensors alone; None for an adapter's, which comes with the adapter."""
    files = HeadFiles.of(model.name, model.path, model.entry)
    if model.adapter is not None or files.head is None:
        return None
    expected = files.head.expected(files.shapes, files.config)
    return files.head.build(head_tensors(files.files, expected), files.config)


def token_texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Each token's own text, special ones by their names."""
    return tokenizer.batch_decode([[index] for index in ids], clean_up_tokenization_spaces=False)
