"""Small files in the place of large ones: pointers of Git LFS and git-annex, and web pages saved by mistake."""

import re
from contextlib import suppress
from pathlib import Path

from fgbench.util.errors import FgbenchError

_HEAD = 512
"""Number of bytes that are read."""
_KINDS = (
    (rb"version https://git-lfs\.github\.com/", "a pointer of Git LFS", "run in its folder: git lfs pull"),
    (rb"/annex/objects/", "a pointer of git-annex", "run in its folder: git annex get ."),
    (rb"\s*<(!doctype html|html)", "a web page", "download the file itself: the page may ask for a confirmation"),
)
"""Pattern of the first bytes, name of the kind, and the next step of the user."""


def placeholder(path: Path) -> tuple[str, str] | None:
    """Return what stands in the place of a file, and what the user must do; None if it is the file itself.

    A file that cannot be read counts as the file itself. Its reader names the reason.
    """
    head = b""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(_HEAD).removeprefix(b"\xef\xbb\xbf")
    found = (one for one in _KINDS if re.match(one[0], head, re.IGNORECASE))
    return next(((kind, hint) for _, kind, hint in found), None)


def refuse_placeholder(path: Path) -> None:
    """Raise FgbenchError if something else stands in the place of a file."""
    if found := placeholder(path):
        raise FgbenchError(f"{path} is {found[0]}, not the file itself", found[1])
