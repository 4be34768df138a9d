"""Rotation and colour jitter of a batch equal those of torchvision for one image, and do not wait for a GPU."""

import pytest
import torch
from simulated_gpu import SimulatedGpu
from torch.nn import functional as F

import fgbench.util.torch_compat  # noqa: F401 - before the first import of torchvision
from fgbench.datasets import augment as steps
from fgbench.datasets.augment import augment, mirror_order
from fgbench.datasets.pipeline import Pipeline

DIFFERING = 1e-3
"""Largest share of the values that may differ, by one level: the rounding of a processor with other instructions."""
ALL = "flip | shift(2, 3) | rotate(25) | color_jitter(0.4) | pca_noise(0.1) | random_crop(40)"


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(count=4, size=51):
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=seeded(1))


def smooth(count=4, size=64):
    small = torch.randint(0, 256, (count, 3, 7, 7), generator=seeded(2)).float()
    return F.interpolate(small, size=(size, size), mode="bicubic").clamp(0, 255).to(torch.uint8)


def of_torchvision(text, images):
    """Apply torchvision to each image with the numbers that `augment` draws."""
    from torchvision.transforms.v2 import functional as tv

    draw = torch.rand(len(images), 1 if "rotate" in text else 3, generator=seeded())
    if "rotate" in text:
        angles = (2 * draw[:, 0] - 1) * 25
        pairs = zip(images, angles.tolist(), strict=True)
        return torch.stack([tv.rotate(image, angle, tv.InterpolationMode.BILINEAR) for image, angle in pairs])
    result = []
    for image, (brightness, contrast, saturation) in zip(images, (1 + (2 * draw - 1) * 0.4).tolist(), strict=True):
        bright = tv.adjust_brightness(image, brightness)
        result.append(tv.adjust_saturation(tv.adjust_contrast(bright, contrast), saturation))
    return torch.stack(result)


@pytest.mark.parametrize("text", ["rotate(25)", "color_jitter(0.4)"])
@pytest.mark.parametrize("images", [noise(), smooth()], ids=["noise", "smooth"])
@pytest.mark.parametrize("whole", [False, True], ids=["image by image", "whole batch"])
def test_values_are_those_of_torchvision(text, images, whole, monkeypatch):
    if whole:
        monkeypatch.setattr(steps, "_in_batches", lambda function, *arguments: function(*arguments))
    found, _ = augment(Pipeline.parse(f"resize({images.shape[-1]}) | {text}"), images, seeded())
    difference = (found.int() - of_torchvision(text, images).int()).abs()
    assert difference.max() <= 1
    assert (difference > 0).double().mean() <= DIFFERING
    assert (found != images).any()


def counts(count, *, values=True):
    names = ("left eye", "right eye", "tail")
    points = 25 + 3 * torch.rand(count, 3, 3, generator=seeded(3))
    with SimulatedGpu(values=values) as gpu:
        images, points = noise(count).to("cuda"), points.to("cuda")
        gpu.clear()
        found, moved = augment(Pipeline.parse(f"resize(51) | {ALL}"), images, seeded(), points, mirror_order(names))
        return sum(gpu.kernels.values()), list(gpu.waits), (found.cpu(), moved.cpu())


def test_a_gpu_has_the_images_and_keypoints_of_the_cpu_and_is_never_waited_for():
    _, waits, (found, moved) = counts(3)
    assert not waits
    points = 25 + 3 * torch.rand(3, 3, 3, generator=seeded(3))
    names = ("left eye", "right eye", "tail")
    images, keypoints = augment(Pipeline.parse(f"resize(51) | {ALL}"), noise(3), seeded(), points, mirror_order(names))
    assert (found.int() - images.int()).abs().max() <= 1
    assert torch.equal(moved, keypoints)


def test_kernels_do_not_grow_with_the_number_of_images():
    few, many = counts(2, values=False)[0], counts(32, values=False)[0]
    assert few == many <= 130
