"""The test images that a run got wrong with the highest scores, each beside the class it was taken for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fgbench.records.record import Record
from fgbench.report.photographs import Photographs

MAX_MISTAKES = 6
"""Mistakes of a page; each has two pictures."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A test image that is predicted as another class."""

    image_id: int
    """Official id of the image."""
    true: str
    """Name of its class."""
    predicted: str
    """Name of the class with the highest score."""
    score: float
    """Score of the predicted class."""
    true_score: float | None
    """Score of the true class; None if the record does not have it."""


@dataclass(frozen=True, slots=True)
class PicturedMistake:
    """A mistake with its pictures."""

    mistake: Mistake
    photograph: bytes | None
    """The image as WebP; None without it."""
    example: bytes | None
    """An image of the predicted class as WebP; None without it."""


@dataclass(frozen=True, slots=True)
class MistakeSection:
    """The most confident mistakes of one run."""

    seed: int
    kept: int | None
    """Number of highest scores that the record keeps of each image; None for all."""
    mistakes: tuple[PicturedMistake, ...]
    note: str
    """Why there are no pictures; empty if there are."""


def confident_mistakes(
    record: Record, arrays: Mapping[str, np.ndarray], names: Sequence[str], limit: int
) -> tuple[Mistake, ...]:
    """Return the mistakes with the highest score of the predicted class; equal scores are in the order of the images.

    Args:
        record: the run.
        arrays: its `ids` (N,), `labels` (N,) and `scores` (N, C).
        names: names of the C classes.
        limit: number of mistakes.
    """
    labels, scores = arrays["labels"].astype(np.int64), arrays["scores"]
    predicted, rows = scores.argmax(axis=1), np.arange(len(labels))
    highest, of_true = scores[rows, predicted], scores[rows, labels]
    wrong = np.flatnonzero(predicted != labels)
    first = wrong[np.argsort(-highest[wrong].astype(np.float64), kind="stable")][:limit]
    kept = record.scores_kept
    # A record that keeps some scores has a lower value in place of each other score.
    has_true = [kept is None or bool((scores[row] > of_true[row]).sum() < kept) for row in first]
    return tuple(
        Mistake(
            int(arrays["ids"][row]),
            names[labels[row]],
            names[predicted[row]],
            float(highest[row]),
            float(of_true[row]) if known else None,
        )
        for row, known in zip(first, has_true, strict=True)
    )


def mistake_section(
    record: Record, mistakes: Sequence[Mistake], classes: Mapping[str, str], photographs: Photographs | None
) -> MistakeSection:
    """Return the mistakes of a run with their pictures.

    Args:
        record: the run.
        mistakes: from `confident_mistakes`.
        classes: name of a class on the page -> its name in the data set.
        photographs: the data sets on this machine; None to leave pictures out.
    """
    note = "Pictures were left out." if photographs is None else photographs.missing(record)
    pictured = []
    for mistake in mistakes:
        photograph = example = None
        if photographs is not None and not note:
            photograph = photographs.of_image(record, mistake.image_id, classes[mistake.true])
            example = photographs.of_class(record, classes[mistake.predicted])
        pictured.append(PicturedMistake(mistake, photograph, example))
    if not note and pictured and not any(mistake.photograph for mistake in pictured):
        note = f"No pictures: the images of {record.data_title} on this machine are missing, damaged or other ones."
        pictured = [PicturedMistake(mistake.mistake, None, None) for mistake in pictured]
    return MistakeSection(record.seed, record.scores_kept, tuple(pictured), note)
