"""Networks whose first blocks keep their weights: the same outputs and gradients, and maps that are computed once."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from fgbench.backbones import Backbone, load_backbone
from fgbench.backbones.fixed_blocks import split_blocks
from fgbench.methods import Task, methods, options_of
from fgbench.methods.base import parameters_of
from fgbench.util.errors import FgbenchError
from fgbench.util.numeric.seeding import generator


def network(tap: str = "relu5_3", blocks: int = 0) -> Backbone:
    backbone = load_backbone("vgg16", tap, pretrained=False)
    if blocks:
        backbone.fix_blocks(blocks)
    return backbone


def images(count: int = 2, side: int = 64) -> Tensor:
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def gradients(backbone: Backbone) -> dict[str, Tensor]:
    backbone(images()).square().sum().backward()
    return {name: p.grad for name, p in backbone.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("blocks", [1, 4])
def test_outputs_names_and_gradients_are_those_of_the_whole_network(blocks: int) -> None:
    whole, divided = network(), network(blocks=blocks)
    assert list(whole.state_dict()) == list(divided.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(divided(images()), whole(images()))
    expected, found = gradients(whole), gradients(divided)
    convolutions = (2, 2, 3, 3, 3)
    assert len(found) == 2 * sum(convolutions[blocks:])
    assert len(found) + len(divided.fixed_parameters) == len(expected)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-4 * float(gradient.abs().max()))


def test_a_dense_network_returns_the_same_map_and_output() -> None:
    whole, divided = network("fcn7_same"), network("fcn7_same", 4)
    with torch.no_grad():
        for found, expected in zip(divided.with_map(images()), whole.with_map(images()), strict=True):
            torch.testing.assert_close(found, expected)
    trained = {id(p) for p in divided.parameters()} - {id(p) for p in divided.fixed_parameters}
    assert len(trained) == 2 * (3 + 2)


def test_the_pooling_layers_of_matconvnet_end_blocks() -> None:
    backbone = load_backbone("vggm", "relu5", pretrained=False)
    backbone.fix_blocks(2)
    names = {id(p): name for name, p in backbone.named_parameters()}
    assert {names[id(p)].split(".")[1] for p in backbone.fixed_parameters} == {"conv1", "conv2"}


@pytest.mark.parametrize(("stream", "blocks", "most"), [("vgg16:relu5_3", 5, 4), ("tiny_m:conv", 3, 2)])
def test_too_many_blocks_are_refused_with_the_largest_number(stream: str, blocks: int, most: int) -> None:
    backbone = load_backbone(*stream.split(":"), pretrained=False)
    with pytest.raises(
        FgbenchError, match=f"fixed_blocks is {blocks}, but {backbone.name} has {most} blocks with layers to train"
    ) as caught:
        backbone.fix_blocks(blocks)
    assert caught.value.hint == f"--set fixed_blocks={most}"


def test_layers_that_are_not_in_a_row_are_refused() -> None:
    with pytest.raises(FgbenchError, match="has no block with layers to train") as caught:
        load_backbone("timm/test_resnet", "features", pretrained=False).fix_blocks(1)
    assert caught.value.hint == "leave fixed_blocks out"


def test_the_maps_of_fixed_blocks_are_computed_once_also_in_training(tmp_path: Path) -> None:
    backbone, whole = network(blocks=4).train(), network()
    recalled: list[int] = []
    backbone.cache_outputs(tmp_path, recalled.append)
    calls: list[Tensor] = []
    backbone.layers.features[0].register_forward_hook(lambda module, inputs, output: calls.append(output))
    for _ in range(2):
        torch.testing.assert_close(backbone(images()), whole(images()))
    assert sum(map(len, calls)) == 2
    assert len(list(tmp_path.rglob("*.npz"))) == 2
    # Another object reads what this one wrote, and verifies the first.
    again = network(blocks=4)
    again.cache_outputs(tmp_path, recalled.append)
    again(images())
    assert recalled == [0, 0, 2]


@pytest.mark.parametrize("uses_bf16", [False, True])
def test_fixed_blocks_compute_in_float32_under_autocast(uses_bf16: bool, tmp_path: Path) -> None:
    backbone = network(blocks=4)
    backbone.uses_bf16 = uses_bf16
    if uses_bf16:
        backbone.cache_outputs(tmp_path, lambda images: None)
    with torch.no_grad():
        expected = network(blocks=4).fixed_maps(images())
    seen: list[Tensor] = []
    rest = backbone._parts[0]
    rest.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    with torch.autocast("cpu", torch.bfloat16):
        backbone(images())
    assert torch.equal(seen[0], expected)


def test_fixed_blocks_compute_in_bfloat16_on_demand_and_the_other_blocks_in_float32(tmp_path: Path) -> None:
    exact, rounded = network(blocks=4), network()
    rounded.fix_blocks(4, bf16=True)
    maps = rounded.fixed_maps(images())
    assert maps.dtype == torch.float32
    assert torch.equal(maps, maps.bfloat16().float())
    difference = (maps - exact.fixed_maps(images())).norm() / maps.norm()
    assert 1e-4 < difference < 0.05
    rounded.cache_outputs(tmp_path, lambda images: None)
    with torch.no_grad():
        for _ in range(2):  # computed, and from the cache
            torch.testing.assert_close(rounded(images()), exact._call(exact._parts[0], maps, bf16=False))


def test_fully_connected_layers_are_trained_after_the_blocks() -> None:
    whole, divided = network("relu7"), network("relu7", 5)
    with torch.no_grad():
        torch.testing.assert_close(divided(images(1, 224)), whole(images(1, 224)))
    assert len(divided.fixed_parameters) == 2 * 13


def test_the_parameters_of_a_group_leave_out_fixed_blocks() -> None:
    backbone = network(blocks=4)
    task = Task(3, 64)
    method = methods["bcnn"]([backbone, backbone], task, options_of("bcnn", {}), generator(0))
    assert len(parameters_of(method, "backbone")) == 2 * 3
    assert len(parameters_of(method, "classifier")) == 2


def test_batch_norm_of_fixed_blocks_keeps_its_means_in_training() -> None:
    backbone = load_backbone("tiny_d", "conv", pretrained=False)
    backbone.fix_blocks(1)
    before = {name: value.clone() for name, value in backbone.named_buffers()}
    backbone.train()(images())
    changed = {name for name, value in backbone.named_buffers() if not torch.equal(value, before[name])}
    fixed = {id(value) for value in split_blocks(backbone.layers, 1, "tiny_d")[0].buffers()}
    assert fixed
    assert changed
    assert not {id(dict(backbone.named_buffers())[name]) for name in changed} & fixed
