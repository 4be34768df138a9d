"""Damage of image files that decoders accept: a missing end, data overwritten with zeros, wrong checksums.

A decoder fills the missing part with grey or with random pixels. The structure of the file shows the damage.
"""

import re
import zlib
from collections.abc import Callable, Iterator

import numpy as np

JPEG_END = b"\xff\xd9"
ZEROS = 32
"""Number of zeros at the end of compressed data that compression does not produce."""
CONSTANT_SHARE = 0.1
"""Smallest share of the rows of an image whose equal colour is told."""
FRAME_HEADER = 16
"""Number of bytes before the chunks of a frame of an animated WebP file."""
ONE_COLOUR = "all its pixels have one colour"
FROM_BELOW = {"BMP", "DIB", "TGA"}
"""Formats that usually store the last row first: the end of the file is the top of the image."""
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""A marker of JPEG. 0xff 0x00 is data, 0xff 0xd0 to 0xd7 is a restart within the data."""
_Part = tuple[bytes, int, int]
"""Type of a part of a file, start and end of its data."""


def damage(content: bytes, kind: str) -> str:
    """Return what is wrong with the structure of an image file; empty if nothing is.

    Args:
        content: the file.
        kind: its format, one of `CHECKED`.
    """
    return CHECKED[kind](content)


def constant_rows(pixels: np.ndarray, kind: str = "") -> str:
    """Return a sentence if a tenth of the rows or more, up to the last one, have one colour; else nothing.

    Data that are missing or overwritten often look so, also in formats without checksums, such as BMP. In formats of
    `FROM_BELOW`, the first rows are checked as well.

    Args:
        pixels: (H, W) or (H, W, C).
        kind: format of the file, as Pillow names it.
    """
    total, least = len(pixels), max(2, CONSTANT_SHARE * len(pixels))
    for place, rows in (("last", pixels[::-1]), ("first", pixels)):
        count = 0
        while count < total and (rows[count] == rows[0, -1]).all():
            count += 1
        if count >= least:
            return f"its {place} {count} of {total} rows have one colour" if count < total else ONE_COLOUR
        if kind not in FROM_BELOW:
            break
    return ""


def _of_jpeg(content: bytes) -> str:
    """Follow the markers to the end marker. Other data may follow it."""
    if content.endswith(JPEG_END):
        return ""
    position = 2
    while marker := _MARKER.search(content, position):
        position = marker.end()
        if marker[1] == JPEG_END[1:]:
            return ""
        position += int.from_bytes(content[position : position + 2])  # length of the segment
    return "its end marker is missing"


def _of_png(content: bytes) -> str:
    """Compare the checksums of the chunks with pixels. Pillow compares those of the others."""
    for kind, start, end in _png_chunks(content):
        if kind == b"IDAT" and zlib.crc32(content[start - 4 : end]) != int.from_bytes(content[end : end + 4]):
            return "the checksum of its pixels is wrong"
        if kind == b"IEND":
            return ""
    return "its end marker is missing"


def _of_webp(content: bytes) -> str:
    return _zeros(content, [part for part in _webp_chunks(content) if part[0] in {b"VP8 ", b"VP8L"}])


def _of_avif(content: bytes) -> str:
    return _zeros(content, [part for part in _avif_boxes(content) if part[0] == b"mdat"])


def _zeros(content: bytes, parts: list[_Part]) -> str:
    """Return a sentence if compressed data of at least `ZEROS` bytes end in zeros."""
    ends = [content[max(start, end - ZEROS) : end] for _, start, end in parts]
    return "its data end in zeros" if any(len(end) == ZEROS and not any(end) for end in ends) else ""


def _png_chunks(content: bytes) -> Iterator[_Part]:
    position = 8
    while position + 8 <= len(content):
        start = position + 8
        end = start + int.from_bytes(content[position : position + 4])
        yield content[position + 4 : start], start, end
        position = end + 4


def _webp_chunks(content: bytes) -> Iterator[_Part]:
    position = 12
    while position + 8 <= len(content):
        start = position + 8
        end = start + int.from_bytes(content[position + 4 : start], "little")
        kind = content[position : position + 4]
        yield kind, start, end
        position = start + FRAME_HEADER if kind == b"ANMF" else end + end % 2  # a frame contains chunks


def _avif_boxes(content: bytes) -> Iterator[_Part]:
    position = 0
    while position + 8 <= len(content):
        start, size = position + 8, int.from_bytes(content[position : position + 4])
        if size == 1:  # the size has 64 bits and follows the type
            start, size = position + 16, int.from_bytes(content[position + 8 : position + 16])
        end = position + size if size else len(content)
        if end < start:
            return
        yield content[position + 4 : position + 8], start, end
        position = end


CHECKED: dict[str, Callable[[bytes], str]] = {
    "JPEG": _of_jpeg,
    "MPO": _of_jpeg,
    "PNG": _of_png,
    "WEBP": _of_webp,
    "AVIF": _of_avif,
}
"""Format as Pillow names it -> function that returns what is wrong with a file."""
