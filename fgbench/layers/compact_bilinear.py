"""Compact bilinear pooling (Gao, Beijbom, Zhang and Darrell, CVPR 2016): random projections of the outer product.

Both projections are linear in the outer product of two features, and so may be taken once of its sum over locations,
which is what makes them fast here; the paper takes them at every location and sums.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from fgbench.layers.bilinear import check_maps, outer_sum
from fgbench.util.errors import FgbenchError


class TensorSketch(nn.Module):
    """Tensor Sketch: the circular convolution of two count sketches (Pham and Pagh 2013; algorithm 2 of the paper).

    The inner product of two sketches is that of the outer products, in expectation over the hashes.

    Args:
        channels: C and D of the two maps.
        dims: length of a sketch.
        generator: source of the hashes.
    """

    bins_a: Tensor
    bins_b: Tensor
    signs_a: Tensor
    signs_b: Tensor
    bins: Tensor
    signs: Tensor

    def __init__(self, channels: tuple[int, int], dims: int, generator: torch.Generator) -> None:
        super().__init__()
        _check(channels, dims)
        self.channels, self.dims = channels, dims
        for side, count in zip("ab", channels, strict=True):
            self.register_buffer(f"bins_{side}", torch.randint(dims, (count,), generator=generator))
            self.register_buffer(f"signs_{side}", 2.0 * torch.randint(2, (count,), generator=generator) - 1)
        for name in ("bins", "signs"):
            self.register_buffer(name, None, persistent=False)
        _combine(self)
        self.register_load_state_dict_post_hook(_combine)  # type: ignore[no-untyped-call]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Mean over locations of the sketches.

        Args:
            a: (B, C, H, W).
            b: (B, D, H, W).

        Returns:
            (B, dims).

        Raises:
            FgbenchError: the maps do not fit each other or the sketch.
        """
        _check_channels(self.channels, a, b)
        products = (outer_sum(a, b) * self.signs).flatten(1)
        result: Tensor = products.new_zeros(len(a), self.dims).index_add(1, self.bins, products)
        return result / (a.shape[2] * a.shape[3])

    def at_each(self, a: Tensor, b: Tensor) -> Tensor:
        """The sketch at every location: (B, dims, H, W). Arguments and errors as for the mean."""
        _check_channels(self.channels, a, b)
        spectra = [
            torch.fft.rfft(
                x.new_zeros(x.shape[0], *x.shape[2:], self.dims).index_add(3, bins, (x.movedim(1, 3) * signs))
            )
            for x, bins, signs in ((a, self.bins_a, self.signs_a), (b, self.bins_b, self.signs_b))
        ]
        sketch: Tensor = torch.fft.irfft(spectra[0] * spectra[1], n=self.dims)
        return sketch.movedim(3, 1)


def _combine(sketch: TensorSketch, _: object = None) -> None:
    """Keep the bin and the sign of every pair of channels."""
    sketch.bins = ((sketch.bins_a[:, None] + sketch.bins_b) % sketch.dims).flatten()
    sketch.signs = sketch.signs_a[:, None] * sketch.signs_b


class RandomMaclaurin(nn.Module):
    """Random Maclaurin: products of two random projections onto +-1 vectors (Kar and Karnick 2012; algorithm 1).

    The inner product of two projections is that of the outer products, in expectation over the vectors.

    Args:
        channels: C and D of the two maps.
        dims: number of products.
        generator: source of the vectors.
    """

    rows_a: Tensor
    rows_b: Tensor

    def __init__(self, channels: tuple[int, int], dims: int, generator: torch.Generator) -> None:
        super().__init__()
        _check(channels, dims)
        self.channels, self.dims = channels, dims
        for side, count in zip("ab", channels, strict=True):
            self.register_buffer(f"rows_{side}", 2.0 * torch.randint(2, (dims, count), generator=generator) - 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Mean over locations of the projections; arguments, result and errors as in `TensorSketch.forward`."""
        _check_channels(self.channels, a, b)
        # Of sum_l (u a_l)(v b_l) = u (sum_l a_l b_l') v' the right side takes fewer operations but for tiny maps.
        summed = (self.rows_a @ outer_sum(a, b)) * self.rows_b
        result: Tensor = summed.sum(-1) / (self.dims**0.5 * a.shape[2] * a.shape[3])
        return result

    def at_each(self, a: Tensor, b: Tensor) -> Tensor:
        """The projection at every location: (B, dims, H, W)."""
        _check_channels(self.channels, a, b)
        first, second = (
            nn.functional.conv2d(x, rows[:, :, None, None]) for x, rows in ((a, self.rows_a), (b, self.rows_b))
        )
        result: Tensor = first * second / self.dims**0.5
        return result


Projection = TensorSketch | RandomMaclaurin
_KINDS: dict[str, type[Projection]] = {"tensor_sketch": TensorSketch, "random_maclaurin": RandomMaclaurin}


def projection(
    kind: Literal["tensor_sketch", "random_maclaurin"],
    channels: tuple[int, int],
    dims: int,
    generator: torch.Generator,
) -> Projection:
    """A random projection of the outer product of maps with C and D `channels` to `dims` values."""
    return _KINDS[kind](channels, dims, generator)


def _check(channels: tuple[int, int], dims: int) -> None:
    if dims < 1 or min(channels) < 1:
        raise FgbenchError(f"compact bilinear pooling of {channels} channels to {dims} dimensions")


def _check_channels(channels: tuple[int, int], a: Tensor, b: Tensor) -> None:
    check_maps(a, b)
    if (a.shape[1], b.shape[1]) != channels:
        raise FgbenchError(f"this projection takes maps of {channels} channels, not {a.shape[1]} and {b.shape[1]}")
