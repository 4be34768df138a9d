"""torch.compile traces the forward pass and the losses of each method, and each network, as one graph."""

import pytest
import torch
from steps import PARTS, networks_without_values
from test_steps import RECIPES, kind_of
from torch._dynamo.exc import Unsupported

from fgbench.backbones import load_backbone, split_stream
from fgbench.backbones.networks import FC_PX, TAPS
from fgbench.datasets.pipeline import Pipeline
from fgbench.methods import Method, Target, Task, methods, options_of
from fgbench.util.numeric.seeding import generator

ALLOWED: dict[str, str] = {}
"""Methods with graph breaks, with the reason. With one, torch 2.13 can wait for ever when a program ends."""
SMALLER = {"spatial_lstm": 24}
"""Side of the images, if not that of the recipe: each diagonal of cells is traced."""
KEYS = {(kind_of(*pair)[::2], len(set(pair[1].backbones))): key for key, pair in RECIPES.items()}.values()
"""One recipe of each method with each choice of options."""
NETWORKS = [(network, tap) for network, taps in TAPS.items() for tap in taps] + [("timm/resnet18", "features8")]


def trace(function, *arguments):
    """Call a function as one graph; raise an error at a graph break."""
    torch._dynamo.reset()
    try:
        return torch.compile(function, backend="eager", fullgraph=True)(*arguments)
    finally:
        torch._dynamo.reset()


def step_of(key):
    """Return a function that computes the losses of a recipe under the profile `quick`, and its arguments."""
    recipe = RECIPES[key][0]
    settings = recipe.resolve("quick")
    kind = methods[recipe.method]
    side = SMALLER.get(recipe.method) or Pipeline.parse(settings.test_pipeline).output_size
    streams = {
        stream: load_backbone(*split_stream(stream), pretrained=False) for stream in dict.fromkeys(settings.backbones)
    }
    needs_parts = "parts" in kind.NEEDS
    task = Task(5, side, PARTS if needs_parts else ())
    options = options_of(recipe.method, settings.options)
    method = kind([streams[stream] for stream in settings.backbones], task, options, generator(0, "weights")).train()
    target = Target(torch.tensor([0, 1]), torch.full((2, len(PARTS), 3), side / 2) if needs_parts else None)
    images = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    return lambda images, target: method.losses(method(images, target), target), images, target


@pytest.mark.parametrize("key", KEYS)
def test_the_losses_are_one_graph(key):
    if RECIPES[key][0].method in ALLOWED:
        with pytest.raises(Unsupported):
            trace(*step_of(key))
    else:
        assert trace(*step_of(key))


@pytest.mark.parametrize(("network", "tap"), NETWORKS)
def test_networks_are_one_graph(network, tap):
    with networks_without_values():
        backbone = load_backbone(network, tap, pretrained=False)
    backbone.to("meta").train()
    side = FC_PX if tap in {"relu7", "fcn7", "fcn7_same"} else 96
    images = torch.zeros(2, 3, side, side, dtype=torch.uint8, device="meta")
    assert trace(backbone, images).shape[:2] == (2, backbone.channels)
    assert len(trace(backbone.with_map, images)) == 2


def test_a_planted_check_of_values_is_a_break(monkeypatch):
    head = Method.head
    monkeypatch.setattr(
        Method, "head", lambda self, features, target=None: head(self, features if features.amax() > 0 else -features)
    )
    with pytest.raises(Unsupported):
        trace(*step_of("bcnn/bcnn_dd@cub"))
