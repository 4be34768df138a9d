import math

import pytest
import torch
from torch import Tensor

from fgbench.datasets.augment import _STEP_FUNCTIONS, COLOUR_AXES, COLOUR_SPREAD, augment, mirror_order
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pipeline_steps import RANDOM
from fgbench.util.errors import ArgumentError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(count=6, size=32):
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=seeded(9))


def pipeline_of(text, size=32):
    return Pipeline.parse(f"resize({size}) | {text}")


def test_every_random_step_has_a_function():
    assert set(_STEP_FUNCTIONS) == set(RANDOM)


def test_flip_mirrors_about_half_and_depends_on_the_generator_only():
    images = torch.arange(1000 * 12).reshape(1000, 1, 3, 4)
    pipeline = Pipeline.parse("resize(4) | flip")
    one = augment(pipeline, images, torch.Generator().manual_seed(1))[0]
    torch.rand(5)
    assert torch.equal(one, augment(pipeline, images, torch.Generator().manual_seed(1))[0])
    same = (one == images).flatten(1).all(1)
    mirrored = (one == images.flip(-1)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 420 < int(mirrored.sum()) < 580


def test_random_crop_cuts_windows_of_the_image():
    images = torch.arange(36).reshape(1, 1, 6, 6).expand(50, 3, 6, 6)
    out = augment(Pipeline.parse("resize(6) | random_crop(4)"), images, torch.Generator().manual_seed(0))[0]
    assert out.shape == (50, 3, 4, 4)
    assert (out[:, :, 1:, 0] - out[:, :, :-1, 0] == 6).all()
    assert len({int(corner) for corner in out[:, 0, 0, 0]}) == 9


def images_with_dot(places, size) -> Tensor:
    """Black images, each with a bright square of 5 px around its pixel x, y."""
    images = torch.zeros(len(places), 3, size, size, dtype=torch.uint8)
    for image, (x, y) in zip(images, places, strict=True):
        image[:, y - 2 : y + 3, x - 2 : x + 3] = 255
    return images


def centre_of_light(image):
    """x, y of the bright square; the origin is the corner of the first pixel."""
    light = image.double().sum(0)
    rows, columns = torch.meshgrid(*(torch.arange(side) + 0.5 for side in light.shape), indexing="ij")
    return torch.stack([(columns * light).sum(), (rows * light).sum()]) / light.sum()


STEPS = ["flip", "random_crop(51)", "shift(6, 3)", "shift(2, 7)", "rotate(25)", "rotate(180)"]


@pytest.mark.parametrize("text", [*STEPS, "flip | shift(4, 4) | rotate(15) | random_crop(50)"])
def test_keypoints_move_with_the_pixels(text):
    size, rng = 64, seeded(3)
    places = torch.randint(24, 40, (40, 2), generator=rng)
    images = images_with_dot(places.tolist(), size)
    points = torch.cat([places[:, None] + 0.5, torch.ones(40, 1, 1)], dim=-1)
    out, moved = augment(pipeline_of(text, size), images, seeded(), points)
    assert out.shape[-1] == pipeline_of(text, size).output_size
    assert moved.shape == (40, 1, 3)
    assert moved.dtype == points.dtype
    assert (moved[..., 2] == 1).all()
    for image, point in zip(out, moved, strict=True):
        torch.testing.assert_close(centre_of_light(image), point[0, :2].double(), atol=0.3, rtol=0)
    assert len({tuple(place) for place in (moved[:, 0, :2] - points[:, 0, :2]).round().int().tolist()}) > 1


def test_without_random_steps_nothing_changes():
    images, points = noise(), torch.tensor([[[99.0, 5.0, 1.0]]]).expand(6, 1, 3)
    out, same = augment(Pipeline.parse("resize(32)"), images, seeded(), points)
    assert out is images
    assert same is points


def test_shift_has_nine_positions():
    images = torch.arange(100, dtype=torch.uint8).view(1, 1, 10, 10).expand(400, 3, 10, 10)
    out, _ = augment(pipeline_of("shift(2, 1)", 10), images, seeded())
    assert out.shape == (400, 3, 6, 6)
    corners = {(int(v) % 10, int(v) // 10) for v in out[:, 0, 0, 0]}
    assert corners == {(x, y) for x in (0, 2, 4) for y in (1, 2, 3)}


def test_rotate_draws_uniform_angles_in_both_directions_counterclockwise_positive():
    points = torch.tensor([[[60.0, 32.0, 1.0]]]).expand(300, 1, 3)
    _, moved = augment(pipeline_of("rotate(20)", 64), torch.zeros(300, 3, 64, 64, dtype=torch.uint8), seeded(), points)
    x, y = moved[:, 0, 0] - 32, moved[:, 0, 1] - 32
    torch.testing.assert_close(x.hypot(y), torch.full((300,), 28.0))
    angles = torch.rad2deg(torch.atan2(-y, x))
    assert -20 <= angles.min() < -18
    assert 18 < angles.max() <= 20
    draws = 20 * (2 * torch.rand(300, 1, generator=seeded())[:, 0] - 1)
    torch.testing.assert_close(angles, draws, atol=1e-3, rtol=1e-4)


def test_keypoints_outside_the_image_become_invisible_and_invisible_ones_stay_invisible():
    points = torch.tensor([[[1.0, 16.0, 1.0], [16.0, 16.0, 1.0], [16.0, 16.0, 0.0], [16.0, 31.0, 1.0]]])
    out, moved = augment(pipeline_of("random_crop(16)"), noise(50), seeded(), points.expand(50, 4, 3))
    inside = ((moved[..., :2] >= 0) & (moved[..., :2] <= out.shape[-1])).all(-1)
    assert torch.equal(moved[..., 2] > 0, inside & (points[..., 2] > 0))
    assert moved[:, 1, 2].all()
    assert not moved[:, 2, 2].any()
    for corner in (0, 3):
        assert 0 < moved[:, corner, 2].sum() < 50


def test_keypoints_cut_off_by_one_step_stay_invisible_after_the_next():
    size, count = 64, 300
    points = torch.tensor([[[2.0, 32.0, 1.0]]]).expand(count, 1, 3)
    images = images_with_dot([(2, 32)] * count, size)
    out, moved = augment(pipeline_of("random_crop(40) | rotate(60)", size), images, seeded(), points)
    dark = out.flatten(1).amax(1) == 0
    inside = ((moved[..., :2] >= 0) & (moved[..., :2] <= 40)).all(-1)[:, 0]
    assert (dark & inside).any()
    assert not moved[dark, 0, 2].any()
    assert moved[~dark, 0, 2].any()


NAMES = ("beak", "left eye", "right eye", "left leg", "tail", "right wing", "left wing", "leftover", "upper left")


def test_mirror_order_swaps_left_and_right():
    assert mirror_order(NAMES).tolist() == [0, 2, 1, 3, 4, 6, 5, 7, 8]
    assert mirror_order(("right", "left")).tolist() == [0, 1]
    assert mirror_order(("tail",)).tolist() == [0]


def test_flip_swaps_left_and_right_keypoints():
    points = torch.rand(200, len(NAMES), 3, generator=seeded(4)) * torch.tensor([32.0, 32.0, 1.0])
    points[..., 2] = (points[..., 2] > 0.3).float()
    order = mirror_order(NAMES)
    images = noise(200)
    out, moved = augment(pipeline_of("flip"), images, seeded(), points, order)
    mirrored = (out != images).flatten(1).any(1)
    assert 60 < mirrored.sum() < 140
    assert torch.equal(moved[~mirrored], points[~mirrored])
    for name, other in (("left eye", "right eye"), ("right eye", "left eye"), ("tail", "tail"), ("left leg",) * 2):
        here, there = moved[mirrored][:, NAMES.index(name)], points[mirrored][:, NAMES.index(other)]
        torch.testing.assert_close(here[:, 0], 32 - there[:, 0])
        assert torch.equal(here[:, 1:], there[:, 1:])
    _, unordered = augment(pipeline_of("flip"), images, seeded(), points)
    torch.testing.assert_close(unordered[mirrored][:, 1, 0], 32 - points[mirrored][:, 1, 0])


ALL = "random_crop(28) | shift(2, 3) | flip | rotate(30) | color_jitter(0.4) | pca_noise(0.1)"


@pytest.mark.parametrize("text", [*ALL.split(" | "), ALL])
def test_random_numbers_of_an_image_do_not_depend_on_other_images(text):
    images, points = noise(7), torch.rand(7, 2, 3, generator=seeded(5)) * 20
    other, others = images.clone(), points.clone()
    other[:3], others[:3] = 255 - other[:3], 0
    one, moved = augment(pipeline_of(text), images, seeded(), points)
    two, again = augment(pipeline_of(text), other, seeded(), others)
    assert torch.equal(one[3:], two[3:])
    assert torch.equal(moved[3:], again[3:])


@pytest.mark.parametrize("text", [*ALL.split(" | "), ALL])
def test_parts_of_a_batch_equal_the_whole_batch(text):
    images, points, order = noise(7), torch.rand(7, 2, 3, generator=seeded(5)) * 20, torch.tensor([1, 0])
    whole, moved = augment(pipeline_of(text), images, seeded(), points, order)
    for first in range(3):
        rows = torch.arange(first, 7, 3)
        share, places = augment(pipeline_of(text), images[rows], seeded(), points[rows], order, rows=rows, batch=7)
        assert torch.equal(share, whole[rows])
        assert torch.equal(places, moved[rows])


@pytest.mark.parametrize("text", [*ALL.split(" | "), ALL])
def test_images_stay_uint8_and_depend_on_the_generator_only(text):
    images = noise(30)
    kept = images.clone()
    out, none = augment(pipeline_of(text), images, seeded())
    assert none is None
    assert out.dtype == torch.uint8
    assert torch.equal(images, kept)
    torch.rand(3)
    assert torch.equal(out, augment(pipeline_of(text), images, seeded())[0])
    assert not torch.equal(out, augment(pipeline_of(text), images, seeded(1))[0])


def test_a_crop_larger_than_the_images_is_an_error():
    with pytest.raises(ArgumentError, match=r"random_crop\(33\) is larger than the images of 32 px"):
        augment(pipeline_of("random_crop(33)"), noise(), seeded())


@pytest.mark.parametrize(
    ("images", "points"), [((3, 8, 8), (3, 2, 3)), ((4, 3, 8, 8), (3, 2, 3)), ((4, 3, 8, 8), (4, 3))]
)
def test_shapes_that_do_not_agree_are_an_error(images, points):
    with pytest.raises(ArgumentError, match=r"must have shapes \(B, 3, H, W\) and \(B, P, 3\), not"):
        augment(pipeline_of("flip"), torch.zeros(images, dtype=torch.uint8), seeded(), torch.zeros(points))


def test_color_jitter_scales_brightness_of_grey_images_by_its_strength():
    grey = torch.full((200, 3, 8, 8), 100, dtype=torch.uint8)
    points = torch.rand(200, 1, 3, generator=seeded(2))
    out, same = augment(pipeline_of("color_jitter(0.3)", 8), grey, seeded(), points)
    assert torch.equal(same, points)
    assert (out == out[:, :1, :1, :1]).all()  # a uniform image has no contrast, and grey has no saturation
    light = out[:, 0, 0, 0].float()
    assert 67 <= light.min() < 75
    assert 122 < light.max() <= 130
    expected = 100 * (1 + (2 * torch.rand(200, 3, generator=seeded())[:, 0] - 1) * 0.3)
    assert (expected - light).min() >= 0
    assert (expected - light).max() <= 3  # torchvision rounds down after each of the three


def test_color_jitter_draws_contrast_and_saturation_separately():
    images = torch.full((100, 3, 2, 8), 60, dtype=torch.uint8)
    images[:, 0, :, 4:] = 140  # red on the right
    out, _ = augment(pipeline_of("color_jitter(0.2)", 8), images, seeded())
    bright, contrast, saturation = (1 + (2 * torch.rand(100, 3, generator=seeded()) - 1) * 0.2).T
    grey = torch.tensor([0.2989, 0.587, 0.114])
    left, right = (torch.tensor(colour, dtype=torch.float) for colour in ((60, 60, 60), (140, 60, 60)))
    left, right = bright[:, None] * left, bright[:, None] * right
    mean = ((left @ grey + right @ grey) / 2)[:, None]
    for colour, column in ((left, 0), (right, -1)):
        stretched = mean + contrast[:, None] * (colour - mean)
        lightness = (stretched @ grey)[:, None]
        expected = lightness + saturation[:, None] * (stretched - lightness)
        assert (out[:, :, 0, column].float() - expected).abs().max() <= 4


def test_pca_noise_adds_one_colour_to_all_pixels_of_an_image():
    images = torch.randint(90, 160, (2000, 3, 2, 2), dtype=torch.uint8, generator=seeded(8))
    points = torch.rand(2000, 1, 3, generator=seeded(2))
    out, same = augment(pipeline_of("pca_noise(0.1)", 2), images, seeded(), points)
    assert torch.equal(same, points)
    added = out.float() - images.float()
    assert (added == added[:, :, :1, :1]).all()
    axes, spread = torch.tensor(COLOUR_AXES), torch.tensor(COLOUR_SPREAD)
    torch.testing.assert_close(axes.T @ axes, torch.eye(3), atol=2e-3, rtol=0)
    draws = torch.randn(2000, 3, generator=seeded())
    expected = sum(0.1 * spread[k] * draws[:, k, None] * axes[:, k] for k in range(3))
    assert (added[:, :, 0, 0] - expected).abs().max() <= 0.51
    assert math.isclose(float((added[:, :, 0, 0] @ axes)[:, 0].std()), 5.546, rel_tol=0.05)
    white, _ = augment(pipeline_of("pca_noise(1)", 2), torch.full((50, 3, 2, 2), 250, dtype=torch.uint8), seeded())
    assert (white == 255).any()
    assert (white.float() >= 40).all()  # clamped, not wrapped around
