"""Small methods and images."""

import torch
from torch import nn

from fgbench.backbones import Backbone, load_backbone
from fgbench.backbones.networks import TINY_INPUT
from fgbench.methods import methods
from fgbench.methods.base import Target, Task, parameters_of
from fgbench.util.numeric.seeding import generator

NAMES = ("beak", "crown", "nape", "back", "belly", "tail")
"""Three keypoints of the head and three of the body."""
SIZE = 32
CELLS = [(1, 2), (3, 3), (6, 1), (0, 7), (7, 0), (4, 5)]
"""Row and column of the cell with the highest score, by keypoint."""


def small(channels=6, seed=0):
    """Return a backbone with random weights whose cells are 4 px apart."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Sequential(
            nn.Conv2d(3, 8, 5, 2, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, channels, 3, 1, 1),
            nn.BatchNorm2d(channels), nn.ReLU(),
        )  # fmt: skip
    return Backbone(f"small{seed}", "conv", layers, TINY_INPUT, channels).eval()


class Pooled(nn.Module):
    """A stream that returns one vector per image, and notes its inputs in `seen`."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone, self.channels, self.seen = backbone, backbone.channels, []

    def forward(self, images):
        self.seen.append(images)
        return self.backbone(images).mean(dim=(2, 3))


class Planted(nn.Module):
    """A score layer whose highest score of each keypoint is in its cell of `CELLS`."""

    def __init__(self, tops=(4.0,) * 6, low=-9.0):
        super().__init__()
        self.tops, self.low = tops, low

    def forward(self, maps):
        scores = torch.full((len(maps), len(self.tops), *maps.shape[2:]), self.low)
        for keypoint, (row, column) in enumerate(CELLS):
            scores[:, keypoint, row, column] = self.tops[keypoint]
        return scores


def tiny(*streams):
    """Return the backbones of a recipe; equal streams share one."""
    loaded = {stream: load_backbone(*stream.partition("#")[0].split(":"), pretrained=False) for stream in streams}
    return [loaded[stream] for stream in streams]


def build(name, backbones, *, names=NAMES, px=SIZE, classes=4, **options):
    kind = methods[name]
    return kind(backbones, Task(classes, px, names), kind.Options(**options), generator(0, "weights")).eval()


def images(n=3, size=SIZE, seed=1):
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=generator(seed, "images"))


def target(n=3, size=SIZE, names=NAMES, seed=2):
    """Return labels and visible keypoints."""
    places = size * torch.rand(n, len(names), 2, generator=generator(seed, "points"))
    return Target(torch.arange(n) % 4, torch.cat([places, torch.ones(n, len(names), 1)], dim=-1))


def covers_all_parameters_once(method):
    groups = [parameter for group in method.HEAD + method.TRUNK for parameter in parameters_of(method, group)]
    assert len(groups) == len({id(parameter) for parameter in groups})
    assert {id(parameter) for parameter in groups} == {id(parameter) for parameter in method.parameters()}


def grads(loss, parameters):
    """Return whether each parameter has a nonzero gradient of a loss."""
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    return [gradient is not None and bool(gradient.abs().max() > 0) for gradient in gradients]
