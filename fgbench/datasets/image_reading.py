"""The one place where image files are opened and decoded.

Every error of a decoder becomes an `ImageError` that names the file. Damaged files raise errors of any type.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from fgbench.datasets.image_damage import CHECKED, damage
from fgbench.datasets.image_modes import to_rgb
from fgbench.util.errors import FgbenchError
from fgbench.util.files import kind_of_special_file
from fgbench.util.placeholders import placeholder
from fgbench.util.plain_text import one_line

MAX_PIXELS = 500_000_000
"""Largest number of pixels of an image. It is decoded in 2 GB of memory."""
LARGE_PIXELS = 50_000_000
"""Images of more pixels are decoded one at a time, so that threads do not need the memory for several."""
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "DIB", "PPM", "JPEG2000", "TGA")
"""Formats that are read. Others of Pillow are not photographs, or start a program, as EPS does."""
_one_large = threading.Lock()

if Image.MAX_IMAGE_PIXELS is not None:  # the limit of Pillow is smaller than photographs of telephones
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, MAX_PIXELS)


class ImageError(FgbenchError):
    """A file that is missing, is no image, is damaged, or has pixels that cannot be converted.

    Attributes:
        reason: the message without the path of the file.
    """

    def __init__(self, message: str, hint: str = "", reason: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason


class DecodedImage(NamedTuple):
    """An image in memory."""

    stored: Image.Image
    """The image as it is stored, with its mode, format and EXIF data."""
    rgb: Image.Image
    """The image as 8-bit RGB, see `fgbench.datasets.image_modes.to_rgb`."""


@contextmanager
def decoded_image(file: Path, draft_px: int = 0) -> Iterator[DecodedImage]:
    """Decode an image file. Of a file with several images, the first is read.

    Args:
        file: the image.
        draft_px: decode a JPEG at a fraction of its size, at least this width and height; 0 for its size.

    Raises:
        ImageError: the file cannot be read or decoded, is damaged, or has more than `MAX_PIXELS` pixels.
    """
    with ExitStack() as stack:
        with _errors_of(file):
            image = stack.enter_context(_opened(file))
            if image.width * image.height > LARGE_PIXELS:
                stack.enter_context(_one_large)
            kind = image.format or ""
            if draft_px:
                image.draft("RGB", (draft_px, draft_px))
            image.load()
            if kind in CHECKED and (fault := damage(file.read_bytes(), kind)):
                raise FgbenchError(f"is damaged: {fault}")
            decoded = DecodedImage(image, to_rgb(image))
        yield decoded


def image_size(file: Path) -> tuple[int, int]:
    """Return width and height of an image in pixels, from the header of its file.

    Raises:
        ImageError: the file cannot be read, or is no image.
    """
    with _errors_of(file), _opened(file) as image:
        return image.size


def _opened(file: Path) -> Image.Image:
    """Open a file and check the number of pixels; no pixel is decoded."""
    if kind := kind_of_special_file(file):
        raise FgbenchError(f"is {kind}, not an image")
    if not file.stat().st_size:
        raise FgbenchError("is empty")
    image = Image.open(file, formats=_formats())
    if image.width * image.height > MAX_PIXELS:
        image.close()
        limit = f"the limit is {MAX_PIXELS / 1e6:.0f} million pixels"
        raise FgbenchError(f"has {image.width} x {image.height} pixels, and {limit}: make it smaller")
    return image


@cache
def _formats() -> tuple[str, ...]:
    """Return the formats of `FORMATS` that this Pillow reads."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@contextmanager
def _errors_of(file: Path) -> Iterator[None]:
    """Turn every error into an `ImageError` of a file."""
    try:
        yield
    except Exception as error:
        kind, hint = placeholder(file) or ("", "")
        reason = f"is {kind}, not the file itself" if kind else _reason(error)
        raise ImageError(f"{file} {reason}", hint, reason) from error


def _reason(error: Exception) -> str:
    """Return what is wrong with a file, as the end of a sentence."""
    if isinstance(error, FgbenchError):
        return str(error.args[0])
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, UnidentifiedImageError):
        return "is not an image in a format that is read, or its header is damaged"
    if isinstance(error, MemoryError):
        return "cannot be decoded: there is not enough memory"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"cannot be decoded: {one_line(text)}"
