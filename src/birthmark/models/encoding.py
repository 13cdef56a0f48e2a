"""From text to token ids: contexts, conversations and word forms."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.answers import AnswerTemplate, Asked, question_of, template_of
from birthmark.models.guard import limited, limited_memory
from birthmark.models.vocabulary import Protocol, tokenized, unknown_ids, unknown_words

Frame = Literal["chat", "qa", "bare"]
Bos = Literal["one", "two"]
Turns = list[dict[str, str]]

TEMPLATE_SECONDS = 5.0  # a template that takes longer over one conversation does not end
TEMPLATE_BYTES = 2**30  # nor does one that wants more memory
LONGEST_RENDERED = 10_000_000  # characters of one conversation
DEFAULT_TEMPLATE_DATE = date(2024, 7, 26)
_DATE_CALL = re.compile(r"""strftime_now\(\s{0,9}(["'])([^"'\\\n]{1,100})\1\s{0,9}\)""")
_DATE_NAME = re.compile(r"\bstrftime_now\b(?!\s+is\s)")
_DATE_CODES = "aAwdbBmyYHIMpSfzZjUWcxXGuV"
_DATE_LITERAL = re.compile(r"""date_string\s*=\s*["'](\d{1,2} [A-Z][a-z]{2} \d{4})["']""")
_DRAWN = re.compile(r"""\|\s*random\b|\(\s*["']random["']|\blipsum\s*\(""")
_ADDRESS = re.compile(r"<[^\n]{1,200}? at 0x[0-9a-f]{6,16}>")


def parse_template_date(text: str) -> date:
    """A date written `2024-07-26` or `26 Jul 2024`; raises `BirthmarkError` for anything else."""
    for layout in ("%Y-%m-%d", "%d %b %Y"):
        try:
            return datetime.strptime(text, layout).date()
        except ValueError:
            continue
    raise BirthmarkError(f"'{text}' is not a date: write --template-date as 2024-07-26 or '26 Jul 2024'")


def _require_no_power(template: str) -> None:
    """Raise `BirthmarkError` for a template with the operator `**`: a number of a billion digits cannot be interrupted."""
    from jinja2 import Environment, TemplateSyntaxError

    try:
        found = any((kind, text) == ("operator", "**") for _, kind, text in Environment().lex(template))
    except TemplateSyntaxError:
        return  # rendering says what is wrong
    if found:
        raise BirthmarkError("the chat template computes powers (**), which may not end: use --chat-template")


def pin_template(template: str, template_date: str | None) -> tuple[str, str | None]:
    """The template with today's date replaced by a fixed one, and that date as ISO text (None if it shows no date).

    The date is `template_date`, else the template's own default, else 26 Jul 2024. Raises `BirthmarkError` for a template
    that draws at random.
    """
    if (drawn := _DRAWN.search(template)) is not None:
        raise BirthmarkError(
            f"the chat template draws at random (`{drawn[0].strip()}`), so that no two runs would read the same text: give "
            "another with --chat-template"
        )
    fallback = _DATE_LITERAL.search(template)
    if "strftime_now" not in template and fallback is None:
        return template, None
    if template_date is not None:
        day = parse_template_date(template_date)
    else:
        day = parse_template_date(fallback[1]) if fallback else DEFAULT_TEMPLATE_DATE
    pinned = _DATE_CALL.sub(lambda call: repr(day.strftime(call[2])), template)
    if fallback:
        pinned = pinned.replace(fallback[1], day.strftime("%d %b %Y"))
    if _DATE_NAME.search(pinned):
        pinned = _fixed_clock(day) + pinned
    return pinned, day.isoformat()


def _fixed_clock(day: date) -> str:
    """A macro that stands for the clock of a template that asks for a date by a variable, or under another name."""
    midnight = datetime(day.year, day.month, day.day)
    values = {f"%{code}": midnight.strftime(f"%{code}") for code in _DATE_CODES}
    values |= {"%-d": str(day.day), "%-m": str(day.month), "%e": f"{day.day:2d}", "%%": "%"}
    written = "".join(f" | replace({code!r}, {value!r})" for code, value in values.items())
    return f"{{%- macro strftime_now(format) %}}{{{{ format{written} }}}}{{%- endmacro +%}}"


class Encoder:
    """Turns prompts, answers and words into token ids, for one tokenizer, frame and protocol.

    `system` is a system prompt before every question. If the template raises an error for one or ignores it, it is put at the
    beginning of the user's turn, followed by an empty line (`system_place` says which); an empty text is an empty system turn,
    where None is none. `template_date` is the pinned date as
    ISO text, None if the template shows no date or is not used. `bos` says what happens where template and tokenizer both
    write a beginning-of-text token: `one` is kept, or `two`, as where a rendered template is tokenized again (by default
    the study's protocol has two, and ours one). What a tokenizer appends to a text, such as an end token, is left out: an
    answer follows a context, and a template closes a conversation itself.

    Raises `BirthmarkError` if the frame is `chat` and there is no chat template, or if there is a system prompt and the frame
    is not `chat`, it is blank, or it is empty and the template has no system turn.
    """

    def __init__(
        self,
        tokenizer: Any,
        frame: Frame,
        protocol: Protocol = "birthmark",
        chat_template: str | None = None,
        template_date: str | None = None,
        system: str | None = None,
        bos: Bos | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.frame = frame
        self.bos: Bos = bos or ("two" if protocol == "christian2026" else "one")
        self.protocol = protocol
        self.system = system
        self.system_place: Literal["system", "user"] | None = None
        self.template: str | None = None
        self.template_date: str | None = None
        self._shows_question = False
        self.prepended, self.appended = added_around(tokenizer)
        if frame == "chat":
            template = chat_template or _own_template(tokenizer)
            _require_no_power(template)
            self.template, self.template_date = pin_template(template, template_date)
        if system is not None:
            self.system_place = self._place_of(system)

    def context(self, asked: Asked) -> list[int]:
        """What an LM reads before the answer, or before the word in the sentence that the answer is.

        `chat`: the template with the assistant's turn opened; `qa`: exactly `Question: {prompt}\\nAnswer:`; `bare`: the
        prompt alone. The last two begin with the special tokens that the tokenizer begins a text with. A sentence follows
        (after a space, where no chat template opens its turn) up to the word, and to the space before it, which is the word's.
        """
        text = self.written(asked)
        if self.frame == "chat":
            self._require_question(question_of(asked), self.render(question_of(asked)))
            return self._encode_rendered([text])[0]
        return [*self.prepended, *next(tokenized(self.tokenizer, [text], special=False))]

    def written(self, asked: Asked) -> str:
        """`context` as text."""
        question, template = question_of(asked), template_of(asked)
        before = template.before.removesuffix(" ") if template else ""
        if self.frame == "chat":
            return self.render(question) + before
        text = f"Question: {question}\nAnswer:" if self.frame == "qa" else question
        return f"{text} {before}" if before else text

    def conversations(self, asked: Asked, answers: Sequence[str]) -> list[list[int]]:
        """What an RM reads, one list of ids per answer: each complete conversation rendered and tokenized as a whole."""
        prompt_text, template = question_of(asked), template_of(asked)
        if template:
            answers = [template.fill(answer) for answer in answers]
        before = self._asked(prompt_text)
        turns = [[*before, {"role": "assistant", "content": answer}] for answer in answers]
        rendered = self._render(turns, opened=False)
        if len({answer.strip().casefold() for answer in answers}) > 1 and len(set(rendered)) == 1:
            raise BirthmarkError(
                "the chat template leaves out the answer, so that all score alike: use --chat-template"
            )
        if answers:
            self._require_question(prompt_text, rendered[0], answers[0])
        return self._encode_rendered(rendered)

    def dialogues(self, dialogues: Sequence[Sequence[Mapping[str, str]]], opened: bool = False) -> list[list[int]]:
        """Ids of dialogues with any number of turns (`role`, `content`), encoded as in `conversations`.

        `opened` opens the assistant's next turn, as `context` does.
        """
        return self._encode_rendered(self._render([[dict(turn) for turn in turns] for turns in dialogues], opened))

    def conversation(self, asked: Asked, answer: str) -> list[int]:
        """`conversations` for one answer."""
        return self.conversations(asked, [answer])[0]

    def forms(self, word: str, template: AnswerTemplate | None = None) -> tuple[str, ...]:
        """The forms of a word after a context.

        As given and capitalised, each without and with a leading space, without duplicates; under the study's protocol only
        the word exactly as given. Within a sentence the word as given, after the space that stands before it.
        """
        if template and template.before:
            return (f" {word}" if template.before.endswith(" ") else word,)
        if self.protocol == "christian2026":
            return (word,)
        capitalised = word[:1].upper() + word[1:]
        return tuple(dict.fromkeys((word, f" {word}", capitalised, f" {capitalised}")))

    def form_ids(self, forms: Sequence[str]) -> list[tuple[int, ...]]:
        """The tokens of each form tokenized alone, without special tokens."""
        return [tuple(ids) for ids in tokenized(self.tokenizer, forms, special=False)]

    def render(self, prompt_text: str, answer: str | None = None, opened: bool = True) -> str:
        """The conversation as the template renders it: complete with an answer, otherwise with the assistant's turn opened."""
        turns = self._asked(prompt_text)
        if answer is not None:
            return self._render([[*turns, {"role": "assistant", "content": answer}]], opened=False)[0]
        return self._render([turns], opened)[0]

    def _require_question(self, prompt_text: str, rendered: str, answer: str | None = None) -> None:
        """Raise `BirthmarkError` for a template that renders another question the same; one conversation shows it."""
        if not self._shows_question and self.render(f"{prompt_text} Another?", answer) == rendered:
            raise BirthmarkError("the chat template leaves out the question: use --chat-template")
        self._shows_question = True

    def render_turns(self, *texts: str) -> str:
        """The texts as alternating turns of the user and the assistant, without a system prompt."""
        roles = ("user", "assistant")
        turns = [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]
        return self._render([turns], opened=False)[0]

    def _asked(self, prompt_text: str) -> Turns:
        if self.system_place == "system":
            return [{"role": "system", "content": str(self.system)}, {"role": "user", "content": prompt_text}]
        text = f"{self.system}\n\n{prompt_text}" if self.system_place == "user" else prompt_text
        return [{"role": "user", "content": text}]

    def _place_of(self, system: str) -> Literal["system", "user"]:
        if self.frame != "chat":
            raise BirthmarkError(
                f"a system prompt needs a chat, and the frame is {self.frame}: use --frame chat, for a model without a "
                "chat template with --chat-template plain"
            )
        if system and not system.strip():
            raise BirthmarkError('the system prompt is blank: omit --system, or give "" for an empty system turn')
        tried = system or "birthmarksystem"
        turns = [{"role": "system", "content": tried}, {"role": "user", "content": "Hello"}]
        try:
            taken = tried.strip() in self._render([turns], opened=True)[0]
        except BirthmarkError:
            taken = False
        if not taken and not system:
            raise BirthmarkError("the chat template has no system turn that could be empty: omit --system")
        return "system" if taken else "user"

    def _render(self, conversations: list[Turns], opened: bool) -> list[str]:
        too_long = "the chat template does not end on this conversation: use --chat-template"
        too_large = "the chat template writes a text too large to read: use --chat-template"
        try:
            with limited(TEMPLATE_SECONDS + len(conversations) / 10, too_long), limited_memory(TEMPLATE_BYTES):
                rendered = self.tokenizer.apply_chat_template(
                    conversations, chat_template=self.template, add_generation_prompt=opened, tokenize=False
                )
        except BirthmarkError:
            raise
        except MemoryError:
            raise BirthmarkError(too_large) from None
        except Exception as error:  # a template is a program and can raise anything
            reason = one_line(error, 200)
            raise BirthmarkError(
                f"the chat template fails on this conversation ({reason}): use --chat-template"
            ) from error
        if max(map(len, rendered), default=0) > LONGEST_RENDERED:
            raise BirthmarkError(too_large)
        for turns, text in zip(conversations, rendered, strict=True):
            printed = _ADDRESS.search(text) if " at 0x" in text else None
            if printed and not any(printed[0] in turn["content"] for turn in turns):
                raise BirthmarkError(
                    f"the chat template prints an object with its address in memory ({one_line(printed[0], 80)}), which differs "
                    "in each run: use --chat-template"
                )
        return rendered

    def _encode_rendered(self, rendered: list[str]) -> list[list[int]]:
        """Ids of rendered conversations: a tokenizer that begins a text with a BOS adds it to the template's own (`two`),
        or where the template has none (`one`)."""
        encoded = tokenized(self.tokenizer, rendered, special=False)
        if self.bos == "two":
            return [[*self.prepended, *ids] for ids in encoded]
        bos = self.tokenizer.bos_token_id
        if bos is None or self.prepended[:1] != (bos,):
            return list(encoded)
        return [ids if ids[:1] == [bos] else [bos, *ids] for ids in encoded]


def added_around(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The special tokens that a tokenizer puts before and after every text."""
    whole = list(tokenizer("a")["input_ids"])
    inner = list(tokenizer("a", add_special_tokens=False)["input_ids"])
    for start in range(len(whole) - len(inner) + 1):
        if inner and whole[start : start + len(inner)] == inner:
            return tuple(whole[:start]), tuple(whole[start + len(inner) :])
    begins = 1 if whole and whole[0] == tokenizer.bos_token_id else 0  # a tokenizer that has no token for this text
    return tuple(whole[:begins]), tuple(whole[begins:] if not inner else ())


@dataclass(frozen=True)
class WordForms:
    """Distinct token sequences of the words' forms, for each word the indices of its own, and those that begin with no other."""

    sequences: list[tuple[int, ...]]
    of_words: list[list[int]]
    disjoint: list[int]

    @property
    def longest(self) -> int:
        return max(map(len, self.sequences), default=1)


def tokenize_words(encoder: Encoder, words: Sequence[str]) -> tuple[tuple[str, ...], WordForms]:
    """The words that the tokenizer cannot write, and the forms of the others.

    Two forms of a word that are the same tokens count once; a form that the tokenizer cannot write does not count. Raises
    `BirthmarkError` for a form without tokens.
    """
    texts = [encoder.forms(word) for word in words]
    lost = unknown_words(encoder.tokenizer, [form for forms in texts for form in forms])
    written = [[form for form in forms if form not in lost] for forms in texts]
    unknown = tuple(word for word, forms in zip(words, written, strict=True) if not forms)
    return unknown, distinct_forms(encoder, [forms for forms in written if forms])


def distinct_forms(encoder: Encoder, texts: Sequence[Sequence[str]]) -> WordForms:
    """The forms of words as token sequences, each once."""
    ids = iter(encoder.form_ids([form for forms in texts for form in forms]))
    index: dict[tuple[int, ...], int] = {}
    word_forms = []
    for forms in texts:
        sequences = dict.fromkeys(next(ids) for _ in forms)
        if () in sequences:
            raise BirthmarkError(f"the candidate '{forms[0]}' has no tokens: remove it from the candidates")
        word_forms.append([index.setdefault(sequence, len(index)) for sequence in sequences])
    return WordForms(list(index), word_forms, _without_continuations(list(index)))


def _without_continuations(sequences: Sequence[tuple[int, ...]]) -> list[int]:
    """Indices of the sequences that do not begin with another: their probabilities add up to that of the union."""
    known = set(sequences)
    return [
        index
        for index, sequence in enumerate(sequences)
        if not any(sequence[:length] in known for length in range(1, len(sequence)))
    ]


def unknown_answers(encoder: Encoder, words: Sequence[str]) -> set[str]:
    """`unknown_words`, and those that are unknown only within a conversation, where they stand beside other text."""
    found = unknown_words(encoder.tokenizer, words)
    unknown = unknown_ids(encoder.tokenizer)
    if not unknown or len(found) == len(words):
        return found
    counts = [sum(index in unknown for index in ids) for ids in encoder.conversations("Hello", words)]
    fewest = min(count for word, count in zip(words, counts, strict=True) if word not in found)
    return found | {word for word, count in zip(words, counts, strict=True) if count > fewest}


def common_prefix_length(sequences: Sequence[Sequence[int]]) -> int:
    """The length of the common prefix of all sequences."""
    first, last = min(sequences, key=list), max(sequences, key=list)
    length = 0
    for a, b in zip(first, last, strict=False):
        if a != b:
            break
        length += 1
    return length


def _own_template(tokenizer: Any) -> str:
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):
        template = template.get("default")
    if not template:
        raise BirthmarkError("this model has no chat template: give one with --chat-template (`plain` is bundled)")
    return str(template)
