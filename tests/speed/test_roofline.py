import numpy as np
import pytest
import torch
from torch import nn

from fgbench.speed import roofline
from fgbench.speed.roofline import Need, Rates, bound, count_need, measure_rates
from fgbench.speed.throughput import precision
from fgbench.util.numeric.matmul import linear


class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.unused, self.head = nn.Linear(100, 100), nn.Linear(16, 5)

    def forward(self, x):
        return self.head(self.second(self.first(x.float())).mean(dim=(2, 3)))


def naive_flop(size):
    """Return the operations of both 3 x 3 convolutions and of the last layer."""
    half = -(-size // 2)
    return 2 * (size * size * 9 * 3 * 8 + half * half * 9 * 8 * 16 + 16 * 5)


@pytest.mark.parametrize(("batch", "size"), [(1, 32), (3, 21)])
def test_operations_weights_and_bytes_are_those_of_the_definition(batch, size):
    images = torch.zeros(batch, 3, size, size, dtype=torch.uint8)
    need = count_need(Convolutions(), images)
    assert need.gflop * 1e9 == pytest.approx(naive_flop(size))
    # Biases count as weights; unused layers do not.
    assert need.weight_count == (9 * 3 * 8 + 8) + (9 * 8 * 16 + 16) + (16 * 5 + 5)
    assert need.image_bytes == 3 * size * size


def test_operations_of_vgg16_at_448_px():
    from fgbench.backbones.networks import build_network

    with torch.device("meta"):
        layers = build_network("vgg16", "relu5_3").layers
        images = torch.zeros(1, 3, 448, 448)
    assert count_need(layers, images).gflop == pytest.approx(122.8, abs=0.1)


def test_hooks_are_removed_after_counting():
    network = Convolutions()
    count_need(network, torch.zeros(1, 3, 8, 8))
    assert not any(layer._forward_hooks for layer in network.modules())


def test_the_bound_is_the_slower_of_operations_and_bytes():
    rates = Rates(flop_per_s=1e12, bytes_per_s=1e9)
    heavy = bound(Need(gflop=100.0, weight_count=1000, image_bytes=1000), rates, 1, "fp32")
    assert (heavy.fps, heavy.limited_by) == (pytest.approx(10.0), "operations")
    wide = bound(Need(gflop=1.0, weight_count=10**8, image_bytes=1000), rates, 1, "fp32")
    assert (wide.fps, wide.limited_by) == (pytest.approx(1e9 / (4e8 + 1000)), "bytes")
    # A batch reads the weights once; half precision halves their size.
    assert bound(Need(1.0, 10**8, 1000), rates, 4, "fp32").fps == pytest.approx(1e9 / (1e8 + 1000))
    assert bound(Need(1.0, 10**8, 1000), rates, 4, "bf16").fps == pytest.approx(1e9 / (5e7 + 1000))


@pytest.mark.parametrize(("layer_s", "faster"), [(0.25, "layer"), (40.0, "product")])
def test_rates_are_those_of_the_shortest_time_and_of_the_faster_operation(layer_s, faster, monkeypatch):
    monkeypatch.setitem(roofline.SIDES, "cpu", 100)
    monkeypatch.setitem(roofline.LAYERS, "cpu", (1, 20, 30))
    monkeypatch.setitem(roofline.COPIED_BYTES, "cpu", 4000)
    # The first call of each is not counted, although it takes only 0.1 s. Products are repeated for `PEAK_S`.
    monkeypatch.setattr(roofline, "PEAK_S", 4.7)
    product, layer, copy = [0.1, 2, 0.5, 1, 1, 0.4], [0.1, 90, layer_s, 95, 95], [0.1, 4, 2, 5, 6]
    steps = [step for work_s in (*product, *layer, *copy) for step in (0, work_s)]
    times = iter(np.cumsum(steps))
    monkeypatch.setattr(roofline.time, "perf_counter", lambda: float(next(times)))
    rates = measure_rates("cpu", "fp32")
    assert rates.product_flop_per_s == pytest.approx(2 * 100**3 / 0.4)
    flop_of_layer = 2 * 30**2 * 20**2 * 9
    assert rates.flop_per_s == pytest.approx(flop_of_layer / layer_s if faster == "layer" else 2 * 100**3 / 0.4)
    assert rates.bytes_per_s == pytest.approx(2 * 4000 / 2.0)


def test_rates_are_measured_in_the_given_precision(monkeypatch):
    monkeypatch.setitem(roofline.SIDES, "cpu", 16)
    monkeypatch.setitem(roofline.COPIED_BYTES, "cpu", 4000)
    dtypes = []

    def recorded(dtype):
        dtypes.append(dtype)
        return precision(dtype)

    monkeypatch.setattr(roofline, "precision", recorded)
    rates = measure_rates("cpu", "bf16")
    assert dtypes == ["bf16"]
    assert rates.flop_per_s > 0


def test_products_by_onednn_are_counted():
    class Layer(torch.nn.Module):
        def forward(self, images):
            return linear(images.float().flatten(1), torch.ones(5, 12))

    images = torch.zeros(3, 3, 2, 2, dtype=torch.uint8)
    assert count_need(Layer(), images).gflop == pytest.approx(2 * 12 * 5 / 1e9)
