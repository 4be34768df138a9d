"""Compact bilinear pooling (Gao, Beijbom, Zhang and Darrell, CVPR 2016): random projections of the outer product.

Both projections are linear in the outer product of two features. The paper projects at every location and sums; here
the outer products are summed first and the sum is projected once, which is equal and faster.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from fgbench.layers.bilinear import check_maps, outer_sum
from fgbench.util.errors import ArgumentError, nearest
from fgbench.util.numeric.precision import full_precision


class TensorSketch(nn.Module):
    """Tensor Sketch: the circular convolution of two count sketches (Pham and Pagh 2013; algorithm 2 of the paper).

    In expectation over the hashes, the inner product of two sketches is that of the outer products.

    Args:
        channels: C and D of the two maps.
        dims: length of the sketch.
        generator: source of the hashes.

    Raises:
        ArgumentError: a number of channels or `dims` is below 1.

    Example:
        >>> import torch
        >>> sketch = TensorSketch((512, 512), 8192, torch.Generator().manual_seed(0))
        >>> sketch(torch.rand(2, 512, 3, 3), torch.rand(2, 512, 3, 3)).shape
        torch.Size([2, 8192])
    """

    bins_a: Tensor
    bins_b: Tensor
    signs_a: Tensor
    signs_b: Tensor
    bins: Tensor
    signs: Tensor

    def __init__(self, channels: tuple[int, int], dims: int, generator: torch.Generator) -> None:
        super().__init__()
        _check_sizes(channels, dims)
        self.channels, self.dims = channels, dims
        for side, count in zip("ab", channels, strict=True):
            self.register_buffer(f"bins_{side}", torch.randint(dims, (count,), generator=generator))
            self.register_buffer(f"signs_{side}", 2.0 * torch.randint(2, (count,), generator=generator) - 1)
        for name in ("bins", "signs"):
            self.register_buffer(name, None, persistent=False)
        _combine_hashes(self)
        self.register_load_state_dict_post_hook(_combine_hashes)  # type: ignore[no-untyped-call]

    @full_precision
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Compute the mean over locations of the sketches.

        Args:
            a: (B, C, H, W).
            b: (B, D, H, W).

        Returns:
            (B, dims).

        Raises:
            ArgumentError: the maps do not fit each other or the sketch.
        """
        _check_channels(self.channels, a, b)
        products = (outer_sum(a, b) * self.signs).flatten(1)  # (B, C * D)
        result: Tensor = products.new_zeros(len(a), self.dims).index_add(1, self.bins, products)
        return result / (a.shape[2] * a.shape[3])

    @full_precision
    def at_each_location(self, a: Tensor, b: Tensor) -> Tensor:
        """Compute the sketch at every location: (B, dims, H, W).

        Arguments and errors are those of `forward`.
        """
        _check_channels(self.channels, a, b)
        # Count sketches of both features. Their circular convolution is a product of spectra: (B, H, W, dims / 2 + 1).
        spectra = [
            torch.fft.rfft(
                x.new_zeros(x.shape[0], *x.shape[2:], self.dims).index_add(3, bins, (x.movedim(1, 3) * signs))
            )
            for x, bins, signs in ((a, self.bins_a, self.signs_a), (b, self.bins_b, self.signs_b))
        ]
        sketch: Tensor = torch.fft.irfft(spectra[0] * spectra[1], n=self.dims)  # (B, H, W, dims)
        return sketch.movedim(3, 1)


def _combine_hashes(sketch: TensorSketch, _: object = None) -> None:
    """Compute the bin (C * D,) and the sign (C, D) of every pair of channels."""
    sketch.bins = ((sketch.bins_a[:, None] + sketch.bins_b) % sketch.dims).flatten()
    sketch.signs = sketch.signs_a[:, None] * sketch.signs_b


class RandomMaclaurin(nn.Module):
    """Random Maclaurin: products of two random projections onto +-1 vectors (Kar and Karnick 2012; algorithm 1).

    In expectation over the vectors, the inner product of two projections is that of the outer products.

    Args:
        channels: C and D of the two maps.
        dims: number of products.
        generator: source of the vectors.

    Raises:
        ArgumentError: a number of channels or `dims` is below 1.

    Example:
        >>> import torch
        >>> project = RandomMaclaurin((512, 512), 5000, torch.Generator().manual_seed(0))
        >>> project(torch.rand(2, 512, 3, 3), torch.rand(2, 512, 3, 3)).shape
        torch.Size([2, 5000])
    """

    rows_a: Tensor
    rows_b: Tensor

    def __init__(self, channels: tuple[int, int], dims: int, generator: torch.Generator) -> None:
        super().__init__()
        _check_sizes(channels, dims)
        self.channels, self.dims = channels, dims
        for side, count in zip("ab", channels, strict=True):
            self.register_buffer(f"rows_{side}", 2.0 * torch.randint(2, (dims, count), generator=generator) - 1)

    @full_precision
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Compute the mean over locations of the projections: (B, dims).

        Arguments and errors are those of `TensorSketch.forward`.
        """
        _check_channels(self.channels, a, b)
        # sum_l (u a_l)(v b_l) = u (sum_l a_l b_l') v'; the right side needs fewer operations except for tiny maps.
        summed = (self.rows_a @ outer_sum(a, b)) * self.rows_b  # (B, dims, D)
        result: Tensor = summed.sum(-1) / (self.dims**0.5 * a.shape[2] * a.shape[3])
        return result

    @full_precision
    def at_each_location(self, a: Tensor, b: Tensor) -> Tensor:
        """Compute the projection at every location: (B, dims, H, W).

        Arguments and errors are those of `TensorSketch.forward`.
        """
        _check_channels(self.channels, a, b)
        first, second = (
            nn.functional.conv2d(x, rows[:, :, None, None]) for x, rows in ((a, self.rows_a), (b, self.rows_b))
        )  # (B, dims, H, W) each
        result: Tensor = first * second / self.dims**0.5
        return result


Projection = TensorSketch | RandomMaclaurin
_KINDS: dict[str, type[Projection]] = {"tensor_sketch": TensorSketch, "random_maclaurin": RandomMaclaurin}


def build_projection(
    kind: Literal["tensor_sketch", "random_maclaurin"],
    channels: tuple[int, int],
    dims: int,
    generator: torch.Generator,
) -> Projection:
    """Return a random projection of the outer product of two maps.

    Args:
        kind: name of the projection.
        channels: C and D of the two maps.
        dims: dimensions of the result.
        generator: source of the hashes or vectors.

    Raises:
        ArgumentError: the kind is unknown, or a number of channels or `dims` is below 1.

    Example:
        >>> import torch
        >>> build_projection("random_maclaurin", (3, 4), 5, torch.Generator())
        RandomMaclaurin()
    """
    if kind not in _KINDS:
        raise ArgumentError(f"unknown projection {kind!r}", nearest(kind, _KINDS))
    return _KINDS[kind](channels, dims, generator)


def _check_sizes(channels: tuple[int, int], dims: int) -> None:
    if dims < 1 or min(channels) < 1:
        raise ArgumentError(f"cannot project {channels} channels to {dims} dimensions", "give numbers of 1 or more")


def _check_channels(channels: tuple[int, int], a: Tensor, b: Tensor) -> None:
    check_maps(a, b)
    if (a.shape[1], b.shape[1]) != channels:
        raise ArgumentError(f"the projection takes maps of {channels} channels, not {a.shape[1]} and {b.shape[1]}")
