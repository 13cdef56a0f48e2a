"""Errors caused by a user's input or request: one base class, which the CLI catches in one place.

Any other exception is a bug.
"""

import errno

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class BirthmarkError(Exception):
    """Invalid input. The message is one line that says what is wrong and how to fix it. Exit code 2."""

    exit_code = 2


class CheckFailed(BirthmarkError):
    """A check failed (the prefix engine's self-check, a value budget). Exit code 3."""

    exit_code = 3


def one_line(value: object, limit: int = 80) -> str:
    """A value for a one-line error message: white space and unprintable characters become spaces, long text is cut."""
    text = str(value)[: 10 * limit]
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
