import pytest
import torch
from simulated_gpu import SimulatedGpu

from fgbench.util.numeric.deterministic import _by_products, running_sum
from fgbench.util.numeric.devices import check_values, to_device


def check(value):
    check_values(value > 0, "a value is not above 0", lambda: ValueError(f"value {float(value):g} is not above 0"))


def test_a_false_condition_raises_the_error_on_a_cpu():
    check(torch.tensor(1.0))
    with pytest.raises(ValueError, match="value -3 is not above 0"):
        check(torch.tensor(-3.0))


def test_a_condition_is_asserted_on_a_gpu_without_waiting():
    with SimulatedGpu() as gpu:
        good, bad = torch.ones((), device="cuda"), torch.zeros((), device="cuda")
        gpu.clear()
        check(good)
        with pytest.raises(RuntimeError, match="a value is not above 0"):
            check(bad)
        assert not gpu.waits
        assert gpu.kernels["_assert_async"] == 2


def test_a_copy_to_a_gpu_is_not_waited_for():
    values = torch.arange(3)
    assert to_device(values, torch.device("cpu")) is values
    with SimulatedGpu() as gpu:
        moved = to_device(values, torch.device("cuda"))
        assert not gpu.waits
        assert moved.is_cuda
        assert moved.tolist() == [0, 1, 2]


@pytest.mark.parametrize("count", [1, 3, 4, 7, 8, 17, 40])
def test_running_sums_by_products_are_cumulative_sums(count):
    x = torch.rand(3, count, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(_by_products(x, block=4), x.cumsum(1), rtol=1e-14, atol=0)
    assert torch.equal(running_sum(x), x.cumsum(1))


def test_running_sums_on_a_gpu_use_no_cumsum():
    with SimulatedGpu() as gpu:
        x = torch.ones(2, 5, device="cuda")
        assert running_sum(x).tolist() == [[1, 2, 3, 4, 5]] * 2
        assert "cumsum" not in gpu.kernels
