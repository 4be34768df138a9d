import math

import pytest
import torch
from torch.autograd import gradcheck

from fgbench.layers.distillation import distillation_loss
from fgbench.util.errors import ArgumentError


def logits(batch=3, classes=5, seed=0):
    return 4 * torch.randn(batch, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def softened(row, temperature):
    weights = [math.exp(float(z) / temperature) for z in row]
    return [w / sum(weights) for w in weights]


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 10.0])
@pytest.mark.parametrize("shape", [(3, 5), (1, 2), (7, 1)])
def test_loss_is_the_cross_entropy_of_softened_probabilities(shape, temperature, detach):
    student, teacher = logits(*shape), logits(*shape, seed=1)
    naive = 0.0
    for s, t in zip(student, teacher, strict=True):
        pairs = zip(softened(s, temperature), softened(t, temperature), strict=True)
        naive -= sum(q_teacher * math.log(q_student) for q_student, q_teacher in pairs) / shape[0]
    result = distillation_loss(student, teacher, temperature, detach=detach)
    assert result.shape == ()
    assert abs(float(result) - naive) < 1e-9


def test_gradients_with_and_without_detach():
    student, teacher = logits().requires_grad_(), logits(seed=1).requires_grad_()
    assert gradcheck(lambda s, t: distillation_loss(s, t, 10.0, detach=False), (student, teacher))
    assert gradcheck(lambda s: distillation_loss(s, teacher, 10.0, detach=True), (student,))
    distillation_loss(student, teacher, 10.0, detach=True).backward()
    assert teacher.grad is None
    assert student.grad is not None
    distillation_loss(student, teacher, 10.0, detach=False).backward()
    assert teacher.grad.abs().sum() > 0


def test_gradient_shrinks_with_the_square_of_the_temperature():
    """No factor T^2: at high temperatures, doubling the temperature divides the gradient by four."""
    size = []
    for temperature in (1000.0, 2000.0):
        student = logits().requires_grad_()
        distillation_loss(student, logits(seed=1), temperature, detach=True).backward()
        size.append(float(student.grad.norm()))
    assert size[0] / size[1] == pytest.approx(4, rel=0.01)


def test_loss_is_minimal_for_equal_logits_and_finite_for_large_ones():
    teacher = logits()
    minimum = distillation_loss(teacher, teacher, 10.0, detach=True)
    assert minimum < distillation_loss(logits(seed=1), teacher, 10.0, detach=True)
    large = torch.tensor([[1e4, 0.0]], dtype=torch.float64, requires_grad=True)
    loss = distillation_loss(large, -large, 1.0, detach=False)
    loss.backward()
    assert loss.item() == pytest.approx(1e4)
    assert torch.isfinite(large.grad).all()
    uniform = torch.zeros(2, 4, dtype=torch.float64)
    assert float(distillation_loss(uniform, uniform, 3.0, detach=True)) == pytest.approx(math.log(4))


def test_misuse_raises():
    for student, teacher in (
        (logits(3), logits(2)),
        (logits(3, 5), logits(3, 4)),
        (logits()[0], logits()[0]),
        (logits(0), logits(0)),
    ):
        with pytest.raises(ArgumentError, match="same images and the same classes"):
            distillation_loss(student, teacher, 10.0, detach=False)
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(ArgumentError, match="above 0"):
            distillation_loss(logits(), logits(), temperature, detach=False)
