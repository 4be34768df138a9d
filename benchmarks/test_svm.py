"""One-vs-rest support vector machines on 6,000 x 65,536 descriptors of 200 classes, compared with scikit-learn.

All operations but those of the ascent are proportional to the dimensions. The 262,144 dimensions of B-CNN need 9.4
TFLOP for half of the inner products and 0.6 TFLOP for the weights. Two cores with AVX-512 that reach 300 GFLOP/s need
34 s for them, and two cores with AVX2 that reach 160 GFLOP/s need 63 s. The ascent is 18 sweeps of 14 GFLOP in double
precision. Descriptors in a file are read twice, while the processor multiplies.
"""

from functools import cache

import numpy as np
import pytest
from race import FGBENCH, Floor, Race

from fgbench.runs.training.linear_svm import train_svm

SAMPLES, DIMS, CLASSES, HELD_OUT = 6_000, 65_536, 200, 600
LINEAR_SVC, PART = "scikit-learn LinearSVC", 1
"""LinearSVC is timed on the first class only, because all classes cost the same."""


@cache
def problem():
    """Return unit descriptors of 200 overlapping classes and their labels, for training and testing."""
    rng = np.random.default_rng(0)
    labels = np.arange(SAMPLES + HELD_OUT) % CLASSES
    means = 0.15 * rng.standard_normal((CLASSES, DIMS), np.float32)
    x = rng.standard_normal((SAMPLES + HELD_OUT, DIMS), np.float32)
    x += means[labels]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x, labels


def fgbench_entrant():
    x, labels = problem()

    def work():
        svm = train_svm(x[:SAMPLES], labels[:SAMPLES], CLASSES)
        weight, bias = svm.weight.numpy(), svm.bias.numpy()
        return x[SAMPLES:] @ weight.T + bias, labels[SAMPLES:]

    return work


def linear_svc():
    module = pytest.importorskip("sklearn.svm")
    x, labels = problem()

    def work():
        columns = []
        for number in range(PART):
            svc = module.LinearSVC(loss="hinge", dual=True, C=1.0, tol=1e-3, max_iter=1000)
            svc.fit(x[:SAMPLES], labels[:SAMPLES] == number)
            columns.append(svc.decision_function(x[SAMPLES:]))
        return np.stack(columns, axis=1)

    return work


def agree(result, peer_result):
    scores, labels = result
    assert (scores.argmax(axis=1) == labels).mean() > 0.9
    for number in range(PART):
        assert np.corrcoef(scores[:, number], peer_result[:, number])[0, 1] > 0.999
        right = [((decisions[:, number] > 0) == (labels == number)).mean() for decisions in (scores, peer_result)]
        assert abs(right[0] - right[1]) < 2e-3


RACE = Race(
    "one-vs-all SVM, 6,000 x 65,536, 200 classes",
    {FGBENCH: fgbench_entrant, LINEAR_SVC: linear_svc},
    at_least={LINEAR_SVC: 25},
    agree=agree,
    rounds=1,
    parts={LINEAR_SVC: PART / CLASSES},
    warm=False,
    floor=Floor(
        flop=SAMPLES * SAMPLES * DIMS + 2 * SAMPLES * DIMS * CLASSES,
        moved_bytes=4 * SAMPLES * DIMS,
        counts="half of the symmetric matrix of inner products, and the weights",
    ),
)


@pytest.mark.parametrize("who", RACE.names)
def test_svm(row, who):
    row(RACE, who)
