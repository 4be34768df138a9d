"""Errors shown to the user: one sentence that says what is wrong, and the next command."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

LISTED = 20
"""Number of known names that an error lists."""


class FgbenchError(Exception):
    """A mistake of the user, or something that is missing, in one sentence.

    Attributes:
        hint: the next command to type or the next thing to do; empty if the message is enough.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n  {self.hint}" if self.hint else message


class MissingError(FgbenchError):
    """Data, weights or hardware that a run needs and this machine does not have; cells that need it are `blocked`.

    Attributes:
        what: `data`, `weights` or `hardware`.
    """

    def __init__(self, what: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.what = what


class ArgumentError(FgbenchError, ValueError):
    """An argument that a function cannot use, such as an array of the wrong shape.

    Layers, metrics and statistics raise it, so that a caller can catch it as a `ValueError`.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a clause that suggests the most similar known name, or lists the first ones if none is similar."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return "known: " + ", ".join(names[:LISTED]) + more if names else "none is known"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a recipe cannot run here."""

    reason: str
    """The missing thing; the sentence starts with `data`, `weights` or `hardware`."""
    command: str
    """The command that gets it."""
