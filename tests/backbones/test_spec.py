"""Normalisation of the input, compared with values computed by hand."""

import pytest
import torch

import fgbench.util.torch_compat  # noqa: F401
from fgbench.backbones import InputSpec, weight_specs
from fgbench.backbones.spec import IMAGENET
from fgbench.util.errors import ArgumentError


def pixel(*rgb: int) -> torch.Tensor:
    return torch.tensor(rgb, dtype=torch.uint8).view(1, 3, 1, 1)


def normalised(spec: InputSpec, *rgb: int) -> list[float]:
    return spec(pixel(*rgb)).flatten().tolist()


def test_caffe_is_bgr_minus_the_mean() -> None:
    spec = weight_specs["vgg16.caffe"].input
    assert spec is not None
    assert normalised(spec, 200, 100, 50) == pytest.approx([50 - 103.939, 100 - 116.779, 200 - 123.68], abs=1e-5)


def test_rgb_between_0_and_1() -> None:
    expected = [(1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (0 - 0.406) / 0.225]
    assert normalised(IMAGENET, 255, 51, 0) == pytest.approx(expected, rel=2e-7)


def test_weights_of_torchvisions_features_expect_caffes_values_in_rgb() -> None:
    spec = weight_specs["vgg16.tv_features"].input
    assert spec is not None
    assert normalised(spec, 200, 100, 50) == pytest.approx(
        [200 - 0.48235 * 255, 100 - 0.45882 * 255, 50 - 0.40784 * 255], abs=1e-5
    )


def test_every_value_is_correct_to_two_units_in_the_last_place() -> None:
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, 16, 16)
    mean, std = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (IMAGENET.mean, IMAGENET.std))
    out = IMAGENET(images)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.double(), (images.double() / 255 - mean) / std, rtol=0, atol=2**-21)


def test_addresses_and_inputs_are_those_of_torchvision() -> None:
    from torchvision.models import SqueezeNet1_1_Weights, VGG16_Weights

    for name, preset in {
        "vgg16.tv_features": VGG16_Weights.IMAGENET1K_FEATURES,
        "vgg16.torchvision": VGG16_Weights.IMAGENET1K_V1,
        "squeezenet1_1.torchvision": SqueezeNet1_1_Weights.IMAGENET1K_V1,
    }.items():
        spec, transforms = weight_specs[name], preset.transforms()
        assert spec.url == preset.url
        assert spec.files == (preset.url.rsplit("/", 1)[1],)
        assert spec.files[0].endswith(f"-{spec.sha256}.pth")
        assert spec.input == InputSpec("rgb", 1.0, tuple(transforms.mean), tuple(transforms.std))


def test_the_memory_format_does_not_change() -> None:
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    for spec in (IMAGENET, InputSpec("bgr", 255.0, (1.0, 2.0, 3.0))):
        assert spec(images).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("images", [torch.zeros(1, 3, 2, 2), torch.zeros(3, 2, 2, dtype=torch.uint8)])
def test_images_of_another_shape_or_type_are_an_error(images: torch.Tensor) -> None:
    with pytest.raises(ArgumentError, match="uint8 RGB"):
        IMAGENET(images)
