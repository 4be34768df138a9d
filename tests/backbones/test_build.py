"""Backbones with random weights, and with weight files written here."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import fgbench.util.torch_compat  # noqa: F401
from fgbench.backbones import Backbone, InputSpec, find_weights, load_backbone, weight_specs
from fgbench.backbones.networks import TAPS
from fgbench.backbones.small_weights import small_weights
from fgbench.util.errors import FgbenchError, MissingError


def images(size: int, count: int = 1) -> Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FGBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


SHAPES = {
    ("vgg16", "relu5_3"): (64, (512, 4, 4)),
    ("vgg16", "conv5_3"): (64, (512, 4, 4)),
    ("vgg19", "relu5_4"): (64, (512, 4, 4)),
    ("vgg19", "conv5_4"): (64, (512, 4, 4)),
    ("vgg16", "relu5_3_ceil"): (72, (512, 5, 5)),
    ("vgg16", "pool"): (64, (512,)),
    ("vgg19", "pool"): (64, (512,)),
    ("vggm", "relu5"): (448, (512, 27, 27)),
    ("vggm", "conv5"): (224, (512, 13, 13)),
    ("squeezenet1_1", "features"): (64, (512, 3, 3)),
    ("squeezenet1_1", "pool"): (64, (512,)),
    ("tiny_d", "conv"): (64, (64, 8, 8)),
    ("tiny_d", "pool"): (96, (64,)),
    ("tiny_m", "conv"): (96, (48, 12, 12)),
    ("tiny_m", "pool"): (64, (48,)),
    ("timm/resnet18", "features"): (64, (512, 2, 2)),
    ("timm/resnet18", "features8"): (64, (512, 8, 8)),
    ("timm/resnet18", "pool"): (64, (512,)),
    ("timm/convnext_atto", "features"): (64, (320, 2, 2)),
}


@pytest.mark.parametrize(("network", "tap"), SHAPES, ids=[":".join(pair) for pair in SHAPES])
def test_shapes(network: str, tap: str) -> None:
    size, shape = SHAPES[network, tap]
    backbone = load_backbone(network, tap, pretrained=False)
    with torch.inference_mode():
        out = backbone(images(size))
    assert out.shape == (1, *shape)
    assert out.dtype == torch.float32
    assert out.isfinite().all()
    assert out.std() > 0
    if tap not in {"conv5", "conv5_3", "conv5_4"} and "convnext" not in network:
        assert out.min() >= 0
    assert (backbone.name, backbone.tap, backbone.channels, backbone.weights) == (network, tap, shape[0], None)
    assert not backbone.training
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in backbone.parameters() if p.dim() == 4)


def test_fully_connected_taps_need_224_px() -> None:
    backbone = load_backbone("vggm", "relu7", pretrained=False)
    with torch.inference_mode():
        assert backbone(images(224)).shape == (1, 4096)
    assert backbone.channels == 4096
    with pytest.raises(FgbenchError, match="needs images of 224 x 224 px, not 448 x 448"):
        backbone(images(448))


def test_random_weights_depend_only_on_the_seed() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = load_backbone("tiny_d", "conv", pretrained=False, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    second = load_backbone("tiny_d", "conv", pretrained=False, seed=1)
    other = load_backbone("tiny_d", "conv", pretrained=False, seed=2)
    for (name, one), two, three in zip(
        first.state_dict().items(), second.state_dict().values(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(one, two)
        assert not name.endswith("0.weight") or not torch.equal(one, three)


@pytest.mark.parametrize("tap", ["relu5_3", "conv5_3"])
def test_vgg16_gives_the_maps_of_torchvision(folders: Path, tap: str) -> None:
    from torchvision.models.vgg import cfgs, make_layers

    with torch.random.fork_rng():
        torch.manual_seed(0)
        peer = make_layers(cfgs["D"]).eval()
    path = folders / "own.safetensors"
    save_file({f"features.{name}": value for name, value in peer.state_dict().items()}, path)
    with pytest.raises(FgbenchError, match="not a known weight file"):
        load_backbone("vgg16", tap, weights=path)
    backbone = _unverified(path, tap)
    with torch.inference_mode():
        expected = peer[: 30 if tap == "relu5_3" else 29](backbone.input(images(64)))
        torch.testing.assert_close(backbone(images(64)), expected, rtol=1e-4, atol=1e-3 * float(expected.abs().max()))


def _unverified(path: Path, tap: str) -> Backbone:
    """Load a file as `vgg16.caffe`, without verification of its checksum."""
    from dataclasses import replace

    from fgbench.backbones.spec import WeightFile

    spec = replace(weight_specs["vgg16.caffe"], sha256="", size=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fgbench.backbones.build.find_weights", lambda *args: WeightFile(spec, path, "0" * 64))
        return load_backbone("vgg16", tap)


def test_a_matconvnet_file_becomes_a_backbone(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np
    import scipy.io

    source = load_backbone("vggm", "relu5", pretrained=False, seed=3)
    cell = np.empty((1, 17), dtype=object)
    layers = []
    for name, module in source.layers.named_children():
        layer: dict[str, object] = {"name": name, "type": "relu"}
        if isinstance(module, nn.Conv2d):
            weights = np.empty((1, 2), dtype=object)
            weights[0, 0] = module.weight.detach().permute(2, 3, 1, 0).numpy()
            weights[0, 1] = module.bias.detach().numpy()[:, None]  # type: ignore[union-attr]
            pad = [module.padding[0]] * 4
            layer |= {"type": "conv", "weights": weights, "stride": list(module.stride), "pad": pad}
        elif name.startswith("norm"):
            layer |= {"type": "lrn", "param": [5.0, 2.0, 1e-4, 0.75]}
        elif name.startswith("pool"):
            pad = [0, 1, 0, 1] if name == "pool2" else [0, 0, 0, 0]
            layer |= {"type": "pool", "pool": [3, 3], "stride": [2, 2], "pad": pad, "method": "max"}
        layers.append(layer)
    cell = np.empty((1, len(layers)), dtype=object)
    cell[0, :] = layers
    average = np.array([123.68, 116.779, 103.939]).reshape(1, 1, 3)
    scipy.io.savemat(
        folders / "imagenet-vgg-m.mat", {"layers": cell, "meta": {"normalization": {"averageImage": average}}}
    )
    with pytest.raises(FgbenchError, match=r"is not vggm\.matconvnet: its MD5"):
        load_backbone("vggm", "relu5")
    monkeypatch.setattr("fgbench.backbones.weights._mismatch", lambda spec, path: "")
    backbone = load_backbone("vggm", "relu5")
    assert backbone.weights is not None
    assert backbone.weights.spec.name == "vggm.matconvnet"
    assert backbone.input == InputSpec("rgb", 255.0, (123.68, 116.779, 103.939))
    with torch.inference_mode():
        torch.testing.assert_close(backbone(images(128)), source(images(128)))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_saved_tiny_networks_are_loaded(folders: Path, suffix: str) -> None:
    source = load_backbone("tiny_m", "pool", pretrained=False, seed=3)
    source.train()
    source(images(64, 4))  # changes the statistics of batch normalisation
    source.eval()
    path = folders / f"tiny{suffix}"
    state = {name: value.contiguous() for name, value in source.state_dict().items()}
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    backbone = load_backbone("tiny_m", "conv", weights=str(path))
    assert backbone.weights is not None
    assert backbone.weights.path == path
    with torch.inference_mode():
        torch.testing.assert_close(backbone(images(64)).mean((2, 3)), source(images(64)))
    with pytest.raises(FgbenchError, match=r"shape|no 'layers"):
        load_backbone("tiny_d", "conv", weights=path)
    with pytest.raises(MissingError, match="no weight file"):
        load_backbone("tiny_d", "conv", weights=folders / "none.safetensors")
    shipped = load_backbone("tiny_d", "conv")
    assert shipped.weights is not None
    assert shipped.weights.path == small_weights("tiny_d")


def test_a_model_of_timm_is_loaded_from_its_file(folders: Path) -> None:
    import timm

    with pytest.raises(MissingError, match=r"needs resnet18\.safetensors"):
        load_backbone("timm/resnet18", "pool")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: Any = timm.create_model("resnet18", pretrained=False).eval()
    save_file(model.state_dict(), folders / "resnet18.safetensors")
    backbone = load_backbone("timm/resnet18", "features")
    spec = InputSpec("rgb", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert backbone.input == spec
    with torch.inference_mode():
        torch.testing.assert_close(backbone(images(64)), model.forward_features(spec(images(64))), rtol=1e-4, atol=1e-4)


def test_every_tap_has_a_shape_test_or_is_fully_connected() -> None:
    tested = {pair for pair in SHAPES if not pair[0].startswith("timm/")}
    untested = {(network, tap) for network, taps in TAPS.items() for tap in taps} - tested
    assert {tap for _, tap in untested} == {"relu7", "fcn7", "fcn7_same"}


def test_missing_weights_are_an_error() -> None:
    with pytest.raises(MissingError):
        find_weights("vggm", "relu5")


@pytest.mark.parametrize("network", ["squeezenet1_1", "tiny_d"])
def test_every_weight_has_a_gradient_although_the_output_is_used_twice(network: str) -> None:
    backbone = load_backbone(network, TAPS[network][0], pretrained=False).train()
    out = backbone(images(64, 2))
    (torch.einsum("bchw,bdhw->bcd", out, out).clamp(min=0.1).sqrt().sum() + out.square().mean()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in backbone.parameters())


def test_chunks_without_gradients_give_the_same_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fgbench.backbones.backbone.CHUNK_PIXELS", 2 * 64 * 64 + 1)
    backbone = load_backbone("squeezenet1_1", "features", pretrained=False)
    chunk_sizes: list[int] = []
    backbone.layers.register_forward_pre_hook(lambda layers, inputs: chunk_sizes.append(len(inputs[0])))

    def run(count: int) -> tuple[Tensor, list[int]]:
        chunk_sizes.clear()
        return backbone(images(64, count)), list(chunk_sizes)

    whole, chunks = run(5)
    assert chunks == [5]
    with torch.inference_mode():
        joined, chunks = run(5)
        assert chunks == [2, 2, 1]
        assert run(2)[1] == [2]
        assert backbone(images(200)).shape[0] == 1
        torch.testing.assert_close(joined, whole.detach())
        backbone.train()
        assert run(5)[1] == [5]


def test_the_state_has_only_the_layers() -> None:
    backbone = load_backbone("tiny_d", "conv", pretrained=False)
    assert all(name.startswith("layers.") for name in backbone.state_dict())
    custom = Backbone("custom", "conv", nn.Conv2d(3, 7, 3), InputSpec("bgr", 255.0, (0.0, 0.0, 0.0)))
    assert custom.channels == 7


@pytest.mark.parametrize(("network", "tap"), [("tiny_d", "conv"), ("timm/resnet18", "pool"), ("vgg16", "fcn7")])
def test_layers_in_bfloat16_give_nearly_the_same_float32_output(network: str, tap: str) -> None:
    backbone = load_backbone(network, tap, pretrained=False)
    seen: set[torch.dtype] = set()
    for layer in backbone.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda layer, inputs, maps: seen.add(maps.dtype))
    batch = images(224, 2)
    with torch.inference_mode():
        exact = backbone.with_map(batch)
        assert seen == {torch.float32}
        seen.clear()
        backbone.uses_bf16 = True
        rounded = backbone.with_map(batch)
        assert torch.equal(backbone(batch), rounded[1])
    assert seen == {torch.bfloat16}
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    for one, other in zip(exact, rounded, strict=True):
        assert other.dtype == torch.float32
        assert 0 < (one - other).norm() < 0.03 * one.norm()
