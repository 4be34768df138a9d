"""Values of a record, computed from its per-sample arrays."""

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from fgbench.datasets.bird_parts import PARTS
from fgbench.metrics.accuracy import correct, mean_over_classes
from fgbench.metrics.class_precision import class_average_precisions
from fgbench.metrics.keypoints import pck, pck_hits
from fgbench.metrics.parts import part_boxes, pcp
from fgbench.metrics.ranking import average, cmc
from fgbench.statistics.intervals import mean_interval, wilson_interval
from fgbench.util.validation import StrictModel

ALPHAS = (0.02, 0.05, 0.08, 0.10)
"""Distances of PCK as fractions of the longer side of the box (Zhang et al., arXiv 1511.07063, Table 2)."""
RANKS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50)
"""Ranks of the cumulative match characteristic."""
CLASS_MAP = "class_map"
"""Name of the mean over the classes of the average precision. Records of earlier versions do not have it."""
AP_RULE = "trapezoid"
"""Average precision of a printed `map` without a rule: that of the evaluation code of Market-1501, common in 2017."""


class Value(StrictModel):
    """A measured value.

    Example:
        >>> Value(value=84.1, unit="%", n=5794).value
        84.1
    """

    value: float
    """Value in `unit`."""
    unit: str
    """`%`, or `x` for a multiple of a mean."""
    n: int = Field(ge=0, lt=2**53)
    """Number of samples behind the value."""
    low: float | None = None
    """Lower end of the 95 % confidence interval for another test set of n samples, in `unit`."""
    high: float | None = None
    """Upper end of that interval."""
    definition: str = ""
    """Definition of the metric."""


def measure(arrays: Mapping[str, np.ndarray], *, class_map: bool = True) -> dict[str, Value]:
    """Return the values that follow from per-sample arrays, by name.

    Args:
        arrays: per-sample arrays, from `fgbench.metrics.sample_arrays.sample_arrays` or
            `fgbench.metrics.person_search.search_arrays`.
        class_map: False to leave out `class_map`.

    Returns:
        From `scores` and `labels`: `accuracy`, `mean_class_accuracy`, `class_map`.
        From `keypoints`: `pck@<alpha>/<part>`, their mean `pck@<alpha>`; for birds `pcp/head`, `pcp/body`.
        From `attention_at_parts`: `attention/<part>`, `attention/parts`, `attention/box`.
        From `first_rank`: `cmc@<rank>`, `map/step`, `map/trapezoid`, `minp`.
        From `watched`: `watched/last_epoch`, `watched/best_on_test`, which are not compared with printed numbers.

    Example:
        >>> scores, labels = np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1])
        >>> values = measure({"scores": scores, "labels": labels})
        >>> {name: value.value for name, value in values.items()}
        {'accuracy': 50.0, 'mean_class_accuracy': 50.0, 'class_map': 100.0}
    """
    values = _accuracies(arrays["scores"], arrays["labels"], class_map=class_map) if "scores" in arrays else {}
    if "watched" in arrays:
        values |= _watched(arrays["watched"], arrays["labels"])
    if "keypoints" in arrays:
        values |= _keypoints(arrays)
    if "attention_at_parts" in arrays:
        values |= _attention(arrays)
    if "first_rank" in arrays:
        values |= _searches(arrays)
    return values


def headline(values: Mapping[str, Value]) -> str:
    """Return the name of the main value of a run: accuracy, CMC at rank 1, PCK at 0.10, or the first value.

    Example:
        >>> headline({name: Value(value=50, unit="%", n=2) for name in ("mean_class_accuracy", "accuracy")})
        'accuracy'
    """
    return next((name for name in ("accuracy", "cmc@1", "pck@0.10") if name in values), next(iter(values)))


def value_name(metric: str, params: Mapping[str, object]) -> str:
    """Return the name in `measure` of the value for the metric and parameters of a printed cell.

    Example:
        >>> value_name("pck", {"alpha": 0.1, "part": "tail"})
        'pck@0.10/tail'
    """
    if metric == "pck":
        return f"pck@{float(str(params['alpha'])):.2f}/{params['part']}"
    if metric == "cmc":
        return f"cmc@{params['rank']}"
    return {"pcp": f"pcp/{params.get('part')}", "map": f"map/{AP_RULE}"}.get(metric, metric)


def _accuracies(scores: np.ndarray, labels: np.ndarray, *, class_map: bool) -> dict[str, Value]:
    hits, n = correct(scores, labels), len(labels)
    values = {
        "accuracy": _share(float(hits.mean() * 100), int(hits.sum()), n, "per-image top-1"),
        "mean_class_accuracy": Value(
            value=mean_over_classes(hits, labels), unit="%", n=n, definition="mean of the classes' top-1"
        ),
    }
    if not class_map:
        return values
    precisions = 100 * class_average_precisions(scores, labels)
    interval = mean_interval(precisions) if len(precisions) > 1 else None
    return values | {
        CLASS_MAP: Value(
            value=float(precisions.mean()),
            unit="%",
            n=n,
            low=interval and interval.low,
            high=interval and interval.high,
            definition="mean over the classes of the average precision of the images ranked by their score for it",
        ),
    }


def _watched(classes: np.ndarray, labels: np.ndarray) -> dict[str, Value]:
    """Return the accuracies of the last and the best epoch.

    Args:
        classes: (N, E) predicted class of each test image after each epoch.
        labels: (N,) true classes.
    """
    hits = (classes == labels[:, None]).sum(axis=0)
    best, epochs, n = int(hits.argmax()), len(hits), len(labels)
    softmax = "of the softmax layer, images without their mirror images"
    return {
        "watched/last_epoch": _share(100 * hits[-1] / n, hits[-1], n, f"per-image top-1 {softmax}"),
        "watched/best_on_test": _share(
            100 * hits[best] / n, hits[best], n, f"the same after the best by the test labels of {epochs} epochs"
        ),
    }


def _share(percent: float, hits: float, n: int, definition: str) -> Value:
    """Return a percentage with its Wilson interval."""
    interval = wilson_interval(hits, n)
    return Value(value=percent, unit="%", n=n, low=100 * interval.low, high=100 * interval.high, definition=definition)


def _keypoints(arrays: Mapping[str, np.ndarray]) -> dict[str, Value]:
    predicted, truth, boxes = arrays["keypoints"], arrays["true_keypoints"], arrays["boxes"]
    names = [str(name) for name in arrays["part_names"]]
    visible = (truth[..., 2] > 0).sum(axis=0)
    values = {}
    # PCK of each part and their mean.
    for alpha in ALPHAS:
        reach = f"within {alpha:g} of the box's longer side, visible keypoints"
        percent = pck(predicted[..., :2], truth, boxes, alpha)
        hits = pck_hits(predicted[..., :2], truth, boxes, alpha).sum(axis=0)
        shown = [part for part in range(len(names)) if visible[part]]
        if not shown:
            return {}
        values[f"pck@{alpha:.2f}"] = Value(
            value=float(percent[shown].mean()), unit="%", n=int(visible.sum()), definition=f"{reach}; mean of the parts"
        )
        for part in shown:
            values[f"pck@{alpha:.2f}/{names[part]}"] = _share(
                float(percent[part]), int(hits[part]), int(visible[part]), reach
            )
    # PCP of head and body for birds.
    if set().union(*PARTS.values()) <= set(names):
        for region in PARTS:
            true_boxes = part_boxes(truth[..., :2], truth[..., 2] > 0, names, region)  # type: ignore[arg-type]
            predicted_boxes = part_boxes(predicted[..., :2], predicted[..., 2] > 0, names, region)  # type: ignore[arg-type]
            result = pcp(predicted_boxes, true_boxes)
            if result.total:
                hits = round(result.percent / 100 * result.total)
                values[f"pcp/{region}"] = _share(result.percent, hits, result.total, "IoU over 0.5 with the true box")
    return values


def _attention(arrays: Mapping[str, np.ndarray]) -> dict[str, Value]:
    at_parts, in_box = arrays["attention_at_parts"], arrays["attention_in_box"]
    relative = "times the map's mean"

    columns = {
        "parts": (at_parts, "at visible keypoints"),
        "box": (in_box, "in the box"),
        **{
            str(name): (column, "at this keypoint")
            for name, column in zip(arrays["part_names"], at_parts.T, strict=True)
        },
    }
    values = {}
    for name, (shares, where) in columns.items():
        kept = shares[~np.isnan(shares)]
        if len(kept):  # a keypoint may be visible in no test image
            values[f"attention/{name}"] = Value(
                value=float(kept.mean()), unit="x", n=len(kept), definition=f"attention {where}, {relative}"
            )
    return values


def _searches(arrays: Mapping[str, np.ndarray]) -> dict[str, Value]:
    """Return the values of person search; the intervals assume that queries are independent."""
    rules = {"ties": str(arrays["ties"]), "no_match": str(arrays["no_match"])}
    whole = arrays["first_rank"]
    ranks = arrays.get("shot_rank", whole)
    matched = np.isfinite(whole[:, 0])
    n = len(whole) if rules["no_match"] == "zero" else int(matched.sum())
    where = "random galleries of one image an identity" if "shot_rank" in arrays else "the whole gallery"
    values = {}
    # CMC.
    for rank in RANKS:
        percent = cmc(ranks, rank, **rules)  # type: ignore[arg-type]
        values[f"cmc@{rank}"] = _share(percent, percent / 100 * n, n, f"a match among the first {rank} of {where}")
    # Means over queries, with a t interval of the mean.
    for name, array, definition in (
        ("map/step", "ap_step", "mean average precision, by steps"),
        ("map/trapezoid", "ap_trapezoid", "mean average precision, by trapezoids as Market-1501's own code"),
        ("minp", "inp", "mean inverse negative penalty"),
    ):
        shares = arrays[array]
        percent = average(shares, **rules)  # type: ignore[arg-type]
        per_query = 100 * np.where(matched, shares.mean(axis=1), 0.0)[matched | (rules["no_match"] == "zero")]
        half = percent - mean_interval(per_query).low if n > 1 else 0.0
        values[name] = Value(
            value=percent, unit="%", n=n, low=percent - half, high=percent + half, definition=definition
        )
    return values
