"""Reading users' text files, one-line excerpts for error messages, and suggestions for mistyped names."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from birthmark.errors import BirthmarkError, one_line  # noqa: F401  the readers of files take it from here


def suggest(name: str, names: Iterable[str]) -> str:
    """`did you mean a or b?` with the names closest to a mistyped one; empty if none is close."""
    by_folded = {known.casefold(): known for known in names}
    last = name.casefold().rsplit("/", 1)[-1]
    near = difflib.get_close_matches(last, by_folded, n=3, cutoff=0.6)
    near += [folded for folded in sorted(by_folded) if len(last) > 3 and last in folded and folded not in near]
    return f"did you mean {' or '.join(by_folded[folded] for folded in near[:3])}?" if near else ""


MEGABYTE = 1_000_000


def read_text(path: Path, what: str, max_bytes: int) -> str:
    """The text of a UTF-8 file, without a leading byte order mark; line ends are kept.

    what: the kind of file, for error messages, such as "lexicon". Raises `BirthmarkError` if the file is missing, larger than
    `max_bytes` (it is then not read), not readable or not UTF-8.
    """
    try:
        if not path.is_file():
            problem = "is a folder" if path.is_dir() else "does not exist"
            raise BirthmarkError(f"{path} {problem}: give a {what} file")
        size = path.stat().st_size
        if size > max_bytes:
            raise BirthmarkError(
                f"{path} has {size / MEGABYTE:,.1f} MB, and a {what} file may have at most {max_bytes / MEGABYTE:g} MB: "
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
