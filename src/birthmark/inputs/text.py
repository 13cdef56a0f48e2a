"""The catalog of models: what is known of each, read from `catalog.toml` and from a person's own file.

Says where a model is, what it descends from and how it is to be run; knows nothing of loading one.


What every reader of a person's text file needs: its text, refused early where it is no such file; and "did you mean".

Knows nothing of what the text says.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path

from birthmark.errors import BirthmarkError


def suggest(name: str, names: Iterable[str]) -> str:
    """`did you mean a or b?` for the names nearest to a mistyped one; empty where none is near."""
    by_folded = {known.casefold(): known for known in names}
    last = name.casefold().rsplit("/", 1)[-1]
    near = difflib.get_close_matches(last, by_folded, n=3, cutoff=0.6)
    near += [folded for folded in sorted(by_folded) if len(last) > 3 and last in folded and folded not in near]
    return f"did you mean {' or '.join(by_folded[folded] for folded in near[:3])}?" if near else ""


MEGABYTE = 1_000_000


def read_text(path: Path, what: str, max_bytes: int) -> str:
    """The text of a UTF-8 file, a leading byte order mark taken off, line ends as they are.

    Raises `BirthmarkError` where the file is missing, larger than `max_bytes` (nothing is read then), not readable or
    not UTF-8; `what` names what it should be, as in "lexicon".
    """
    try:
        if not path.is_file():
            there = "is a folder" if path.is_dir() else "does not exist"
            raise BirthmarkError(f"{path} {there}: name a {what} file")
        size = path.stat().st_size
        if size > max_bytes:
            raise BirthmarkError(
                f"{path} has {size / MEGABYTE:,.1f} MB, and a {what} file may have {max_bytes / MEGABYTE:g} MB: "
                "is it the right file?"
            )
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BirthmarkError(f"{path} cannot be read ({reason}): check its name and permissions") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BirthmarkError(f"{path}, line {line}: not UTF-8: save the {what} file as UTF-8 text") from None


def is_file(path: Path) -> bool:
    """Whether a name is a file's, for any name: one too long to be a file's, or with a NUL, is not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def one_line(value: object, limit: int = 80) -> str:
    """A value for an error's one line: white space and what cannot be printed become spaces, what is long is cut."""
    text = str(value)[: 10 * limit]
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: `did you mean …?`, or, with nothing alike, the names there are."""
    known = list(known)
    shown = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
    return suggest(name[:200], known) or f"there are {shown}"
