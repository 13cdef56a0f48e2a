"""Reading users' text files in the encodings that people have, one-line excerpts and suggestions for error messages."""

import codecs
import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line


def suggest(name: str, names: Iterable[str]) -> str:
    """`did you mean a or b?` with the names closest to a mistyped one; empty if none is close."""
    by_folded = {known.casefold(): known for known in names}
    last = name.casefold().rsplit("/", 1)[-1]
    near = difflib.get_close_matches(last, by_folded, n=3, cutoff=0.6)
    near += [folded for folded in sorted(by_folded) if len(last) > 3 and last in folded and folded not in near]
    return f"did you mean {' or '.join(by_folded[folded] for folded in near[:3])}?" if near else ""


MEGABYTE = 1_000_000
DEEPEST = 100


def is_nested_too_deeply(text: str) -> bool:
    """Whether a YAML text opens over a hundred brackets within each other, over which a YAML reader takes seconds."""
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        if depth > DEEPEST:
            return True
    return False


def read_text(path: Path, what: str, max_bytes: int) -> str:
    """The text of a UTF-8 or UTF-16 file, without a leading byte order mark; line ends are kept.

    what: the kind of file, for error messages, such as "lexicon". Raises `BirthmarkError` if the file is missing, larger than
    `max_bytes` (it is then not read), not readable or in another encoding.
    """
    data = _read_bytes(path, what, max_bytes)
    text = _unicode_text(data)
    if text is None:
        raise BirthmarkError(f"{path}, line {_bad_line(data)}: not UTF-8: save the {what} file as UTF-8 text")
    return text


def read_words(path: Path, what: str, max_bytes: int) -> tuple[str, str | None]:
    """As `read_text`, but Windows-1252 is read too where it is plain that it is meant: the text, and what was assumed."""
    data = _read_bytes(path, what, max_bytes)
    text = _unicode_text(data)
    if text is not None:
        return text, None
    western = _western_text(data)
    if western is None:
        raise BirthmarkError(
            f"{path}, line {_bad_line(data)}: not UTF-8, and not plainly Windows-1252: save the {what} file as UTF-8 text"
        )
    return western, "not UTF-8: read as Windows-1252; save it as UTF-8 if a word looks wrong"


def _read_bytes(path: Path, what: str, max_bytes: int) -> bytes:
    shown = one_line(path, 300)
    try:
        if not path.is_file():
            problem = "is a folder" if path.is_dir() else "does not exist"
            hint = "" if path.is_dir() else _similar_file(path)
            article = "an" if what[0] in "aeiou" else "a"
            raise BirthmarkError(f"{shown} {problem}: {hint or f'give {article} {what} file'}")
        size = path.stat().st_size
        if size > max_bytes:
            raise BirthmarkError(
                f"{shown} has {size / MEGABYTE:,.1f} MB, and a {what} file may have at most {max_bytes / MEGABYTE:g} MB: "
                "is it the right file?"
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BirthmarkError(f"{shown} cannot be read ({reason}): check its name and permissions") from None


def _similar_file(path: Path) -> str:
    """`did you mean …?` with the files beside a missing one that are called almost the same; empty if there is none."""
    try:
        names = [each.name for each in path.parent.iterdir() if each.is_file()]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=2, cutoff=0.75)
    return f"did you mean {' or '.join(str(path.parent / one_line(name)) for name in near)}?" if near else ""


def _unicode_text(data: bytes) -> str | None:
    """The text of UTF-8, UTF-16 or UTF-32 bytes, or None. Without a mark UTF-16 is taken where every second byte is 0."""
    encoding = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        encoding = "utf-32"
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif data and len(data) % 2 == 0 and not any(data[1::2]) and all(data[::2]):
        encoding = "utf-16-le"
    elif data and len(data) % 2 == 0 and not any(data[::2]) and all(data[1::2]):
        encoding = "utf-16-be"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


_WESTERN = tuple(
    frozenset(letters + letters.upper())
    for letters in (
        "àâæçéèêëîïôœùûüÿ",  # French
        "äöüßéèà",  # German
        "áéíñóúü",  # Spanish
        "áâãàçéêíóôõúü",  # Portuguese
        "àèéìíîòóùú",  # Italian
        "àçèéíïòóúü",  # Catalan
        "æøåéèêòó",  # Danish, Norwegian
        "åäöéàü",  # Swedish, Finnish
        "áðéíóúýþæö",  # Icelandic
        "àâçéèêëîïôûüñöäóíáåœ",  # loan words in English
    )
)
_TYPOGRAPHIC = frozenset(
    "\u2018\u2019\u201a\u201c\u201d\u201e\u2013\u2014\u2026\u20ac\u2022\u00ab\u00bb\u00a1\u00bf\u00a0"
)
_MISPLACED = re.compile("\\w[\u201a\u201e]|\\w[\u2018\u201c\u201d\u00ab\u00bb\u00a1\u00bf\u2022\u20ac\u2026]\\w")
_LETTERS = re.compile(r"[^\W\d_]+")


def _western_text(data: bytes) -> str | None:
    """Bytes that are not UTF-8 as Windows-1252, or None where they may as well be another encoding.

    It is taken where all letters beyond ASCII are those of one Western European language, each in a word that has ASCII
    letters too, lower case after lower case, and all other signs are quotation marks or dashes around words.
    """
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    foreign = {sign for sign in text if ord(sign) > 127} - _TYPOGRAPHIC
    if not any(foreign <= letters for letters in _WESTERN) or "\0" in text or _MISPLACED.search(text):
        return None
    for word in _LETTERS.findall(text):
        beyond = sum(ord(letter) > 127 for letter in word)
        if (len(word) > 1 and 3 * beyond > 2 * len(word)) or re.search(
            r"[a-zß-ÿœ](?![ß-ÿœ])[À-ÖØ-ÞŒŸ]|œ(?![uidscnt])", word
        ):
            return None
    return text


def _bad_line(data: bytes) -> int:
    """The line of the first byte that is not UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return data.count(b"\n", 0, error.start) + 1
    return 1


_FILE_NAME = re.compile(
    r".*\.(txt|text|csv|tsv|tab|dicx?|jsonl?|ya?ml|toml|md|parquet|arrow|xlsx?|ods|docx?|rtf|pdf|html?|gz|zip)",
    re.IGNORECASE | re.DOTALL,
)


def looks_like_file(text: str) -> bool:
    """Whether a text that is no file that exists looks like the name of one: by a separator of folders or an ending."""
    return "/" in text or "\\" in text or _FILE_NAME.fullmatch(text.strip()) is not None


def is_file(path: Path) -> bool:
    """Whether a path is a file. A name that is too long or has a NUL is not a file and raises nothing."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: `did you mean …?`, or the known names if none is close."""
    known = list(known)
    shown = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    return suggest(name[:200], known) or f"there are {shown}"
