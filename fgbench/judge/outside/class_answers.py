"""Scores of classes from a file: one row for each test image, one column for each official class."""

from collections.abc import Sequence

import numpy as np

from fgbench.datasets.index import Index
from fgbench.judge.outside.answers import Answers, needed
from fgbench.judge.outside.faults import Faults, listed, whole_number
from fgbench.judge.outside.images import AskedImages
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError, nearest


def class_scores(answers: Answers, truth: Index, asked: AskedImages) -> np.ndarray:
    """Return the scores (N, C) of the test images in their official order, for the classes in their official order.

    A label is the score 1 of its class; the scores of the other classes are 0.

    Args:
        answers: with `label`; or with `scores` and the names `classes` of its columns.
        truth: the test images with the classes.
        asked: the test images.

    Raises:
        FgbenchError: an image is unknown, double or missing; a class is unknown or missing; a score is not finite.
    """
    faults = Faults("test image")
    order = asked.order(answers, faults)
    if faults.texts:
        raise answers.error("; ".join(faults.texts), f"give each of the {len(truth):,} test images exactly once")
    if "label" in answers.arrays:
        of_labels: np.ndarray = _scores_of_labels(answers, truth.classes)[order]
        return of_labels
    if "scores" not in answers.arrays:
        raise answers.error(f"it has {', '.join(answers.arrays)}, but no label and no scores")
    scores: np.ndarray = _in_class_order(answers, truth.classes)[order]
    if (wrong := ~np.isfinite(scores).all(axis=1)).any():
        names = [truth.files[row] for row in np.flatnonzero(wrong)]
        raise answers.error(
            f"scores of {counted(len(names), 'image')} are not finite: {listed(names)}", "give finite scores"
        )
    return scores


def _in_class_order(answers: Answers, classes: Sequence[str]) -> np.ndarray:
    """Return the scores in the rows of the file, with the columns in the official order."""
    (scores,) = needed(answers, ["scores"])
    if scores.ndim != 2 or scores.dtype.kind not in "iuf":
        raise answers.error(f"scores has the shape {scores.shape} of {scores.dtype}, not one number an image and class")
    if scores.dtype.kind != "f":
        scores = scores.astype(np.float64)
    if answers.in_order:
        if scores.shape[1] != len(classes):
            raise answers.error(f"it has scores of {scores.shape[1]} classes, there are {len(classes)}")
        return scores
    names = [str(name) for name in needed(answers, ["classes"])[0].ravel()]
    if len(names) != scores.shape[1] or len(scores) != answers.images:
        raise answers.error(
            f"scores has the shape {scores.shape}, but there are {answers.images} images and {len(names)} classes"
        )
    faults = Faults("class", "classes")
    place_of = {name: place for place, name in enumerate(classes)}
    places = np.array([place_of.get(name, -1) for name in names], dtype=np.int64)
    faults.add("not in the data set", [name for name in names if name not in place_of])
    order = faults.order(places, len(classes), lambda place: classes[place])
    if faults.texts:
        raise answers.error(
            f"{len(names)} names of classes, the data set has {len(classes)}; {'; '.join(faults.texts)}",
            "name each class once, exactly as the data set does: fgbench export predictions writes all names",
        )
    return scores[:, order]


def _scores_of_labels(answers: Answers, classes: Sequence[str]) -> np.ndarray:
    """Return one-hot scores in the rows of the file."""
    (labels,) = needed(answers, ["label"])
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        raise answers.error(f"label has the shape {labels.shape} of {labels.dtype}, not one class for each image")
    if not answers.in_order and len(labels) != answers.images:
        raise answers.error(f"it has {answers.images} images, but {len(labels)} labels")
    scores = np.zeros((len(labels), len(classes)), np.float32)
    scores[np.arange(len(labels)), _places(answers, labels, classes)] = 1
    return scores


def _places(answers: Answers, labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Return the place of the class of each label: a name, or an official number from 1."""
    texts = [str(label).strip() for label in labels.tolist()]
    place_of = {name: place for place, name in enumerate(classes)}
    if any(text in place_of for text in texts):
        if unknown := [text for text in texts if text not in place_of]:
            raise _unknown_class(answers, unknown, classes)
        return np.array([place_of[text] for text in texts])
    numbers = [whole_number(text) for text in texts]
    if all(number is None for number in numbers):
        raise _unknown_class(answers, texts, classes)
    inside = [number is not None and 1 <= number <= len(classes) for number in numbers]
    if outside := [text for text, right in zip(texts, inside, strict=True) if not right]:
        hint = "add 1 to numbers that count from 0" if "0" in outside else "give official numbers, or names of classes"
        raise answers.error(
            f"{counted(len(outside), 'label')} outside the official numbers 1 to {len(classes)}: {listed(outside)}",
            hint,
        )
    return np.array(numbers, dtype=np.int64) - 1


def _unknown_class(answers: Answers, names: Sequence[str], classes: Sequence[str]) -> FgbenchError:
    near = nearest(names[0], classes)
    hint = near if near.startswith("did") else f"the first class is {classes[0]!r}"
    return answers.error(f"{counted(len(names), 'label')} not in the data set: {listed(names)}", hint)
