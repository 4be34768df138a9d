import torch
from torch import nn

from fgbench.backbones import Backbone
from fgbench.backbones.networks import TINY_INPUT
from fgbench.methods import methods
from fgbench.methods.base import Task
from fgbench.util.numeric.seeding import generator


def stream():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    return Backbone("made", "conv", layers, TINY_INPUT, 4)


def test_streams_share_parameters_and_buffers_after_a_move():
    """A module replaces its buffers when it moves: running means of the fine-tuned stream must stay those of both."""
    kind = methods["fv_cnn"]
    method = kind([stream(), stream()], Task(3, 32), kind.Options(words=2), generator(0, "weights"))
    for move in (lambda: method, lambda: method.to(torch.float64), lambda: method.to("meta")):
        move()
        first, second = method.backbone.layers, method.finetuned.layers
        assert first[0].weight is second[0].weight
        assert first[1].running_mean is second[1].running_mean
        assert first[1].num_batches_tracked is second[1].num_batches_tracked
