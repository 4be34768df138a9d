"""Preprocessing and augmentation as one readable line: `resize_short(448) | center_crop(448) | flip`.

Deterministic steps come first. They are applied once, when an image is decoded into the pixel cache. Random steps
follow. `fgbench.datasets.augment` applies them to every training batch, and its docstring says how to add a step.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image

from fgbench.datasets.image_modes import to_rgb
from fgbench.datasets.pipeline_steps import FILTERS, FIXED, RANDOM, STEPS, PipelineStep, parse_step, recompressed
from fgbench.util.errors import FgbenchError


class Affine(NamedTuple):
    """Map from points of the original image to the preprocessed image: x' = scale * x + offset, for x and y."""

    scale: tuple[float, float]
    """Factors of x and y."""
    offset: tuple[float, float]
    """Offsets of x and y in pixels of the preprocessed image."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The steps from a decoded image to the input of a method.

    Deterministic steps:

    - `recompress(q)` compresses the image to JPEG of quality q, from 1 to 95, and decodes it. It must be the first
      step.
    - `crop_box` cuts out the box of the object. It must be the first step, except for `recompress`.
    - `cut_bottom(n)` removes the lowest n px, such as a banner. It must be the first step, except for `recompress`.
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
        return _parse(text)

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

    def recompressed(self, quality: int) -> "Pipeline":
        """Return this pipeline with `recompress(quality)` as its first step.

        Raises:
            FgbenchError: the quality is not from 1 to 95.
        """
        steps = [str(step) for step in self.steps if step.name != "recompress"]
        return Pipeline.parse(" | ".join([f"recompress({quality})", *steps]))

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
            image: the original image; `to_rgb` converts it.
            box: (4,) x, y, width, height of the object in pixels; only `crop_box` uses it.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            FgbenchError: a crop is larger than the image, or the box is missing or outside the image.
        """
        image = to_rgb(image)
        for step in self.fixed:
            if step.name == "recompress":
                image = recompressed(image, step.size)
                continue
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


@lru_cache(maxsize=4096)
def _parse(text: str) -> Pipeline:
    """Parse a line; thousands of records have few different ones."""
    steps = tuple(parse_step(part.strip(), text) for part in text.split("|"))
    fixed = [step.name in FIXED for step in steps]
    if fixed != sorted(fixed, reverse=True):
        raise FgbenchError(
            f"in {text!r}: the random steps ({', '.join(RANDOM)}) must follow the others", "write them last"
        )
    if any(step.name == "recompress" for step in steps[1:]):
        raise FgbenchError(f"in {text!r}: recompress must be the first step", "write it first")
    for before, step in pairwise(steps):
        if step.name in {"crop_box", "cut_bottom"} and before.name != "recompress":
            raise FgbenchError(f"in {text!r}: {step.name} must be the first step", "write it first")
    pipeline = Pipeline(steps)
    if not pipeline.fixed or pipeline.fixed[-1].name not in {"resize", "center_crop"}:
        raise FgbenchError(
            f"in {text!r}: the last deterministic step must be resize or center_crop",
            "add resize(n) or center_crop(n)",
        )
    if pipeline.output_size < 1:
        raise FgbenchError(f"in {text!r}: nothing remains of the image after shift", "use smaller lengths")
    return pipeline
