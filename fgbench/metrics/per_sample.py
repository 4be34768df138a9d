"""What a value of a record is the mean of: one number a test sample, for methods to be compared by."""

from collections.abc import Callable, Mapping

import numpy as np

from fgbench.metrics.accuracy import correct
from fgbench.metrics.keypoints import pck_hits
from fgbench.metrics.parts import iou, part_boxes
from fgbench.util.errors import FgbenchError

Arrays = Mapping[str, np.ndarray]
Samples = tuple[np.ndarray, np.ndarray]
"""(N,) names of the samples, equal for all methods of a protocol, and (N,) float64 their values."""


def sample_values(arrays: Arrays, name: str) -> Samples:
    """The samples that a value is measured on and what each contributes; 100 times their mean is the value.

    Args:
        arrays: of a record.
        name: of the value, as `fgbench.metrics.values.measure` gives it.

    Raises:
        FgbenchError: the value is no mean over samples (such as a mean over classes or parts), or has no arrays here.
    """
    kind, _, which = name.partition("/")
    measure = _MEASURES.get(kind.partition("@")[0])
    if measure is None or (kind.startswith("pck") and not which):
        raise FgbenchError(f"{name} is not a mean over test samples")
    try:
        return measure(arrays, kind.partition("@")[2], which)
    except KeyError as error:
        raise FgbenchError(f"{name} cannot be told from the per-sample outputs: they lack {error}") from error


def _accuracy(arrays: Arrays, at: str, which: str) -> Samples:
    return arrays["ids"], correct(arrays["scores"], arrays["labels"]).astype(np.float64)


def _pck(arrays: Arrays, at: str, which: str) -> Samples:
    part = [str(name) for name in arrays["part_names"]].index(which)
    truth = arrays["true_keypoints"]
    hits = pck_hits(arrays["keypoints"][..., :2], truth, arrays["boxes"], float(at))[:, part]
    visible = truth[:, part, 2] > 0
    return arrays["ids"][visible], hits[visible].astype(np.float64)


def _pcp(arrays: Arrays, at: str, which: str) -> Samples:
    names = [str(name) for name in arrays["part_names"]]
    true, ours = (
        part_boxes(points[..., :2], points[..., 2] > 0, names, which)  # type: ignore[arg-type]
        for points in (arrays["true_keypoints"], arrays["keypoints"])
    )
    exists = ~np.isnan(true).any(axis=1)
    return arrays["ids"][exists], (iou(ours, true) > 0.5)[exists].astype(np.float64)


def _cmc(arrays: Arrays, at: str, which: str) -> Samples:
    ranks = arrays.get("shot_rank", arrays["first_rank"])
    return _queries(arrays, np.where(np.isinf(ranks), np.nan, ranks <= int(at)))


def _map(arrays: Arrays, at: str, which: str) -> Samples:
    return _queries(arrays, arrays[f"ap_{which}"])


def _minp(arrays: Arrays, at: str, which: str) -> Samples:
    return _queries(arrays, arrays["inp"])


def _queries(arrays: Arrays, shares: np.ndarray) -> Samples:
    """As `metrics.ranking.average`, but for the mean over queries."""
    ties, alone = str(arrays["ties"]), str(arrays["no_match"])
    chosen = {"optimistic": shares[..., :1], "pessimistic": shares[..., 1:], "mean": shares}[ties]
    each = chosen.reshape(len(chosen), -1).mean(axis=1)
    matched = ~np.isnan(each)
    names = np.char.add(np.char.add(arrays["split"].astype(str), " "), arrays["ids"].astype(str))
    if alone == "skip":
        return names[matched], each[matched]
    return names, np.where(matched, each, 0.0)


_MEASURES: dict[str, Callable[[Arrays, str, str], Samples]] = {
    "accuracy": _accuracy,
    "cmc": _cmc,
    "map": _map,
    "minp": _minp,
    "pck": _pck,
    "pcp": _pcp,
}
