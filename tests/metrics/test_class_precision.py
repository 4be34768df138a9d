"""Mean average precision over classes, against a naive computation and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from fgbench.metrics.class_precision import class_average_precisions
from fgbench.metrics.values import measure
from fgbench.util.errors import ArgumentError


def problem(samples=60, classes=5, decimals=6, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, samples)
    scores = rng.normal(size=(samples, classes)) + np.eye(classes)[labels]
    return scores.round(decimals).astype(np.float32), labels


@pytest.mark.parametrize("decimals", [6, 1], ids=["without ties", "with ties"])
def test_each_class_is_as_in_scikit_learn(decimals):
    scores, labels = problem(decimals=decimals)
    expected = [average_precision_score(labels == c, scores[:, c]) for c in range(5)]
    assert class_average_precisions(scores, labels) == pytest.approx(expected)


def test_without_ties_it_is_the_mean_precision_at_each_sample_of_the_class():
    scores, labels = problem()
    for c, found in enumerate(class_average_precisions(scores, labels)):
        ranked = labels[np.argsort(-scores[:, c])] == c
        precisions = [ranked[: place + 1].mean() for place in np.flatnonzero(ranked)]
        assert found == pytest.approx(np.mean(precisions))


def test_classes_without_samples_are_left_out():
    scores, labels = problem(classes=4)
    wider = np.c_[scores[:, :2], np.full(len(scores), 9.0), scores[:, 2:]]
    shifted = labels + (labels > 1)
    assert class_average_precisions(wider, shifted) == pytest.approx(class_average_precisions(scores, labels))


def test_the_value_is_the_mean_with_an_interval_over_classes():
    scores, labels = problem()
    value = measure({"scores": scores, "labels": labels})["class_map"]
    assert value.value == pytest.approx(100 * class_average_precisions(scores, labels).mean())
    assert value.low < value.value < value.high
    assert value.n == 60
    one = measure({"scores": scores[:, :1], "labels": np.zeros(60, int)})["class_map"]
    assert (one.value, one.low, one.high) == (100.0, None, None)


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ArgumentError, match="not finite"):
        class_average_precisions(np.full((2, 2), np.nan), np.array([0, 1]))
