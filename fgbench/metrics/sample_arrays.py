"""The per-sample arrays of a record: what a method gave for each test image, beside what is true of it."""

from collections.abc import Mapping

import numpy as np

from fgbench.datasets.geometry import input_geometry, to_input, to_original
from fgbench.datasets.index import Index
from fgbench.datasets.pipeline import Pipeline
from fgbench.metrics.attention import attention_at_points, attention_in_boxes


def sample_arrays(outputs: Mapping[str, np.ndarray], truth: Index, pipeline: Pipeline) -> dict[str, np.ndarray]:
    """Arrays by name, those but names with a row a test image.

    Args:
        outputs: `scores` (N, C) of a method that classifies, and where the method gives them `keypoints` (N, P, 3) in
            pixels of its images with confidences, and `attention` (N, h, w).
        truth: the test images with everything that is known of them.
        pipeline: from the original images to those the method saw.

    Returns:
        `ids`, `labels` and, of a method that classifies, `scores` and `class_names` (C,); with keypoints, `keypoints`
        (N, P, 3) in pixels of the original images beside `true_keypoints`, `boxes` and `part_names`; with attention,
        `attention_at_parts` (N, P) and `attention_in_box` (N,) as multiples of the map's mean, beside `part_names`.
    """
    arrays = {"ids": truth.ids, "labels": truth.labels}
    if "scores" in outputs:
        arrays |= {"scores": np.asarray(outputs["scores"]), "class_names": np.array(truth.classes)}
    if truth.parts is None or truth.boxes is None or not {"keypoints", "attention"} & set(outputs):
        return arrays
    scale, offset = input_geometry(truth, pipeline)
    arrays["part_names"] = np.array(truth.part_names)
    if "keypoints" in outputs:
        found = np.asarray(outputs["keypoints"])
        places = to_original(found[..., :2].astype(np.float64), scale, offset)
        arrays["keypoints"] = np.concatenate([places, found[..., 2:]], axis=-1)
        arrays |= {"true_keypoints": truth.parts, "boxes": truth.boxes}
    if "attention" in outputs:
        size = pipeline.cached_size
        boxes = np.concatenate([truth.boxes[:, :2] * scale + offset, truth.boxes[:, 2:] * scale], axis=1)
        attention = np.asarray(outputs["attention"])
        arrays["attention_at_parts"] = attention_at_points(attention, to_input(truth.parts, scale, offset, size), size)
        arrays["attention_in_box"] = attention_in_boxes(attention, boxes, size)
    return arrays
