"""Distances between descriptors that are too wide to hold in memory at once."""

from typing import Literal

import numpy as np

from fgbench.metrics.gallery import Features
from fgbench.util.errors import ArgumentError
from fgbench.util.numeric.matmul import array_product

CHUNK = 8192
"""Number of dimensions of the descriptors that are read at a time."""


def distances(
    descriptors: np.ndarray,
    query: np.ndarray,
    gallery: np.ndarray,
    metric: Literal["euclidean", "cosine"],
    chunk: int = CHUNK,
) -> np.ndarray:
    """Return scores that order the gallery of each query in the same way as the distance.

    The scores are the inner products of `Features.factors`, summed over chunks of dimensions. They differ from the
    squared distance by a constant for each query. The cosine distance is the Euclidean distance of descriptors with
    norm 1.

    Args:
        descriptors: (N, D), in memory or mapped from a file.
        query: (Q,) rows of `descriptors`.
        gallery: (G,) rows of `descriptors`.
        metric: distance between two descriptors.
        chunk: number of dimensions read at a time; determines the memory.

    Returns:
        (Q, G) float64; smaller is nearer.

    Raises:
        ArgumentError: a descriptor is not finite, or is zero with the cosine distance.

    Example:
        >>> descriptors = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]], dtype=np.float32)
        >>> distances(descriptors, np.array([0]), np.array([1, 2]), "euclidean").argsort().tolist()
        [[1, 0]]
    """
    starts = range(0, descriptors.shape[1], chunk)
    # (N,) squared norms.
    squares = np.zeros(len(descriptors))
    for start in starts:
        part = np.asarray(descriptors[:, start : start + chunk], dtype=np.float64)
        squares += np.einsum("ij,ij->i", part, part)
    wrong = ~np.isfinite(squares) if metric == "euclidean" else ~(np.isfinite(squares) & (squares > 0))
    if wrong.any():
        raise ArgumentError(f"descriptor {int(wrong.argmax())} is zero or not finite, so it has no distances")
    norms = np.sqrt(squares)[:, None] if metric == "cosine" else np.ones((len(descriptors), 1))
    # (Q, G) sums of the inner products of the chunks.
    scores = np.zeros((len(query), len(gallery)))
    for start in starts:
        part = np.asarray(descriptors[:, start : start + chunk]) / norms.astype(np.float32)
        left, right = Features(part[query], part[gallery], "euclidean").factors()
        scores += array_product(left, right.T)
    return scores
