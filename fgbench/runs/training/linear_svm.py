"""One-vs-all linear support vector machines for descriptors with many more dimensions than samples.

The solver maximises the dual on the Gram matrix of the samples, for all classes at once, by coordinate ascent (Hsieh et
al., ICML 2008). Descriptors are read in blocks of columns, so that they may lie in a file larger than memory. On a GPU,
all products of matrices are computed there, in float32 or float64.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from fgbench.runs.training.dual_ascent import Gap, ascend
from fgbench.util.device_memory import free_bytes, has_device_memory
from fgbench.util.errors import FgbenchError
from fgbench.util.numeric.column_reader import column_blocks
from fgbench.util.numeric.matmul import inner_products, product

CPU = torch.device("cpu")
COLUMN_BYTES = 128 << 20
"""Maximum bytes of a block of columns of the descriptors; two blocks are in memory."""
GRAM, WEIGHTS = 0.7, 0.2
"""Approximate shares of the time, for the progress bar."""
Progress = Callable[[float], object]
"""Called with the share of the work that is done."""
KEPT_SHARE = 0.5
"""Share of the free memory of a GPU in which the descriptors stay after the Gram matrix is computed."""
TILE = 2048
"""Rows of a tile of the Gram matrix; only tiles on and above the diagonal are computed."""


@dataclass(frozen=True, slots=True)
class LinearSvm:
    """C one-vs-all classifiers on D dimensions."""

    weight: Tensor
    """(C, D) float32, weights of each class, on the device of the training."""
    bias: Tensor
    """(C,) float32, bias of each class, on the same device."""
    gap: np.ndarray
    """(C,) duality gap of each class, in the measure of the training."""
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
    calibrated: Literal["weights_and_bias", "weights"] = "weights_and_bias",
    tolerance: float = 1e-3,
    gap: Gap = "relative",
    max_sweeps: int = 2000,
    progress: Progress = lambda share: None,
    device: torch.device = CPU,
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
        calibrate: calibrate each class by the median scores of its negative and positive training samples.
        calibrated: `weights_and_bias` shifts and scales the scores so that the medians are 0 and 1 (official B-CNN
            code); `weights` scales the weights alone, so that the medians differ by 2 (B-CNN, section 3.2).
        tolerance: the training stops when the duality gap of every class is at most this.
        gap: `relative` for the gap as a share of the primal objective; `mean` for the gap divided by c N, as in
            `vl_svmtrain`, whose objective is lambda / 2 |w|^2 plus the mean loss.
        max_sweeps: maximum number of passes over the samples.
        progress: called after each block of columns.
        device: device of the products of matrices and of the classifiers.

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
        raise FgbenchError(
            f"class {bad} has {count[bad]} of {samples} training samples: nothing to separate",
            "use more images of each class: a larger --limit, or more --classes",
        )
    blocks = _Blocks(features, device)
    gram = _gram(blocks, samples, lambda share: progress(GRAM * share)).add_(bias_multiplier**2)
    precision = np.float64 if gram.dtype == torch.float64 else np.float32
    signs = np.where(labels[:, None] == np.arange(classes), 1.0, -1.0).astype(precision)
    duals, gaps, sweeps = ascend(gram, signs, c, loss, tolerance, max_sweeps, gap)
    if gaps.max() > tolerance:
        raise FgbenchError(
            f"the SVM of class {int(gaps.argmax())} has a duality gap of {gaps.max():.2g} after {sweeps} sweeps",
            f"raise svm.tolerance above {tolerance:g}, or lower svm.c",
        )
    coefficients = torch.from_numpy((duals * signs).astype(np.float32)).to(device)
    weight = torch.empty((classes, features.shape[1]), dtype=torch.float32, device=device)
    for columns, block in blocks.read(lambda share: progress(1 - WEIGHTS * (1 - share))):
        weight[:, columns] = product(coefficients.T, block)
    bias = bias_multiplier**2 * (duals * signs).sum(axis=0)
    if calibrate:
        scores = _times(gram, duals * signs)
        high = np.array([np.median(scores[labels == k, k]) for k in range(classes)])
        low = np.array([np.median(scores[labels != k, k]) for k in range(classes)])
        span = np.where(high > low, high - low, 1.0)
        if calibrated == "weights":
            span /= 2
        else:
            bias = (bias - low) / span
        weight /= torch.from_numpy(span[:, None].astype(np.float32)).to(device)
    return LinearSvm(weight, torch.from_numpy(bias.astype(np.float32)).to(device), gaps, sweeps)


class _Blocks:
    """Blocks of columns of the descriptors, which are read twice; in a GPU with enough memory they stay.

    Args:
        features: (N, D) float.
        device: device of the blocks.
    """

    def __init__(self, features: np.ndarray, device: torch.device) -> None:
        self._features, self.device = features, device
        self._kept: list[tuple[slice, Tensor]] = []
        self._keeps = has_device_memory(device) and 4 * features.size <= KEPT_SHARE * free_bytes(device)

    def read(self, progress: Progress) -> Iterator[tuple[slice, Tensor]]:
        """Yield the slices and the blocks (N, W) float32."""
        for columns, block in list(self._kept) or column_blocks(self._features, COLUMN_BYTES, self.device):
            if self._keeps:
                self._kept.append((columns, block))
            yield columns, block
            progress(columns.stop / self._features.shape[1])
        self._keeps = False


def _gram(blocks: _Blocks, samples: int, progress: Progress) -> Tensor:
    """Return the Gram matrix (N, N): float32 products of column blocks, summed in float64 up to 1 GiB, else float32."""
    dtype = torch.float64 if samples**2 <= 1 << 27 else torch.float32
    gram = torch.zeros((samples, samples), dtype=dtype, device=blocks.device)
    for _, block in blocks.read(progress):
        low, high = torch.aminmax(block, dim=1)  # NaN if one of the values is NaN
        finite = (torch.isfinite(low) & torch.isfinite(high)).cpu().numpy()
        if not finite.all():
            raise FgbenchError(f"the descriptor of training sample {int(np.flatnonzero(~finite)[0])} is not finite")
        for i in range(0, samples, TILE):
            rows = block[i : i + TILE]
            gram[i : i + TILE, i : i + TILE] += inner_products(rows)
            for j in range(i + TILE, samples, TILE):
                gram[i : i + TILE, j : j + TILE] += product(rows, block[j : j + TILE].T)
    for i in range(0, samples, TILE):
        gram[i + TILE :, i : i + TILE] = gram[i : i + TILE, i + TILE :].T
    return gram


def _times(gram: Tensor, values: np.ndarray) -> np.ndarray:
    """Return the product of the Gram matrix and an array (N, C); on a CPU with the BLAS of NumPy."""
    if gram.is_cpu:
        return gram.numpy() @ values  # type: ignore[no-any-return]
    return (gram @ torch.from_numpy(values).to(gram.device)).cpu().numpy()
