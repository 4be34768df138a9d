"""A hash of the predictions in an array file, which is equal for equal predictions in another order of the samples."""

import hashlib
from collections.abc import Mapping

import numpy as np


def fingerprint(arrays: Mapping[str, np.ndarray]) -> str:
    """Return a hash of the predictions of a run; empty if the arrays do not contain them.

    If every prediction is correct, the hash includes the scores, since two correct methods predict the same classes.

    Args:
        arrays: per-sample arrays of a record.
    """
    order = np.argsort(arrays["ids"], kind="stable") if "ids" in arrays else slice(None)
    kept = {name: arrays[name][order] for name in ("keypoints", "first_rank", "ap_step") if name in arrays}
    if "scores" in arrays:
        predicted = arrays["scores"].argmax(axis=1)
        is_perfect = np.array_equal(predicted, arrays["labels"])
        kept["scores"] = (arrays["scores"] if is_perfect else predicted)[order]
    digest = hashlib.sha256()
    for name, values in kept.items():
        digest.update(f"{name} {values.shape} {values.dtype}".encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest() if kept else ""
