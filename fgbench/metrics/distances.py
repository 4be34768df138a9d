"""Distances between descriptors too wide to be held in memory all at once."""

from typing import Literal

import numpy as np

from fgbench.metrics.gallery import Features
from fgbench.util.errors import FgbenchError
from fgbench.util.numeric.matmul import array_product

CHUNK = 8192
"""Numbers of each descriptor taken at a time."""


def distances(
    descriptors: np.ndarray,
    query: np.ndarray,
    gallery: np.ndarray,
    metric: Literal["euclidean", "cosine"],
    chunk: int = CHUNK,
) -> np.ndarray:
    """(Q, G) float64 that orders the gallery of each query as the metric does; smaller is nearer.

    Both are taken from `Features.factors`, whose products add up over parts of the descriptors; the cosine is the
    Euclidean distance of descriptors of length 1.

    Args:
        descriptors: (N, D), mapped from a file or not.
        query: (Q,) rows of them.
        gallery: (G,) rows of them.
        metric: which.
        chunk: numbers of a descriptor taken at a time; decides memory.

    Raises:
        FgbenchError: a descriptor is not finite, or is zero under the cosine.
    """
    starts = range(0, descriptors.shape[1], chunk)
    squares = np.zeros(len(descriptors))
    for start in starts:
        part = np.asarray(descriptors[:, start : start + chunk], dtype=np.float64)
        squares += np.einsum("ij,ij->i", part, part)
    wrong = ~np.isfinite(squares) if metric == "euclidean" else ~(np.isfinite(squares) & (squares > 0))
    if wrong.any():
        raise FgbenchError(f"descriptor {int(wrong.argmax())} is zero or not finite, and so near to nothing")
    lengths = np.sqrt(squares)[:, None] if metric == "cosine" else np.ones((len(descriptors), 1))
    found = np.zeros((len(query), len(gallery)))
    for start in starts:
        part = np.asarray(descriptors[:, start : start + chunk]) / lengths.astype(np.float32)
        left, right = Features(part[query], part[gallery], "euclidean").factors()
        found += array_product(left, right.T)
    return found
