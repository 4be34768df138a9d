"""Preprocessing as one readable, hashable line: `resize_short(448) | center_crop(448) | flip`.

The deterministic steps come first and are applied once, when an image is decoded into the pixel cache; the random
steps follow and are applied to batches in training.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from fgbench.errors import FgbenchError, nearest

if TYPE_CHECKING:
    import torch

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_STEP = re.compile(r"([a-z_]+)(?:\(([^()]*)\))?")


def _resize_short(image: Image.Image, size: int, filter_name: str = "bicubic") -> Image.Image:
    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    return image.resize((width, height), FILTERS[filter_name])


def _resize(image: Image.Image, size: int, filter_name: str = "bicubic") -> Image.Image:
    return image.resize((size, size), FILTERS[filter_name])


def _center_crop(image: Image.Image, size: int) -> Image.Image:
    left, top = (image.width - size) // 2, (image.height - size) // 2
    if left < 0 or top < 0:
        raise FgbenchError(
            f"center_crop({size}) on an image of {image.width} x {image.height} px", "resize before the crop"
        )
    return image.crop((left, top, left + size, top + size))


FIXED: dict[str, Callable[..., Image.Image]] = {
    "resize_short": _resize_short,
    "resize": _resize,
    "center_crop": _center_crop,
}
RANDOM = ("random_crop", "flip")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a pipeline."""

    name: str
    """A key of `FIXED`, or one of `RANDOM`."""
    size: int | None = None
    """Pixels; None for `flip`."""
    filter_name: str | None = None
    """Resampling filter of the two resizes; None for the others."""

    def __str__(self) -> str:
        arguments = ", ".join(str(value) for value in (self.size, self.filter_name) if value is not None)
        return f"{self.name}({arguments})" if arguments else self.name


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The steps from a decoded image to the pixels a method sees.

    `resize_short(n)` makes the shorter side n px, `resize(n)` warps to n x n, `center_crop(n)` cuts n x n from the
    middle, `random_crop(n)` from anywhere, `flip` mirrors half of the images. Both resizes take a filter as second
    argument (bilinear, bicubic, lanczos; antialiased), bicubic when none is given.
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
        names = [step.name for step in steps]
        fixed = [name in FIXED for name in names]
        if fixed != sorted(fixed, reverse=True):
            raise FgbenchError(f"in {text!r}: put the random steps ({', '.join(RANDOM)}) after the others")
        pipeline = cls(steps)
        if not any(step.name in {"resize", "center_crop"} for step in pipeline.fixed):
            raise FgbenchError(
                f"in {text!r}: the steps before the random ones must end in one size", "add resize(n) or center_crop(n)"
            )
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
        return next(step.size for step in reversed(self.fixed) if step.name != "resize_short" and step.size)

    def resized(self, size: int) -> "Pipeline":
        """The same pipeline for another input size: every size scales with the final one."""
        final = next(step.size for step in reversed(self.steps) if step.size)
        return Pipeline(
            tuple(replace(step, size=round(step.size * size / final)) if step.size else step for step in self.steps)
        )

    def decode(self, image: Image.Image) -> np.ndarray:
        """The deterministic steps on one image: (H, W, 3) uint8 RGB, grey images replicated to three channels."""
        image = image.convert("RGB")
        for step in self.fixed:
            arguments = [value for value in (step.size, step.filter_name) if value is not None]
            image = partial(FIXED[step.name], image)(*arguments)
        return np.asarray(image)

    def augment(self, images: "torch.Tensor", generator: "torch.Generator") -> "torch.Tensor":
        """The random steps on a batch (B, 3, H, W), one draw an image, from `generator` alone."""
        for step in self.random:
            images = _random_flip(images, generator) if step.name == "flip" else _random_crop(images, step, generator)
        return images


def _random_flip(images: "torch.Tensor", generator: "torch.Generator") -> "torch.Tensor":
    import torch

    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None].to(images.device), images.flip(-1), images)


def _random_crop(images: "torch.Tensor", step: Step, generator: "torch.Generator") -> "torch.Tensor":
    import torch

    size, room = step.size or 0, images.shape[-1] - (step.size or 0)
    if room < 0:
        raise FgbenchError(f"{step} on images of {images.shape[-1]} px", "crop no more than the image has")
    corners = torch.randint(room + 1, (len(images), 2), generator=generator).tolist()
    return torch.stack([image[:, y : y + size, x : x + size] for image, (y, x) in zip(images, corners, strict=True)])


def _parse_step(part: str, text: str) -> Step:
    match = _STEP.fullmatch(part)
    if not match:
        raise FgbenchError(f"in {text!r}: {part!r} is not a step such as center_crop(448)")
    name, arguments = match[1], [value.strip() for value in (match[2] or "").split(",") if value.strip()]
    if name not in FIXED and name not in RANDOM:
        raise FgbenchError(f"in {text!r}: no step {name!r}; {nearest(name, [*FIXED, *RANDOM])}")
    if name == "flip":
        if arguments:
            raise FgbenchError(f"in {text!r}: flip takes no argument")
        return Step(name)
    resizes = name.startswith("resize")
    if not arguments or len(arguments) > 1 + resizes or not arguments[0].isdigit() or int(arguments[0]) < 1:
        raise FgbenchError(f"in {text!r}: {name} takes a size in pixels{' and a filter' if resizes else ''}")
    filter_name = (arguments[1:] or ["bicubic"])[0] if resizes else None
    if filter_name is not None and filter_name not in FILTERS:
        raise FgbenchError(f"in {text!r}: no filter {filter_name!r}; {nearest(filter_name, FILTERS)}")
    return Step(name, int(arguments[0]), filter_name)
