import copy

import pytest
import torch
from torch import nn

from fgbench.backbones import Backbone, compiled, load_backbone
from fgbench.backbones.compiled import check_compiler, compile_networks
from fgbench.backbones.dense_vgg import DenseVgg
from fgbench.backbones.networks import TINY_INPUT
from fgbench.util.errors import FgbenchError

CPU = torch.device("cpu")


@pytest.fixture
def calls(monkeypatch):
    """Compile with a backend that notes each call of what it compiled."""
    noted = []

    def backend(graph, inputs):
        def call(*arguments):
            noted.append(len(arguments))
            return graph(*arguments)

        return call

    monkeypatch.setattr(compiled, "BACKEND", backend)
    torch._dynamo.reset()
    yield noted
    torch._dynamo.reset()


def dense():
    maps = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    return Backbone("vgg16", "fcn7", DenseVgg(maps, nn.Sequential(nn.Conv2d(4, 5, 3))), TINY_INPUT, 5)


def images():
    return torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("build", [lambda: load_backbone("tiny_m", "conv", pretrained=False), dense])
def test_only_passes_with_gradients_are_compiled_and_values_and_names_stay(build, calls):
    backbone = build()
    names, expected = list(backbone.state_dict()), backbone(images())
    compile_networks(nn.Sequential(backbone), CPU)
    calls.clear()
    assert list(backbone.state_dict()) == names
    assert torch.equal(backbone(images()), expected)
    parts = len(calls)
    assert parts == (2 if build is dense else 1)
    assert torch.equal(backbone.with_map(images())[1], expected)
    assert len(calls) == 2 * parts
    with torch.no_grad():
        assert torch.equal(backbone(images()), expected)
        backbone.with_map(images())
    assert len(calls) == 2 * parts
    copied = copy.deepcopy(backbone)
    with torch.no_grad():
        next(copied.parameters()).zero_()
    assert not torch.equal(copied(images()), expected)
    assert torch.equal(backbone(images()), expected)


def test_a_compiler_that_fails_is_named(monkeypatch):
    def broken(graph, inputs):
        raise RuntimeError("no such compiler")

    monkeypatch.setattr(compiled, "BACKEND", broken)
    torch._dynamo.reset()
    with pytest.raises(FgbenchError, match=r"torch.compile does not work on this machine: no such compiler") as error:
        check_compiler(CPU)
    assert "leave out --compile" in error.value.hint
    torch._dynamo.reset()


def test_a_missing_compiler_is_named():
    from torch._inductor import config

    torch._dynamo.reset()
    without = config.patch({"cpp.cxx": ("/nowhere/g++",), "fx_graph_cache": False})
    with without, pytest.raises(FgbenchError, match=r"No working C\+\+ compiler"):
        check_compiler(CPU)
    torch._dynamo.reset()
