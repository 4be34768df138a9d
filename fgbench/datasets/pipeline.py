"""Preprocessing as one readable, hashable line: `resize_short(448) | center_crop(448) | flip`.

The deterministic steps come first and are applied once, when an image is decoded into the pixel cache; the random
steps (`fgbench.datasets.augment`) follow and are applied to batches in training.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from fgbench.util.errors import FgbenchError, nearest

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_RESIZES = ("resize_short", "resize")
FIXED = ("crop_box", *_RESIZES, "center_crop")
"""The deterministic steps."""
PIXELS = {"resize_short": 1, "resize": 1, "center_crop": 1, "random_crop": 1, "shift": 2}
"""Steps that take lengths in pixels, and how many."""
AMOUNTS = {"rotate": "degrees", "color_jitter": "a strength from 0 to 1", "pca_noise": "a standard deviation"}
"""Steps that take one number which does not depend on the size of the image."""
RANDOM = ("random_crop", "shift", "flip", "rotate", "color_jitter", "pca_noise")
"""The random steps."""
_STEP = re.compile(r"([a-z_]+)(?:\(([^()]*)\))?")


class Affine(NamedTuple):
    """Where a point of the original image lies after the deterministic steps: x' = scale * x + offset, for x and y."""

    scale: tuple[float, float]
    offset: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a pipeline."""

    name: str
    """One of `FIXED` or `RANDOM`."""
    numbers: tuple[int, ...] | tuple[float, ...] = ()
    """Pixels for the steps in `PIXELS`, one amount for those in `AMOUNTS`, none for the others."""
    filter_name: str | None = None
    """Resampling filter of the two resizes; None for the others."""

    def __str__(self) -> str:
        arguments = [f"{number:g}" for number in self.numbers] + ([self.filter_name] if self.filter_name else [])
        return f"{self.name}({', '.join(arguments)})" if arguments else self.name

    @property
    def size(self) -> int:
        """The first length in pixels."""
        return int(self.numbers[0])

    def window(
        self, size: tuple[int, int], box: np.ndarray | None
    ) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
        """What a deterministic step takes of an image, and the size it gives it.

        Args:
            size: width and height in pixels.
            box: (4,) x, y, width, height of the object, for `crop_box`.

        Returns:
            Left, top, right and bottom of the part that is kept, and its new width and height.

        Raises:
            FgbenchError: the crop is larger than the image, or there is no box.
        """
        width, height = size
        whole = (0, 0, width, height)
        if self.name == "resize":
            return whole, (self.size, self.size)
        if self.name == "resize_short":
            scale = self.size / min(size)
            return whole, (max(self.size, round(width * scale)), max(self.size, round(height * scale)))
        if self.name == "center_crop":
            left, top = (width - self.size) // 2, (height - self.size) // 2
            if left < 0 or top < 0:
                raise FgbenchError(f"{self} on an image of {width} x {height} px", "resize before the crop")
            return (left, top, left + self.size, top + self.size), (self.size, self.size)
        if box is None:
            raise FgbenchError(
                "crop_box needs the object's box, which the protocol does not let the method see",
                'add "boxes" to the recipe\'s train and test',
            )
        left, top = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
        right, bottom = min(width, int(np.ceil(box[0] + box[2]))), min(height, int(np.ceil(box[1] + box[3])))
        if left >= right or top >= bottom:
            raise FgbenchError(f"the box {box.tolist()} lies outside the image of {width} x {height} px")
        return (left, top, right, bottom), (right - left, bottom - top)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The steps from a decoded image to the pixels a method sees.

    Deterministic: `crop_box` cuts out the object's box, `resize_short(n)` makes the shorter side n px, `resize(n)`
    warps to n x n, `center_crop(n)` cuts n x n from the middle. Both resizes take a filter as second argument
    (bilinear, bicubic, lanczos; antialiased), bicubic when none is given. The random steps are those of
    `fgbench.datasets.augment`.
    """

    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> "Pipeline":
        """Read the one-line form.

        Raises:
            FgbenchError: an unknown step (with the nearest known one), a wrong argument, a deterministic step after a
                random one, or a result whose size is not fixed.
        """
        steps = tuple(_parse_step(part.strip(), text) for part in text.split("|"))
        fixed = [step.name in FIXED for step in steps]
        if fixed != sorted(fixed, reverse=True):
            raise FgbenchError(f"in {text!r}: put the random steps ({', '.join(RANDOM)}) after the others")
        if any(step.name == "crop_box" for step in steps[1:]):
            raise FgbenchError(f"in {text!r}: crop_box cuts the image as it was decoded", "put it first")
        pipeline = cls(steps)
        if not pipeline.fixed or pipeline.fixed[-1].name not in {"resize", "center_crop"}:
            raise FgbenchError(
                f"in {text!r}: the steps before the random ones must end in one size", "add resize(n) or center_crop(n)"
            )
        if pipeline.output_size < 1:
            raise FgbenchError(f"in {text!r}: shift leaves nothing of the image", "shift by less")
        return pipeline

    def __str__(self) -> str:
        return " | ".join(map(str, self.steps))

    @property
    def fixed(self) -> tuple[Step, ...]:
        """The deterministic steps, which decide what the pixel cache holds."""
        return tuple(step for step in self.steps if step.name in FIXED)

    @property
    def random(self) -> tuple[Step, ...]:
        """The random steps, applied to batches in training."""
        return tuple(step for step in self.steps if step.name in RANDOM)

    @property
    def cached_size(self) -> int:
        """Side in pixels of the square image after the deterministic steps."""
        return self.fixed[-1].size

    @property
    def output_size(self) -> int:
        """Side in pixels of the square image after all steps."""
        size = self.cached_size
        for step in self.random:
            if step.name == "random_crop":
                size = step.size
            elif step.name == "shift":
                size -= 2 * int(max(step.numbers))
        return size

    def resized(self, size: int) -> "Pipeline":
        """The same pipeline for another final size: every length in pixels scales with it."""
        factor = size / self.output_size
        scaled = self._with_lengths(lambda step, n: round(n * factor))
        lacking = size - scaled.output_size  # a pixel or two where shifts were rounded
        return scaled._with_lengths(lambda step, n: n if step.name == "shift" else n + lacking)

    def _with_lengths(self, length: Callable[[Step, int], int]) -> "Pipeline":
        return Pipeline(
            tuple(
                replace(step, numbers=tuple(length(step, int(n)) for n in step.numbers))
                if step.name in PIXELS
                else step
                for step in self.steps
            )
        )

    def decode(self, image: Image.Image, box: np.ndarray | None = None) -> np.ndarray:
        """The deterministic steps on one image: (H, W, 3) uint8 RGB, grey images replicated to three channels.

        Args:
            image: as decoded.
            box: (4,) x, y, width, height of the object, for `crop_box`.

        Raises:
            FgbenchError: a crop does not fit, or there is no box.
        """
        image = image.convert("RGB")
        for step in self.fixed:
            kept, size = step.window(image.size, box)
            image = image.resize(size, FILTERS[step.filter_name]) if step.filter_name else image.crop(kept)
        return np.asarray(image)

    def geometry(self, size: tuple[int, int], box: np.ndarray | None = None) -> Affine:
        """Where points of an image of `size` (width, height) lie after the deterministic steps.

        Points are in pixels with the origin at the image's upper left corner. Arguments and errors as in `decode`.
        """
        scale, offset = np.ones(2), np.zeros(2)
        for step in self.fixed:
            (left, top, right, bottom), size = step.window(size, box)
            factor = np.array(size) / (right - left, bottom - top)
            scale, offset = scale * factor, (offset - (left, top)) * factor
        return Affine((float(scale[0]), float(scale[1])), (float(offset[0]), float(offset[1])))


def _parse_step(part: str, text: str) -> Step:
    match = _STEP.fullmatch(part)
    if not match:
        raise FgbenchError(f"in {text!r}: {part!r} is not a step such as center_crop(448)")
    name, arguments = match[1], [value.strip() for value in (match[2] or "").split(",") if value.strip()]
    if name not in FIXED and name not in RANDOM:
        raise FgbenchError(f"in {text!r}: no step {name!r}; {nearest(name, [*FIXED, *RANDOM])}")
    if name in AMOUNTS:
        amount = _number(arguments[0]) if len(arguments) == 1 else None
        if amount is None or not 0 < amount <= (180 if name == "rotate" else 1):
            raise FgbenchError(f"in {text!r}: {name} takes {AMOUNTS[name]}")
        return Step(name, (amount,))
    if name not in PIXELS:
        if arguments:
            raise FgbenchError(f"in {text!r}: {name} takes no argument")
        return Step(name)
    filter_name = (arguments.pop() if len(arguments) == 2 else "bicubic") if name in _RESIZES else None
    if filter_name is not None and filter_name not in FILTERS:
        raise FgbenchError(f"in {text!r}: no filter {filter_name!r}; {nearest(filter_name, FILTERS)}")
    if len(arguments) != PIXELS[name] or not all(value.isdecimal() for value in arguments):
        raise FgbenchError(f"in {text!r}: {_usage(name)}")
    numbers = tuple(map(int, arguments))
    if name != "shift" and not numbers[0]:
        raise FgbenchError(f"in {text!r}: {_usage(name)}")
    return Step(name, numbers, filter_name)


def _usage(name: str) -> str:
    if name == "shift":
        return "shift takes two lengths in pixels, to the sides and up and down"
    return f"{name} takes a size in pixels{' and a filter' if name in _RESIZES else ''}"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
