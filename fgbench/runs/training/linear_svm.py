"""One-vs-all linear support vector machines for descriptors with many more dimensions than samples.

The solver maximises the dual on the Gram matrix of the samples, for all classes at once, by coordinate ascent (Hsieh et
al., ICML 2008). Coordinates are grouped in blocks, so that most of the work is matrix products. Descriptors are read in
blocks of columns, so that they may lie in a file larger than memory.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from fgbench.util.errors import FgbenchError
from fgbench.util.numeric.column_reader import read_columns
from fgbench.util.numeric.matmul import array_product

COORDINATES = 64
"""Number of samples in a block of the ascent."""
COLUMN_BYTES = 256 << 20
"""Maximum bytes of a block of columns of the descriptors."""
GRAM, WEIGHTS = 0.7, 0.2
"""Approximate shares of the time, for the progress bar."""
Progress = Callable[[float], object]
"""Called with the share of the work that is done."""
TILE = 2048
"""Rows of a tile of the Gram matrix; only tiles on and above the diagonal are computed."""


@dataclass(frozen=True, slots=True)
class LinearSvm:
    """C one-vs-all classifiers on D dimensions."""

    weight: Tensor
    """(C, D) float32, weights of each class."""
    bias: Tensor
    """(C,) float32, bias of each class."""
    gap: np.ndarray
    """(C,) duality gap of each class, relative to its primal objective."""
    sweeps: int
    """Number of passes over the samples."""

    def scores(self, x: Tensor) -> Tensor:
        """Return the scores (M, C) of descriptors (M, D)."""
        return x @ self.weight.to(x.device).T + self.bias.to(x.device)


def train_svm(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    *,
    c: float = 1.0,
    loss: Literal["hinge", "squared_hinge"] = "hinge",
    bias_multiplier: float = 1.0,
    calibrate: bool = False,
    tolerance: float = 1e-3,
    max_sweeps: int = 2000,
    progress: Progress = lambda share: None,
) -> LinearSvm:
    """Minimise 1/2 |w|^2 + 1/2 b'^2 + c * sum of losses for each class against the rest.

    The bias is b = bias_multiplier * b' and is regularised with w, as in VLFeat's `vl_svmtrain` (there with
    lambda = 1 / (n c)) and in liblinear.

    Args:
        features: (N, D) float, in memory or memory-mapped.
        labels: (N,) integers from 0 to classes - 1.
        classes: C.
        c: weight of the losses.
        loss: of a sample with margin m: max(0, 1 - m), or its square.
        bias_multiplier: value of the constant feature.
        calibrate: shift and scale each class so that the median scores of its negative and positive training samples
            are 0 and 1 (official B-CNN code).
        tolerance: the training stops when the duality gap of every class is below this share of the primal objective.
        max_sweeps: maximum number of passes over the samples.
        progress: called after each block of columns.

    Returns:
        The classifiers.

    Raises:
        FgbenchError: shapes do not fit, a class has no or every sample, a descriptor is not finite, or the tolerance
            is not reached.
    """
    samples = len(features)
    if features.ndim != 2 or labels.shape != (samples,):
        raise FgbenchError(f"SVM on descriptors {features.shape} with labels {labels.shape}")
    count = np.bincount(labels, minlength=classes)
    if len(count) != classes or not ((count > 0) & (count < samples)).all():
        bad = int(np.flatnonzero(~((count > 0) & (count < samples)))[0])
        raise FgbenchError(f"class {bad} has {count[bad]} of {samples} training samples: nothing to separate")
    gram = _gram(features, lambda share: progress(GRAM * share)) + bias_multiplier**2
    signs = np.where(labels[:, None] == np.arange(classes), 1.0, -1.0).astype(gram.dtype)
    duals, gap, sweeps = _ascend(gram, signs, c, loss, tolerance, max_sweeps)
    if gap.max() > tolerance:
        raise FgbenchError(
            f"the SVM of class {int(gap.argmax())} has a duality gap of {gap.max():.2g} after {sweeps} sweeps",
            f"raise svm.tolerance above {tolerance:g}, or lower svm.c",
        )
    coefficients = (duals * signs).astype(np.float32)
    weight = np.empty((classes, features.shape[1]), dtype=np.float32)
    for columns, block in _column_blocks(features, lambda share: progress(1 - WEIGHTS * (1 - share))):
        weight[:, columns] = array_product(coefficients.T, block)
    bias = bias_multiplier**2 * (duals * signs).sum(axis=0)
    if calibrate:
        scores = gram @ (duals * signs)
        high = np.array([np.median(scores[labels == k, k]) for k in range(classes)])
        low = np.array([np.median(scores[labels != k, k]) for k in range(classes)])
        span = np.where(high > low, high - low, 1.0)
        weight /= span[:, None].astype(np.float32)
        bias = (bias - low) / span
    return LinearSvm(torch.from_numpy(weight), torch.from_numpy(bias.astype(np.float32)), gap, sweeps)


def _column_blocks(features: np.ndarray, progress: Progress) -> Iterator[tuple[slice, np.ndarray]]:
    samples, dims = features.shape
    width = max(1, min(dims, COLUMN_BYTES // (4 * samples)))
    for start in range(0, dims, width):
        columns = slice(start, min(start + width, dims))
        block = np.empty((samples, columns.stop - start), dtype=np.float32)
        read_columns(features, columns, block)
        yield columns, block
        progress(columns.stop / dims)


def _gram(features: np.ndarray, progress: Progress) -> np.ndarray:
    """Return the Gram matrix (N, N): float32 products of column blocks, summed in float64 up to 1 GiB, else float32."""
    samples = len(features)
    gram = np.zeros((samples, samples), dtype=np.float64 if samples**2 <= 1 << 27 else np.float32)
    for _, block in _column_blocks(features, progress):
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            raise FgbenchError(f"the descriptor of training sample {int(np.flatnonzero(~finite)[0])} is not finite")
        for i in range(0, samples, TILE):
            for j in range(i, samples, TILE):
                gram[i : i + TILE, j : j + TILE] += array_product(block[i : i + TILE], block[j : j + TILE].T)
    for i in range(0, samples, TILE):
        gram[i + TILE :, i : i + TILE] = gram[i : i + TILE, i + TILE :].T
    return gram


def _ascend(
    gram: np.ndarray, signs: np.ndarray, c: float, loss: str, tolerance: float, max_sweeps: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return dual variables (N, C), relative gaps (C,) and sweeps. Converged classes skip further sweeps."""
    samples, classes = signs.shape
    squared = loss == "squared_hinge"
    ridge, upper = (0.5 / c, np.inf) if squared else (0.0, c)
    diagonal = np.diagonal(gram) + ridge
    duals, gap = np.zeros_like(signs), np.full(classes, np.inf)
    active = np.arange(classes)
    order = np.random.default_rng(0)
    sweep = 0
    y, alpha, scores = signs, duals.copy(), np.zeros_like(signs)  # scores = gram @ (alpha * y)
    while sweep < max_sweeps and len(active):
        sweep += 1
        for rows in np.array_split(order.permutation(samples), -(-samples // COORDINATES)):
            part = gram[rows]
            delta = _ascend_block(part[:, rows], diagonal[rows], y[rows], alpha, scores[rows], rows, ridge, upper)
            scores += part.T @ delta
        duals[:, active] = alpha
        gap[active] = _gaps(alpha, y, scores, c, squared)
        keep = gap[active] > tolerance
        if not keep.all():
            active = active[keep]
            y, alpha, scores = (np.ascontiguousarray(part[:, keep]) for part in (y, alpha, scores))
    return duals, gap, sweep


def _ascend_block(
    gram: np.ndarray,
    diagonal: np.ndarray,
    y: np.ndarray,
    alpha: np.ndarray,
    scores: np.ndarray,
    rows: np.ndarray,
    ridge: float,
    upper: float,
) -> np.ndarray:
    """Maximise over the samples of a block one by one, all classes at once; return the change of alpha * y."""
    delta = np.zeros_like(scores)
    for i, row in enumerate(rows):
        old = alpha[row]
        new = np.clip(old - (y[i] * scores[i] - 1 + ridge * old) / diagonal[i], 0, upper)
        delta[i] = (new - old) * y[i]
        alpha[row] = new
        if i + 1 < len(rows):
            scores[i + 1 :] += gram[i + 1 :, i : i + 1] * delta[i]
    return delta


def _gaps(alpha: np.ndarray, y: np.ndarray, scores: np.ndarray, c: float, squared: bool) -> np.ndarray:
    """Return the duality gap (C,) of each class, relative to the primal objective."""
    slack = np.maximum(0, 1 - y * scores)
    half = 0.5 * (alpha * y * scores).sum(axis=0)
    if squared:
        primal = half + c * (slack**2).sum(axis=0)
        dual = alpha.sum(axis=0) - half - (alpha**2).sum(axis=0) / (4 * c)
    else:
        primal = half + c * slack.sum(axis=0)
        dual = alpha.sum(axis=0) - half
    return (primal - dual) / np.maximum(primal, np.finfo(float).tiny)  # type: ignore[no-any-return]
