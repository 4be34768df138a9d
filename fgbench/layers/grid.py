"""Positions of the cells of a feature map in the input image."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fgbench.util.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class Grid:
    """Positions of the cells of a map: cell k is centred at offset + stride * k, in x and in y.

    Raises:
        ArgumentError: a value is not finite, or the stride is not above 0.

    Example:
        >>> import torch
        >>> grid = Grid(offset=8.0, stride=16.0)
        >>> grid.centres(torch.arange(3))
        tensor([ 8., 24., 40.])
        >>> grid.nearest_cell(torch.tensor([-5.0, 16.0, 16.1, 1000.0]), count=3)
        tensor([0, 0, 1, 2])
    """

    offset: float
    """Centre of the first cell in pixels of the input image."""
    stride: float
    """Distance between the centres of neighbouring cells in pixels of the input image."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.offset) and math.isfinite(self.stride) and self.stride > 0):
            raise ArgumentError(f"a grid needs a finite offset and a stride above 0, not {self.offset}, {self.stride}")

    def centres(self, cells: Tensor) -> Tensor:
        """Return the centres in pixels of cells given by index; any shape."""
        return self.offset + self.stride * cells

    def nearest_cell(self, coordinates: Tensor, count: int) -> Tensor:
        """Return the index of the cell closest to each coordinate.

        Args:
            coordinates: any shape, in pixels of the input image.
            count: number of cells along the axis.

        Returns:
            int64, the shape of `coordinates`. Halfway between two centres it is the first cell; outside the map it is
            the border cell.
        """
        # Half precision cannot distinguish the pixels of an image of 500 px.
        position = (coordinates.to(torch.promote_types(coordinates.dtype, torch.float32)) - self.offset) / self.stride
        return (position - 0.5).ceil().clamp(0, count - 1).long()
