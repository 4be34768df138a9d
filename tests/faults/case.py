"""One fault of a campaign."""

from collections.abc import Callable, Iterable

Case = tuple[str, Callable[[], object]]
"""Kind of the fault, and a function that tries it and raises an error if fgbench does not survive it."""


def try_all(cases: Iterable[Case]) -> int:
    """Try every fault; return their number."""
    tried = 0
    for _, case in cases:
        case()
        tried += 1
    return tried
