"""Networks up to their taps."""

import pytest
import torch

from fgbench.backbones import load_backbone, split_stream
from fgbench.backbones.networks import build_network
from fgbench.util.errors import FgbenchError


@pytest.mark.parametrize(("network", "low", "high"), [("tiny_d", 12e6, 13e6), ("tiny_m", 5e6, 7e6)])
def test_multiplications_of_the_tiny_networks(network: str, low: float, high: float) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    backbone = load_backbone(network, "conv", pretrained=False)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        backbone(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    assert low < counter.get_total_flops() / 2 < high  # the counter counts a multiply-add as two


def test_fully_connected_layers_of_vgg16_have_the_names_of_torchvision() -> None:
    from torchvision.models import vgg16

    with torch.device("meta"):
        peer_state, state = vgg16(weights=None).state_dict(), build_network("vgg16", "relu7").layers.state_dict()
    assert {name: value.shape for name, value in state.items()} == {
        name: value.shape for name, value in peer_state.items() if not name.startswith("classifier.6")
    }


def test_a_model_with_tokens_has_no_map() -> None:
    backbone = load_backbone("timm/vit_tiny_patch16_224", "features", pretrained=False)
    with pytest.raises(FgbenchError, match="returns tokens"), torch.inference_mode():
        backbone(torch.zeros(1, 3, 224, 224, dtype=torch.uint8))


@pytest.mark.parametrize(("stream", "message"), [
    ("vgg166:relu5_3", "'vgg166'; did you mean 'vgg16'"),
    ("vgg16:relu5_4", "did you mean 'relu5_3'"),
    ("tiny_d", "no tap ''"),
    ("timm/resnet18:conv", "no tap 'conv'"),
])  # fmt: skip
def test_unknown_names(stream: str, message: str) -> None:
    with pytest.raises(FgbenchError, match=message):
        split_stream(stream)


def test_an_unknown_model_of_timm() -> None:
    with pytest.raises(FgbenchError, match="no model 'resnet81'; did you mean 'resnet"):
        load_backbone("timm/resnet81", "pool", pretrained=False)


def test_only_a_model_without_stride_8_gives_that_error(monkeypatch):
    with pytest.raises(FgbenchError, match=r"vit_tiny_patch16_224 has no maps of stride 8: .*output_stride"):
        build_network("timm/vit_tiny_patch16_224", "features8")

    def broken(*arguments, **options):
        raise TypeError("a defect")

    monkeypatch.setattr("timm.create_model", broken)
    with pytest.raises(TypeError, match="a defect"):
        build_network("timm/resnet18", "features")


@pytest.mark.parametrize(("network", "tap"), [("vgg16", "relu5_3"), ("vgg19", "relu5_4")])
def test_the_pool_of_vgg_is_the_mean_of_its_last_map(network, tap):
    maps, pool = (build_network(network, layer).layers for layer in (tap, "pool"))
    pool.load_state_dict(maps.state_dict())
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(pool(images).flatten(1), maps(images).mean(dim=(2, 3)))
