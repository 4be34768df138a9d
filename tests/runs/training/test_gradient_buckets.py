import pytest
import torch
from torch import nn

from fgbench.runs.training.gradient_buckets import GradientBuckets, split


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 50))


def loss(net):
    return net(torch.arange(8.0).view(2, 4)).square().sum()


def expected(net):
    loss(net).backward()
    gradients = [parameter.grad.clone() for parameter in net.parameters()]
    net.zero_grad()
    return gradients


@pytest.mark.parametrize("size", [1, 100, 10**6])
def test_gradients_are_replaced_by_their_sums(size):
    net, waited = network(), []
    single = expected(net)

    def start(values):
        other = values.clone()
        return lambda: (values.add_(other), waited.append(len(values)))

    with GradientBuckets(net.parameters(), start, size):
        loss(net).backward()
    assert sum(waited) == sum(parameter.numel() for parameter in net.parameters())
    assert all(torch.equal(p.grad, 2 * grad) for p, grad in zip(net.parameters(), single, strict=True))


def test_sums_start_while_the_backward_pass_computes_the_next_gradients():
    net, seen = network(), []
    parameters = list(net.parameters())

    def start(values):
        seen.append((len(values), sum(parameter.grad is None for parameter in parameters)))
        return lambda: None

    with GradientBuckets(parameters, start, size=400):
        loss(net).backward()
    # The sum of the 300 weights of the last layer starts when the two layers before have no gradients yet.
    assert seen == [(300, 4), (111, 0)]


def test_parameters_without_gradient_are_left_out_and_their_bucket_starts_at_the_end():
    net, idle, sums = network(), nn.Parameter(torch.ones(7)), []
    count = sum(parameter.numel() for parameter in net.parameters())
    with GradientBuckets([*net.parameters(), idle], lambda values: sums.append(len(values)) or (lambda: None), 10**6):
        loss(net).backward()
        assert sums == []
    assert sums == [count]
    assert idle.grad is None


def test_nothing_is_summed_after_an_error_and_in_later_backward_passes():
    net, sums = network(), []
    buckets = GradientBuckets(net.parameters(), lambda values: sums.append(values) or (lambda: None), 10**6)
    with pytest.raises(ZeroDivisionError), buckets:
        raise ZeroDivisionError
    loss(net).backward()
    assert sums == []


def test_buckets_follow_the_reverse_order_and_large_parameters_stand_alone():
    sizes = [10, 400, 3, 30, 500, 20, 5]
    parameters = [nn.Parameter(torch.zeros(size)) for size in sizes]
    buckets = split(parameters, 4 * 50)
    assert [[parameter.numel() for parameter in bucket] for bucket in buckets] == [[500], [5, 20, 30], [400], [3, 10]]
    assert sum(len(bucket) for bucket in buckets) == len(parameters)
