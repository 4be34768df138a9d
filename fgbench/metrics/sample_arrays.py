"""Per-sample arrays of a record: outputs of a method for each test image, with the annotations."""

from collections.abc import Mapping

import numpy as np

from fgbench.datasets.geometry import input_geometry, to_input, to_original
from fgbench.datasets.index import Index
from fgbench.datasets.pipeline import Pipeline
from fgbench.metrics.attention import attention_at_points, attention_in_boxes


def sample_arrays(outputs: Mapping[str, np.ndarray], truth: Index, pipeline: Pipeline) -> dict[str, np.ndarray]:
    """Return the per-sample arrays by name, with one row for each test image (except names of classes and parts).

    Args:
        outputs: outputs of a method: optional `scores` (N, C); `keypoints` (N, P, 3), x and y in pixels of the input
            and confidence; and `attention` (N, h, w).
        truth: the test images with all annotations.
        pipeline: preprocessing from the original images to the input of the method.

    Returns:
        `ids` and `labels`.
        With scores: `scores` and `class_names` (C,).
        With keypoints: `keypoints` (N, P, 3), x and y in pixels of the original image; `true_keypoints`; `boxes`;
        `part_names`.
        With attention: `attention_at_parts` (N, P) and `attention_in_box` (N,), relative to the mean of the map;
        `part_names`.

    Example:
        >>> from pathlib import Path
        >>> truth = Index(
        ...     name="two", root=Path(), ids=np.arange(2), files=("a", "b"), labels=np.array([0, 1]),
        ...     train=np.zeros(2, bool), classes=("Gull", "Tern"),
        ... )
        >>> pipeline = Pipeline.parse("resize(100, bilinear) | center_crop(96)")
        >>> list(sample_arrays({"scores": np.eye(2)}, truth, pipeline))
        ['ids', 'labels', 'scores', 'class_names']
    """
    arrays = {"ids": truth.ids, "labels": truth.labels}
    if "scores" in outputs:
        arrays |= {"scores": np.asarray(outputs["scores"]), "class_names": np.array(truth.classes)}
    if truth.parts is None or truth.boxes is None or not {"keypoints", "attention"} & set(outputs):
        return arrays
    scale, offset = input_geometry(truth, pipeline)
    arrays["part_names"] = np.array(truth.part_names)
    if "keypoints" in outputs:
        keypoints = np.asarray(outputs["keypoints"])
        places = to_original(keypoints[..., :2].astype(np.float64), scale, offset)
        arrays["keypoints"] = np.concatenate([places, keypoints[..., 2:]], axis=-1)
        arrays |= {"true_keypoints": truth.parts, "boxes": truth.boxes}
    if "attention" in outputs:
        size = pipeline.cached_size
        boxes = np.concatenate([truth.boxes[:, :2] * scale + offset, truth.boxes[:, 2:] * scale], axis=1)
        attention = np.asarray(outputs["attention"])
        arrays["attention_at_parts"] = attention_at_points(attention, to_input(truth.parts, scale, offset, size), size)
        arrays["attention_in_box"] = attention_in_boxes(attention, boxes, size)
    return arrays
