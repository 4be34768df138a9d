"""Preprocessing and augmentation as one readable line: `resize_short(448) | center_crop(448) | flip`.

Deterministic steps come first. They are applied once, when an image is decoded into the pixel cache. Random steps
follow. `fgbench.datasets.augment` applies them to every training batch, and its docstring says how to add a step.
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
    # Deterministic steps, implemented in `PipelineStep.window`.
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
_STEP_PATTERN = re.compile(r"([a-z_]+)(?:\(([^()]*)\))?")


class Affine(NamedTuple):
    """Map from points of the original image to the preprocessed image: x' = scale * x + offset, for x and y."""

    scale: tuple[float, float]
    """Factors of x and y."""
    offset: tuple[float, float]
    """Offsets of x and y in pixels of the preprocessed image."""


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


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The steps from a decoded image to the input of a method.

    Deterministic steps:

    - `crop_box` cuts out the box of the object. It must be the first step.
    - `resize_short(n)` resizes the shorter side to n px and keeps the aspect ratio.
    - `resize(n)` resizes to n x n px.
    - `center_crop(n)` cuts n x n px from the middle.

    The two resize steps take a filter as second argument: bilinear, bicubic (default) or lanczos, all antialiased. The
    docstring of `fgbench.datasets.augment` describes the random steps.
    """

    steps: tuple[PipelineStep, ...]
    """Deterministic steps, then random steps."""

    @classmethod
    def parse(cls, text: str) -> "Pipeline":
        """Parse a line such as `resize_short(448) | center_crop(448) | flip`.

        Raises:
            FgbenchError: a step is unknown, an argument is wrong, a deterministic step follows a random one, or the
                size of the result depends on the image.
        """
        steps = tuple(_parse_step(part.strip(), text) for part in text.split("|"))
        fixed = [step.name in FIXED for step in steps]
        if fixed != sorted(fixed, reverse=True):
            raise FgbenchError(f"in {text!r}: the random steps ({', '.join(RANDOM)}) must follow the others")
        if any(step.name == "crop_box" for step in steps[1:]):
            raise FgbenchError(f"in {text!r}: crop_box must be the first step")
        pipeline = cls(steps)
        if not pipeline.fixed or pipeline.fixed[-1].name not in {"resize", "center_crop"}:
            raise FgbenchError(
                f"in {text!r}: the last deterministic step must be resize or center_crop",
                "add resize(n) or center_crop(n)",
            )
        if pipeline.output_size < 1:
            raise FgbenchError(f"in {text!r}: nothing remains of the image after shift", "use smaller lengths")
        return pipeline

    def __str__(self) -> str:
        return " | ".join(map(str, self.steps))

    @property
    def fixed(self) -> tuple[PipelineStep, ...]:
        """The deterministic steps. The pixel cache holds their result."""
        return tuple(step for step in self.steps if step.name in FIXED)

    @property
    def random(self) -> tuple[PipelineStep, ...]:
        """The random steps, which are applied to training batches."""
        return tuple(step for step in self.steps if step.name in RANDOM)

    @property
    def cached_size(self) -> int:
        """Side of the square image after the deterministic steps, in pixels."""
        return self.fixed[-1].size

    @property
    def output_size(self) -> int:
        """Side of the square image after all steps, in pixels."""
        size = self.cached_size
        for step in self.random:
            if step.name == "random_crop":
                size = step.size
            elif step.name == "shift":
                size -= 2 * int(max(step.numbers))
        return size

    def resized(self, size: int) -> "Pipeline":
        """Return this pipeline for another output size in pixels; every length in pixels scales with it."""
        factor = size / self.output_size
        scaled = self._with_lengths(lambda step, length: round(length * factor))
        missing = size - scaled.output_size  # up to 2 px, because the lengths of shift are rounded
        return scaled._with_lengths(lambda step, length: length if step.name == "shift" else length + missing)

    def _with_lengths(self, new_length: Callable[[PipelineStep, int], int]) -> "Pipeline":
        """Replace every length in pixels."""
        return Pipeline(
            tuple(
                replace(step, numbers=tuple(new_length(step, int(length)) for length in step.numbers))
                if STEPS[step.name].lengths
                else step
                for step in self.steps
            )
        )

    def decode(self, image: Image.Image, box: np.ndarray | None = None) -> np.ndarray:
        """Apply the deterministic steps to one image.

        Args:
            image: the original image. Grey images are converted to three equal channels.
            box: (4,) x, y, width, height of the object in pixels; only `crop_box` uses it.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            FgbenchError: a crop is larger than the image, or the box is missing or outside the image.
        """
        image = image.convert("RGB")
        for step in self.fixed:
            kept, size = step.window(image.size, box)
            image = image.resize(size, FILTERS[step.filter_name]) if step.filter_name else image.crop(kept)
        return np.asarray(image)

    def geometry(self, size: tuple[int, int], box: np.ndarray | None = None) -> Affine:
        """Return the map of points of an image under the deterministic steps.

        Points are in pixels. The origin is the upper left corner of the upper left pixel.

        Args:
            size: width and height of the original image in pixels.
            box: (4,) x, y, width, height of the object in pixels; only `crop_box` uses it.

        Raises:
            FgbenchError: a crop is larger than the image, or the box is missing or outside the image.
        """
        scale, offset = np.ones(2), np.zeros(2)
        for step in self.fixed:
            (left, top, right, bottom), size = step.window(size, box)
            factor = np.array(size) / (right - left, bottom - top)
            scale, offset = scale * factor, (offset - (left, top)) * factor
        return Affine((float(scale[0]), float(scale[1])), (float(offset[0]), float(offset[1])))


def _parse_step(part: str, text: str) -> PipelineStep:
    """Parse one step.

    Args:
        part: text of the step, such as `resize(448, bilinear)`.
        text: text of the whole pipeline, for error messages.
    """
    match = _STEP_PATTERN.fullmatch(part)
    if not match:
        raise FgbenchError(f"in {text!r}: {part!r} is not a step such as center_crop(448)")
    name, arguments = match[1], [value.strip() for value in (match[2] or "").split(",") if value.strip()]
    if name not in STEPS:
        raise FgbenchError(f"in {text!r}: no step {name!r}; {nearest(name, STEPS)}")
    syntax = STEPS[name]
    usage_error = FgbenchError(f"in {text!r}: {name} takes {syntax.usage}")

    # One number that does not depend on the size of the image.
    if syntax.max_amount is not None:
        amount = _number(arguments[0]) if len(arguments) == 1 else None
        if amount is None or not 0 < amount <= syntax.max_amount:
            raise usage_error
        return PipelineStep(name, (amount,))

    # Lengths in pixels, and a filter.
    filter_name = None
    if syntax.has_filter:
        filter_name = arguments.pop() if len(arguments) == 2 else DEFAULT_FILTER
        if filter_name not in FILTERS:
            raise FgbenchError(f"in {text!r}: no filter {filter_name!r}; {nearest(filter_name, FILTERS)}")
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
