"""Which classes a method takes for which, from the scores of every test image."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fgbench.records.record import Record
from fgbench.report.html.charts import Axis, Chart
from fgbench.report.html.figures import Bar, Line, dots, heat, lines

MOST_SEEDS = 3
"""Array files read for one picture: those of thousands of runs would take minutes."""
MOST_SHOWN = 20
"""Classes in a square; of more, those that are taken for one another most."""
MOST_NAMED = 30
"""Classes with a line each in the chart of accuracies."""
PAIRS = 10

Outputs = Callable[[Record], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Pair:
    """One class taken for another."""

    true: str
    taken_for: str
    times: int
    of: int
    """Test images of the class, once a run."""

    @property
    def share(self) -> float:
        """In percent."""
        return 100 * self.times / self.of


@dataclass(frozen=True, slots=True)
class Confusions:
    """What some runs said of the test images of each class."""

    names: tuple[str, ...]
    counts: np.ndarray
    """(R, C, C) runs, true classes, predicted classes."""
    seeds: tuple[int, ...]

    @property
    def pairs(self) -> list[Pair]:
        """The pairs of classes that are confused most, of equals the first."""
        total = self.counts.sum(axis=0)
        wrong = total - np.diag(np.diag(total))
        order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
        found = [(int(at) // len(total), int(at) % len(total)) for at in order]
        return [
            Pair(self.names[i], self.names[j], int(total[i, j]), int(total[i].sum())) for i, j in found if wrong[i, j]
        ]

    @property
    def accuracies(self) -> list[tuple[str, float, float, float]]:
        """Of each class that has test images, the worst first: name, then mean, least and most over runs in percent."""
        images = self.counts.sum(axis=2)
        rows = []
        for number, name in enumerate(self.names):
            if images[:, number].all():
                each = 100 * self.counts[:, number, number] / images[:, number]
                rows.append((name, float(each.mean()), float(each.min()), float(each.max())))
        return sorted(rows, key=lambda row: row[1])


def counts_of(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(C, C) test images by true and by predicted class; ties go to the lower class, as in the accuracy.

    Args:
        scores: (N, C).
        labels: (N,).
    """
    classes = scores.shape[1]
    said = labels.astype(np.int64) * classes + scores.argmax(axis=1)
    return np.bincount(said, minlength=classes * classes).reshape(classes, classes)


def confusions(group: Sequence[Record], outputs: Outputs) -> Confusions | None:
    """The confusions of the first runs of a group; None where there are no scores, or not of one set of classes."""
    found: list[np.ndarray] = []
    names: tuple[str, ...] = ()
    seeds = []
    for record in group[:MOST_SEEDS]:
        arrays = outputs(record)
        if "scores" not in arrays or not np.isfinite(arrays["scores"]).all():
            continue
        counts = counts_of(arrays["scores"], arrays["labels"])
        if found and counts.shape != found[0].shape:
            return None
        names = _names(arrays, len(counts))
        found.append(counts)
        seeds.append(record.seed)
    return Confusions(names, np.stack(found), tuple(seeds)) if found else None


def confusion_charts(found: Confusions) -> tuple[Chart, ...]:
    """The square of shares, and the accuracy of each class."""
    total = found.counts.sum(axis=0)
    chosen = _most_confused(total)
    shares = 100 * total / np.maximum(total.sum(axis=1, keepdims=True), 1)
    pairs = found.pairs
    most = f"Most often {pairs[0].true} is taken for {pairs[0].taken_for}, {pairs[0].share:.0f} %." if pairs else ""
    which = "" if len(chosen) == len(total) else f" ({len(chosen)} of {len(total)} classes, those confused most)"
    square = heat(
        f"What is taken for what{which}",
        f"Square of true and predicted classes. {most or 'None is taken for another.'}",
        "predicted class",
        "true class",
        [found.names[i] for i in chosen],
        shares[np.ix_(chosen, chosen)].tolist(),
    )
    return square, _accuracy_chart(found)


def _accuracy_chart(found: Confusions) -> Chart:
    rows = found.accuracies
    worst, best = rows[0], rows[-1]
    title = "Accuracy of each class, the worst first"
    label = f"From {worst[0]}, {worst[1]:.0f} %, to {best[0]}, {best[1]:.0f} %."
    axis = Axis("accuracy, %", 0, 100)
    if len(rows) <= MOST_NAMED:
        return dots(title, label, axis, [Bar("accuracy", *row) for row in rows])
    line = Line("classes", "", tuple((place, row[1]) for place, row in enumerate(rows, 1)))
    chart = lines(title, label, Axis("class, from worst to best"), axis, [line])
    return replace(chart, heads=("class", "accuracy, %", "least", "most"), rows=tuple(rows))


def _most_confused(total: np.ndarray) -> list[int]:
    """Classes of the pairs confused most, each beside the one it is confused with; all where they are few."""
    if len(total) <= MOST_SHOWN:
        return list(range(len(total)))
    wrong = total + total.T
    np.fill_diagonal(wrong, 0)
    chosen: dict[int, None] = {}
    for at in np.argsort(-wrong, axis=None, kind="stable"):
        pair = dict.fromkeys(divmod(int(at), len(total)))
        if len(chosen | pair) > MOST_SHOWN or not wrong.flat[at]:
            break
        chosen |= pair
    return list(chosen) or list(range(MOST_SHOWN))


def _names(arrays: Mapping[str, Any], classes: int) -> tuple[str, ...]:
    """Names of the classes, no two the same; their numbers where a record has none."""
    # Folders of CUB are named `017.Cardinal` and `036.Northern_Flicker`.
    names = [re.sub(r"^\d+\.", "", str(name)).replace("_", " ") for name in arrays.get("class_names", ())]
    if len(names) != classes:
        names = [f"class {number}" for number in range(classes)]
    count = Counter(names)
    return tuple(name if count[name] == 1 else f"{name} ({number})" for number, name in enumerate(names))
