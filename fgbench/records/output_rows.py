"""Outputs of the test samples as rows that can be compared between seeds, and a sketch of them.

A sketch has a byte for each sample. Two runs whose rows are equal for most samples have similar sketches, so that the
arrays of two runs with other sketches need not be read to know that neither is a copy of the other.
"""

import base64
from collections.abc import Mapping

import numpy as np

CLOSE = 1e-3
"""Two normalised outputs of a sample that differ by less are equal. Seeds of honest runs differ by 0.01 and more."""
SKETCH = "sketch "
"""Start of the keys of sketches."""
STEP = 2 * CLOSE
"""Difference of two outputs whose bytes in a sketch differ by one; equal outputs have equal or neighbouring bytes."""


def output_rows(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return one row of outputs for each test sample, in the order of the ids, scores without their scale.

    Args:
        arrays: per-sample arrays of a record.

    Returns:
        `scores` (N, C), `keypoints` (N, 3 P) or `ranks` (N, 2); nothing without `ids`.
    """
    if "ids" not in arrays:
        return {}
    order = np.argsort(arrays["ids"], kind="stable")
    if "scores" in arrays:
        scores = arrays["scores"][order].astype(np.float64)
        centred = scores - scores.mean(axis=1, keepdims=True)
        squares = np.einsum("nc,nc->n", centred, centred) / centred.shape[1]
        if centred.shape[1] == 2:  # each row for itself would be 1 and -1
            squares = np.full_like(squares, np.median(squares))
        return {"scores": centred / np.sqrt(np.maximum(squares, np.finfo(float).tiny))[:, None]}
    if "keypoints" in arrays:
        return {"keypoints": arrays["keypoints"][order].astype(np.float64).reshape(len(order), -1)}
    return {"ranks": arrays["ap_step"][order]} if "ap_step" in arrays else {}


def sketch_key(outputs_sha256: str) -> str:
    """Return the key of the sketch of an array file for `Store.remembering`."""
    return SKETCH + outputs_sha256


def sketch(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the sketch of the outputs of a run as text; empty for ranks, which are often equal.

    The byte of a sample is one of its outputs, another one for each sample, in units of `STEP`, modulo 256.
    """
    rows = output_rows(arrays)
    values = rows.get("scores", rows.get("keypoints"))
    if values is None:
        return ""
    samples = np.arange(len(values))
    chosen = values[samples, samples % values.shape[1]]
    return base64.b64encode((np.floor(chosen / STEP) % 256).astype(np.uint8).tobytes()).decode()


def may_be_copies(a: str, b: str, share: float) -> bool:
    """Return False if two sketches show that the rows of two runs are equal for less than a share of the samples."""
    first, second = (np.frombuffer(base64.b64decode(text), np.uint8) for text in (a, b))
    if len(first) != len(second) or not len(first):
        return a == b
    difference = first - second  # modulo 256
    return bool(((difference <= 1) | (difference == 255)).mean() >= share)
