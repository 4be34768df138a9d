"""Person search in a gallery: the images that count for a query, and descriptors from which distances follow."""

from dataclasses import KW_ONLY, dataclass
from typing import Literal

import numpy as np

from fgbench.util.errors import ArgumentError


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
    """Descriptors of queries and gallery images, from which `fgbench.metrics.query_blocks` computes distances.

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
        if self.metric == "cosine":
            query, gallery = self.query.astype(exact), self.gallery.astype(exact)
            query /= _norms(query)
            gallery /= -_norms(gallery)
            return query, gallery
        center = self.gallery.mean(axis=0, dtype=np.float64).astype(exact)
        left = np.ones((len(self.query), len(center) + 1), exact)
        right = np.empty((len(self.gallery), len(center) + 1), exact)
        np.subtract(self.query, center, out=left[:, :-1])
        moved = np.subtract(self.gallery, center, out=right[:, :-1])
        right[:, -1] = np.einsum("ij,ij->i", moved, moved)
        moved *= -2
        return left, right


def _norms(features: np.ndarray) -> np.ndarray:
    """Return Euclidean norms: (N, 1). The features are scaled first, so that the squares do not overflow."""
    largest = np.maximum(features.max(axis=1, keepdims=True), -features.min(axis=1, keepdims=True))
    return largest * np.linalg.norm(features / largest, axis=1, keepdims=True)  # type: ignore[no-any-return]


def _require(valid: np.ndarray, message: str) -> None:
    """Raise `message` with the number of the first invalid sample."""
    if not valid.all():
        raise ArgumentError(message.format(int(valid.argmin())))
