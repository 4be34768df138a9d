"""Gradients of several processes, summed in buckets while the backward pass computes the next ones."""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

BUCKET_BYTES = 25 << 20
"""Size from which a bucket is full, as in `DistributedDataParallel`."""

StartSum = Callable[[Tensor], Callable[[], object]]
"""Starts to sum a tensor over all processes in place; returns a function that waits for the sum."""


class GradientBuckets:
    """Sums gradients over all processes; use it in a `with` block around one backward pass.

    The sum of a bucket starts when the gradients of all its parameters are computed. At the end of the block, the sums
    of incomplete buckets start, and the gradients are replaced by their sums. Parameters without gradient are left out.
    Every process computes the same graph, so that the buckets start in the same order.

    Args:
        parameters: the trained parameters.
        start_sum: see `StartSum`.
        size: size of a bucket in bytes.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], start_sum: StartSum, size: int) -> None:
        self._start_sum, self._buckets = start_sum, split(parameters, size)
        self._missing = [len(bucket) for bucket in self._buckets]
        self._sums: list[tuple[list[Tensor], Tensor, Callable[[], object]]] = []

    def __enter__(self) -> None:
        self._hooks = [
            parameter.register_post_accumulate_grad_hook(partial(self._count, number))  # type: ignore[no-untyped-call]
            for number, bucket in enumerate(self._buckets)
            for parameter in bucket
        ]

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()
        if kind is not None:
            return
        for number, missing in enumerate(self._missing):
            if missing:
                self._start(number)
        for gradients, flat, wait in self._sums:
            wait()
            pieces = torch.split(flat, [gradient.numel() for gradient in gradients])
            for gradient, piece in zip(gradients, pieces, strict=True):
                gradient.copy_(piece.view_as(gradient))

    def _count(self, number: int, _: Tensor) -> None:
        self._missing[number] -= 1
        if not self._missing[number]:
            self._start(number)

    def _start(self, number: int) -> None:
        gradients = [parameter.grad for parameter in self._buckets[number] if parameter.grad is not None]
        if gradients:
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            self._sums.append((gradients, flat, self._start_sum(flat)))


def split(parameters: Iterable[nn.Parameter], size: int) -> list[list[nn.Parameter]]:
    """Return the parameters in buckets of at least `size` bytes, except for the last, in the reverse order.

    A parameter of at least `size` bytes has a bucket of its own. The gradient of a large classifier, which is computed
    first, does not wait for others.
    """
    buckets: list[list[nn.Parameter]] = []
    bucket: list[nn.Parameter] = []
    for parameter in reversed(list(parameters)):
        if parameter.nbytes >= size:
            buckets.append([parameter])
            continue
        bucket.append(parameter)
        if sum(member.nbytes for member in bucket) >= size:
            buckets.append(bucket)
            bucket = []
    return [*buckets, bucket] if bucket else buckets
