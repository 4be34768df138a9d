"""Reader of MATLAB files up to version 7. Only published files are read in this process; others can crash SciPy."""

import hashlib
import io
import struct
import zlib
from collections.abc import Collection
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from fgbench.util.child_process import read_in_child
from fgbench.util.errors import FgbenchError
from fgbench.util.files import read_bytes
from fgbench.util.placeholders import refuse_placeholder

LIMIT_S = 60.0
"""Longest duration of reading a file, in addition to one second for each million bytes."""
MEMORY_BYTES = 2 << 30
"""Most memory of the process that reads a file, in addition to a hundred times its size: damaged lengths ask for more.
"""
KEPT_BYTES = 1 << 20
"""The content of smaller files is kept in memory, so that each is read by one child process."""
_VERSION = slice(124, 128)
"""Place of the version and the byte order in the header."""
_HEADER = 128
"""Bytes before the first variable."""
_COMPRESSED = 15
"""Type of a compressed variable."""
_BLOCK = 1 << 16
"""Bytes that are decompressed at a time; the result is at most a thousand times as long."""


def read_mat(
    path: Path, *, squeeze: bool = False, published_md5: Collection[str] = (), verified: bool = False, hint: str = ""
) -> dict[str, Any]:
    """Return the variables of a MATLAB file by name, as `scipy.io.loadmat` does.

    The checksums of compressed variables are verified, which SciPy does not do. Uncompressed variables have none.

    Args:
        path: the file.
        squeeze: remove dimensions of length 1.
        published_md5: MD5 in hex of published files that this may be. They are read in this process.
        verified: True if the caller has verified the hash of a published file.
        hint: the next thing to do if the file cannot be read.

    Raises:
        FgbenchError: the file is missing, damaged or of another format, or reading it ends or blocks the process.
    """
    if verified:
        return _load(path, None, squeeze, hint)
    try:
        content = read_bytes(path)
    except OSError as error:
        raise FgbenchError(f"cannot read {path}: {error.strerror or error}", hint) from error
    if published_md5 and hashlib.md5(content, usedforsecurity=False).hexdigest() in published_md5:
        return _load(path, content, squeeze, hint)
    refuse_placeholder(path)
    if content[_VERSION] in {b"\0\2IM", b"\2\0MI"}:
        raise FgbenchError(f"{path} is a MATLAB 7.3 file, which cannot be read", "save it with '-v7' in MATLAB")
    if damage := _damage(content):
        raise FgbenchError(f"{path} is damaged or not a MATLAB file: {damage}", hint)
    if len(content) < KEPT_BYTES:
        return deepcopy(_load_small(path, content, squeeze, hint))
    return _load_in_child(path, content, squeeze, hint)


@lru_cache(maxsize=8)
def _load_small(path: Path, content: bytes, squeeze: bool, hint: str) -> dict[str, Any]:
    return _load_in_child(path, content, squeeze, hint)


def _load_in_child(path: Path, content: bytes, squeeze: bool, hint: str) -> dict[str, Any]:
    limit_s, memory = LIMIT_S + len(content) / 1e6, MEMORY_BYTES + 100 * len(content)
    return read_in_child(path, limit_s, hint, _load, path, content, squeeze, hint, memory_bytes=memory)


def _load(path: Path, content: bytes | None, squeeze: bool, hint: str) -> dict[str, Any]:
    """Return the variables of a file, or of `content` instead of the file."""
    from scipy.io import loadmat

    try:
        with path.open("rb") if content is None else io.BytesIO(content) as file:
            variables: dict[str, Any] = loadmat(file, squeeze_me=squeeze)
    except Exception as error:  # damaged bytes can raise any error
        raise FgbenchError(
            f"{path} is damaged or not a MATLAB file: {str(error) or type(error).__name__}", hint
        ) from error
    return variables


def _damage(content: bytes) -> str:
    """Return what is wrong with the checksums or lengths of a file of version 5 to 7; empty if nothing is."""
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER])
    if order is None or 0 in content[:4]:
        return ""  # version 4, or another format
    place = _HEADER
    while place < len(content):
        if len(content) < place + 8:
            return "it ends too early"
        kind, length = struct.unpack_from(f"{order}II", content, place)
        place += 8 + length
        if len(content) < place:
            return "it ends too early"
        if kind == _COMPRESSED and not _decompresses(memoryview(content)[place - length : place]):
            return "the checksum of a variable is wrong"
    return ""


def _decompresses(compressed: memoryview) -> bool:
    """Return True if data can be decompressed to their end and have the right checksum."""
    decompressor = zlib.decompressobj()
    try:
        for start in range(0, len(compressed), _BLOCK):
            decompressor.decompress(compressed[start : start + _BLOCK])
    except zlib.error:
        return False
    return decompressor.eof
