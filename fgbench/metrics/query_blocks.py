"""Distances of a person search in blocks of queries, so that memory does not grow with queries times gallery."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from fgbench.metrics.gallery import Features, Search
from fgbench.util.errors import ArgumentError

BLOCK_MIB = 128
"""Memory of a block of distances: enough rows for a fast matrix product, small compared with the features."""


class _Roles:
    """The gallery images of each query that are matches, and those that are negatives.

    Args:
        search: Q queries and G gallery images.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        # The images with the identity of a query are a contiguous part of the gallery sorted by identity.
        self._order = search.gallery_ids.argsort(kind="stable")
        sorted_ids = search.gallery_ids[self._order]
        self._first, self._last = (sorted_ids.searchsorted(search.query_ids, side) for side in ("left", "right"))
        self._junk = np.flatnonzero(search.gallery_ids == search.junk)  # None equals no identity

    def matches(self, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the matches of consecutive queries: rows of the queries (M,), ascending, and gallery images (M,)."""
        search = self._search
        count = self._last[rows] - self._first[rows]
        query = np.arange(len(count)).repeat(count)
        within = np.arange(len(query)) - (count.cumsum() - count).repeat(count)
        image = self._order[self._first[rows].repeat(count) + within]
        if search.same_camera != "keep" and search.query_cameras is not None and search.gallery_cameras is not None:
            other = search.query_cameras[rows][query] != search.gallery_cameras[image]
            query, image = query[other], image[other]
        return query, image

    def keep_negatives(self, query: int, mask: np.ndarray) -> None:
        """Set the images of a mask (..., G) that are not negatives of a query to False."""
        search = self._search
        mask[..., self._order[self._first[query] : self._last[query]]] = False
        if len(self._junk):
            mask[..., self._junk] = False
        if search.same_camera == "remove_camera" and search.query_cameras is not None:
            mask &= search.gallery_cameras != search.query_cameras[query]


class Query(NamedTuple):
    """A query that has R >= 1 matches."""

    row: int
    """Its row in the block."""
    distances: np.ndarray
    """(G,) float32 or float64 distances to all gallery images; not to be changed."""
    match: np.ndarray
    """(R,) distances of the matches, in ascending order."""
    keep_negatives: Callable[[np.ndarray], None]
    """Sets the images of a mask (..., G) that are matches or removed to False."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Distances of a block of B queries."""

    rows: slice
    """Range of the queries."""
    matches: np.ndarray
    """(B,) number of matches of each query."""
    _distances: np.ndarray
    """(B, G)."""
    _match: np.ndarray
    """(M,) distances of the matches, query by query."""
    _roles: _Roles

    def queries(self) -> Iterator[Query]:
        """Yield the queries that have matches, in ascending order.

        Raises:
            ArgumentError: a distance of any query is not finite.
        """
        stop = 0
        for row, count in enumerate(self.matches.tolist()):
            query, distances = self.rows.start + row, self._distances[row]
            if not _all_finite(distances):
                image = int(np.isfinite(distances).argmin())
                raise ArgumentError(f"the distance of query {query} to gallery image {image} is not finite")
            start, stop = stop, stop + count
            if count:
                keep_negatives = partial(self._roles.keep_negatives, query)
                yield Query(row, distances, np.sort(self._match[start:stop]), keep_negatives)


def blocks(distances: np.ndarray | Features, search: Search, block_mib: float = BLOCK_MIB) -> Iterator[Block]:
    """Yield the distances of all queries in blocks.

    Args:
        distances: (Q, G), smaller is nearer, or features from which distances are computed.
        search: Q queries and G gallery images.
        block_mib: memory for the distances of a block in MiB; a block has at least one row.

    Raises:
        ArgumentError: the shapes do not fit.

    Example:
        >>> search = Search(np.array([1]), np.array([1, 2]), same_camera="keep")
        >>> (block,) = blocks(np.array([[0.5, 0.7]]), search)
        >>> (query,) = block.queries()
        >>> mask = np.array([True, True])
        >>> query.keep_negatives(mask)
        >>> query.match.tolist(), mask.tolist()
        ([0.5], [False, True])
    """
    expected = (len(search.query_ids), len(search.gallery_ids))
    if distances.shape != expected:
        raise ArgumentError(
            f"distances of {expected[0]} queries and {expected[1]} gallery images have the shape {distances.shape}"
        )
    from fgbench.util.numeric.matmul import array_product  # imports torch, which reading records does not need

    left, right = distances.factors() if isinstance(distances, Features) else (distances, None)
    exact = np.result_type(left, np.float32)
    step = max(1, int(block_mib * 2**20) // (expected[1] * exact.itemsize))
    roles = _Roles(search)
    for start in range(0, expected[0], step):
        rows = slice(start, min(start + step, expected[0]))
        block = np.ascontiguousarray(left[rows], exact) if right is None else array_product(left[rows], right.T)
        query, image = roles.matches(rows)
        yield Block(rows, np.bincount(query, minlength=len(block)), block, block[query, image], roles)


def _all_finite(values: np.ndarray) -> bool:
    """Return True if all values (N,) are finite: if their sum of squares is, or else by testing each one."""
    return math.isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())
