"""Streams of recipes (`network:tap`) and the weights that they get on this machine."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from fgbench.backbones.backbone import Backbone
from fgbench.backbones.build import load_backbone
from fgbench.backbones.networks import split_stream
from fgbench.backbones.small_weights import SMALL_NETWORKS, small_weights
from fgbench.backbones.timm_weights import find_timm_weights, is_published
from fgbench.backbones.weights import cached_hash, find_weights
from fgbench.records.provenance import cpu_name
from fgbench.util.files import cache_folder
from fgbench.util.hashing import hash_texts


@dataclass(frozen=True, slots=True)
class StreamWeights:
    """A stream of a recipe with its weights."""

    stream: str
    """`network:tap`."""
    name: str
    """Name of the weight file."""
    sha256: str
    """SHA-256 of the file."""
    path: Path
    """The weight file."""
    official: bool
    """True if the recipe names the file first and its hash is published, or if it is part of the package."""
    original: bool = True
    """False if other people than the authors trained the network, or if the hash of the file is not published."""

    @property
    def network(self) -> str:
        """The part of the stream before the colon."""
        return split_stream(self.stream)[0]


def resolve_stream(stream: str, accepted: tuple[str, ...]) -> StreamWeights:
    """Find the weights of a stream on this machine.

    Args:
        stream: `network:tap`.
        accepted: names of weight files in order of preference; empty accepts any.

    Returns:
        The stream with its weights.

    Raises:
        MissingError: no accepted weight file is on this machine.
        FgbenchError: an unknown network or tap.
    """
    network, tap = split_stream(stream)
    if network in SMALL_NETWORKS:
        path = small_weights(network)
        return StreamWeights(stream, network, cached_hash(path), path, True)
    if network.startswith("timm/"):
        path = find_timm_weights(network)
        sha256 = cached_hash(path)
        published = is_published(network, sha256)
        return StreamWeights(stream, path.name, sha256, path, published, published)
    weights = find_weights(network, tap, accepted)
    first = next((name for name in accepted if name.partition(".")[0] == network), weights.spec.name)
    spec = weights.spec
    official = spec.has_hash and spec.name == first
    return StreamWeights(stream, spec.name, weights.sha256, weights.path, official, spec.original and spec.has_hash)


def maps_folder(weights: StreamWeights, *, bf16: bool, blocks: int = 0) -> Path:
    """Return the cache folder of the maps that a stream computes for images, in bfloat16 or in float32.

    With `blocks`, these are the maps after this number of its blocks.

    Maps in bfloat16 differ by up to a percent between processors, so that each processor has its own.
    """
    name = f"{weights.name}-{split_stream(weights.stream)[1]}-{weights.sha256[:16]}"
    name += f"-{blocks}-blocks" * bool(blocks)
    if bf16:
        kernels = f"{cpu_name()} {torch.backends.cpu.get_cpu_capability()} {os.environ.get('ONEDNN_MAX_CPU_ISA', '')}"
        name += f"-bf16-{hash_texts(kernels)[:8]}"
    return cache_folder() / "maps" / name.replace("/", "-")


def load_stream(weights: StreamWeights) -> Backbone:
    """Load the network of a stream with its weights."""
    network, tap = split_stream(weights.stream)
    return load_backbone(network, tap, weights=weights.path, name=weights.name)
