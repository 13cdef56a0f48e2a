"""Words as people type and copy them: composed letters (NFC), nothing invisible, plain spaces; and what was changed.

A zero-width space, a soft hyphen or a decomposed letter makes other tokens of a word, whose score drops by many nats. The
characters that belong to how a word is written stay: those within emoji, and the joiners of Arabic, Indic and Mongolian scripts.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

# Unicode's Default_Ignorable_Code_Point, controls that are no white space, halves of surrogate pairs, noncharacters.
_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\u2800\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_CONTROLS = r"\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
_EMOJI = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001faff"
)
_VIRAMAS = "".join(code for code in map(chr, range(0x093C, 0x1C00)) if unicodedata.combining(code) == 9)
_ARABIC = "\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff\u0750-\u077f\u08a0-\u08c7"
_SPELLED = "|".join(
    (
        rf"(?<=[{_EMOJI}])[\ufe0e\ufe0f]",  # a heart as text or as a picture
        r"(?<=[0-9#*])\ufe0f(?=\u20e3)",  # keycaps
        rf"(?:(?<=[{_EMOJI}])|(?<=[{_EMOJI}]\ufe0f))\u200d(?=[{_EMOJI}])",  # people, professions, families
        "(?<=\U0001f3f4)[\U000e0020-\U000e007e]+\U000e007f",  # flags of regions
        rf"(?<=[{_VIRAMAS}])[\u200c\u200d]",  # conjuncts of Indic scripts (RFC 5892, A.1 and A.2)
        rf"(?<=[{_ARABIC}])\u200c(?=[{_ARABIC}])",  # Persian prefixes and plurals
        r"(?<=[\u1820-\u18aa])[\u180b-\u180f]",  # forms of Mongolian letters
    )
)
_INVISIBLE = re.compile(f"({_SPELLED})|[{_IGNORABLE}{_CONTROLS}]")
_EDGES = re.compile(r"\A[^\S \t\n\r]+|[^\S \t\n\r]+\Z")
_SPACE = re.compile(r"[^\S \t\n\r]")
_SHOWN = 8


@dataclass(frozen=True)
class Notice:
    """What a reader did to a file's words, and to which; a `warning` can shift ranks, a `note` is information."""

    message: str
    words: tuple[str, ...] = ()
    level: Literal["warning", "note"] = "warning"

    def __str__(self) -> str:
        more = f" (and {len(self.words) - _SHOWN} more)" if len(self.words) > _SHOWN else ""
        return self.message + (f": {', '.join(self.words[:_SHOWN])}{more}" if self.words else "")


def clean_word(text: str) -> str:
    """The word that a person sees: `clean_text` without surrounding white space and with single spaces inside."""
    return " ".join(clean_text(text).split())


def clean_text(text: str) -> str:
    """NFC, without invisible characters; spaces that are not a keyboard's go at the ends and are plain inside.

    Spaces, tabs and line breaks that a keyboard has stay, for an answer may begin with a space.
    """
    if text.isascii() and text.isprintable():
        return text
    seen, before = unicodedata.normalize("NFC", visible(text)), ""
    while seen != before:  # composing can reorder marks, and so what a joiner joins
        seen, before = unicodedata.normalize("NFC", visible(seen)), seen
    return _SPACE.sub(" ", _EDGES.sub("", seen))


def visible(text: str) -> str:
    """The text without its invisible characters."""
    return _INVISIBLE.sub(lambda found: found[1] or "", text)


class Cleaner:
    """Cleans words and keeps what was changed, for `notices`; `what` they are, such as "word" or "candidate"."""

    def __init__(self, what: str, clean: Callable[[str], str] = clean_word) -> None:
        self._what, self._clean = what, clean
        self._changed: dict[str, str] = {}  # as written → as read

    def __call__(self, text: str) -> str:
        cleaned = self._clean(text)
        if cleaned != text.strip(" \t\r\n") and cleaned != text:
            self._changed[text] = cleaned
        return cleaned

    def notices(self) -> tuple[Notice, ...]:
        """What was changed, a notice a kind of change, with the words as they are read."""
        hidden = {text: word for text, word in self._changed.items() if word and visible(text) != text}
        nothing = [text for text, word in self._changed.items() if not word]
        composed = [word for text, word in self._changed.items() if unicodedata.normalize("NFC", text) != text]
        spaced = [word for text, word in self._changed.items() if word and _spaces(text) != _spaces(word)]
        shown = [f"{word} ({_codes(text)})" for text, word in hidden.items()]
        what, whats = self._what, f"{self._what}s"
        found = [
            (shown, "with invisible characters, which are dropped"),
            (composed, "with decomposed letters, which are composed (NFC)"),
            (spaced, "with unusual spaces, which are made plain or dropped"),
            (list(map(_codes, nothing)), "with nothing visible, left out"),
        ]
        return tuple(
            Notice(f"{len(words)} {what if len(words) == 1 else whats} {done}", tuple(words))
            for words, done in found
            if words
        )


def one_edit_apart(first: str, second: str) -> bool:
    """Whether two texts are the same, or one insertion, deletion, replacement or swap of neighbours apart."""
    if abs(len(first) - len(second)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    if start is None:
        return True
    a, b = first[start:], second[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def merged_names(names: Sequence[str]) -> dict[str, str]:
    """Name → the name it counts as: of names that differ in case, spaces, `_` or `-` alone, the most frequent, then first."""
    groups: dict[str, dict[str, int]] = {}
    for name in names:
        counts = groups.setdefault(re.sub(r"[\s_-]+", " ", name).casefold(), {})
        counts[name] = counts.get(name, 0) + 1
    return {name: max(counts, key=lambda each: counts[each]) for counts in groups.values() for name in counts}


def _spaces(text: str) -> list[str]:
    return re.findall(r"\s+", visible(text).strip(" \t\r\n"))


def _codes(text: str) -> str:
    """`U+200B U+00AD`: the invisible characters of a text, or all where it has none, each once."""
    dropped = dict.fromkeys([found[0] for found in _INVISIBLE.finditer(text) if not found[1]] or text)
    return " ".join(f"U+{ord(code):04X}" for code in dropped)
