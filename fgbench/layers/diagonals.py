"""The order in which a two-dimensional LSTM computes a grid: by anti-diagonals, whose cells are independent.

A cell reads the cell above it and the cell to its left. The grid therefore takes H + W - 1 steps instead of H * W.

States are stored diagonal by diagonal, each with the cells outside the grid that the next diagonal reads. A stored
diagonal then has one cell more than the next diagonal has in the grid: without its last cell it lists the neighbours
above, and without its first cell the neighbours to the left.
"""

import torch
from torch import Tensor


def stored_cells(size: tuple[int, int]) -> int:
    """Count the cells of a grid with the row above it and the column to the left of it, without the corner.

    Example:
        >>> stored_cells((2, 3))
        11
    """
    height, width = size
    return (height + 1) * (width + 1) - 1


def diagonals(states: Tensor, size: tuple[int, int]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return views of stored states (cells * B, hidden) for each diagonal.

    Returns:
        For each diagonal of n cells: the neighbours above, the neighbours to the left and the diagonal itself,
        (n * B, hidden) each.

    Example:
        >>> import torch
        >>> [len(here) for _, _, here in diagonals(torch.zeros(11, 1), (2, 3))]
        [1, 2, 2, 1]
    """
    height, width = size
    batch = len(states) // stored_cells(size)
    counts = [min(d, height - 1) - max(d - width + 1, 0) + 1 for d in range(height + width - 1)]
    stored = torch.split(states, [batch * (count + 1) for count in counts] + [batch])
    views = []
    for d, count in enumerate(counts):
        # If the next diagonal reads a cell above the grid, that cell comes first.
        first = batch if d < width - 1 else 0
        views.append((stored[d][:-batch], stored[d][batch:], stored[d + 1][first : first + batch * count]))
    return views


def outside_cells(states: Tensor, size: tuple[int, int]) -> list[Tensor]:
    """Return views of the stored states (cells * B, hidden) of the H + W cells outside the grid, each (B, hidden).

    Example:
        >>> import torch
        >>> len(outside_cells(torch.zeros(11, 1), (2, 3)))
        5
    """
    height, width = size
    batch = len(states) // stored_cells(size)
    first = diagonals(states, size)[0]
    views = [first[0], first[1]]
    for d, (above, left, _) in enumerate(diagonals(states, size)[1:], 1):
        views += [above[:batch]] if d < width else []
        views += [left[-batch:]] if d < height else []
    return views


def split(cells: Tensor, views: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, ...]:
    """Split rows (H * W * B, D), diagonal by diagonal; `views` are from `diagonals`.

    Example:
        >>> import torch
        >>> views = diagonals(torch.zeros(11, 1), (2, 3))
        >>> [part.flatten().tolist() for part in split(torch.arange(6)[:, None], views)]
        [[0], [1, 2], [3, 4], [5]]
    """
    return torch.split(cells, [len(here) for _, _, here in views])


def _order(size: tuple[int, int], device: torch.device) -> Tensor:
    """Return the indices (H * W,) of cells, counted row by row, in the order of the diagonals, each from the top."""
    height, width = size
    rows, columns = torch.arange(height, device=device)[:, None], torch.arange(width, device=device)
    return ((rows + columns) * height + rows).flatten().argsort()


def by_diagonal(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """Reorder (H * W, B, D), row by row, to (H * W * B, D), diagonal by diagonal.

    Example:
        >>> import torch
        >>> by_diagonal(torch.arange(6).view(6, 1, 1), (2, 3)).flatten().tolist()
        [0, 1, 3, 2, 4, 5]
    """
    if are_maps(cells):
        cells = cells.permute(1, 2, 0).flatten(0, 1).T.contiguous().view(cells.shape)
    return cells.index_select(0, _order(size, cells.device)).flatten(0, 1)


def are_maps(cells: Tensor) -> bool:
    """Return True for cells (H * W, B, D) that are a view of contiguous maps (B, D, H, W) on a CPU.

    A CPU transposes a matrix several times as fast as it selects cells from maps, or adds cells to maps.

    Example:
        >>> import torch
        >>> are_maps(torch.rand(2, 3, 4, 5).permute(2, 3, 0, 1).flatten(0, 1)), are_maps(torch.rand(20, 2, 3))
        (True, False)
    """
    return cells.is_cpu and cells.permute(1, 2, 0).is_contiguous()


def to_maps(cells: Tensor) -> Tensor:
    """Return cells (H * W, B, D) as a view of contiguous maps (B, D, H * W).

    Example:
        >>> import torch
        >>> are_maps(to_maps(torch.rand(20, 2, 3)))
        True
    """
    count, batch, channels = cells.shape
    return cells.flatten(1).T.contiguous().view(batch, channels, count).permute(2, 0, 1)


def by_row(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """Invert `by_diagonal`.

    Example:
        >>> import torch
        >>> by_row(torch.tensor([[0], [1], [3], [2], [4], [5]]), (2, 3)).flatten().tolist()
        [0, 1, 2, 3, 4, 5]
    """
    height, width = size
    cells = cells.view(height * width, -1, cells.shape[1])
    return cells.index_select(0, _order(size, cells.device).argsort())
