"""Random steps of a pipeline: augmentation of training batches and of the keypoints in them.

- `flip` mirrors half of the images.
- `random_crop(n)` cuts n x n px at a random position.
- `shift(x, y)` moves the image by -x, 0 or x px horizontally and by -y, 0 or y px vertically. Nothing is padded, so the
  image shrinks by twice the larger of the two lengths.
- `rotate(a)` rotates by up to a degrees in both directions.
- `color_jitter(s)` multiplies brightness, contrast and saturation by factors from 1 - s to 1 + s.
- `pca_noise(d)` adds noise along the principal axes of the colours (Krizhevsky, Sutskever and Hinton 2012,
  section 4.1), with d as the standard deviation.

How to add a random step `blur(s)`:

1. Add a line for `blur` to `STEPS` in `fgbench/datasets/pipeline_steps.py`. Recipes can name the step from then on.
2. Write a function `_blur` in this file and put `@random_step("blur")` above it. All functions have the same arguments
   (see `StepFunction`). Take random numbers from `draws` only, so that every process of a run draws the same numbers,
   and move them with `to_device`, so that a GPU is not waited for. Change all images with the same operations.
   If the step moves pixels, move the keypoints, too.
3. If the step changes the size of the images, add it to `Pipeline.output_size`.
4. Describe the step in the list above, and add it to `ALL` in `tests/datasets/test_augment.py`.

To add a deterministic step, add its line to `STEPS`, its geometry to `PipelineStep.window`, and its operation on the
pixels to `Pipeline.decode` if it is neither a crop nor a resize.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pipeline_steps import PipelineStep
from fgbench.util.errors import ArgumentError
from fgbench.util.numeric.devices import to_device

COLOUR_AXES = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
"""Principal axes of the RGB values of ImageNet, one in each column."""
COLOUR_SPREAD = (55.46, 4.794, 1.148)
"""Standard deviations along `COLOUR_AXES`, with white at 255."""


def augment(
    pipeline: Pipeline,
    images: Tensor,
    generator: torch.Generator,
    points: Tensor | None = None,
    mirror_order: Tensor | None = None,
    *,
    rows: Tensor | None = None,
    batch: int | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Apply the random steps of a pipeline to a batch, with separate random numbers for each image.

    Args:
        pipeline: its deterministic steps have been applied already.
        images: (B, 3, H, W) uint8.
        generator: CPU generator of all random numbers.
        points: (B, P, 3) keypoints: x and y in pixels, and visibility.
        mirror_order: (P,) int64, index of the keypoint on the other side of the body (see `mirror_order`). None if no
            keypoint has a side.
        rows: (B,) int64 positions of `images` in the whole batch, if several processes share a batch.
        batch: number of images in the whole batch. The random numbers of an image do not depend on how the batch is
            shared.

    Returns:
        Images (B, 3, S, S) with S = `pipeline.output_size`, and their keypoints (B, P, 3). Keypoints outside the image
        are not visible.

    Raises:
        ArgumentError: the shapes of the arguments do not agree, or a crop is larger than the images.
    """
    if images.ndim != 4 or (points is not None and (points.ndim != 3 or len(points) != len(images))):
        shapes = f"{tuple(images.shape)} and {None if points is None else tuple(points.shape)}"
        raise ArgumentError(f"images and points must have shapes (B, 3, H, W) and (B, P, 3), not {shapes}")
    draws = Draws(generator, len(images) if batch is None else batch, rows)
    for step in pipeline.random:
        images, points = _STEP_FUNCTIONS[step.name](step, images, points, mirror_order, draws)
        if points is not None:
            # Visibility is updated after each step: a later step can move a point back into the image, but not the
            # pixels that were cut off.
            inside = ((points[..., :2] >= 0) & (points[..., :2] <= images.shape[-1])).all(-1)
            points = torch.cat([points[..., :2], (points[..., 2] * inside)[..., None]], dim=-1)
    return images, points


def mirror_order(names: tuple[str, ...]) -> Tensor:
    """Return for each keypoint the index of the keypoint on the other side of the body.

    Args:
        names: names of the P keypoints, such as `left eye`, `right eye` and `tail`.

    Returns:
        (P,) int64; a keypoint without a counterpart gets its own index.
    """
    counterpart = {name: name for name in names}
    for name in names:
        side, _, rest = name.partition(" ")
        opposite = {"left": f"right {rest}", "right": f"left {rest}"}.get(side)
        if opposite in counterpart:
            counterpart[name] = opposite
    return torch.tensor([names.index(counterpart[name]) for name in names])


class Draws:
    """Random numbers for the images of a batch.

    Numbers are drawn for the whole batch. Only those of the images of this process are returned.

    Args:
        generator: CPU generator.
        batch: number of images in the whole batch.
        rows: (B,) positions of the images of this process in the whole batch; None if it has the whole batch.
    """

    def __init__(self, generator: torch.Generator, batch: int, rows: Tensor | None) -> None:
        self._generator, self._batch = generator, batch
        self._rows = torch.arange(batch) if rows is None else rows

    def uniform(self, columns: int) -> Tensor:
        """Draw (B, columns) uniform numbers in [0, 1)."""
        return torch.rand(self._batch, columns, generator=self._generator)[self._rows]

    def normal(self, columns: int) -> Tensor:
        """Draw (B, columns) standard normal numbers."""
        return torch.randn(self._batch, columns, generator=self._generator)[self._rows]

    def integers(self, below: int, columns: int) -> Tensor:
        """Draw (B, columns) integers from 0 to `below` - 1."""
        return torch.randint(below, (self._batch, columns), generator=self._generator)[self._rows]


Points = Tensor | None
"""Keypoints (B, P, 3), or None."""
StepFunction = Callable[[PipelineStep, Tensor, Points, Tensor | None, Draws], tuple[Tensor, Points]]
"""Function (step, images, points, mirror order, draws) -> (images, points); see `augment` for the shapes."""
_STEP_FUNCTIONS: dict[str, StepFunction] = {}


def random_step(name: str) -> Callable[[StepFunction], StepFunction]:
    """Return a decorator that registers the function of a random step.

    Args:
        name: key of `fgbench.datasets.pipeline_steps.STEPS`.
    """

    def register(function: StepFunction) -> StepFunction:
        _STEP_FUNCTIONS[name] = function
        return function

    return register


def _in_batches(function: Callable[[Tensor, Tensor], Tensor], images: Tensor, numbers: Tensor) -> Tensor:
    """Apply a function to images and their numbers: on a GPU to all, on a CPU to each, which stays in the cache."""
    if images.device.type != "cpu":
        return function(images, numbers)
    pairs = zip(torch.split(images, 1), torch.split(numbers, 1), strict=True)
    return torch.cat([function(image, row) for image, row in pairs])


@random_step("flip")
def _flip(
    step: PipelineStep, images: Tensor, points: Points, order: Tensor | None, draws: Draws
) -> tuple[Tensor, Points]:
    mirrored = to_device(draws.uniform(1)[:, 0] < 0.5, images.device)  # (B,)
    result = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    if points is not None:
        counterparts = points if order is None else points[:, to_device(order, points.device)]
        swapped = torch.stack(
            [images.shape[-1] - counterparts[..., 0], counterparts[..., 1], counterparts[..., 2]], dim=-1
        )
        points = torch.where(mirrored[:, None, None].to(points.device), swapped, points)
    return result, points


@random_step("random_crop")
def _random_crop(
    step: PipelineStep, images: Tensor, points: Points, order: Tensor | None, draws: Draws
) -> tuple[Tensor, Points]:
    room = images.shape[-1] - step.size
    if room < 0:
        raise ArgumentError(f"{step} is larger than the images of {images.shape[-1]} px", "use a smaller crop")
    return _crop(images, points, draws.integers(room + 1, 2), step.size)


@random_step("shift")
def _shift(
    step: PipelineStep, images: Tensor, points: Points, order: Tensor | None, draws: Draws
) -> tuple[Tensor, Points]:
    horizontal, vertical = (int(number) for number in step.numbers)
    margin = max(horizontal, vertical)
    moves = draws.integers(3, 2) - 1  # (B, 2), each -1, 0 or 1
    corners = margin + moves * torch.tensor([vertical, horizontal])
    return _crop(images, points, corners, images.shape[-1] - 2 * margin)


def _crop(images: Tensor, points: Points, corners: Tensor, size: int) -> tuple[Tensor, Points]:
    """Cut a square of `size` px from each image, with its upper left corner at `corners` (B, 2) y, x."""
    crops = torch.stack(
        [image[:, y : y + size, x : x + size] for image, (y, x) in zip(images, corners.tolist(), strict=True)]
    )
    if points is not None:
        moved = points[..., :2] - to_device(corners.flip(1)[:, None].to(points.dtype), points.device)
        points = torch.cat([moved, points[..., 2:]], dim=-1)
    return crops, points


@random_step("rotate")
def _rotate(
    step: PipelineStep, images: Tensor, points: Points, order: Tensor | None, draws: Draws
) -> tuple[Tensor, Points]:
    angles = (2 * draws.uniform(1)[:, 0] - 1) * step.numbers[0]  # (B,) degrees
    # Cosine and sine, rounded once for the pixels as in torchvision, and in single precision for the keypoints.
    radians = (angles.double() * (math.pi / 180), angles * (math.pi / 180))
    numbers = torch.stack([f(a).float() for a in radians for f in (torch.cos, torch.sin)], dim=1)
    numbers = to_device(numbers, images.device)  # (B, 4)
    rotated = _in_batches(_turn, images, numbers)
    if points is not None:
        centre = images.shape[-1] / 2
        x, y = points[..., 0] - centre, points[..., 1] - centre
        cosine, sine = numbers[:, 2:, None].to(points).unbind(dim=1)  # (B, 1) each
        # Counter-clockwise on the screen, because y points down.
        points = torch.stack([centre + cosine * x + sine * y, centre - sine * x + cosine * y, points[..., 2]], dim=-1)
    return rotated, points


def _turn(images: Tensor, numbers: Tensor) -> Tensor:
    """Rotate images (B, 3, S, S) uint8 about their centres, with cosine and sine in the first columns of (B, 4).

    Pixels are interpolated bilinearly, with black outside, as `rotate` of torchvision does for one image.
    """
    size = images.shape[-1]
    steps = torch.linspace((1 - size) / 2, (size - 1) / 2, size, device=images.device)  # pixels from the centre
    x, y = steps, steps[:, None]
    cosine, sine = (numbers[:, :2] / (size / 2))[:, :, None, None].unbind(dim=1)  # (B, 1, 1) each
    grid = torch.stack([cosine * x - sine * y, sine * x + cosine * y], dim=-1)  # (B, S, S, 2)
    return F.grid_sample(images.float(), grid, align_corners=False).round_().to(torch.uint8)


@random_step("color_jitter")
def _color_jitter(
    step: PipelineStep, images: Tensor, points: Points, order: Tensor | None, draws: Draws
) -> tuple[Tensor, Points]:
    factors = 1 + (2 * draws.uniform(3) - 1) * step.numbers[0]  # (B, 3)
    rest = (1 - factors.double()).float()
    return _in_batches(_jitter, images, to_device(torch.cat([factors, rest], dim=1), images.device)), points


def _jitter(images: Tensor, numbers: Tensor) -> Tensor:
    """Change brightness, contrast and saturation of images (B, 3, H, W) uint8, as torchvision does for one image.

    Args:
        images: after each of the three steps, they are uint8 again.
        numbers: (B, 6), the three factors, and 1 minus each of them.
    """
    brightness, contrast, saturation, _, contrast_rest, saturation_rest = numbers[:, :, None, None, None].unbind(dim=1)
    images = (images * brightness).clamp_(0, 255).to(torch.uint8)
    images = _blend(images, contrast, _grey(images).mean(dim=(1, 2, 3), keepdim=True), contrast_rest)
    return _blend(images, saturation, _grey(images), saturation_rest)


def _blend(images: Tensor, factor: Tensor, grey: Tensor, rest: Tensor) -> Tensor:
    """Return factor * images + rest * grey as uint8, with factors (B, 1, 1, 1)."""
    return torch.addcmul(images * factor, grey, rest).clamp_(0, 255).to(torch.uint8)


def _grey(images: Tensor) -> Tensor:
    """Return the luminance (B, 1, H, W) of images (B, 3, H, W) uint8, rounded down."""
    red, green, blue = images.unbind(dim=1)
    return red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114).floor_()[:, None]


@random_step("pca_noise")
def _pca_noise(
    step: PipelineStep, images: Tensor, points: Points, order: Tensor | None, draws: Draws
) -> tuple[Tensor, Points]:
    amounts = draws.normal(3) * step.numbers[0] * torch.tensor(COLOUR_SPREAD)  # (B, 3), along the axes
    offset = to_device(amounts @ torch.tensor(COLOUR_AXES).T, images.device)  # (B, 3), RGB
    noisy = images.float() + offset[:, :, None, None]
    return noisy.round().clamp(0, 255).to(torch.uint8), points
