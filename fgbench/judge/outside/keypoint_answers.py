"""Keypoints from a file: one for each test image and each part, in pixels of the original image."""

import numpy as np

from fgbench.datasets.index import Index
from fgbench.judge.outside.answers import Answers, needed
from fgbench.judge.outside.columns import POINT
from fgbench.judge.outside.faults import Faults, listed
from fgbench.judge.outside.images import AskedImages
from fgbench.util.counted import counted


def keypoints(answers: Answers, truth: Index, asked: AskedImages) -> np.ndarray:
    """Return the keypoints (N, P, 3) of the test images: x and y in pixels of the original image, and confidence.

    Args:
        answers: with `part`, `x`, `y` and `confidence`, one row for each image and part; or with `keypoints`
            (N, P, 3) and the names `parts` of its columns.
        truth: the test images with the names of the parts.
        asked: the test images.

    Raises:
        FgbenchError: an image or a part is unknown, double or missing, or a number is not finite.
    """
    parts, points, count = _rows(answers, truth)
    if not answers.in_order and answers.images != count:
        raise answers.error(f"it names {answers.images:,} images for {count:,} rows of keypoints")
    faults = Faults("keypoint")
    images = np.repeat(asked.places(answers, faults), len(parts) // max(count, 1))
    place_of = {name: place for place, name in enumerate(truth.part_names)}
    columns = np.array([place_of.get(part, -1) for part in parts])
    faults.add("not in the data set", [part for part in parts if part not in place_of], "part")
    # The place of each image and part in one list of all of them.
    width = len(truth.part_names)
    places = np.where((images >= 0) & (columns >= 0), images * width + columns, -1)

    def name_of(place: int) -> str:
        return f"{truth.files[place // width]}, {truth.part_names[place % width]}"

    order = faults.order(places, len(truth) * width, name_of)
    if faults.texts:
        raise answers.error("; ".join(faults.texts), "give each part of each test image exactly once, also hidden ones")
    result: np.ndarray = points[order]
    if (wrong := ~np.isfinite(result).all(axis=1)).any():
        names = [name_of(int(place)) for place in np.flatnonzero(wrong)]
        raise answers.error(
            f"{counted(len(names), 'keypoint')} not finite: {listed(names)}", "give x, y and confidence"
        )
    return result.reshape(len(truth), width, 3)


def _rows(answers: Answers, truth: Index) -> tuple[list[str], np.ndarray, int]:
    """Return the part and the point (3,) of each answer, image by image, and the number of rows that name an image."""
    if "keypoints" not in answers.arrays:
        part, *numbers = needed(answers, ["part", *POINT])
        if part.ndim != 1 or any(column.shape != part.shape or column.dtype.kind not in "iuf" for column in numbers):
            raise answers.error("part, x, y and confidence are not columns of the same length")
        return [str(name) for name in part], np.stack(numbers, axis=1).astype(np.float64), len(part)
    (array,) = needed(answers, ["keypoints"])
    names = truth.part_names if answers.in_order else tuple(map(str, needed(answers, ["parts"])[0].ravel()))
    if array.ndim != 3 or array.shape[1:] != (len(names), 3) or array.dtype.kind not in "iuf":
        raise answers.error(f"keypoints has the shape {array.shape}, not (images, {len(names)} parts, 3)")
    return list(names) * len(array), array.reshape(-1, 3).astype(np.float64), len(array)
