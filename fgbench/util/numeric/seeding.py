"""Random numbers that depend only on a seed and a purpose, and operations that give the same bits every time."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


def generator(seed: int, *purpose: object) -> torch.Generator:
    """Return a CPU generator for one purpose of a run, such as (`order`, stage 2, epoch 7).

    Interrupted work draws the same numbers when it continues, because nothing else uses this generator.
    """
    digest = hashlib.sha256("/".join(map(str, (seed, *purpose))).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def use_deterministic(*, warn_only: bool = False) -> None:
    """Use deterministic operations in this process; with `warn_only`, warn where there is none."""
    # cuBLAS reads this when the first GPU is used; with other workspaces its sums can change from run to run.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    # No code here reads memory before it is written, so filling every new tensor would only cost time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def refuse_tf32() -> None:
    """Compute convolutions and products of float32 numbers in float32 on a GPU too.

    By default torch lets cuDNN round the factors of a convolution to TF32, which has 10 bits instead of 23.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


@contextmanager
def fixed_threads(count: int) -> Iterator[None]:
    """Let torch and the BLAS libraries use exactly `count` CPU threads inside the block.

    The rounding of a sum depends on how it is divided among threads.
    """
    before = torch.get_num_threads()
    with threadpool_limits(count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def deterministic_operations(*, warn_only: bool = False) -> Iterator[None]:
    """Use deterministic operations inside the block; with `warn_only`, warn where there is none."""
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    strict, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    use_deterministic(warn_only=warn_only)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warns)
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]


@contextmanager
def same_operations() -> Iterator[None]:
    """Use one CPU thread and deterministic operations inside the block: results are equal to the bit."""
    with deterministic_operations(), fixed_threads(1):
        yield
