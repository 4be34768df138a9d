"""Confusion matrix and accuracy of each class, from the scores of all test images."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fgbench.judge.anomaly import ReadOutputs
from fgbench.records.record import Record
from fgbench.report.html.charts import Axis, Chart
from fgbench.report.html.figures import RangePoint, dot_chart, heat_map
from fgbench.report.html.line_charts import ChartLine, line_chart
from fgbench.report.html.mistakes import MAX_MISTAKES, Mistake, confident_mistakes

MAX_SEEDS = 3
"""Runs of a group whose arrays are read; reading those of thousands of runs would take minutes."""
MAX_MATRIX_CLASSES = 20
"""Classes in the matrix; of more classes, it shows those that are confused most."""
MAX_CLASS_LINES = 30
"""Classes in the dot chart of accuracies; more classes are a line chart."""
MAX_PAIRS = 10
"""Rows of the table of confused classes."""


@dataclass(frozen=True, slots=True)
class ConfusedClasses:
    """Images of one class that are predicted as another class."""

    true: str
    predicted: str
    count: int
    images: int
    """Test images of the true class, summed over the runs."""

    @property
    def share(self) -> float:
        """Share of the images in percent."""
        return 100 * self.count / self.images


@dataclass(frozen=True, slots=True)
class Confusions:
    """Predictions of a group of runs by class."""

    names: tuple[str, ...]
    """Unique names of the C classes."""
    counts: np.ndarray
    """(R, C, C): runs, true classes, predicted classes."""
    seeds: tuple[int, ...]
    """Seed of each run."""
    first: Record
    """The first run."""
    mistakes: tuple[Mistake, ...]
    """The most confident mistakes of the first run."""
    classes: Mapping[str, str]
    """Name in `names` -> name in the data set."""

    @property
    def pairs(self) -> list[ConfusedClasses]:
        """The most frequent confusions; equal counts are in the order of their classes."""
        total = self.counts.sum(axis=0)
        wrong = total - np.diag(np.diag(total))
        order = np.argsort(-wrong, axis=None, kind="stable")[:MAX_PAIRS]
        pairs = [(int(index) // len(total), int(index) % len(total)) for index in order]
        return [
            ConfusedClasses(self.names[i], self.names[j], int(total[i, j]), int(total[i].sum()))
            for i, j in pairs
            if wrong[i, j]
        ]

    @property
    def accuracies(self) -> list[tuple[str, float, float, float]]:
        """Name, mean, minimum and maximum accuracy over the runs in percent of each tested class; lowest first."""
        images = self.counts.sum(axis=2)
        rows = []
        for number, name in enumerate(self.names):
            if images[:, number].all():
                accuracy = 100 * self.counts[:, number, number] / images[:, number]
                rows.append((name, float(accuracy.mean()), float(accuracy.min()), float(accuracy.max())))
        return sorted(rows, key=lambda row: row[1])


def count_predictions(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count the test images by true and predicted class, (C, C); a tie goes to the lower class, as in the accuracy.

    Args:
        scores: (N, C).
        labels: (N,).
    """
    classes = scores.shape[1]
    cells = labels.astype(np.int64) * classes + scores.argmax(axis=1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def read_confusions(group: Sequence[Record], outputs: ReadOutputs) -> Confusions | None:
    """Return the confusions of the first runs of a group; None without scores, or if the classes differ.

    Args:
        group: runs that differ only in their seed.
        outputs: returns the per-sample arrays of a record.
    """
    counts: list[np.ndarray] = []
    names: tuple[str, ...] = ()
    classes: dict[str, str] = {}
    used: list[Record] = []
    mistakes: tuple[Mistake, ...] = ()
    for record in group[:MAX_SEEDS]:
        arrays = outputs(record)
        if "scores" not in arrays or not np.isfinite(arrays["scores"]).all():
            continue
        counts_of_run = count_predictions(arrays["scores"], arrays["labels"])
        if counts and counts_of_run.shape != counts[0].shape:
            return None
        names = _class_names(arrays, len(counts_of_run))
        if not counts:
            mistakes = confident_mistakes(record, arrays, names, MAX_MISTAKES)
            in_data = map(str, arrays["class_names"]) if len(arrays.get("class_names", ())) == len(names) else names
            classes = dict(zip(names, in_data, strict=True))
        counts.append(counts_of_run)
        used.append(record)
    if not counts:
        return None
    return Confusions(names, np.stack(counts), tuple(r.seed for r in used), used[0], mistakes, classes)


def confusion_charts(confusions: Confusions) -> tuple[Chart, Chart]:
    """Return the confusion matrix and the chart of the accuracy of each class."""
    total = confusions.counts.sum(axis=0)
    classes = _most_confused(total)
    shares = 100 * total / np.maximum(total.sum(axis=1, keepdims=True), 1)
    pairs = confusions.pairs
    label = "No class is confused with another."
    if pairs:
        label = (
            f"Most frequent confusion: {pairs[0].true} is predicted as {pairs[0].predicted}, {pairs[0].share:.0f} %."
        )
    subset = "" if len(classes) == len(total) else f": the {len(classes)} of {len(total)} classes confused most"
    matrix = heat_map(
        f"Confusion matrix{subset}",
        label,
        "predicted class",
        "true class",
        [confusions.names[i] for i in classes],
        shares[np.ix_(classes, classes)].tolist(),
    )
    return matrix, _accuracy_chart(confusions)


def _accuracy_chart(confusions: Confusions) -> Chart:
    rows = confusions.accuracies
    lowest, highest = rows[0], rows[-1]
    title = "Accuracy of each class, lowest first"
    label = f"From {lowest[1]:.0f} % for {lowest[0]} to {highest[1]:.0f} % for {highest[0]}."
    axis = Axis("accuracy, %", 0, 100)
    if len(rows) <= MAX_CLASS_LINES:
        return dot_chart(title, label, axis, [RangePoint("accuracy", *row) for row in rows])
    line = ChartLine("classes", "", tuple((rank, row[1]) for rank, row in enumerate(rows, 1)))
    chart = line_chart(title, label, Axis("rank of the class"), axis, [line])
    return replace(chart, heads=("class", "accuracy, %", "min", "max"), rows=tuple(rows))


def _most_confused(total: np.ndarray) -> list[int]:
    """Classes of the most frequent confusions, each beside the class it is confused with; all classes if they fit."""
    if len(total) <= MAX_MATRIX_CLASSES:
        return list(range(len(total)))
    wrong = total + total.T
    np.fill_diagonal(wrong, 0)
    classes: dict[int, None] = {}
    for index in np.argsort(-wrong, axis=None, kind="stable"):
        pair = dict.fromkeys(divmod(int(index), len(total)))
        if len(classes | pair) > MAX_MATRIX_CLASSES or not wrong.flat[index]:
            break
        classes |= pair
    return list(classes) or list(range(MAX_MATRIX_CLASSES))


def _class_names(arrays: Mapping[str, Any], classes: int) -> tuple[str, ...]:
    """Unique names of the classes; their numbers if a record has no names."""
    # Folders of CUB have names such as `017.Cardinal` and `036.Northern_Flicker`.
    names = [re.sub(r"^\d+\.", "", str(name)).replace("_", " ") for name in arrays.get("class_names", ())]
    if len(names) != classes:
        names = [f"class {number}" for number in range(classes)]
    count = Counter(names)
    return tuple(name if count[name] == 1 else f"{name} ({number})" for number, name in enumerate(names))
