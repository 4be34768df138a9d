"""Person search in a gallery: the images that count for a query, and distances in blocks of queries."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Literal, NamedTuple

import numpy as np

from fgbench.util.errors import ArgumentError

BLOCK_MIB = 128
"""Memory of a block of distances: enough rows for a fast matrix product, small compared with the features."""


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Identities of queries and gallery images, and the rules for the images that count.

    A gallery image with the identity of the query is a match; any other image is a negative. A removed image is neither
    and does not affect ranks. Distractors (identity 0 in Market-1501) are negatives.

    Raises:
        ArgumentError: ids or cameras are not integers or their numbers do not fit, there are no queries or no gallery
            images, a query is junk, cameras are missing, or `same_camera` is unknown.

    Example:
        >>> search = Search(
        ...     np.array([1]), np.array([1, 1, 2]), np.array([7]), np.array([7, 8, 7]), same_camera="remove"
        ... )
        >>> search.kept(0).tolist()
        [False, True, True]
    """

    query_ids: np.ndarray
    """(Q,) integer identity of each query."""
    gallery_ids: np.ndarray
    """(G,) integer identity of each gallery image."""
    query_cameras: np.ndarray | None = None
    """(Q,) integers; optional if `same_camera` is `keep`."""
    gallery_cameras: np.ndarray | None = None
    """(G,) integers; optional if `same_camera` is `keep`."""
    _: KW_ONLY
    same_camera: Literal["remove", "keep", "remove_camera"]
    """Rule for gallery images from the camera of the query.

    `remove`: images with the identity of the query are removed (evaluation code of Market-1501; torchreid for all data
    sets). `keep`: all are kept. `remove_camera`: all are removed (`separate_camera_set` of open-reid, its rule for
    CUHK03)."""
    junk: int | None = -1
    """Identity of gallery images that are removed for every query; None if no image is junk."""

    def __post_init__(self) -> None:
        if self.same_camera not in {"remove", "keep", "remove_camera"}:
            raise ArgumentError(
                f"the rule {self.same_camera!r} for images from the same camera is unknown",
                "use 'remove', 'keep' or 'remove_camera'",
            )
        for side, ids, cameras in (
            ("query", self.query_ids, self.query_cameras),
            ("gallery", self.gallery_ids, self.gallery_cameras),
        ):
            if ids.ndim != 1 or not ids.size or ids.dtype.kind not in "iu":
                raise ArgumentError(
                    f"{side} ids have to be integers of shape (N,), not {ids.dtype} of shape {ids.shape}"
                )
            if cameras is None and self.same_camera != "keep":
                raise ArgumentError(f"same_camera={self.same_camera!r} requires the {side} cameras")
            if cameras is not None and (cameras.shape != ids.shape or cameras.dtype.kind not in "iu"):
                raise ArgumentError(
                    f"{side} cameras have to be integers, one for each id, not {cameras.dtype} of shape {cameras.shape}"
                )
        if self.junk is not None and (self.query_ids == self.junk).any():
            query = int((self.query_ids == self.junk).argmax())
            raise ArgumentError(f"query {query} has the identity of junk, {self.junk}", "set junk= to another identity")

    def kept(self, query: int) -> np.ndarray:
        """Return the gallery images that are not removed for a query: (G,) bool."""
        kept = self.gallery_ids != self.junk if self.junk is not None else np.ones(len(self.gallery_ids), bool)
        if self.same_camera != "keep" and self.query_cameras is not None and self.gallery_cameras is not None:
            same = self.gallery_cameras == self.query_cameras[query]
            kept &= ~(same & (self.gallery_ids == self.query_ids[query]) if self.same_camera == "remove" else same)
        return kept


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Descriptors of queries and gallery images, from which `blocks` computes distances.

    Distances have the precision of the descriptors, at least float32. The error is about 1e-6 of the squared norms in
    float32 and 1e-15 in float64, which takes twice the time and memory. Images whose distances differ by less than the
    error may change places.

    Raises:
        ArgumentError: the shapes do not fit, a value is not finite, a vector is zero with the cosine distance, or the
            metric is unknown.

    Example:
        >>> features = Features(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0]]), "euclidean")
        >>> features.shape
        (1, 2)
        >>> left, right = features.factors()
        >>> (left @ right.T).argsort().tolist()
        [[1, 0]]
    """

    query: np.ndarray
    """(Q, D) descriptors of the queries."""
    gallery: np.ndarray
    """(G, D) descriptors of the gallery images."""
    metric: Literal["euclidean", "cosine"]
    """Distance between two descriptors."""

    def __post_init__(self) -> None:
        if self.metric not in {"euclidean", "cosine"}:
            raise ArgumentError(f"the distance {self.metric!r} is unknown", "use 'euclidean' or 'cosine'")
        if (
            self.query.ndim != 2
            or not self.query.size
            or self.gallery.shape != (len(self.gallery), *self.query.shape[1:])
        ):
            raise ArgumentError(
                f"features have to be (Q, D) and (G, D), not {self.query.shape} and {self.gallery.shape}"
            )
        for side, features in (("query", self.query), ("gallery", self.gallery)):
            _require(np.all(np.isfinite(features), axis=1), f"the features of {side} {{}} are not finite")
            if self.metric == "cosine":
                _require(
                    np.any(features, axis=1), f"the features of {side} {{}} are zero, so they have no cosine distance"
                )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of queries and number of gallery images, (Q, G)."""
        return len(self.query), len(self.gallery)

    def factors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return two matrices whose inner products order the gallery of each query in the same way as the distances.

        For the Euclidean distance, the product is (q - g)^2 - q^2 = g^2 - 2 q g, because q^2 is the same for the whole
        gallery; g^2 is an additional column. The mean of the gallery is first subtracted from both sides, which reduces
        the rounding error. For the cosine distance, the product is the negative cosine.

        Returns:
            (Q, E) and (G, E) with E = D + 1 (Euclidean) or E = D (cosine).
        """
        exact = np.result_type(self.query, self.gallery, np.float32)
        query, gallery = self.query.astype(exact), self.gallery.astype(exact)
        if self.metric == "cosine":
            query /= _norms(query)
            gallery /= -_norms(gallery)
            return query, gallery
        center = gallery.mean(axis=0, dtype=np.float64).astype(exact)
        left = np.ones((len(query), query.shape[1] + 1), exact)
        right = np.empty((len(gallery), query.shape[1] + 1), exact)
        np.subtract(query, center, out=left[:, :-1])
        np.subtract(gallery, center, out=gallery)
        right[:, -1] = np.einsum("ij,ij->i", gallery, gallery)
        np.multiply(gallery, -2, out=right[:, :-1])
        return left, right


class Block(NamedTuple):
    """Distances of a block of B queries; the arrays may be overwritten."""

    rows: slice
    """Range of the queries."""
    negatives: np.ndarray
    """(B, G) distances to negatives; infinity for matches and removed images."""
    query: np.ndarray
    """(M,) row in `negatives` of the query of each match, in ascending order."""
    match: np.ndarray
    """(M,) distance of each match, in ascending order for each query."""


def blocks(distances: np.ndarray | Features, search: Search, block_mib: float = BLOCK_MIB) -> Iterator[Block]:
    """Yield the distances of all queries in blocks, so that memory does not grow with Q * G.

    Args:
        distances: (Q, G), smaller is nearer, or features from which distances are computed.
        search: Q queries and G gallery images.
        block_mib: memory for the distances of a block in MiB; a block has at least one row.

    Raises:
        ArgumentError: the shapes do not fit, or a distance is not finite.

    Example:
        >>> search = Search(np.array([1]), np.array([1, 2]), same_camera="keep")
        >>> (block,) = blocks(np.array([[0.5, 0.7]]), search)
        >>> block.match.tolist(), block.negatives.round(1).tolist()
        ([0.5], [[inf, 0.7]])
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
    order = search.gallery_ids.argsort(kind="stable")
    first, last = (search.gallery_ids[order].searchsorted(search.query_ids, side) for side in ("left", "right"))
    junk = np.flatnonzero(search.gallery_ids == search.junk)  # None equals no identity
    for start in range(0, expected[0], step):
        rows = slice(start, min(start + step, expected[0]))
        block = left[rows].astype(exact) if right is None else array_product(left[rows], right.T)
        if not np.isfinite(block).all():
            query, image = np.argwhere(~np.isfinite(block))[0]
            raise ArgumentError(f"the distance of query {start + query} to gallery image {image} is not finite")
        # Matches of all queries: for each query, a contiguous part of `order`.
        count = last[rows] - first[rows]
        query = np.arange(len(block)).repeat(count)
        within = np.arange(len(query)) - (count.cumsum() - count).repeat(count)
        image = order[first[rows].repeat(count) + within]
        match = block[query, image]
        # Remove matches and junk from the negatives.
        block[query, image] = np.inf
        block[:, junk] = np.inf
        # Remove images from the camera of the query.
        if search.same_camera != "keep" and search.query_cameras is not None and search.gallery_cameras is not None:
            cameras = search.query_cameras[rows]
            other = cameras[query] != search.gallery_cameras[image]
            query, match = query[other], match[other]
            if search.same_camera == "remove_camera":
                block[cameras[:, None] == search.gallery_cameras] = np.inf
        ascending = np.lexsort((match, query))
        yield Block(rows, block, query[ascending], match[ascending])


def _norms(features: np.ndarray) -> np.ndarray:
    """Return Euclidean norms: (N, 1). The features are scaled first, so that the squares do not overflow."""
    largest = np.maximum(features.max(axis=1, keepdims=True), -features.min(axis=1, keepdims=True))
    return largest * np.linalg.norm(features / largest, axis=1, keepdims=True)  # type: ignore[no-any-return]


def _require(valid: np.ndarray, message: str) -> None:
    """Raise `message` with the number of the first invalid sample."""
    if not valid.all():
        raise ArgumentError(message.format(int(valid.argmin())))
