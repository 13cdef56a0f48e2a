"""Errors caused by a user's input or request: one base class, which the CLI catches in one place.

Any other exception is a bug.
"""

import errno

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_ACCESS = (  # what lies at a path is not what it was when the path was checked, or stands in the way below it
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR),
    *(errno.EEXIST, errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE),
)


class BirthmarkError(Exception):
    """Invalid input. The message is one line that says what is wrong and how to fix it. Exit code 2.

    What a message quotes may be anybody's text: characters that are not printed become spaces.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__("".join(each if each.isprintable() else " " for each in message))


class CheckFailed(BirthmarkError):
    """A check failed (the prefix engine's self-check, a value budget). Exit code 3."""

    exit_code = 3


def one_line(value: object, limit: int = 80) -> str:
    """A value for a one-line error message: white space and unprintable characters become spaces, long text is cut."""
    text = str(value)[: 10 * limit]
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
