"""Files as MatConvNet writes them, in both layouts, with random weights."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from matconvnet_files import Layer, conv, write_matconvnet
from same_process import read_here
from torch import nn
from torch.nn import functional as F

from fgbench.backbones.matconvnet import read_matconvnet
from fgbench.backbones.matconvnet_layers import Padded, Pool, ResponseNorm
from fgbench.util.errors import FgbenchError


@pytest.fixture(autouse=True)
def _same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    read_here(monkeypatch)


def vggm(old: bool) -> list[Layer]:
    """M-Net with a sixteenth of its channels."""
    lrn = "normalize" if old else "lrn"
    layers: list[Layer] = []
    inputs = 3
    for number, (size, outputs, stride, pad) in enumerate(
        [(7, 6, 2, 0), (5, 16, 2, 1), (3, 32, 1, 1), (3, 32, 1, 1), (3, 32, 1, 1)], start=1
    ):
        pads = [pad] * 4 if old else [[pad, pad, pad, pad]]
        layers.append(conv(f"conv{number}", (size, size, inputs, outputs), old, stride=[stride, stride], pad=pads))
        layers.append({"type": "relu", "name": f"relu{number}"})
        if number <= 2:
            layers.append({"type": lrn, "name": f"norm{number}", "param": [5, 2, 1e-4, 0.75]})
        if number in {1, 2, 5}:
            pool_pad = [0, 1, 0, 1] if number == 2 else [0, 0, 0, 0]
            layers.append(
                {"type": "pool", "name": f"pool{number}", "method": "max", "pool": [3, 3], "stride": 2, "pad": pool_pad}
            )
        inputs = outputs
    layers.append(conv("fc6", (6, 6, 32, 64), old))
    layers.append({"type": "relu", "name": "relu6"})
    layers.append({"type": "dropout", "name": "dropout6", "rate": 0.5})
    layers.append(conv("fc7", (1, 1, 64, 64), old))
    layers.append({"type": "relu", "name": "relu7"})
    layers.append(conv("fc8", (1, 1, 64, 10), old))
    layers.append({"type": "softmax", "name": "prob"})
    return layers


def naive(layers: list[Layer], tap: str, x: torch.Tensor) -> torch.Tensor:
    """Compute the output of a layer by the formulas of the manual, from the written arrays."""
    for layer in layers:
        kind = layer["type"]
        if kind == "conv":
            filters, biases = layer["weights"][0] if "weights" in layer else (layer["filters"], layer["biases"])
            weight = torch.from_numpy(filters).permute(3, 2, 0, 1)
            top, bottom, left, right = np.resize(layer["pad"], 4).tolist()
            x = F.conv2d(
                F.pad(x, (left, right, top, bottom)), weight, torch.from_numpy(biases.ravel()), layer["stride"][0]
            )
        elif kind == "relu":
            x = x.clamp(min=0)
        elif kind in {"lrn", "normalize"}:
            n, kappa, alpha, beta = layer["param"]
            x = F.local_response_norm(x, n, alpha * n, beta, kappa)
        elif kind == "pool":
            top, bottom, left, right = layer["pad"]
            x = F.max_pool2d(F.pad(x, (left, right, top, bottom), value=-1e30), layer["pool"], layer["stride"])
        if layer["name"] == tap:
            return x
    raise AssertionError(tap)


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
def test_a_written_network_is_read(tmp_path: Path, old: bool) -> None:
    torch.manual_seed(0)
    layers = vggm(old)
    path = write_matconvnet(
        tmp_path / "net.mat", layers, np.full((8, 8, 3), [10, 20, 30]) if old else [[[10, 20, 30]]], old
    )
    for tap, size, shape in (("relu5", 224, (32, 13, 13)), ("conv5", 120, (32, 6, 6)), ("relu7", 224, (64, 1, 1))):
        network, spec, channels = read_matconvnet(path, tap)
        x = 10 * torch.randn(2, 3, size, size)
        with torch.inference_mode():
            out = network.eval()(x)
        assert (out.shape[1:], channels) == (shape, shape[0])
        torch.testing.assert_close(out, naive(layers, tap, x), rtol=1e-4, atol=1e-4)
        assert (spec.order, spec.scale, spec.mean, spec.std) == ("rgb", 255.0, (10, 20, 30), (1, 1, 1))
        assert list(dict(network.named_children()))[-1] == tap
    assert read_matconvnet(path)[2] == 10


def test_448_px_give_27_by_27(tmp_path: Path) -> None:
    network, _, _ = read_matconvnet(write_matconvnet(tmp_path / "net.mat", vggm(old=False)), "relu5")
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 448, 448)).shape == (1, 32, 27, 27)


def test_a_network_in_a_variable(tmp_path: Path) -> None:
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = conv("conv1", (3, 3, 3, 4))
    normalization = {"averageImage": np.zeros((1, 1, 3))}
    scipy.io.savemat(tmp_path / "net.mat", {"net": {"layers": cell, "meta": {"normalization": normalization}}})
    assert read_matconvnet(tmp_path / "net.mat")[2] == 4


def test_defaults_groups_dilation_and_pads(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = conv("conv1", (3, 3, 3, 4), pad=[1, 2, 0, 1], dilate=2)
    second = conv("conv2", (1, 2, 2, 6))
    del second["stride"], second["pad"]
    last = conv("conv3", (3, 3, 6, 1), pad=[1, 2])  # MATLAB drops trailing dimensions of size 1
    last["weights"][0, 0] = last["weights"][0, 0][..., 0]
    leaky = {"type": "relu", "name": "relu1", "leak": 0.1}
    network, _, _ = read_matconvnet(write_matconvnet(tmp_path / "net.mat", [first, leaky, second, last]))
    assert isinstance(network[0], Padded)
    x = torch.randn(1, 3, 9, 9)
    expected = F.conv2d(
        F.pad(x, (0, 1, 1, 2)),
        torch.from_numpy(first["weights"][0, 0]).permute(3, 2, 0, 1),
        torch.from_numpy(first["weights"][0, 1].ravel()),
        dilation=2,
    )
    expected = F.leaky_relu(expected, 0.1)
    expected = F.conv2d(
        expected,
        torch.from_numpy(second["weights"][0, 0]).permute(3, 2, 0, 1),
        torch.from_numpy(second["weights"][0, 1].ravel()),
        groups=2,
    )
    expected = F.conv2d(
        expected,
        torch.from_numpy(last["weights"][0, 0])[..., None].permute(3, 2, 0, 1),
        torch.from_numpy(last["weights"][0, 1].ravel()),
        padding=(1, 2),
    )
    torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize(("layer", "message"), [
    ({"type": "bnorm", "name": "bn"}, "'bn' has the unknown type 'bnorm'"),
    ({"type": "pool", "name": "p", "method": "median", "pool": 2}, "'median'"),
    ({"type": "pool", "name": "p", "pool": [2, 2], "pad": [0, 2, 0, 2]}, "padding"),
    ({"type": "conv", "name": "c"}, "no filters"),
    (conv("c", (3, 3, 5, 4)), r"\(3, 3, 5, 4\).*3 input channels"),
    (conv("c", (3, 3, 3, 4), pad=[1, 2, 3]), "padding of 3 values"),
])  # fmt: skip
def test_an_invalid_layer_is_an_error(tmp_path: Path, layer: Layer, message: str) -> None:
    with pytest.raises(FgbenchError, match=message):
        read_matconvnet(write_matconvnet(tmp_path / "net.mat", [layer]))


def test_other_files_are_an_error(tmp_path: Path) -> None:
    path = write_matconvnet(tmp_path / "net.mat", vggm(old=False))
    with pytest.raises(FgbenchError, match=r"no layer 'relu9'.*'relu"):
        read_matconvnet(path, "relu9")
    content = path.read_bytes()
    for damaged, message in {
        "cut": (content[: len(content) // 2], "ends too early"),
        "html": (b"<html>" + bytes(300), "a web page, not the file itself"),
        "text": (b"text" + bytes(300), "damaged or not a MATLAB file"),
        "empty": (b"", "damaged or not a MATLAB file"),
        "7.3": (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(600), "7.3"),
    }.values():
        path.write_bytes(damaged)
        with pytest.raises(FgbenchError, match=message):
            read_matconvnet(path)
    scipy.io.savemat(path, {"x": np.zeros(3)})
    with pytest.raises(FgbenchError, match="no simplenn network"):
        read_matconvnet(path)
    with pytest.raises(FgbenchError, match="averageImage"):
        read_matconvnet(write_matconvnet(path, [conv("conv1", (3, 3, 3, 4))], average=np.zeros((4, 4))))


def test_response_norm_is_that_of_torch() -> None:
    torch.manual_seed(0)
    x = 100 * torch.randn(2, 17, 5, 6)
    for n in (1, 3, 5, 99):
        output = ResponseNorm(17, n, 2.0, 1e-4, 0.75)(x)
        torch.testing.assert_close(output, nn.LocalResponseNorm(n, 1e-4 * n, 0.75, 2.0)(x), rtol=1e-5, atol=1e-5)
    even = ResponseNorm(17, 4, 2.0, 1e-4, 0.75)(x)  # channels k - 1 to k + 2
    padded = F.pad(x.square(), (0, 0, 0, 0, 1, 2))
    total = sum(padded[:, shift : shift + 17] for shift in range(4))
    torch.testing.assert_close(even, x / (2 + 1e-4 * total) ** 0.75)


def test_padding_does_not_change_pooled_values() -> None:
    x = -torch.arange(1.0, 17).view(1, 1, 4, 4)
    maximum = Pool("max", (3, 3), (2, 2), (0, 1, 0, 1))(x)
    assert maximum.flatten().tolist() == [-1, -3, -9, -11]
    mean = Pool("avg", (3, 3), (2, 2), (0, 1, 0, 1))(x)
    assert mean[0, 0, 1, 1] == x[0, 0, 2:, 2:].mean()
    assert mean[0, 0, 0, 0] == pytest.approx(x[0, 0, :3, :3].mean())
    symmetric = Pool("avg", (3, 3), (2, 2), (1, 1, 1, 1))(x)
    torch.testing.assert_close(symmetric, F.avg_pool2d(x, 3, 2, 1, count_include_pad=False))
