"""Faults of the machine as one sentence: full disks, missing permissions, closed pipes, terminals without Unicode."""

import os
import select
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from fgbench.util.errors import FgbenchError
from fgbench.util.files import expand_user
from fgbench.util.plain_text import plain

MISTAKE = 2
"""Exit code of a user's mistake or a fault of the machine."""
READER_ENDED = 141
"""Exit code when the program that reads the output has ended, as of a program that SIGPIPE ends."""
FOLDERS = ("FGBENCH_CACHE", "FGBENCH_DATA", "FGBENCH_REPRODUCTIONS", "FGBENCH_WEIGHTS")
"""Environment variables that name folders."""


def print_every_character() -> None:
    r"""Let the terminal print what its encoding does not have as an escape sequence, such as `\u2013`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def expand_folders() -> None:
    """Replace `~` and `~user` in the environment variables that name folders.

    Raises:
        FgbenchError: the home folder is not known.
    """
    for name in FOLDERS:
        parts = os.environ.get(name, "").split(os.pathsep)
        if any(part.startswith("~") for part in parts):
            os.environ[name] = os.pathsep.join(str(expand_user(Path(part))) if part else "" for part in parts)


def print_mistake(error: FgbenchError) -> int:
    """Print the error of a user on standard error; return the exit code."""
    with suppress(OSError):
        print(f"fgbench: {plain(str(error))}", file=sys.stderr, flush=True)  # noqa: T201
    return MISTAKE


def flush_output(code: int) -> int:
    """Write what is left of the output; return the exit code of the program, which is another one if that fails."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None:
            continue
        try:
            if code == 1 and _reader_ended(stream):  # typer has discarded the error of the pipe
                raise BrokenPipeError
            stream.flush()
        except BrokenPipeError:
            _discard(stream)
            code = READER_ENDED
        except OSError as error:
            _discard(stream)
            if code != MISTAKE:  # else the error has been printed
                code = print_mistake(
                    FgbenchError(
                        f"the output cannot be written: {error.strerror or error}", "write it to a file elsewhere"
                    )
                )
    return code


def _reader_ended(stream: TextIO) -> bool:
    """Return True if a stream is a pipe that nobody reads any more."""
    if not hasattr(select, "poll"):
        return False
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)  # POLLERR is always reported
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):  # no file behind the stream
        return False


def _discard(stream: TextIO) -> None:
    """Discard the rest of the output, so that the interpreter does not fail to write it at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
