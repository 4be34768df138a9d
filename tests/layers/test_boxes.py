import numpy as np
import pytest
import torch

from fgbench.datasets.bird_parts import BODY, HEAD
from fgbench.layers.boxes import crop_boxes, keypoint_boxes
from fgbench.metrics.parts import part_boxes
from fgbench.util.errors import ArgumentError

NAMES = tuple(sorted(HEAD | BODY))


def pictures(*shape, seed=0):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def naive(image, box, size, context, fine):
    """Pixel by pixel: `fine` x `fine` bilinear samples per pixel; the border of the image is repeated."""
    height, width = image.shape[1:]
    left, top, right, bottom = (float(edge) for edge in box)
    side = max(right - left, bottom - top, 1.0) / (1 - 2 * context)
    # Edges of pixels are whole numbers, their centres halves.
    x0, y0 = (left + right) / 2 - side / 2, (top + bottom) / 2 - side / 2

    def at(channel, y, x):
        return float(image[channel, min(max(y, 0), height - 1), min(max(x, 0), width - 1)])

    out = np.zeros((3, size, size))
    for channel in range(3):
        for i in range(size):
            for j in range(size):
                for p in range(fine):
                    for q in range(fine):
                        y = y0 + side * (i + (p + 0.5) / fine) / size - 0.5
                        x = x0 + side * (j + (q + 0.5) / fine) / size - 0.5
                        v, u = int(np.floor(y)), int(np.floor(x))
                        upper = (1 - (x - u)) * at(channel, v, u) + (x - u) * at(channel, v, u + 1)
                        lower = (1 - (x - u)) * at(channel, v + 1, u) + (x - u) * at(channel, v + 1, u + 1)
                        out[channel, i, j] += ((1 - (y - v)) * upper + (y - v) * lower) / fine**2
    return out


@pytest.mark.parametrize("part", ["head", "body"])
def test_boxes_equal_those_of_the_metric(part):
    draw = np.random.default_rng(0)
    points = draw.uniform(-20, 80, (300, len(NAMES), 2))
    visible = draw.random((300, len(NAMES))) < draw.random((300, 1))
    points[~visible & (draw.random(visible.shape) < 0.5)] = 1e6  # coordinates of invisible keypoints must not matter
    expected = part_boxes(points, visible, NAMES, part)
    columns = [k for k, name in enumerate(NAMES) if name in {"head": HEAD, "body": BODY}[part]]
    keypoints = np.concatenate([points, 0.3 * visible[..., None]], axis=-1)[:, columns]
    boxes, exists = keypoint_boxes(torch.from_numpy(keypoints))
    assert boxes.shape == (300, 4)
    assert exists.dtype == torch.bool
    assert (exists.numpy() == ~np.isnan(expected).any(axis=1)).all()
    assert 50 < exists.sum() < 250
    corners = np.concatenate([expected[:, :2], expected[:, :2] + expected[:, 2:]], axis=1)
    assert np.allclose(boxes.numpy(), np.nan_to_num(corners), rtol=0, atol=1e-9)


def test_three_keypoints_make_a_box_but_two_do_not():
    points = torch.tensor([[[1.0, 2, 1], [5, 9, 1], [3, 4, 1], [70, 70, 0]]]).repeat(2, 1, 1)
    points[1, 2, 2] = 0
    boxes, exists = keypoint_boxes(points)
    assert exists.tolist() == [True, False]
    assert boxes.tolist() == [[1, 2, 5, 9], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("box", "size", "context", "fine"),
    [
        ((2.0, 1.0, 6.0, 5.0), 4, 0.0, 3),
        ((2.3, 1.7, 6.1, 5.2), 4, 0.0, 3),
        ((2.0, 1.0, 8.0, 3.0), 4, 0.1, 4),
        ((3.0, 2.0, 3.0, 2.0), 5, 0.0, 3),
        ((-4.0, 5.0, 5.0, 12.0), 6, 0.2, 4),
        ((1.0, 1.0, 3.5, 4.0), 16, 0.05, 1),
        ((0.0, 0.0, 11.0, 9.0), 2, 0.0, 4),
    ],
)
def test_crops_equal_the_naive_ones(box, size, context, fine):
    """Boxes: whole pixels, fractions, not square, a point, partly outside the image, enlarged, reduced."""
    images = pictures(1, 3, 9, 11)
    crop = crop_boxes(images, torch.tensor([box]), size, context)
    assert crop.shape == (1, 3, size, size)
    assert crop.dtype == torch.uint8
    # The tolerance covers rounding to grey levels and single precision.
    assert np.abs(crop[0].numpy() - naive(images[0], box, size, context, fine)).max() <= 0.5 + 1e-3


def test_crop_of_the_whole_image_is_the_image():
    images = pictures(2, 3, 12, 12)
    boxes = torch.tensor([[0.0, 0, 12, 12]]).repeat(2, 1)
    assert torch.equal(crop_boxes(images, boxes, 12, 0.0), images)


def test_crop_at_whole_pixels_is_a_slice():
    images = pictures(1, 3, 8, 8)
    assert torch.equal(crop_boxes(images, torch.tensor([[0.0, 1, 8, 9]]), 8, 0.0)[..., :-1, :], images[:, :, 1:])


def test_context_enlarges_the_cropped_region():
    """A bright square on black: with context it covers a smaller part of the crop."""
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    images[:, :, 12:20, 12:20] = 200
    box = torch.tensor([[12.0, 12, 20, 20]])
    shares = [float((crop_boxes(images, box, 16, context) > 100).float().mean()) for context in (0.0, 0.125, 0.25)]
    assert shares == [1.0, 0.75**2, 0.5**2]


def test_outside_the_image_the_border_is_repeated():
    images = pictures(1, 3, 6, 6)
    crop = crop_boxes(images, torch.tensor([[-6.0, -6, 6, 6]]), 12, 0.0)
    assert torch.equal(crop[..., 6:, 6:], images)
    assert torch.equal(crop[..., 6:, :6], images[..., :, :1].expand(-1, -1, -1, 6))
    assert torch.equal(crop[..., :6, 6:], images[..., :1, :].expand(-1, -1, 6, -1))
    assert (crop[0, :, :6, :6] == images[0, :, :1, :1]).all()


def test_reduced_crop_averages_all_pixels():
    """At a quarter of the size, stripes of one pixel become their mean."""
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    images[..., ::2] = 200
    crop = crop_boxes(images, torch.tensor([[0.0, 0, 32, 32]]), 8, 0.0)
    assert ((crop[..., 1:-1].float() - 100).abs() <= 1).all()


def test_crop_does_not_depend_on_its_batch():
    images = pictures(2, 3, 40, 40)
    boxes = torch.tensor([[3.2, 4.1, 9.7, 8.3], [0.0, 0, 40, 40]])
    both = crop_boxes(images, boxes, 10, 0.1)
    for n in range(2):
        assert torch.equal(crop_boxes(images[n : n + 1], boxes[n : n + 1], 10, 0.1)[0], both[n])


def test_images_that_are_not_square():
    images = pictures(1, 3, 6, 14)
    crop = crop_boxes(images, torch.tensor([[8.0, 0, 14, 6]]), 6, 0.0)
    fine = naive(images[0], (8, 0, 14, 6), 6, 0.0, 3)
    assert np.abs(crop[0].numpy() - fine).max() <= 0.5 + 1e-3


@pytest.mark.parametrize(("images", "boxes"), [((3, 8, 8), (3, 4)), ((2, 3, 8, 8), (3, 4)), ((2, 3, 8, 8), (2, 5))])
def test_shapes_that_do_not_fit_raise(images, boxes):
    with pytest.raises(ArgumentError, match="do not fit images"):
        crop_boxes(pictures(*images), torch.zeros(boxes), 4, 0.0)
