"""Small files in the place of large ones: pointers of Git LFS and git-annex, and web pages saved by mistake."""

import codecs
import re
from contextlib import suppress
from pathlib import Path

from fgbench.util.errors import FgbenchError

_HEAD = 1024
"""Number of bytes that are read."""
_LFS = "a pointer of Git LFS", "run in its folder: git lfs pull"
_ANNEX = "a pointer of git-annex", "run in its folder: git annex get ."
_PAGE = "a web page", "download the file itself: the page may ask for a confirmation"
_KINDS = (
    (r"version https://git-lfs\.github\.com/", _LFS),
    (r"/annex/objects/", _ANNEX),
    (r"\s*<(!doctype html|html)\b", _PAGE),
)
"""Pattern of the first characters, name of the kind, and the next step of the user."""
_PROLOGUE = re.compile(r"<\?xml[^>]*>|<!--.*?-->", re.DOTALL)
"""What may stand before the first element of a page."""


def placeholder(path: Path) -> tuple[str, str] | None:
    """Return what stands in the place of a file, and what the user must do; None if it is the file itself.

    A file that cannot be read counts as the file itself. Its reader names the reason.
    """
    with suppress(OSError):
        # git-annex has a link to a file that is not here.
        if path.is_symlink() and not path.exists() and "/annex/objects/" in path.readlink().as_posix():
            return _ANNEX
        if not path.is_file():  # opening a FIFO would wait for its other end
            return None
        with path.open("rb") as file:
            text = _PROLOGUE.sub("", _text(file.read(_HEAD)))
        return next((kind for pattern, kind in _KINDS if re.match(pattern, text, re.IGNORECASE)), None)
    return None


def _text(head: bytes) -> str:
    """Return the first bytes of a file as text; ASCII is enough."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return head.decode("utf-16", errors="replace")
    return head.removeprefix(codecs.BOM_UTF8).decode("latin-1")


def refuse_placeholder(path: Path) -> None:
    """Raise FgbenchError if something else stands in the place of a file."""
    if found := placeholder(path):
        raise FgbenchError(f"{path} is {found[0]}, not the file itself", found[1])
