import pytest
import torch

from fgbench.layers.diagonals import (
    are_maps,
    by_diagonal,
    by_row,
    diagonals,
    outside_cells,
    stored_cells,
    to_maps,
)

SIZES = [(1, 1), (1, 4), (4, 1), (2, 3), (3, 2), (4, 4)]


@pytest.mark.parametrize("size", SIZES)
def test_every_stored_cell_is_in_the_grid_or_outside(size):
    """Each cell is listed once: with 2 images, all stored rows get the value 1."""
    states = torch.zeros(stored_cells(size) * 2, 3)
    outside = outside_cells(states, size)
    assert [tuple(view.shape) for view in outside] == [(2, 3)] * sum(size)
    for view in outside:
        view.add_(1)
    for _, _, here in diagonals(states, size):
        here.add_(1)
    assert (states == 1).all()


@pytest.mark.parametrize("size", SIZES)
def test_neighbours_are_the_cells_above_and_to_the_left(size):
    states = torch.zeros(stored_cells(size), 2, dtype=torch.int64)
    for view in outside_cells(states, size):
        view[:] = -1
    for d, (_, _, here) in enumerate(diagonals(states, size)):
        rows = range(max(0, d - size[1] + 1), min(d, size[0] - 1) + 1)
        here[:] = torch.tensor([(row, d - row) for row in rows])
    for above, left, here in diagonals(states, size):
        for place, up, side in zip(here.tolist(), above.tolist(), left.tolist(), strict=True):
            row, column = place
            assert up == ([row - 1, column] if row else [-1, -1])
            assert side == ([row, column - 1] if column else [-1, -1])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("batch", "channels"), [(1, 1), (2, 1), (1, 3), (2, 3)])
def test_maps_have_the_order_of_cells_in_rows(size, batch, channels):
    maps = torch.rand(batch, channels, *size)
    cells = maps.permute(2, 3, 0, 1).flatten(0, 1)
    rows = cells.contiguous()
    assert are_maps(cells)
    assert torch.equal(by_diagonal(cells, size), by_diagonal(rows, size))
    assert torch.equal(by_row(by_diagonal(cells, size), size), rows)
    assert torch.equal(to_maps(rows), rows)
    assert to_maps(rows).stride() == cells.stride() or 1 in (size[0] * size[1], batch, channels)
