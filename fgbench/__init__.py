"""fgbench: does every number printed in a fine-grained recognition paper hold, here, today, and at what cost?"""

from typing import TYPE_CHECKING, Any

from fgbench._version import __version__

if TYPE_CHECKING:
    from fgbench.judge.frames import cells, load, outputs, verdicts

__all__ = ["__version__", "cells", "load", "outputs", "verdicts"]


def __getattr__(name: str) -> Any:
    # pandas comes with the first of these that is asked for, so that importing fgbench costs nothing.
    if name not in __all__:
        raise AttributeError(f"module 'fgbench' has no attribute {name!r}")
    from fgbench.judge import frames

    return getattr(frames, name)
