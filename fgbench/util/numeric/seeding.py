"""Random numbers that depend on a seed and a purpose, never on what was drawn before; and the same sums of them."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def generator(seed: int, *purpose: object) -> torch.Generator:
    """A CPU generator for one purpose of a run, such as (`order`, stage 2, epoch 7).

    Work that was interrupted draws the same numbers when it goes on, because nothing else has used this generator.
    """
    digest = hashlib.sha256("/".join(map(str, (seed, *purpose))).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def use_deterministic(*, warn_only: bool = False) -> None:
    """From now on deterministic operations in this process, or a warning for those that have no such form."""
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    # Nothing here reads memory before it writes it; filling all of it beforehand is a pass over every new tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@contextmanager
def same_operations() -> Iterator[None]:
    """One thread and deterministic operations on the CPU, whatever the process is set to: equal bits come of it."""
    threads, fills = torch.get_num_threads(), torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    strict, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(1)
    use_deterministic()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=warns)
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
