"""Coordinate ascent on the dual of one-vs-all support vector machines, for all classes at once.

Coordinates are grouped in blocks. Inside a block the samples follow one after the other on the CPU; the products of a
block with the whole Gram matrix are most of the work, and are computed on the device of this matrix.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

Gap = Literal["relative", "mean"]
COORDINATES = 512
"""Number of samples in a block of the ascent; the scores of all samples are changed once for each block."""
INNER = 64
"""Number of samples in a part of a block; within a block, scores are changed once for each part."""


class _Scores:
    """Scores (C, N) of the samples, `(gram @ (alpha * y)).T`, on the device of the Gram matrix.

    Args:
        gram: (N, N) Gram matrix.
        classes: C.
    """

    def __init__(self, gram: Tensor, classes: int) -> None:
        self._gram = gram
        self._values = gram.new_zeros(classes, len(gram))
        self._memory = gram.new_empty(min(COORDINATES, len(gram)), len(gram))

    def of_all(self) -> np.ndarray:
        """Return the scores (N, C) on the host."""
        return self._values.T.cpu().numpy()

    def block(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the Gram matrix (B, B) and the scores (B, C) of some samples, for the next `add`."""
        index = torch.from_numpy(rows).to(self._gram.device)
        self._rows = torch.index_select(self._gram, 0, index, out=self._memory[: len(rows)])
        return self._rows[:, index].cpu().numpy(), self._values[:, index].T.cpu().numpy()

    def add(self, delta: np.ndarray) -> None:
        """Change the scores for a change (B, C) of alpha * y of the samples of `block`."""
        self._values.addmm_(torch.from_numpy(delta).to(self._gram.device).T, self._rows)

    def keep(self, classes: np.ndarray) -> None:
        """Forget the other classes; `classes` is a mask (C,)."""
        self._values = self._values[torch.from_numpy(np.flatnonzero(classes)).to(self._gram.device)]


def ascend(
    gram: Tensor, signs: np.ndarray, c: float, loss: str, tolerance: float, max_sweeps: int, measure: Gap = "relative"
) -> tuple[np.ndarray, np.ndarray, int]:
    """Maximise the dual. Converged classes skip further sweeps.

    Args:
        gram: (N, N) Gram matrix of the samples.
        signs: (N, C) 1 for the class of a sample and -1 for the others, in the precision of `gram`.
        c: weight of the losses.
        loss: `hinge` or `squared_hinge`.
        tolerance: largest duality gap of a converged class.
        max_sweeps: maximum number of passes over the samples.
        measure: `relative` for gaps relative to the primal objective, `mean` for gaps divided by c N.

    Returns:
        Dual variables (N, C), gaps (C,) and number of sweeps.
    """
    samples, classes = signs.shape
    squared = loss == "squared_hinge"
    ridge, upper = (0.5 / c, np.inf) if squared else (0.0, c)
    diagonal = gram.diagonal().cpu().numpy() + ridge
    duals, gap = np.zeros_like(signs), np.full(classes, np.inf)
    active = np.arange(classes)
    order = np.random.default_rng(0)
    sweep = 0
    y, alpha = signs, duals.copy()
    scores = _Scores(gram, classes)
    while sweep < max_sweeps and len(active):
        sweep += 1
        for rows in np.array_split(order.permutation(samples), -(-samples // COORDINATES)):
            part, values = scores.block(rows)
            scores.add(_ascend_block(part, diagonal[rows], y[rows], alpha, values, rows, ridge, upper))
        duals[:, active] = alpha
        gap[active] = _gaps(alpha, y, scores.of_all(), c, squared, measure)
        keep = gap[active] > tolerance
        if not keep.all():
            active = active[keep]
            y, alpha = (np.ascontiguousarray(part[:, keep]) for part in (y, alpha))
            scores.keep(keep)
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
    for start in range(0, len(rows), INNER):
        part = slice(start, start + INNER)
        part_scores = scores[part] + gram[part, :start] @ delta[:start]
        for i, row in enumerate(rows[part], start):
            old = alpha[row]
            score = part_scores[i - start] + gram[i, start:i] @ delta[start:i]
            slope = y[i] * score - 1 + ridge * old
            new = np.minimum(np.maximum(old - slope / diagonal[i], 0), upper)
            delta[i] = (new - old) * y[i]
            alpha[row] = new
    return delta


def _gaps(alpha: np.ndarray, y: np.ndarray, scores: np.ndarray, c: float, squared: bool, measure: Gap) -> np.ndarray:
    """Return the duality gap (C,) of each class in a measure."""
    slack = np.maximum(0, 1 - y * scores)
    half = 0.5 * (alpha * y * scores).sum(axis=0)
    if squared:
        primal = half + c * (slack**2).sum(axis=0)
        dual = alpha.sum(axis=0) - half - (alpha**2).sum(axis=0) / (4 * c)
    else:
        primal = half + c * slack.sum(axis=0)
        dual = alpha.sum(axis=0) - half
    scale = c * len(y) if measure == "mean" else np.maximum(primal, np.finfo(float).tiny)
    return (primal - dual) / scale  # type: ignore[no-any-return]
