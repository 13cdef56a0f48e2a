"""The command line: parse, call, print. One file a help panel; the work lives in the rooms."""

import os
import sys
from collections.abc import Sequence

from birthmark.errors import NO_ACCESS, NO_SPACE, BirthmarkError
from birthmark.foreign import one_line
from birthmark.process import own_process

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `birthmark`, print errors in one line, return the exit code: 0, 2 bad input, 3 a failed check, 130.

    Without arguments they are the program's, which ends after this.
    """
    if arguments is not None:
        return _run(arguments)
    with own_process():
        return _run(sys.argv[1:])


def _run(arguments: Sequence[str]) -> int:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    from typer.exceptions import Abort, TyperException

    from birthmark.cli.app import app

    try:
        code = app(args=list(arguments), prog_name="birthmark", standalone_mode=False)
    except BirthmarkError as error:
        if study := sys.modules.get("birthmark.study"):
            study.discard_empty()
        return _fail(str(error), error.exit_code)
    except TyperException as error:
        if not error.format_message():  # no command named: the help has been printed
            return 2
        return _fail(f"{error.format_message()} See birthmark {_command_of(error)}--help", 2)
    except (KeyboardInterrupt, Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader went away
        return 0
    except OSError as error:
        if error.errno in NO_SPACE:
            return _fail("the disk is full: make room, and run the same command again; what is finished is kept", 2)
        if error.errno in NO_ACCESS and error.filename is not None:
            return _fail(f"{one_line(error.filename)}: {error.strerror}: check the path and its permissions", 2)
        raise
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code
        return _fail("interrupted; what is finished is kept, and the same command resumes", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _command_of(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    words = context.command_path.split()[1:] if context is not None else []
    return " ".join([*words, ""])


def _fail(message: str, code: int) -> int:
    from birthmark.progress import tell

    tell(f"error: {one_line(message, None)}")
    return code
