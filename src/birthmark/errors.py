"""Errors caused by a user's input or request: one base class, which the CLI catches in one place.

Any other exception is a bug.
"""

import errno

from birthmark.foreign import one_line

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_ACCESS = (  # what lies at a path is not what it was when the path was checked, or stands in the way below it
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR),
    *(errno.EEXIST, errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE),
)


class BirthmarkError(Exception):
    """Invalid input. The message is one line that says what is wrong and how to fix it. Exit code 2.

    It quotes names and other messages: as text it is fit to show.
    """

    exit_code = 2

    def __str__(self) -> str:
        return one_line(super().__str__(), None)


class CheckFailed(BirthmarkError):
    """A check failed (the prefix engine's self-check, a value budget). Exit code 3."""

    exit_code = 3
