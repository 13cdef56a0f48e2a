"""Errors caused by a user's input or request: one base class, which the CLI catches in one place.

Any other exception is a bug.
"""

import errno

from birthmark.foreign import one_line

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class BirthmarkError(Exception):
    """Invalid input. The message is one line that says what is wrong and how to fix it. Exit code 2.

    It quotes names and other messages: as text it is fit to show.
    """

    exit_code = 2

    def __str__(self) -> str:
        return one_line(super().__str__())


class CheckFailed(BirthmarkError):
    """A check failed (the prefix engine's self-check, a value budget). Exit code 3."""

    exit_code = 3
