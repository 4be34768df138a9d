"""Per-sample values of a metric, for paired comparisons of methods."""

from collections.abc import Callable, Mapping

import numpy as np

from fgbench.metrics.accuracy import correct
from fgbench.metrics.keypoints import pck_hits
from fgbench.metrics.parts import iou, part_boxes
from fgbench.util.errors import ArgumentError

Arrays = Mapping[str, np.ndarray]
"""Per-sample arrays of a record, by name."""
Samples = tuple[np.ndarray, np.ndarray]
"""Names of the samples (N,), equal for all methods of a protocol, and their values (N,) float64."""


def sample_values(arrays: Arrays, name: str) -> Samples:
    """Return the names and values of the samples behind a value; the value is 100 times their mean.

    Args:
        arrays: per-sample arrays of a record.
        name: name of the value, as in `fgbench.metrics.values.measure`.

    Raises:
        ArgumentError: the value is not a mean over samples (for example, a mean over classes or parts), or its arrays
            are missing.

    Example:
        >>> arrays = {"ids": np.array([7, 8]), "labels": np.array([0, 1]), "scores": np.array([[0.9, 0.1], [0.8, 0.2]])}
        >>> names, values = sample_values(arrays, "accuracy")
        >>> names.tolist(), values.tolist()
        ([7, 8], [1.0, 0.0])
    """
    metric, _, part = name.partition("/")
    metric, _, at = metric.partition("@")
    measure = _MEASURES.get(metric)
    if measure is None or (metric == "pck" and not part):
        raise ArgumentError(f"{name} is not a mean over test samples")
    try:
        return measure(arrays, at, part)
    except KeyError as error:
        raise ArgumentError(f"the per-sample outputs lack {error}, which {name} needs") from error


def _accuracy(arrays: Arrays, at: str, part: str) -> Samples:
    return arrays["ids"], correct(arrays["scores"], arrays["labels"]).astype(np.float64)


def _pck(arrays: Arrays, at: str, part: str) -> Samples:
    column = [str(name) for name in arrays["part_names"]].index(part)
    truth = arrays["true_keypoints"]
    hits = pck_hits(arrays["keypoints"][..., :2], truth, arrays["boxes"], float(at))[:, column]
    visible = truth[:, column, 2] > 0
    return arrays["ids"][visible], hits[visible].astype(np.float64)


def _pcp(arrays: Arrays, at: str, part: str) -> Samples:
    names = [str(name) for name in arrays["part_names"]]
    true_boxes, predicted_boxes = (
        part_boxes(points[..., :2], points[..., 2] > 0, names, part)  # type: ignore[arg-type]
        for points in (arrays["true_keypoints"], arrays["keypoints"])
    )
    exists = ~np.isnan(true_boxes).any(axis=1)
    return arrays["ids"][exists], (iou(predicted_boxes, true_boxes) > 0.5)[exists].astype(np.float64)


def _cmc(arrays: Arrays, at: str, part: str) -> Samples:
    ranks = arrays.get("shot_rank", arrays["first_rank"])
    return _queries(arrays, np.where(np.isinf(ranks), np.nan, ranks <= int(at)))


def _map(arrays: Arrays, at: str, part: str) -> Samples:
    return _queries(arrays, arrays[f"ap_{part}"])


def _minp(arrays: Arrays, at: str, part: str) -> Samples:
    return _queries(arrays, arrays["inp"])


def _queries(arrays: Arrays, shares: np.ndarray) -> Samples:
    """Return the values of queries that `fgbench.metrics.ranking.average` averages."""
    ties, no_match = str(arrays["ties"]), str(arrays["no_match"])
    chosen = {"optimistic": shares[..., :1], "pessimistic": shares[..., 1:], "mean": shares}[ties]
    per_query = chosen.reshape(len(chosen), -1).mean(axis=1)
    matched = ~np.isnan(per_query)
    names = np.char.add(np.char.add(arrays["split"].astype(str), " "), arrays["ids"].astype(str))
    if no_match == "skip":
        return names[matched], per_query[matched]
    return names, np.where(matched, per_query, 0.0)


_MEASURES: dict[str, Callable[[Arrays, str, str], Samples]] = {
    "accuracy": _accuracy,
    "cmc": _cmc,
    "map": _map,
    "minp": _minp,
    "pck": _pck,
    "pcp": _pcp,
}
