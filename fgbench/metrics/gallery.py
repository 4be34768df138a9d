"""Searching people in a gallery: which images count for a query, and their distances, a block of queries at a time."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Literal, NamedTuple

import numpy as np

from fgbench.util.errors import FgbenchError

BLOCK_MIB = 128
"""Distances held at a time: enough rows for a fast matrix product, small beside the features."""


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Who is searched for in a gallery, and which of its images count.

    A gallery image of the query's identity is a match, any other is a negative, unless it is removed, which means
    that it is neither and stands in nobody's way. Distractors, identity 0 of Market-1501, are negatives like others.

    Raises:
        FgbenchError: ids or cameras that are no integers or whose numbers do not fit, no queries, no gallery, a query
            that is junk, missing cameras, or an unknown `same_camera`.
    """

    query_ids: np.ndarray
    """(Q,) integers, one for each person."""
    gallery_ids: np.ndarray
    """(G,) integers."""
    query_cameras: np.ndarray | None = None
    """(Q,) integers; needed unless all images are kept."""
    gallery_cameras: np.ndarray | None = None
    """(G,) integers."""
    _: KW_ONLY
    same_camera: Literal["remove", "keep", "remove_camera"]
    """`remove` gallery images of the query's identity from the query's camera (Market-1501's evaluation code, and
    torchreid for all data sets), `keep` them, or `remove_camera`: all images from the query's camera, whoever they show
    (open-reid's `separate_camera_set`, its rule for CUHK03)."""
    junk: int | None = -1
    """Identity of gallery images that are removed for every query; None where no image is junk."""

    def __post_init__(self) -> None:
        if self.same_camera not in {"remove", "keep", "remove_camera"}:
            known = "take 'remove', 'keep' or 'remove_camera'"
            raise FgbenchError(f"no rule {self.same_camera!r} for images from the same camera", known)
        for side, ids, cameras in (
            ("query", self.query_ids, self.query_cameras),
            ("gallery", self.gallery_ids, self.gallery_cameras),
        ):
            if ids.ndim != 1 or not ids.size or ids.dtype.kind not in "iu":
                raise FgbenchError(f"{side} ids have to be a row of integers, not {ids.shape} of {ids.dtype}")
            if cameras is None and self.same_camera != "keep":
                raise FgbenchError(f"same_camera={self.same_camera!r} needs the {side} cameras")
            if cameras is not None and (cameras.shape != ids.shape or cameras.dtype.kind not in "iu"):
                raise FgbenchError(f"{side} cameras have to be integers, one for each id, not {cameras.shape}")
        if self.junk is not None and (self.query_ids == self.junk).any():
            query = int((self.query_ids == self.junk).argmax())
            raise FgbenchError(f"query {query} has the identity {self.junk} of junk", "or name another with junk=")

    def kept(self, query: int) -> np.ndarray:
        """(G,) bool: the gallery images that count for a query."""
        kept = self.gallery_ids != self.junk if self.junk is not None else np.ones(len(self.gallery_ids), bool)
        if self.same_camera != "keep" and self.query_cameras is not None and self.gallery_cameras is not None:
            same = self.gallery_cameras == self.query_cameras[query]
            kept &= ~(same & (self.gallery_ids == self.query_ids[query]) if self.same_camera == "remove" else same)
        return kept


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Descriptors of both sides, from which `blocks` computes distances in their precision, at least float32.

    Distances are right to about 1e-6 of the squared norms in float32, which may swap images as near to one another as
    that; float64 features double the time and memory, and leave about 1e-15.

    Raises:
        FgbenchError: shapes do not fit, a value that is not finite, a zero vector under the cosine, or another metric.
    """

    query: np.ndarray
    """(Q, D)."""
    gallery: np.ndarray
    """(G, D)."""
    metric: Literal["euclidean", "cosine"]

    def __post_init__(self) -> None:
        if self.metric not in {"euclidean", "cosine"}:
            raise FgbenchError(f"no distance {self.metric!r} between features", "take 'euclidean' or 'cosine'")
        if (
            self.query.ndim != 2
            or not self.query.size
            or self.gallery.shape != (len(self.gallery), *self.query.shape[1:])
        ):
            raise FgbenchError(f"distances of query features {self.query.shape} to the gallery's {self.gallery.shape}")
        for side, features in (("query", self.query), ("gallery", self.gallery)):
            _refuse(np.all(np.isfinite(features), axis=1), f"the features of {side} {{}} are not finite")
            if self.metric == "cosine":
                _refuse(np.any(features, axis=1), f"the cosine to the zero features of {side} {{}} is not defined")

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of queries and of gallery images."""
        return len(self.query), len(self.gallery)

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Two matrices, (Q, E) and (G, E), whose inner products order the gallery of each query as the distances do.

        Of (q - g)^2 the product leaves out q^2, which is the same for the whole gallery; g^2 is a further column. Both
        sides are first moved to the middle of the gallery, which takes nothing from a distance but the rounding error.
        """
        exact = np.result_type(self.query, self.gallery, np.float32)
        query, gallery = self.query.astype(exact), self.gallery.astype(exact)
        if self.metric == "cosine":
            query /= _norms(query)
            gallery /= -_norms(gallery)
            return query, gallery
        middle = gallery.mean(axis=0, dtype=np.float64).astype(exact)
        left = np.ones((len(query), query.shape[1] + 1), exact)
        right = np.empty((len(gallery), query.shape[1] + 1), exact)
        np.subtract(query, middle, out=left[:, :-1])
        np.subtract(gallery, middle, out=gallery)
        right[:, -1] = np.einsum("ij,ij->i", gallery, gallery)
        np.multiply(gallery, -2, out=right[:, :-1])
        return left, right


class Block(NamedTuple):
    """Some queries and their distances; arrays may be written to."""

    rows: slice
    """Which queries."""
    negatives: np.ndarray
    """(B, G) distances to the negatives; infinity for matches and removed images."""
    query: np.ndarray
    """(M,) row of `negatives` to which a match belongs, in ascending order."""
    match: np.ndarray
    """(M,) distance of the match; in ascending order for each query."""


def blocks(distances: np.ndarray | Features, search: Search, block_mib: float = BLOCK_MIB) -> Iterator[Block]:
    """The distances of all queries, block by block, so that memory does not grow with queries times gallery.

    Args:
        distances: (Q, G), smaller is nearer, or the features to compute them from.
        search: Q queries, G gallery images.
        block_mib: memory for the distances of a block; one row at least.

    Raises:
        FgbenchError: shapes do not fit, or a distance that is not finite.
    """
    expected = (len(search.query_ids), len(search.gallery_ids))
    if distances.shape != expected:
        raise FgbenchError(f"distances {distances.shape} of {expected[0]} queries to {expected[1]} gallery images")
    from fgbench.util.numeric.matmul import array_product  # torch, which those who only read records do without

    left, right = distances.factors() if isinstance(distances, Features) else (distances, None)
    exact = np.result_type(left, np.float32)
    step = max(1, int(block_mib * 2**20) // (expected[1] * exact.itemsize))
    order = search.gallery_ids.argsort(kind="stable")
    first, last = (search.gallery_ids[order].searchsorted(search.query_ids, side) for side in ("left", "right"))
    junk = np.flatnonzero(search.gallery_ids == search.junk)  # None equals no identity
    for start in range(0, expected[0], step):
        rows = slice(start, min(start + step, expected[0]))
        block = left[rows].astype(exact) if right is None else array_product(left[rows], right.T)
        if not np.isfinite(block).all():
            query, image = np.argwhere(~np.isfinite(block))[0]
            raise FgbenchError(f"the distance of query {start + query} to gallery image {image} is not finite")
        # The gallery images of the query's identity: a run of `order` for each query, one after the other.
        count = last[rows] - first[rows]
        query = np.arange(len(block)).repeat(count)
        within = np.arange(len(query)) - (count.cumsum() - count).repeat(count)
        image = order[first[rows].repeat(count) + within]
        match = block[query, image]
        block[query, image] = np.inf
        block[:, junk] = np.inf
        if search.same_camera != "keep" and search.query_cameras is not None and search.gallery_cameras is not None:
            cameras = search.query_cameras[rows]
            other = cameras[query] != search.gallery_cameras[image]
            query, match = query[other], match[other]
            if search.same_camera == "remove_camera":
                block[cameras[:, None] == search.gallery_cameras] = np.inf
        ascending = np.lexsort((match, query))
        yield Block(rows, block, query[ascending], match[ascending])


def _norms(features: np.ndarray) -> np.ndarray:
    """Euclidean norms, (N, 1); scaled first, since squares leave the range of the numbers long before these do."""
    largest = np.maximum(features.max(axis=1, keepdims=True), -features.min(axis=1, keepdims=True))
    return largest * np.linalg.norm(features / largest, axis=1, keepdims=True)  # type: ignore[no-any-return]


def _refuse(right: np.ndarray, message: str) -> None:
    """Raise `message` with the number of the first sample that is not right."""
    if not right.all():
        raise FgbenchError(message.format(int(right.argmin())))
