"""Pretrained networks up to a tap, and their weight files."""

from fgbench.backbones.backbone import Backbone
from fgbench.backbones.build import load_backbone
from fgbench.backbones.networks import TAPS, split_stream
from fgbench.backbones.spec import InputSpec, WeightFile, WeightSpec
from fgbench.backbones.weight_files import weight_specs
from fgbench.backbones.weights import find_weights, get_weights, known_weights

__all__ = [
    "TAPS",
    "Backbone",
    "InputSpec",
    "WeightFile",
    "WeightSpec",
    "find_weights",
    "get_weights",
    "known_weights",
    "load_backbone",
    "split_stream",
    "weight_specs",
]
