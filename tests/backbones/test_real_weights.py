"""Pretrained weights on photographs of birds; needs FGBENCH_WEIGHTS and FGBENCH_DATA."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import fgbench.util.torch_compat  # noqa: F401
from fgbench.backbones import load_backbone, weight_specs
from fgbench.backbones.state_dict import load_into, read_state
from fgbench.backbones.weights import find_file

IMAGENET_BIRDS = {*range(7, 25), *range(80, 101), *range(127, 147)}


def _birds() -> list[Path]:
    roots = [Path(part) for part in os.environ.get("FGBENCH_DATA", "").split(os.pathsep) if part]
    photographs = [path for root in roots for path in sorted((root / "CUB_200_2011" / "images").glob("*/*.jpg"))]
    return photographs[:: max(1, len(photographs) // 8)][:8]


def _needs(name: str) -> pytest.MarkDecorator:
    available = (
        bool(os.environ.get("FGBENCH_WEIGHTS")) and find_file(weight_specs[name].files) is not None and bool(_birds())
    )
    return pytest.mark.skipif(not available, reason=f"needs {name} in FGBENCH_WEIGHTS and CUB-200-2011 in FGBENCH_DATA")


def crops(size: int, count: int) -> Tensor:
    """Return central squares of photographs, (count, 3, size, size) uint8 RGB."""
    pixels = []
    for path in _birds()[:count]:
        with Image.open(path) as image:
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            square = image.convert("RGB").crop((left, top, left + side, top + side))
            pixels.append(np.asarray(square.resize((size, size), Image.Resampling.BILINEAR)))
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)


@pytest.mark.real
@_needs("squeezenet1_1.onnx")
def test_squeezenet_classifies_birds_as_birds() -> None:
    from torchvision.models import squeezenet1_1

    spec = weight_specs["squeezenet1_1.onnx"]
    path = find_file(spec.files)
    assert path is not None
    assert spec.input is not None
    whole = squeezenet1_1(weights=None)
    load_into(whole, read_state(path), path)
    images = crops(224, 8)
    with torch.inference_mode():
        top = whole.eval()(spec.input(images)).topk(5).indices.tolist()
        assert sum(bool(IMAGENET_BIRDS & set(classes)) for classes in top) >= 7
        features = load_backbone("squeezenet1_1", "features")(images)
        pool = load_backbone("squeezenet1_1", "pool")(images)
        torch.testing.assert_close(features, whole.features(spec.input(images)), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(pool, features.mean((2, 3)))


@pytest.mark.real
@_needs("vgg16.caffe")
def test_vgg16_maps() -> None:
    from torchvision.models.vgg import cfgs, make_layers

    spec = weight_specs["vgg16.caffe"]
    path = find_file(spec.files)
    assert path is not None
    assert spec.input is not None
    images = crops(224, 2)
    relu, conv = (load_backbone("vgg16", tap, name="vgg16.caffe") for tap in ("relu5_3", "conv5_3"))
    theirs = make_layers(cfgs["D"]).eval()
    load_into(theirs, {key.removeprefix("features."): value for key, value in read_state(path).items()}, path)
    with torch.inference_mode():
        maps = relu(images)
        torch.testing.assert_close(maps, theirs[:30](spec.input(images)), rtol=1e-3, atol=1e-2)
        torch.testing.assert_close(maps, conv(images).clamp(min=0))
        assert maps.shape == (2, 512, 14, 14)
        assert 0.7 < (maps == 0).float().mean() < 0.98
        assert 20 < maps.max() < 1000
        # The map of a mirrored photograph is about the mirrored map; that of swapped colour channels is different.
        mirrored = relu(images.flip(3)).flip(3)
        swapped = relu(images.flip(1))
        assert torch.cosine_similarity(maps.flatten(1), mirrored.flatten(1)).min() > 0.6
        assert torch.cosine_similarity(maps.flatten(1), swapped.flatten(1)).max() < 0.95
    assert relu.weights is not None
    assert relu.weights.sha256 == spec.sha256
