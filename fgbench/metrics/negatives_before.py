"""The number of negatives before each match of a query, without sorting the gallery.

Only the places of the matches are needed. Negatives beyond the farthest match have no effect on them, and those before
it are either compared with each match or sorted, whichever costs less.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

CALLS = 4000
"""Cost of the calls of NumPy for one match. The unit of all costs is the comparison of two distances."""
SELECT = 7
"""Cost of testing whether an image is selected."""
TAKE = 8
"""Cost of copying the distance of a selected image."""
SORT = 3
"""Cost of sorting one of N values, divided by log2(N)."""
SPARSE, DENSE = 0.03, 0.1
"""NumPy lists the true values of a mask without branches if their share is above DENSE, and else with one branch for
each, which costs more if their share is above SPARSE."""
Way = Literal["compare", "select and compare", "select and sort"]


def negatives_before(
    distances: np.ndarray, match: np.ndarray, keep_negatives: Callable[[np.ndarray], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Count the negatives before each match of a query.

    Args:
        distances: (G,) distances to the gallery images, finite.
        match: (R,) distances of R >= 1 matches, in ascending order.
        keep_negatives: sets the images of a mask (..., G) that are not negatives to False.

    Returns:
        (R,) number of negatives that are nearer than the match, and (R,) number that are at most as far.

    Example:
        >>> distances = np.array([0.1, 0.2, 0.2, 0.9])
        >>> negatives_before(distances, np.array([0.2]), lambda mask: mask.__setitem__(2, False))
        (array([1]), array([2]))
    """
    images = len(distances)
    padded = np.ones(images + images // 8, bool)  # the padding brings the share of true values above DENSE
    near = np.less_equal(distances, match[-1], out=padded[:images])
    keep_negatives(near)
    selected = int(np.count_nonzero(near))
    way = cheapest_way(images, selected, len(match))
    if way == "compare":
        return _compare(distances, match, keep_negatives)
    mask = padded if SPARSE < selected / images < DENSE else near
    nearest = distances.take(mask.nonzero()[0][:selected])
    if way == "select and compare":
        return _compare(nearest, match)
    nearest.sort()
    return nearest.searchsorted(match, "left"), nearest.searchsorted(match, "right")


def cheapest_way(images: int, selected: int, matches: int) -> Way:
    """Choose how to count the negatives before each match.

    Args:
        images: Number of gallery images.
        selected: Number of negatives up to the farthest match.
        matches: Number of matches.

    Example:
        >>> [cheapest_way(20_000, selected=4_000, matches=matches) for matches in (1, 10, 100)]
        ['compare', 'select and compare', 'select and sort']
    """
    costs = way_costs(images, selected, matches)
    return min(costs, key=costs.__getitem__)


def way_costs(images: int, selected: int, matches: int) -> dict[Way, int]:
    """Return the cost of each way in comparisons; the arguments are those of `cheapest_way`.

    Example:
        >>> way_costs(20_000, selected=4_000, matches=1)
        {'compare': 44000, 'select and compare': 184000, 'select and sort': 316000}
    """
    select = SELECT * images + TAKE * selected
    return {
        "compare": matches * (2 * images + CALLS),
        "select and compare": select + matches * (2 * selected + CALLS),
        "select and sort": select + SORT * selected * selected.bit_length(),
    }


def _compare(
    distances: np.ndarray, match: np.ndarray, keep_negatives: Callable[[np.ndarray], None] = lambda mask: None
) -> tuple[np.ndarray, np.ndarray]:
    """Compare distances (N,) with each match (R,); return the numbers of smaller distances and of those not larger."""
    not_larger, equal = distances <= match[:, None], distances == match[:, None]
    keep_negatives(not_larger)
    keep_negatives(equal)
    last = np.array([np.count_nonzero(row) for row in not_larger])
    ties = np.array([np.count_nonzero(row) for row in equal]) if equal.any() else 0
    return last - ties, last
