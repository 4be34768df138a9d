"""Steps of a pipeline: their names, their arguments, and the geometry of the deterministic steps."""

import io
import re
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fgbench.util.errors import FgbenchError, nearest

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Resampling filters of `resize` and `resize_short`."""
DEFAULT_FILTER = "bicubic"


@dataclass(frozen=True, slots=True)
class StepSyntax:
    """Arguments of a kind of step."""

    usage: str
    """Arguments in words, for error messages."""
    random: bool = False
    """True for a random step, which is applied to training batches."""
    lengths: int = 0
    """Number of lengths in pixels. They scale with the image size (see `Pipeline.resized`)."""
    has_filter: bool = False
    """True if a resampling filter may follow the lengths."""
    max_amount: float | None = None
    """Largest value of the single number that a step takes instead of lengths; None if it takes no such number."""


STEPS = {
    # Deterministic steps, implemented in `PipelineStep.window` and `recompressed`.
    "recompress": StepSyntax("a JPEG quality from 1 to 95", max_amount=95),
    "cut_bottom": StepSyntax("a height in pixels of the original image, at most 1000", max_amount=1000),
    "crop_box": StepSyntax("no argument"),
    "resize_short": StepSyntax("a size in pixels and a filter", lengths=1, has_filter=True),
    "resize": StepSyntax("a size in pixels and a filter", lengths=1, has_filter=True),
    "center_crop": StepSyntax("a size in pixels", lengths=1),
    # Random steps, implemented in `fgbench.datasets.augment`.
    "random_crop": StepSyntax("a size in pixels", random=True, lengths=1),
    "shift": StepSyntax("two lengths in pixels, horizontal and vertical", random=True, lengths=2),
    "flip": StepSyntax("no argument", random=True),
    "rotate": StepSyntax("an angle in degrees, at most 180", random=True, max_amount=180),
    "color_jitter": StepSyntax("a strength, at most 1", random=True, max_amount=1),
    "pca_noise": StepSyntax("a standard deviation, at most 1", random=True, max_amount=1),
}
"""All steps by name."""
FIXED = tuple(name for name, syntax in STEPS.items() if not syntax.random)
"""Names of the deterministic steps."""
RANDOM = tuple(name for name, syntax in STEPS.items() if syntax.random)
"""Names of the random steps."""
WHOLE = {"recompress", "cut_bottom"}
"""Steps whose number is a whole number."""
_STEP_PATTERN = re.compile(r"([a-z_]+)(?:\(([^()]*)\))?")


@dataclass(frozen=True, slots=True)
class PipelineStep:
    """One step of a pipeline."""

    name: str
    """A key of `STEPS`."""
    numbers: tuple[int, ...] | tuple[float, ...] = ()
    """Lengths in pixels, or one number that does not depend on the image size, or nothing."""
    filter_name: str | None = None
    """A key of `FILTERS` for `resize` and `resize_short`; None for other steps."""

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
        """Return the part of an image that a deterministic step keeps, and the size that it gives to this part.

        Args:
            size: width and height in pixels.
            box: (4,) x, y, width, height of the object in pixels; only `crop_box` uses it.

        Returns:
            Left, top, right and bottom of the part, and its new width and height.

        Raises:
            FgbenchError: the crop is larger than the image, or the box is missing or outside the image.
        """
        width, height = size
        whole = (0, 0, width, height)
        if self.name == "recompress":
            return whole, size
        if self.name == "cut_bottom":
            kept = height - int(self.numbers[0])
            if kept < 1:
                raise FgbenchError(f"{self} leaves nothing of the image of {width} x {height} px", "cut off less")
            return (0, 0, width, kept), (width, kept)
        if self.name == "resize":
            return whole, (self.size, self.size)
        if self.name == "resize_short":
            scale = self.size / min(size)
            return whole, (max(self.size, round(width * scale)), max(self.size, round(height * scale)))
        if self.name == "center_crop":
            left, top = (width - self.size) // 2, (height - self.size) // 2
            if left < 0 or top < 0:
                raise FgbenchError(
                    f"{self} is larger than the image of {width} x {height} px", "put a resize step before the crop"
                )
            return (left, top, left + self.size, top + self.size), (self.size, self.size)
        # crop_box
        if box is None:
            raise FgbenchError(
                "crop_box needs the box of the object, but the protocol hides it from the method",
                'add "boxes" to train and test in the recipe',
            )
        left, top = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
        right, bottom = min(width, int(np.ceil(box[0] + box[2]))), min(height, int(np.ceil(box[1] + box[3])))
        if left >= right or top >= bottom:
            raise FgbenchError(f"the box {box.tolist()} is outside the image of {width} x {height} px")
        return (left, top, right, bottom), (right - left, bottom - top)


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    """Return an RGB image as it is after compression to JPEG, with the other settings as Pillow chooses them.

    Args:
        image: RGB image.
        quality: JPEG quality from 1 to 95.
    """
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def parse_step(part: str, text: str) -> PipelineStep:
    """Parse one step.

    Args:
        part: text of the step, such as `resize(448, bilinear)`.
        text: text of the whole pipeline, for error messages.

    Raises:
        FgbenchError: the step is unknown, or an argument is wrong.
    """
    match = _STEP_PATTERN.fullmatch(part)
    if not match:
        raise FgbenchError(
            f"in {text!r}: {part!r} is not a step such as center_crop(448)",
            "write steps as in 'resize_short(448, bilinear) | center_crop(448)'",
        )
    name, arguments = match[1], [value.strip() for value in (match[2] or "").split(",") if value.strip()]
    if name not in STEPS:
        raise FgbenchError(
            f"in {text!r}: no step {name!r}; {nearest(name, STEPS)}",
            "write steps as in 'resize_short(448, bilinear) | center_crop(448)'",
        )
    syntax = STEPS[name]
    usage_error = FgbenchError(f"in {text!r}: {name} takes {syntax.usage}")

    # One number that does not depend on the size of the image.
    if syntax.max_amount is not None:
        amount = _number(arguments[0]) if len(arguments) == 1 else None
        if amount is None or not 0 < amount <= syntax.max_amount or (name in WHOLE and amount % 1):
            raise usage_error
        return PipelineStep(name, (amount,))

    # Lengths in pixels, and a filter.
    filter_name = None
    if syntax.has_filter:
        filter_name = arguments.pop() if len(arguments) == 2 else DEFAULT_FILTER
        if filter_name not in FILTERS:
            raise FgbenchError(
                f"in {text!r}: no filter {filter_name!r}; {nearest(filter_name, FILTERS)}",
                "write steps as in 'resize_short(448, bilinear) | center_crop(448)'",
            )
    if len(arguments) != syntax.lengths or not all(value.isdecimal() for value in arguments):
        raise usage_error
    numbers = tuple(map(int, arguments))
    if numbers == (0,):
        raise usage_error
    return PipelineStep(name, numbers, filter_name)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
