"""Places of the cells of a map in the input image."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fgbench.util.errors import FgbenchError


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the cells of a map lie in the input image: cell k is centred at offset + stride * k, in x as in y."""

    offset: float
    """Centre of the first cell, in pixels of the input image."""
    stride: float
    """Distance between the centres of neighbours, in pixels of the input image."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.offset) and math.isfinite(self.stride) and self.stride > 0):
            raise FgbenchError(f"a grid needs a finite offset and a stride above 0, not {self.offset}, {self.stride}")

    def centres(self, cells: Tensor) -> Tensor:
        """Coordinates in pixels of the centres of cells given by number; any shape."""
        return self.offset + self.stride * cells

    def nearest(self, coordinates: Tensor, count: int) -> Tensor:
        """Number of the cell, of `count` in a row, whose centre is closest to each coordinate; any shape, int64.

        Halfway between two centres it is the first; a coordinate outside goes to the border cell.
        """
        # In half precision, pixels of a 500 px image are not told apart.
        position = (coordinates.to(torch.promote_types(coordinates.dtype, torch.float32)) - self.offset) / self.stride
        return (position - 0.5).ceil().clamp(0, count - 1).long()
