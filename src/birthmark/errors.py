"""What can go wrong because of what a person asked or brought: one root class, caught once by the CLI.

Knows nothing of any other room. Anything that is not a `BirthmarkError` is a bug.
"""

import errno

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class BirthmarkError(Exception):
    """Bad input: the message is one line that says what is wrong and what to do. Exit code 2."""

    exit_code = 2


class CheckFailed(BirthmarkError):
    """A check did not pass (the prefix engine's sample, a value budget). Exit code 3."""

    exit_code = 3
