import math

import pytest
import torch

from fgbench.layers.grid import Grid
from fgbench.util.errors import ArgumentError


def test_nearest_cell_has_the_closest_centre():
    grid, coordinates = Grid(7.5, 32.0), torch.linspace(-100, 300, 401)
    distances = (grid.centres(torch.arange(6)) - coordinates[:, None]).abs()
    assert torch.equal(grid.nearest_cell(coordinates, 6), distances.argmin(dim=1))


@pytest.mark.parametrize(("offset", "stride"), [(0, 0), (0, -1), (math.nan, 1), (0, math.inf)])
def test_invalid_offset_or_stride_raises(offset, stride):
    with pytest.raises(ArgumentError, match="a finite offset and a stride above 0"):
        Grid(offset, stride)
