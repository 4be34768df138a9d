"""Predictions of a kept network for image files: classes with scores, keypoints, and drawings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.special import softmax

from fgbench.datasets.image_files import ImageFiles
from fgbench.runs.kept_run import Answer, KeptRun, Report
from fgbench.util.errors import FgbenchError
from fgbench.util.files import make_folder, write_atomic

TOP = 5
"""Number of classes of an image by default."""


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class for an image."""

    name: str
    """Name of the class."""
    score: float
    """Score as the record of the run has it for a test image: output of the softmax layer before the softmax, or of the
    SVM; the mean of image and mirror image if the recipe averages them."""
    probability: float | None
    """Softmax of the scores of all classes, from 0 to 1; None if an SVM classifies, whose scores are no logarithms of
    probabilities."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a trained network predicts for one image."""

    image: Path
    classes: tuple[ClassScore, ...] = ()
    """The classes with the highest scores, highest first, of equal ones the first in the order of the data set; empty
    if the method gives no scores."""
    keypoints: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """Name of the part -> x and y in pixels of the original image, and confidence; empty if the method finds none."""
    drawings: tuple[Path, ...] = ()
    """Written pictures; empty unless they were asked for."""
    note: str = ""
    """In which way the network sees the image differently than a viewer shows it, such as an EXIF orientation that is
    not applied; empty if it does not."""

    @property
    def label(self) -> str:
        """Name of the class with the highest score.

        Raises:
            FgbenchError: the method gives no scores.
        """
        if not self.classes:
            raise FgbenchError(f"there is no class for {self.image}: the method gives no scores", "use its keypoints")
        return self.classes[0].name


def predict_files(
    run: KeptRun,
    files: Sequence[Path],
    *,
    top: int = TOP,
    drawings: Path | None = None,
    report: Report = lambda what, share: None,
) -> list[Prediction]:
    """Predict for image files with the trained network of a run.

    Args:
        run: the run with its network.
        files: the images.
        top: number of classes of an image.
        drawings: folder for pictures of attention, keypoints and samples, one file for each kind and image; None for
            no pictures.
        report: called with the progress.

    Raises:
        FgbenchError: there is no image, one cannot be decoded (all are named before anything is computed), or the
            method has no drawings.
    """
    if not files:
        raise FgbenchError("there are no images", "name at least one image")
    if top < 1:
        raise FgbenchError(f"the number of classes is {top}", "choose a number from 1")
    if drawings and not run.draws:
        raise FgbenchError(
            f"{run.record.title} has no drawings: it has no attention, keypoints or samples",
            "predict without drawings, or name a run of where_to_focus, keypoint_fcn, part_nets or tasn",
        )
    images = ImageFiles(files, run.pipeline)
    notes = images.check()
    if drawings:
        make_folder(drawings)
    answer = run.predict(images, report, draw=drawings is not None)
    paths = _save(answer, files, drawings) if drawings else [()] * len(files)
    classes = partial(_classes, names=run.classes, top=top, are_logits=run.settings.classifier == "softmax")
    scores, points = answer.outputs.get("scores"), _original_keypoints(answer, run, images)
    return [
        Prediction(
            file,
            classes(scores[row]) if scores is not None and run.classes else (),
            points[row] if points else {},
            paths[row],
            notes[row],
        )
        for row, file in enumerate(files)
    ]


def _classes(scores: np.ndarray, names: Sequence[str], top: int, *, are_logits: bool) -> tuple[ClassScore, ...]:
    """Return the classes with the highest of some scores (C,)."""
    order = np.argsort(-scores, kind="stable")[:top]
    shares = softmax(scores.astype(np.float64)) if are_logits else None
    return tuple(
        ClassScore(names[place], float(scores[place]), None if shares is None else float(shares[place]))
        for place in order
    )


def _original_keypoints(
    answer: Answer, run: KeptRun, images: ImageFiles
) -> list[dict[str, tuple[float, float, float]]]:
    """Return the keypoints of each image by part, in pixels of the original image; nothing without keypoints."""
    if "keypoints" not in answer.outputs:
        return []
    named = []
    for points, size in zip(answer.outputs["keypoints"].astype(np.float64), images.sizes(), strict=True):
        scale, offset = run.pipeline.geometry(size)
        places = np.concatenate([(points[:, :2] - offset) / scale, points[:, 2:]], axis=1)
        named.append({name: (x, y, c) for name, (x, y, c) in zip(run.part_names, places.tolist(), strict=True)})
    return named


def _save(answer: Answer, files: Sequence[Path], folder: Path) -> list[tuple[Path, ...]]:
    """Write the drawings as `<image> <kind>.png`; return the files of each image."""
    taken: set[str] = set()
    written = []
    for row, file in enumerate(files):
        names = (file.stem, *(f"{file.stem} {number}" for number in range(2, len(files) + 2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        paths = []
        for kind, pictures in answer.drawings.items():
            path = folder / f"{name} {kind}.png"
            picture = Image.fromarray(pictures[row])
            write_atomic(path, lambda temporary, picture=picture: picture.save(temporary, "PNG"))  # type: ignore[misc]
            paths.append(path)
        written.append(tuple(paths))
    return written
