"""The random steps of a pipeline, on batches of images and on the keypoints in them.

`flip` mirrors half of the images, `random_crop(n)` cuts n x n px from anywhere, `shift(x, y)` moves the window by -x, 0
or x px to the side and -y, 0 or y px up or down inside the image (nothing is padded, so the image shrinks by twice the
longer), `rotate(a)` turns by up to a degrees, `color_jitter(s)` scales brightness, contrast and saturation by up to
1 - s and 1 + s, `pca_noise(d)` adds noise along the colours' principal axes (Krizhevsky, Sutskever and Hinton 2012,
section 4.1).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

import fgbench.util.torch_compat  # noqa: F401 - before the first import of torchvision
from fgbench.datasets.pipeline import Pipeline, Step
from fgbench.util.errors import FgbenchError

COLOUR_AXES = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
"""Principal axes of ImageNet's RGB values, one a column."""
COLOUR_SPREAD = (55.46, 4.794, 1.148)
"""Their standard deviations, white being 255."""


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
    """The random steps of `pipeline` on a batch, with draws of its own for each image.

    Args:
        pipeline: its deterministic steps have been done.
        images: (B, 3, H, W) uint8.
        generator: the only source of randomness; on the CPU.
        points: (B, P, 3) x, y in pixels and visibility, moved along with the images.
        mirror_order: (P,) int64, for each keypoint the one that a mirror image shows in its place: a mirrored left eye
            is a right eye. None when no keypoint has a side.
        rows: positions of `images` in the whole batch, when another process has the others.
        batch: images in the whole batch; each gets the same draws whoever has it.

    Returns:
        Images of `pipeline.output_size`, and the points in them; those that left the image are not visible.
    """
    draw = _Draws(generator, len(images) if batch is None else batch, rows)
    for step in pipeline.random:
        images, points = _STEPS[step.name](step, images, points, mirror_order, draw)
        if points is not None:
            # After each step: what one cut away, the next may turn back into the image, but not its pixels.
            inside = ((points[..., :2] >= 0) & (points[..., :2] <= images.shape[-1])).all(-1)
            points = torch.cat([points[..., :2], (points[..., 2] * inside)[..., None]], dim=-1)
    return images, points


def mirror_order(names: tuple[str, ...]) -> Tensor:
    """For each keypoint, the index of the one on the other side: `left eye` and `right eye` change places."""
    other = {name: name for name in names}
    for name in names:
        side, _, rest = name.partition(" ")
        opposite = {"left": f"right {rest}", "right": f"left {rest}"}.get(side)
        if opposite in other:
            other[name] = opposite
    return torch.tensor([names.index(other[name]) for name in names])


Points = Tensor | None


class _Draws:
    """Random numbers for a whole batch, of which the rows at hand are given."""

    def __init__(self, generator: torch.Generator, batch: int, rows: Tensor | None) -> None:
        self._generator, self._batch = generator, batch
        self._rows = torch.arange(batch) if rows is None else rows

    def uniform(self, columns: int) -> Tensor:
        """(B, columns) in [0, 1)."""
        return torch.rand(self._batch, columns, generator=self._generator)[self._rows]

    def normal(self, columns: int) -> Tensor:
        """(B, columns) ~ N(0, 1)."""
        return torch.randn(self._batch, columns, generator=self._generator)[self._rows]

    def integers(self, below: int, columns: int) -> Tensor:
        """(B, columns) from 0 to below - 1."""
        return torch.randint(below, (self._batch, columns), generator=self._generator)[self._rows]


def _flip(step: Step, images: Tensor, points: Points, order: Tensor | None, draw: "_Draws") -> tuple[Tensor, Points]:
    mirrored = (draw.uniform(1)[:, 0] < 0.5).to(images.device)
    result = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    if points is not None:
        other = points if order is None else points[:, order.to(points.device)]
        swapped = torch.stack([images.shape[-1] - other[..., 0], other[..., 1], other[..., 2]], dim=-1)
        points = torch.where(mirrored[:, None, None].to(points.device), swapped, points)
    return result, points


def _windows(images: Tensor, points: Points, corners: Tensor, size: int) -> tuple[Tensor, Points]:
    """From each image the square of `size` px with its upper left corner at `corners` (B, 2) y, x."""
    cut = torch.stack(
        [image[:, y : y + size, x : x + size] for image, (y, x) in zip(images, corners.tolist(), strict=True)]
    )
    if points is not None:
        moved = points[..., :2] - corners.flip(1)[:, None].to(points)
        points = torch.cat([moved, points[..., 2:]], dim=-1)
    return cut, points


def _random_crop(
    step: Step, images: Tensor, points: Points, order: Tensor | None, draw: "_Draws"
) -> tuple[Tensor, Points]:
    room = images.shape[-1] - step.size
    if room < 0:
        raise FgbenchError(f"{step} on images of {images.shape[-1]} px", "crop no more than the image has")
    return _windows(images, points, draw.integers(room + 1, 2), step.size)


def _shift(step: Step, images: Tensor, points: Points, order: Tensor | None, draw: "_Draws") -> tuple[Tensor, Points]:
    aside, up = (int(number) for number in step.numbers)
    margin = max(aside, up)
    moves = draw.integers(3, 2) - 1
    return _windows(images, points, margin + moves * torch.tensor([up, aside]), images.shape[-1] - 2 * margin)


def _rotate(step: Step, images: Tensor, points: Points, order: Tensor | None, draw: "_Draws") -> tuple[Tensor, Points]:
    from torchvision.transforms.v2.functional import InterpolationMode, rotate

    angles = (2 * draw.uniform(1)[:, 0] - 1) * step.numbers[0]
    turned = [
        rotate(image, angle, InterpolationMode.BILINEAR) for image, angle in zip(images, angles.tolist(), strict=True)
    ]
    if points is not None:
        centre = images.shape[-1] / 2
        x, y = points[..., 0] - centre, points[..., 1] - centre
        cosine, sine = (f(angles * math.pi / 180)[:, None].to(points) for f in (torch.cos, torch.sin))
        # Counter-clockwise on the screen, where y points down.
        points = torch.stack([centre + cosine * x + sine * y, centre - sine * x + cosine * y, points[..., 2]], dim=-1)
    return torch.stack(turned), points


def _color_jitter(
    step: Step, images: Tensor, points: Points, order: Tensor | None, draw: "_Draws"
) -> tuple[Tensor, Points]:
    from torchvision.transforms.v2.functional import adjust_brightness, adjust_contrast, adjust_saturation

    strength = step.numbers[0]
    factors = 1 + (2 * draw.uniform(3) - 1) * strength
    result = []
    for image, (brightness, contrast, saturation) in zip(images, factors.tolist(), strict=True):
        bright = adjust_brightness(image, brightness)
        result.append(adjust_saturation(adjust_contrast(bright, contrast), saturation))
    return torch.stack(result), points


def _pca_noise(
    step: Step, images: Tensor, points: Points, order: Tensor | None, draw: "_Draws"
) -> tuple[Tensor, Points]:
    draws = draw.normal(3) * step.numbers[0] * torch.tensor(COLOUR_SPREAD)
    offset = draws @ torch.tensor(COLOUR_AXES).T
    noisy = images.float() + offset[:, :, None, None].to(images.device)
    return noisy.round().clamp(0, 255).to(torch.uint8), points


_STEPS: dict[str, Callable[[Step, Tensor, Points, Tensor | None, "_Draws"], tuple[Tensor, Points]]] = {
    "flip": _flip,
    "random_crop": _random_crop,
    "shift": _shift,
    "rotate": _rotate,
    "color_jitter": _color_jitter,
    "pca_noise": _pca_noise,
}
