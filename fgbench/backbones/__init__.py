"""Networks, their weight files, and the input each weight file expects."""

from fgbench.backbones.build import (
    Backbone,
    StreamWeights,
    load_backbone,
    load_stream,
    resolve_stream,
    split_stream,
)
from fgbench.backbones.weights import find_weights, get_weights, known_weights

__all__ = [
    "Backbone",
    "StreamWeights",
    "find_weights",
    "get_weights",
    "known_weights",
    "load_backbone",
    "load_stream",
    "resolve_stream",
    "split_stream",
]
