"""The blocked coordinate ascent against one coordinate after the other."""

import numpy as np
import pytest
import torch

from fgbench.runs.training import dual_ascent
from fgbench.runs.training.dual_ascent import ascend


def problem(samples, classes=3):
    rng = np.random.default_rng(samples)
    x = rng.normal(size=(samples, 7))
    labels = np.arange(samples) % classes
    x[np.arange(samples), labels] += 2
    return x @ x.T + 1, np.where(labels[:, None] == np.arange(classes), 1.0, -1.0)


def naive(gram, signs, c, loss, sweeps):
    """Return the dual variables after each sweep, from the definition: one sample and one class at a time."""
    ridge, upper = (0.5 / c, np.inf) if loss == "squared_hinge" else (0.0, c)
    duals, order, states = np.zeros_like(signs), np.random.default_rng(0), []
    for _ in range(sweeps):
        for row in order.permutation(len(gram)):
            for k in range(signs.shape[1]):
                slope = signs[row, k] * (gram[row] @ (duals[:, k] * signs[:, k])) - 1 + ridge * duals[row, k]
                duals[row, k] = np.clip(duals[row, k] - slope / (gram[row, row] + ridge), 0, upper)
        states.append(duals.copy())
    return states


def naive_gap(gram, signs, duals, c, loss):
    """Return the relative gap of each class between the primal and the dual objective."""
    gaps = []
    for y, alpha in zip(signs.T, duals.T, strict=True):
        norm = (alpha * y) @ gram @ (alpha * y)
        slack = np.maximum(0, 1 - y * (gram @ (alpha * y)))
        if loss == "squared_hinge":
            primal, dual = norm / 2 + c * (slack**2).sum(), alpha.sum() - norm / 2 - (alpha**2).sum() / (4 * c)
        else:
            primal, dual = norm / 2 + c * slack.sum(), alpha.sum() - norm / 2
        gaps.append((primal - dual) / primal)
    return np.array(gaps)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize(("block", "inner"), [(512, 64), (64, 64), (33, 8), (7, 1), (1, 1)])
@pytest.mark.parametrize("samples", [6, 64, 65, 130])
def test_blocks_do_what_single_coordinates_do(monkeypatch, samples, block, inner, loss):
    monkeypatch.setattr(dual_ascent, "COORDINATES", block)
    monkeypatch.setattr(dual_ascent, "INNER", inner)
    gram, signs = problem(samples)
    duals, gap, sweeps = ascend(torch.from_numpy(gram), signs, 0.7, loss, 0.0, 3)
    expected = naive(gram, signs, 0.7, loss, 3)[-1]
    assert sweeps == 3
    assert np.allclose(duals, expected, atol=1e-10)
    assert np.allclose(gap, naive_gap(gram, signs, expected, 0.7, loss), atol=1e-10)


def test_a_converged_class_is_not_changed(monkeypatch):
    """One class needs fewer sweeps; the others continue from the same scores."""
    monkeypatch.setattr(dual_ascent, "COORDINATES", 32)
    gram, signs = problem(90)
    signs[:, 1] = np.where(np.arange(90) == 4, 1.0, -1.0)
    duals, gap, sweeps = ascend(torch.from_numpy(gram), signs, 1.0, "hinge", 0.01, 500)
    assert (gap <= 0.01).all()
    states = naive(gram, signs, 1.0, "hinge", sweeps)
    converged = np.array([naive_gap(gram, signs, state, 1.0, "hinge") for state in states]) <= 0.01
    stopped = converged.argmax(axis=0)
    assert sweeps == stopped.max() + 1
    assert len(set(stopped.tolist())) > 1
    for k, number in enumerate(stopped):
        assert np.allclose(duals[:, k], states[number][:, k], atol=1e-9)
