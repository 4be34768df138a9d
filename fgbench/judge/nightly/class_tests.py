"""Tests of the accuracy of single classes in two nights: a lost class is a small part of the mean over all images."""

from collections.abc import Sequence

import numpy as np

from fgbench.judge.nightly.run_rows import RunRows, ValueRows, count_differing
from fgbench.judge.nightly.value_tests import ValueTest
from fgbench.statistics.class_changes import class_decreases, class_sums, estimate_class_dispersion
from fgbench.statistics.overdispersion import Dispersion

VALUE = "accuracy"
"""The value that is tested by class."""
DISPERSION = 1.25
"""Expected variance of the accuracy of a class between trainings, as a multiple of the variance of independent images;
seven methods with three seeds on CUB-200-2011 show 1.0 to 1.3."""
ALPHA = 0.00005
"""Nominal probability of a false alarm on any class, in one direction; lower than that of values, since the numbers of
right images of a class have longer tails than the t test expects."""
NAMED = 5
"""Number of classes that are named."""


def compare_classes(runs: Sequence[RunRows]) -> list[ValueTest]:
    """Return a test of the classes of each run that has an accuracy; the text names the classes that changed.

    The p-values are adjusted for the classes of a run by `class_decreases`, and by Bonferroni for the number of runs
    that differ.

    Args:
        runs: the runs of both nights.
    """
    tested = [
        (run, rows, run.pairs[0].before["labels"])
        for run in runs
        for rows in run.values
        if rows.name == VALUE and rows.old.shape[1] == len(run.pairs[0].before["labels"])
    ]
    dispersions = {
        profile: estimate_class_dispersion(
            ((rows.old, labels) for run, rows, labels in tested if run.profile == profile and run.trained), DISPERSION
        )
        for profile in {run.profile for run, _, _ in tested}
    }
    differing = count_differing([run for run, _, _ in tested])
    return [
        _class_test(run, rows, labels, dispersions[run.profile] if run.trained else None, differing)
        for run, rows, labels in tested
    ]


def _class_test(
    run: RunRows, rows: ValueRows, labels: np.ndarray, dispersion: Dispersion | None, differing: int
) -> ValueTest:
    down = differing * np.array(class_decreases(rows.old, rows.new, labels, dispersion))
    up = differing * np.array(class_decreases(rows.new, rows.old, labels, dispersion))
    smaller = np.minimum(down, up)
    # The classes with a finding, or the one with the smallest p-value.
    classes = [int(k) for k in np.argsort(smaller, kind="stable") if smaller[k] <= ALPHA] or [int(smaller.argmin())]
    images = np.bincount(labels)
    before, after = (class_sums(night, labels).mean(axis=0) for night in (rows.old, rows.new))
    named = [f"class {k}: {before[k]:.4g} to {after[k]:.4g} of {images[k]} images" for k in sorted(classes[:NAMED])]
    more = [f"and {len(classes) - NAMED} more classes"] if len(classes) > NAMED else []
    share = [100 * night[classes].sum() / images[classes].sum() for night in (before, after)]
    return ValueTest(
        where=f"{run.label}: {rows.name} of single classes",
        base=float(share[0]),
        head=float(share[1]),
        unit="%",
        down=min(1.0, float(down.min())),
        up=min(1.0, float(up.min())),
        test="t test of each class" if run.trained else "sign test of each class",
        detail="; ".join([*named, *more]),
        level=ALPHA,
    )
