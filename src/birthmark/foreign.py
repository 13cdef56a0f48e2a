"""Text that other people wrote, made safe for each place that shows it: a terminal, HTML, Markdown, a figure, CSV, a file name.

Names, words, prompts and libraries' messages may hold anything. What no reader sees and a terminal, a browser or a
drawing library obeys is shown by its code point, as in U+001B. Nothing else in the package shows such text.
"""

import csv
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from io import StringIO
from typing import Any

from markupsafe import Markup

# Control, format, separator and half-surrogate characters and noncharacters. Format characters that have a shape
# (the Arabic number signs) are none of them. Joiners after a letter or an emoji that is not ASCII belong to it.
_UNSEEN = (
    r"\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\ufdd0-\ufdef\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
    + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(17))
)
_JOINERS = r"(?<![^\x00-\x7f])[\u200c\u200d]"
UNSEEN = re.compile(f"[\\n{_UNSEEN}]|{_JOINERS}")
_UNSEEN_IN_JSON = re.compile(f"[{_UNSEEN}]|{_JOINERS}")  # line breaks stand between JSON's lines, never inside a text
MARKS = {"\n": "⏎", "\r": "␍", "\t": "⇥"}

LONGEST_RUN, LONGEST_LINE, LONGEST_LABEL, LONGEST_FILE_NAME = 300, 4_000, 80, 120


def mark(character: str) -> str:
    """What stands for a character that cannot be seen."""
    return MARKS.get(character) or f"U+{ord(character):04X}"


def legible(text: str, *, keep: str = "") -> str:
    """The text with a mark for each character that cannot be seen, but for those in `keep`."""
    return UNSEEN.sub(lambda found: found[0] if found[0] in keep else mark(found[0]), text)


def middle_out(text: str, limit: int) -> str:
    """The text, what is past the limit left out of its middle: both ends of a name or a path tell it from others."""
    head = 2 * limit // 3
    return text if len(text) <= limit else f"{text[:head]}…{text[head + 1 - limit :]}"


def shortened(text: str, run: int = LONGEST_RUN, line: int = LONGEST_LINE) -> str:
    """The text with unbroken runs of characters, and then the whole, cut in their middle."""
    return middle_out(re.sub(rf"\S{{{run + 1},}}", lambda found: middle_out(found[0], run), text), line)


def one_line(value: object, limit: int | None = 80) -> str:
    """A text, or another value's, on one line for an error or a note; long text is cut (None: never).

    An exception that says nothing goes by the name of its type.
    """
    written = str(value) or (type(value).__name__ if isinstance(value, Exception) else "")
    text = legible(" ".join((written if limit is None else written[: 10 * limit]).split()))
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


# ------------------------------------------------------------------------------------------------- HTML, JSON, Markdown


def html(template: str, *values: object) -> Markup:
    """HTML of a template of ours with other people's text at its `{}`."""
    return Markup(template).format(*map(html_text, values))


def html_text(value: object) -> object:
    """A value for a template that escapes it; HTML of ours and numbers as they are, long runs of characters cut."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return shortened(legible(value, keep="\n"), LONGEST_LABEL, 10 * LONGEST_LINE)


def json_text(value: object, *, indent: int | None = None, default: Callable[[Any], Any] | None = None) -> str:
    """The value as JSON of the same content without a character that cannot be seen; raises on NaN and infinity."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(
        value, indent=indent, ensure_ascii=False, allow_nan=False, separators=separators, default=default
    )  # fmt: skip
    return _UNSEEN_IN_JSON.sub(lambda found: json.dumps(found[0])[1:-1], text)


def script_json(value: object) -> Markup:
    """JSON for a script element: nothing in it can end the element."""
    return Markup(json_text(value).replace("<", "\\u003c"))


def markdown(text: str) -> str:
    """Text that Markdown shows as it is, on one line, and that fits a table's cell."""
    text = re.sub(r"([\\`*_\[\]<>|#~&$]|:(?=//))", r"\\\1", shortened(one_line(text, None), LONGEST_LABEL))
    text = re.sub(r"\bwww\.", r"www\\.", text)
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", text)  # no list, no line under a heading


def markdown_code(text: str) -> str:
    """Text as code within a line of Markdown."""
    return f"`{one_line(text, None).replace('`', '')}`"


# -------------------------------------------------------------------------------------------------------------- figures

_OF_OBJECTS = {
    *(
        "constructor",
        "hasOwnProperty",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toLocaleString",
        "toString",
        "valueOf",
    ),
    *("__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__"),
}
_EXPRESSIONS = {"calculate", "expr", "filter", "labelExpr", "test", "description"}


def label(text: str) -> str:
    """A text for a figure. Vega looks texts up in JavaScript objects: what these have of themselves gets a space."""
    return f"{text}\u00a0" if text in _OF_OBJECTS else middle_out(legible(text), LONGEST_LABEL)


def figure_spec(spec: Any) -> Any:
    """A Vega-Lite specification, every text in it a label; texts that are unlike stay unlike.

    Expressions are left as they are: texts in them come from `expression`. The description is not drawn.
    """
    labels: dict[str, str] = {}
    taken: set[str] = set()

    def of(text: str) -> str:
        if text not in labels:
            made, n = label(text), 1
            while made in taken:
                n += 1
                made = f"{label(text)} ({n})"
            taken.add(made)
            labels[text] = made
        return labels[text]

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return of(value)
        if isinstance(value, Mapping):
            return {
                key: legible(item, keep="\n") if key in _EXPRESSIONS and isinstance(item, str) else walk(item)
                for key, item in value.items()
            }
        return [walk(item) for item in value] if isinstance(value, list | tuple) else value

    return walk(spec)


def expression(text: str) -> str:
    """A text as a literal in one of Vega's expressions."""
    return json.dumps(label(text))


# ---------------------------------------------------------------------------------------------------- CSV, file names


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV that a spreadsheet reads as text and numbers: what it would take for a formula begins with a `'`."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([_csv_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _csv_cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = legible(value, keep="\n")
    return f"'{text}" if re.match(r"\s*[=+\-@＝＋－＠⇥␍]", text) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def file_name(text: str) -> str:
    """A text as part of a file's name: runs of what is no letter, digit, `.`, `_` or `-` become one `-`; a long one is cut."""
    name = re.sub(r"[^\w.-]+", "-", text).strip("-.") or "unnamed"
    if len(name.encode()) <= LONGEST_FILE_NAME:
        return name
    kept = name.encode()[: LONGEST_FILE_NAME - 9].decode(errors="ignore")
    return f"{kept}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}"
