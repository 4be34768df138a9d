"""One-vs-all linear SVMs for wide descriptors beside scikit-learn's LinearSVC."""

import numpy as np
import pytest

from fgbench.svm import train_svm

SAMPLES, DIMENSIONS, CLASSES = 400, 16_384, 20
GROUP = f"one-vs-all SVM, {SAMPLES} x {DIMENSIONS}, {CLASSES} classes"


def problem():
    rng = np.random.default_rng(0)
    labels = np.arange(SAMPLES) % CLASSES
    x = rng.normal(size=(SAMPLES, DIMENSIONS)) + 0.1 * rng.normal(size=(CLASSES, DIMENSIONS))[labels]
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), labels


def test_fgbench(benchmark):
    x, labels = problem()
    benchmark.group = GROUP
    svm = benchmark.pedantic(train_svm, (x, labels, CLASSES), rounds=3)
    benchmark.extra_info["sweeps"] = svm.sweeps
    assert svm.gap.max() <= 1e-3


def test_scikit_learn(benchmark):
    peer = pytest.importorskip("sklearn.svm").LinearSVC(loss="hinge", dual=True, C=1.0, tol=1e-3)
    x, labels = problem()
    benchmark.group = GROUP
    fitted = benchmark.pedantic(peer.fit, (x, labels), rounds=1)
    ours = x @ train_svm(x, labels, CLASSES).weight.numpy().T
    assert (fitted.decision_function(x).argmax(1) == ours.argmax(1)).mean() > 0.99
