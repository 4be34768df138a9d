"""Conversion of images of every pixel mode to 8-bit RGB, with stated rules.

Colour profiles and the EXIF orientation are not applied: boxes and keypoints are in pixels as they are stored.
"""

from contextlib import suppress

import numpy as np
from PIL import ExifTags, Image

from fgbench.util.errors import FgbenchError

BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262
"""Tags of TIFF."""
BACKGROUND = "white"
"""Colour behind transparent pixels."""


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image as 8-bit RGB.

    - Grey images get three equal channels. Grey images with 12 or 16 bits are scaled to 8 bits by their range: 16-bit
      values are divided by 257 and rounded.
    - Transparent images are composited on white.
    - Palettes, CMYK, YCbCr and LAB are converted by Pillow, without colour profiles.

    Args:
        image: an image of any mode. An RGB image is returned as it is.

    Raises:
        FgbenchError: the range of the values is not known: 32-bit numbers.
    """
    image.load()
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, BACKGROUND)
        return Image.alpha_composite(opaque, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def reading_note(image: Image.Image) -> str:
    """Return in which way a method sees an image differently than a viewer shows it; empty if it does not."""
    notes = []
    with suppress(Exception):  # damaged EXIF data can raise any error, and change no pixel
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            notes.append("its EXIF orientation is not applied: a viewer shows it rotated or mirrored")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        notes.append(
            f"values from {values.min()} to {values.max()} of 0 to {_largest_value(image)} are scaled to 8 bits"
        )
    if image.mode in {"CMYK", "LAB"}:
        notes.append(f"{image.mode} is converted to RGB without its colour profile")
    if image.has_transparency_data and _is_transparent(image):
        notes.append(f"transparent pixels are read as {BACKGROUND}")
    return "; ".join(notes)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return a grey image of more than 8 bits as `L`, or as `LA` if one value of it is transparent."""
    values, largest = np.asarray(image), _largest_value(image)
    if not largest:
        kind = "floating-point numbers" if image.mode == "F" else "32-bit whole numbers"
        raise FgbenchError(f"has {kind}, whose range is not known: save it with 8 or 16 bits a channel")
    scaled = (np.arange(largest + 1) * 510 + largest) // (2 * largest)  # rounded value * 255 / largest
    if _is_inverted(image):
        scaled = scaled[::-1]
    eight = Image.fromarray(scaled.astype(np.uint8)[np.minimum(values, largest)])
    clear = image.info.get("transparency")
    if clear is not None:
        eight.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return eight


def _largest_value(image: Image.Image) -> int:
    """Return the value of white of a grey image of more than 8 bits; 0 if it is not known."""
    if image.mode.startswith("I;16"):
        bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))[0]
        return int(2**bits - 1)
    return 2**16 - 1 if image.format == "PPM" and image.mode == "I" else 0


def _is_inverted(image: Image.Image) -> bool:
    """Return True for a TIFF image in which 0 is white. Pillow inverts such images of 8 bits, but not of 16."""
    return bool(getattr(image, "tag_v2", {}).get(PHOTOMETRIC, 1) == 0)


def _is_transparent(image: Image.Image) -> bool:
    """Return True if any pixel is not opaque."""
    if image.mode.startswith("I"):
        return bool((np.asarray(image) == image.info["transparency"]).any())
    return bool((np.asarray(image.convert("RGBA"))[..., 3] < 255).any())
