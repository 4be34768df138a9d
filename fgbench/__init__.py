"""fgbench: does every number printed in a fine-grained recognition paper hold, here, today, and at what cost?"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fgbench._version import __version__

if TYPE_CHECKING:
    from fgbench.cli.functions import evaluate, predict, run
    from fgbench.judge import JudgeModule
    from fgbench.judge.frames import cells, load, outputs, verdicts
    from fgbench.report import ReportModule

    judge: JudgeModule
    report: ReportModule

__all__ = [
    "__version__",
    "cells",
    "evaluate",
    "judge",
    "load",
    "outputs",
    "predict",
    "report",
    "run",
    "verdicts",
]

_ROOMS = ("judge", "report")
"""Rooms that can be called."""
_VERBS = ("evaluate", "predict", "run")


def __getattr__(name: str) -> Any:
    # pandas or torch comes with the first of these that is used, so that importing fgbench costs nothing.
    if name not in __all__:
        raise AttributeError(f"module 'fgbench' has no attribute {name!r}")
    if name in _ROOMS:
        return import_module(f"fgbench.{name}")
    return getattr(import_module("fgbench.cli.functions" if name in _VERBS else "fgbench.judge.frames"), name)
