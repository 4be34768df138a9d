import math

import pytest
import torch
from torch.autograd import gradcheck

from fgbench.layers.coordinate_transfer import coordinate_transfer
from fgbench.layers.grid import Grid
from fgbench.util.errors import ArgumentError

GRID = Grid(offset=4.0, stride=8.0)


def maps(images=3, channels=5, height=6, width=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, channels, height, width, dtype=torch.float64, generator=generator)


def keypoints(images=3, parts=4, seed=1):
    """Keypoints of an image of 56 x 48 pixels; some are outside it, some invisible."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.rand(images, parts, 2, dtype=torch.float64, generator=generator) * 80 - 15
    return torch.cat([places, (torch.rand(images, parts, 1, generator=generator) < 0.7).double()], dim=2)


def around(x, y, size, height, width):
    """The cells of the window inside the map."""
    row = min(range(height), key=lambda k: abs(GRID.offset + GRID.stride * k - y))
    column = min(range(width), key=lambda k: abs(GRID.offset + GRID.stride * k - x))
    reach = range(-(size // 2), size // 2 + 1)
    cells = [(row + dr, column + dc) for dr in reach for dc in reach]
    return [(r, c) for r, c in cells if 0 <= r < height and 0 <= c < width]


def naive(features, points, size, pool):
    images, channels, height, width = features.shape
    parts = points.shape[1]
    out = torch.zeros(images, parts * channels, dtype=features.dtype)
    for n in range(images):
        for p in range(parts):
            x, y, visible = points[n, p].tolist()
            if not visible:
                continue
            for c in range(channels):
                values = [features[n, c, i, j].item() for i, j in around(x, y, size, height, width)]
                out[n, p * channels + c] = max(values) if pool == "max" else sum(values) / len(values)
    return out


@pytest.mark.parametrize("pool", ["mean", "max"])
@pytest.mark.parametrize("size", [1, 3, 5, 9])
def test_equals_the_definition(size, pool):
    features, points = maps(), keypoints()
    assert 0 < points[:, :, 2].sum() < points[:, :, 2].numel()
    result = coordinate_transfer(features, points, GRID, size, pool)
    assert torch.allclose(result, naive(features, points, size, pool), atol=1e-9, rtol=0)


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_gradient(pool):
    points = keypoints()
    assert gradcheck(lambda x: coordinate_transfer(x, points, GRID, 3, pool), (maps().requires_grad_(),))


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_gradient_reaches_only_the_pooled_cells_and_not_the_keypoints(pool):
    features, points = maps().requires_grad_(), keypoints().requires_grad_()
    coordinate_transfer(features, points, GRID, 3, pool).sum().backward()
    pooled = torch.zeros(3, 6, 7, dtype=torch.bool)
    for n in range(3):
        for x, y, visible in points[n].tolist():
            for row, column in around(x, y, 3, 6, 7) if visible else ():
                pooled[n, row, column] = True
    assert 0 < pooled.sum() < pooled.numel()
    reached = (features.grad != 0).any(dim=1)
    assert torch.equal(reached, pooled) if pool == "mean" else not (reached & ~pooled).any()
    assert points.grad is None


def test_values_inside_at_the_border_and_outside():
    """Cell (row i, column j) of a map of 6 x 7 holds 7 i + j."""
    features = torch.arange(42.0).view(1, 1, 6, 7)
    points = torch.tensor([[[20.0, 12.0], [4, 4], [1e6, 1e6], [4, 20]]])
    cells = [[1 * 7 + 2], [0, 1, 7, 8], [33, 34, 40, 41], [7, 8, 14, 15, 21, 22]]
    result = coordinate_transfer(features, points, GRID, 3)
    assert result.tolist() == [[cells[0][0], *(sum(c) / len(c) for c in cells[1:])]]
    assert coordinate_transfer(features, points, GRID, 3, "max").tolist() == [[17, 8, 41, 22]]
    assert coordinate_transfer(features, points, GRID, 1).tolist() == [[9, 0, 41, 14]]


def test_channels_are_contiguous_for_each_keypoint():
    features = torch.tensor([[1.0, 2.0], [10.0, 20.0]]).view(1, 2, 1, 2)
    points = torch.tensor([[[4.0, 4.0], [12.0, 4.0]]])
    assert coordinate_transfer(features, points, GRID, 1).tolist() == [[1, 10, 2, 20]]


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_invisible_keypoints_give_zeros_and_no_gradient(pool):
    features = maps().requires_grad_()
    points = torch.full((3, 4, 3), math.nan, dtype=torch.float64)
    points[:, :, 2] = 0
    result = coordinate_transfer(features, points, GRID, 3, pool)
    assert result.shape == (3, 20)
    result.sum().backward()
    assert not result.any()
    assert not features.grad.any()


def test_without_a_third_value_every_keypoint_is_visible():
    points = keypoints()
    visible = torch.cat([points[:, :, :2], torch.ones(3, 4, 1)], dim=2)
    features = maps()
    result = coordinate_transfer(features, points[:, :, :2], GRID, 3)
    assert torch.equal(result, coordinate_transfer(features, visible, GRID, 3))


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_nan_outside_the_windows_does_not_spread(pool):
    features = maps(images=1)
    features[:, :, 5, 6] = math.nan
    points = torch.tensor([[[4.0, 4.0], [50.0, 4.0]]])
    assert torch.isfinite(coordinate_transfer(features, points, GRID, 3, pool)).all()


def test_half_precision_stays_half_precision():
    features, points = maps(), keypoints()
    result = coordinate_transfer(features.to(torch.bfloat16), points, GRID, 3)
    assert result.dtype == torch.bfloat16
    assert torch.allclose(result.double(), coordinate_transfer(features, points, GRID, 3), atol=0.03)


@pytest.mark.parametrize(
    ("features", "points", "size", "pool", "message"),
    [
        (maps(), keypoints(2), 3, "mean", "do not fit maps"),
        (maps()[0], keypoints(), 3, "mean", "do not fit maps"),
        (maps(), keypoints()[0], 3, "mean", "do not fit maps"),
        (maps(), torch.zeros(3, 4, 4), 3, "mean", "do not fit maps"),
        (maps(), keypoints(), 2, "mean", "the window is 2 cells wide"),
        (maps(), keypoints(), -1, "mean", "the window is -1 cells wide"),
        (maps(), keypoints(), 3, "sum", "'sum'"),
        (maps(1), torch.tensor([[[0, math.nan]]]), 3, "mean", "image 0 is not finite"),
    ],
)
def test_misuse_raises(features, points, size, pool, message):
    with pytest.raises(ArgumentError, match=message):
        coordinate_transfer(features, points, GRID, size, pool)
