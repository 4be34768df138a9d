"""What vl-convert drew, kept in the cache folder: it needs a tenth of a second for a chart."""

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder, write_text

VERSION = version("vl-convert-python")
UNUSED_S = 90 * 24 * 3600
"""Drawings that no report has used for this time are removed."""


def drawn(source: str, draw: Callable[[str], str]) -> str:
    """Return `draw(source)`, from the cache folder if the same version of vl-convert drew it before.

    Without a cache folder that can be written, everything is drawn again.

    Args:
        source: what is drawn.
        draw: a function of vl-convert. Nothing but its name, its version and the source may decide the result.
    """
    name = hashlib.sha256(f"{VERSION}\n{draw.__qualname__}\n{source}".encode()).hexdigest()
    try:
        path = cache_folder() / "charts" / name
    except FgbenchError:  # there is no home folder
        return draw(source)
    _remove_unused(path.parent)
    with suppress(OSError, UnicodeDecodeError):
        text = path.read_text(encoding="utf-8")
        with suppress(OSError):
            path.touch()
        return text
    text = draw(source)
    with suppress(FgbenchError):
        write_text(path, text)
    return text


@lru_cache(maxsize=8)
def _remove_unused(folder: Path) -> None:
    """Remove the drawings of a folder that were not used for a long time."""
    with suppress(OSError):
        for path in folder.iterdir():
            if time.time() - path.stat().st_mtime > UNUSED_S:
                path.unlink()
