import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from fgbench.layers.dense_sift import dense_sift, dense_sift_grid
from fgbench.util.errors import ArgumentError


def picture(height=30, width=33, seed=0):
    return torch.rand(1, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 255


def naive(image, size, step, window="flat"):
    """One descriptor, bin, pixel and orientation at a time."""
    height, width = image.shape

    def gradient(y, x):
        y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
        up, down, left, right = max(y - 1, 0), min(y + 1, height - 1), max(x - 1, 0), min(x + 1, width - 1)
        return (
            float(image[down, x] - image[up, x]) / (down - up),
            float(image[y, right] - image[y, left]) / (right - left),
        )

    table = [[gradient(y, x) for x in range(-size, width + size)] for y in range(-size, height + size)]

    def weight_at(bin_number, offset):
        return math.exp(-0.5 * ((size * (bin_number - 1.5) + offset) / (2 * size)) ** 2)

    def weight(bin_number, offset):
        if window == "gaussian":
            return weight_at(bin_number, offset)
        return sum(weight_at(bin_number, o) for o in range(1 - size, size)) / (2 * size - 1)

    out = []
    for top in range(0, height - 3 * size, step):
        for left in range(0, width - 3 * size, step):
            values = []
            for r in range(4):
                for c in range(4):
                    sums = [0.0] * 8
                    for dy in range(1 - size, size):
                        for dx in range(1 - size, size):
                            gy, gx = table[top + r * size + dy + size][left + c * size + dx + size]
                            turn = math.atan2(gy, gx) % (2 * math.pi) / (2 * math.pi) * 8
                            low, rest = int(turn) % 8, turn - int(turn)
                            share = (1 - abs(dy) / size) * (1 - abs(dx) / size) * weight(r, dy) * weight(c, dx)
                            sums[low] += (1 - rest) * share * math.hypot(gy, gx)
                            sums[(low + 1) % 8] += rest * share * math.hypot(gy, gx)
                    values += sums
            length = math.sqrt(sum(v * v for v in values))
            values = [min(v / length, 0.2) for v in values]
            length = math.sqrt(sum(v * v for v in values))
            out.append([v / length for v in values])
    return torch.tensor(out, dtype=torch.float64)


@pytest.mark.parametrize("window", ["flat", "gaussian"])
@pytest.mark.parametrize(("size", "step"), [(4, 3), (4, 4), (6, 4)])
def test_equals_the_definition(size, step, window):
    image = picture(24, 21)
    ours = dense_sift(image, bin_size=size, step=step, window=window)[0]
    assert torch.allclose(ours, naive(image[0], size, step, window), atol=1e-9)


def test_smoothing_is_a_gaussian_filter_before_the_descriptors():
    images = torch.cat([picture(), picture(seed=3)])
    smooth = np.stack([gaussian_filter(image.numpy(), 1.5, mode="nearest", truncate=4.0) for image in images])
    expected = dense_sift(torch.from_numpy(smooth), window="gaussian")
    assert torch.allclose(dense_sift(images, window="gaussian", smoothing=1.5), expected, atol=1e-9)
    assert not torch.allclose(dense_sift(images, window="gaussian"), expected, atol=0.01)


def test_grid_of_a_448_image_has_106_rows_at_step_4():
    rows, _ = dense_sift_grid(448, 448)
    assert (len(rows), rows[0], rows[-1]) == (106, 12, 432)
    assert len(dense_sift_grid(448, 448, step=8)[1]) == 53
    assert dense_sift(torch.rand(1, 48, 60)).shape == (1, 6 * 9, 128)


def test_mirrored_image_gives_mirrored_bins_and_orientations():
    image = picture(32, 33)
    result = dense_sift(image, bin_size=8, step=4)[0].reshape(2, 3, 4, 4, 8)
    mirrored = dense_sift(image.flip(-1), bin_size=8, step=4)[0].reshape(2, 3, 4, 4, 8)
    turned = mirrored.flip(1).flip(3)[..., [4, 3, 2, 1, 0, 7, 6, 5]]
    assert torch.allclose(result, turned, atol=1e-9)


def test_brightness_and_contrast_do_not_matter():
    image = picture()
    assert torch.allclose(dense_sift(image), dense_sift(image * 0.3 + 17), atol=1e-9)


def test_uniform_image_gives_zeros_not_nan():
    out = dense_sift(torch.full((1, 40, 40), 7.0))
    assert (out == 0).all()


def test_unit_length_and_batches():
    images = torch.cat([picture(), picture(seed=3)])
    out = dense_sift(images)
    assert torch.allclose(out.norm(dim=-1), torch.ones(out.shape[:2], dtype=torch.float64))
    assert torch.allclose(out[1], dense_sift(images[1:])[0])


def test_small_images_raise():
    with pytest.raises(ArgumentError, match="more than 24 px"):
        dense_sift(torch.rand(1, 24, 60))
