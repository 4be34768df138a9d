"""The one error a user sees: what is wrong, and what to type next."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class FgbenchError(Exception):
    """A user's mistake or a missing thing, told in a sentence.

    Attributes:
        hint: the next command to type, or the next thing to do; empty when the message says it all.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n  {self.hint}" if self.hint else message


class MissingError(FgbenchError):
    """Something a run needs is not on this machine: data, weights, or hardware. A cell that needs it is `blocked`.

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
    """A clause that names the known word closest to `name`, or lists the known ones when none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + ", ".join(names) if names else "none is known"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a recipe cannot run here."""

    reason: str
    """What is missing, with `data`, `weights` or `hardware` first."""
    command: str
    """What would unblock it."""
