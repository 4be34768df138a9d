"""Networks, their weight files, and the input each weight file expects."""

from fgbench.backbones.build import Backbone, load_backbone
from fgbench.backbones.known import weight_specs
from fgbench.backbones.networks import TAPS, split_stream
from fgbench.backbones.spec import FoundWeights, InputSpec, WeightSpec
from fgbench.backbones.streams import StreamWeights, load_stream, maps_folder, resolve_stream
from fgbench.backbones.weights import find_weights, get_weights, known_weights

__all__ = [
    "TAPS",
    "Backbone",
    "FoundWeights",
    "InputSpec",
    "StreamWeights",
    "WeightSpec",
    "find_weights",
    "get_weights",
    "known_weights",
    "load_backbone",
    "load_stream",
    "maps_folder",
    "resolve_stream",
    "split_stream",
    "weight_specs",
]
