"""The dense form of VGG-16: values, sizes and positions of its cells."""

from pathlib import Path

import pytest
import torch
from matconvnet_files import Layer, conv, write_matconvnet
from torch import Tensor, nn

from fgbench.backbones import Backbone, load_backbone
from fgbench.backbones.dense_vgg import DenseVgg, dense_vgg, keep_odd_sides
from fgbench.backbones.matconvnet import read_matconvnet
from fgbench.backbones.matconvnet_layers import Pool
from fgbench.backbones.networks import GRIDS, FullyConnected, build_network
from fgbench.backbones.spec import IMAGENET
from fgbench.util.errors import FgbenchError

CHANNELS = (2, 3, 3, 4, 5)
WIDE = 6


def small_vgg() -> FullyConnected:
    """Return VGG-16 with few channels and random weights."""
    torch.manual_seed(0)
    features, inputs = nn.Sequential(), 3
    for block, outputs in enumerate(CHANNELS):
        for _ in range(2 if block < 2 else 3):
            convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            features.extend((convolution, nn.ReLU(inplace=True)))
            inputs = outputs
        features.append(nn.MaxPool2d(2))
    with torch.device("meta"):
        network = FullyConnected(features)
    network.features = features
    network.classifier = nn.Sequential(
        *(nn.Linear(CHANNELS[-1] * 49, WIDE), nn.ReLU(inplace=True), nn.Dropout()),
        *(nn.Linear(WIDE, WIDE), nn.ReLU()),
    )
    return network.eval()


def small_matconvnet() -> list[Layer]:
    """Return the layers of the same network in a MatConvNet file."""
    layers, inputs = [], 3
    for block, outputs in enumerate(CHANNELS, start=1):
        for number in range(1, 3 if block < 3 else 4):
            layers += [
                conv(f"conv{block}_{number}", (3, 3, inputs, outputs), pad=[1, 1, 1, 1]),
                {"type": "relu", "name": f"relu{block}_{number}"},
            ]
            layers[-2]["weights"][0, 0] *= 6
            inputs = outputs
        layers.append({"type": "pool", "name": f"pool{block}", "method": "max", "pool": [2, 2], "stride": 2, "pad": 0})
    return [
        *layers,
        conv("fc6", (7, 7, inputs, WIDE)),
        {"type": "relu", "name": "relu6"},
        conv("fc7", (1, 1, WIDE, WIDE)),
        {"type": "relu", "name": "relu7"},
    ]


def pictures(size: int, count: int = 2) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_224_px_give_the_output_of_the_fully_connected_network() -> None:
    network, x = small_vgg(), pictures(224)
    with torch.inference_mode():
        expected = network(x)
        dense = dense_vgg(network, same=False).eval()
        out = dense(x)
    assert out.shape == (2, WIDE, 1, 1)
    assert expected.std() > 0
    torch.testing.assert_close(out.flatten(1), expected)


@pytest.mark.parametrize(("same", "cells"), [(False, 10), (True, 16)])
def test_500_px_give_the_cells_of_the_paper(same: bool, cells: int) -> None:
    with torch.inference_mode():
        dense = dense_vgg(small_vgg(), same=same).eval()
        assert dense.maps(pictures(500)).shape[2:] == (32, 32)
        assert dense(pictures(500)).shape == (2, WIDE, cells, cells)
        assert dense(pictures(481)).shape[2:] == (cells, cells)


def test_every_cell_is_the_output_for_its_window() -> None:
    """Each cell of relu7 depends on 7 x 7 cells of pool5."""
    network, x = small_vgg(), pictures(320, 1)
    with torch.inference_mode():
        pooled = network.features(x)
        unpadded, padded = (dense_vgg(small_vgg(), same=same).eval()(x) for same in (False, True))
        assert unpadded.shape[2:] == (4, 4)
        for i in range(4):
            for j in range(4):
                expected = network.classifier(pooled[:, :, i : i + 7, j : j + 7].flatten(1))
                torch.testing.assert_close(unpadded[:, :, i, j], expected)
        torch.testing.assert_close(padded[:, :, 3:-3, 3:-3], unpadded)
        around = nn.functional.pad(pooled, (3, 3, 3, 3))
        torch.testing.assert_close(padded[:, :, 0, 9], network.classifier(around[:, :, :7, 9:16].flatten(1)))


def test_the_top_does_not_change_the_map() -> None:
    dense = dense_vgg(small_vgg(), same=True).eval()
    with torch.inference_mode():
        maps = dense.maps(pictures(224))
        copy = maps.clone()
        dense.top(maps)
        assert torch.equal(maps, copy)
        assert maps.min() == 0
        torch.testing.assert_close(maps, small_vgg().features[:30](pictures(224)))


def test_the_dense_form_of_a_matconvnet_file(tmp_path: Path) -> None:
    path = write_matconvnet(tmp_path / "vgg.mat", small_matconvnet())
    layers, spec, channels = read_matconvnet(path, "relu7")
    assert any(isinstance(layer, Pool) for layer in layers)
    x = 20 * pictures(224)
    with torch.inference_mode():
        expected = layers.eval()(x)
        maps = read_matconvnet(path, "relu5_3")[0].eval()(x)
        dense = dense_vgg(layers, same=False).eval()
        assert expected.std() > 0
        torch.testing.assert_close(dense(x), expected)
        torch.testing.assert_close(dense.maps(x), maps)
        assert dense(pictures(500)).shape == (2, WIDE, 10, 10)
        assert dense_vgg(layers, same=True)(pictures(500)).shape == (2, WIDE, 16, 16)
    assert channels == WIDE
    assert spec.scale == 255.0


def test_training_has_no_dropout_with_weights_of_any_file(tmp_path: Path) -> None:
    layers = read_matconvnet(write_matconvnet(tmp_path / "vgg.mat", small_matconvnet()), "relu7")[0]
    for dense in (dense_vgg(layers, same=True), dense_vgg(small_vgg(), same=True)):
        x = pictures(224)
        assert torch.equal(dense.train()(x), dense.train()(x))


def test_the_tap_that_keeps_odd_sides_has_the_map_of_the_dense_form() -> None:
    """60 px have 4 x 4 cells with the pooling of Caffe (30, 15, 8, 4), and 3 x 3 without the rest of odd sides."""
    dense = load_backbone("vgg16", "fcn7_same", pretrained=False)
    images = torch.randint(0, 256, (2, 3, 60, 60), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    states = {}
    for tap, cells in (("relu5_3_ceil", 4), ("relu5_3", 3)):
        backbone = load_backbone("vgg16", tap, pretrained=False)
        with torch.inference_mode():
            maps = backbone(images)
        assert maps.shape == (2, 512, cells, cells)
        assert backbone.cells(60) == (cells, cells)
        states[tap] = maps
    with torch.inference_mode():
        torch.testing.assert_close(dense.with_map(images)[0], states["relu5_3_ceil"])


def test_layers_of_a_matconvnet_file_keep_odd_sides(tmp_path: Path) -> None:
    layers = read_matconvnet(write_matconvnet(tmp_path / "vgg.mat", small_matconvnet()), "relu5_3")[0].eval()
    with torch.inference_mode():
        assert layers(pictures(500)).shape[2:] == (31, 31)
        layers.apply(keep_odd_sides)
        assert layers(pictures(500)).shape[2:] == (32, 32)


def test_pooling_at_the_border_ignores_the_padding() -> None:
    """With an odd side the last cell is the maximum of one row."""
    x = -1 - torch.rand(1, 5, 31, 31)
    torch_pool, pool = nn.MaxPool2d(2, ceil_mode=True), Pool("max", (2, 2), (2, 2), (0, 1, 0, 1))
    assert torch.equal(torch_pool(x), pool(x))


class _SmallDense(Backbone):
    """A dense backbone of few channels."""

    @property
    def map_channels(self) -> int:
        return CHANNELS[-1]


@pytest.mark.parametrize(("tap", "size", "cells"), [("fcn7", 500, 10), ("fcn7", 224, 1), ("fcn7_same", 300, 10)])
def test_with_map(tap: str, size: int, cells: int) -> None:
    backbone = _SmallDense("vgg16", tap, dense_vgg(small_vgg(), same=tap == "fcn7_same"), IMAGENET, WIDE).eval()
    images = torch.randint(0, 256, (1, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        maps, out = backbone.with_map(images)
        torch.testing.assert_close(out, backbone(images))
    assert tuple(out.shape[2:]) == backbone.cells(size) == (cells, cells)
    assert tuple(maps.shape[2:]) == backbone.map_cells(size)
    assert maps.shape[1] == backbone.map_channels
    assert backbone.grid(size) == GRIDS["vgg16", tap]
    assert backbone.map_grid(size) == GRIDS["vgg16", "relu5_3"]


def test_backbones_without_dense_taps_have_one_map() -> None:
    backbone = load_backbone("tiny_d", "conv", pretrained=False)
    images = torch.zeros(1, 3, 72, 72, dtype=torch.uint8)
    with torch.inference_mode():
        maps, out = backbone.with_map(images)
    assert maps is out
    assert backbone.cells(72) == backbone.map_cells(72) == tuple(out.shape[2:]) == (9, 9)
    assert backbone.grid(72) == backbone.map_grid(72) == GRIDS["tiny_d", "conv"]
    assert backbone.map_channels == backbone.channels == 64
    squeezenet = load_backbone("squeezenet1_1", "features", pretrained=False)
    assert squeezenet.cells(64) == (3, 3)
    assert squeezenet.grid(64).offset == pytest.approx(64 / 6)
    assert squeezenet.grid(64).stride == pytest.approx(64 / 3)
    with pytest.raises(FgbenchError, match="returns a vector"):
        load_backbone("tiny_d", "pool", pretrained=False).cells(64)


def averaging(layers: nn.Module) -> nn.Module:
    """Make every pixel of a window have the same weight."""
    for name, child in list(layers.named_children()):
        if isinstance(child, nn.MaxPool2d):
            setattr(layers, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode))
        elif isinstance(child, nn.Conv2d):
            nn.init.constant_(child.weight, 1 / child.weight[0].numel())
            if child.bias is not None:
                nn.init.zeros_(child.bias)
        else:
            averaging(child)
    return layers


def small(network: str, tap: str) -> nn.Module:
    """Return the layers up to a tap; those of VGG-16 have few channels."""
    if network != "vgg16":
        return build_network(network, tap).layers
    if tap.startswith("fcn7"):
        return dense_vgg(small_vgg(), same=tap == "fcn7_same")
    return small_vgg().features[: 30 if tap == "relu5_3" else 29]


@pytest.mark.parametrize(("network", "tap"), GRIDS, ids=[":".join(pair) for pair in GRIDS])
def test_cells_are_at_the_positions_of_the_grid(network: str, tap: str) -> None:
    """The centre of the gradient of a cell; the origin is the corner of the first pixel."""
    grid, size = GRIDS[network, tap], 500 if network == "vgg16" else 128
    layers = averaging(small(network, tap)).double().eval()
    x = torch.ones(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    out = layers(x)
    row = round((size / 2 - grid.offset) / grid.stride)
    column = row + 1
    out[0, :, row, column].sum().backward()
    gradient = x.grad[0].sum(0)
    assert not gradient[[0, -1]].any(), "the receptive field reaches the border"
    assert not gradient[:, [0, -1]].any(), "the receptive field reaches the border"
    weight = gradient / gradient.sum()
    pixels = torch.arange(size, dtype=torch.float64) + 0.5
    measured = float((weight.sum(0) * pixels).sum()), float((weight.sum(1) * pixels).sum())
    centre = grid.offset + grid.stride * column, grid.offset + grid.stride * row
    assert measured == pytest.approx(centre, abs=0.5)


def test_the_full_network_on_224_px(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without random initialisation, which would take most of the time."""
    monkeypatch.setattr(nn.init, "kaiming_normal_", lambda weight, **_: weight)
    images = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = load_backbone("vgg16", "relu7", pretrained=False)(images)
        dense = load_backbone("vgg16", "fcn7", pretrained=False)
        maps, out = dense.with_map(images)
    assert isinstance(dense.layers, DenseVgg)
    assert out.shape == (1, dense.channels, 1, 1) == (1, 4096, 1, 1)
    assert maps.shape == (1, dense.map_channels, 14, 14) == (1, 512, 14, 14)
    assert expected.std() > 0
    torch.testing.assert_close(out.flatten(1), expected, rtol=1e-4, atol=1e-6)
    assert [name for name, _ in dense.layers.top.named_children()] == ["pool5", "fc6", "relu6", "fc7", "relu7"]
