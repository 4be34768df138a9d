"""Learning rates and weight decays of the parameter groups of a stage."""

import pytest
from small_trainings import bcnn, stage

from fgbench.runs.training import loop


def test_learning_rates_of_groups_after_drops():
    method = bcnn()
    plan = stage(lr=0.1, classifier_lr_scale=10.0, classifier_decay_scale=0.0, lr_drops=(3, 5))
    optimizer = loop._optimizer(method, plan)
    loop._set_rate(optimizer, plan, 4)
    assert _rates(method, optimizer) == {
        "weight": (pytest.approx(0.1), 0.0), "bias": (pytest.approx(0.1), 0.0), "body": (pytest.approx(0.01), 1e-4)
    }  # fmt: skip


def test_biases_of_the_classifier_have_a_rate_and_a_decay_of_their_own():
    method = bcnn()
    plan = stage(
        lr=0.1, classifier_lr_scale=10.0, classifier_bias_lr_scale=20.0, classifier_bias_decay_scale=0.0, lr_drops=(3,)
    )
    optimizer = loop._optimizer(method, plan)
    loop._set_rate(optimizer, plan, 4)
    assert _rates(method, optimizer) == {
        "weight": (pytest.approx(0.1), 1e-4), "bias": (pytest.approx(0.2), 0.0), "body": (pytest.approx(0.01), 1e-4)
    }  # fmt: skip


def _rates(method, optimizer):
    """Return the learning rate and the weight decay of the classifier's weights and biases, and of the network."""
    head = {id(parameter): name for name, parameter in method.classifier.named_parameters()}
    return {
        head.get(id(parameter), "body"): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
