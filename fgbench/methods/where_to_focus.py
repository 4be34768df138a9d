"""Where to Focus: bilinear features, soft attention and a spatial LSTM (Wu and Wang, arXiv 1709.05769)."""

from typing import ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from fgbench.backbones import Backbone
from fgbench.layers.bilinear import SQRT_EPSILON, Dropped, align_maps, l2_normalize, signed_sqrt
from fgbench.layers.compact_bilinear import build_projection
from fgbench.layers.glimpse_lstm import glimpse_lstm
from fgbench.layers.location_attention import LocationSoftmax, attention_penalty, printed_expectation
from fgbench.layers.spatial_lstm import Gates, Output, SpatialLstm, causal_neighbourhood
from fgbench.methods.base import Method, Options, Outputs, Target, Task, linear_head, methods
from fgbench.util.errors import ArgumentError


def _perceptron(features: int, hidden: int, generator: torch.Generator) -> nn.Sequential:
    """Return the two-layer perceptron of equation 7, which gives an initial state."""
    layers = nn.Sequential(nn.Linear(features, hidden), nn.Tanh(), nn.Linear(hidden, hidden))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)
    return layers


class SpatialLstmOptions(Options):
    """Options of Where to Focus; most are readings of statements that the paper leaves open."""

    projection: Literal["none", "tensor_sketch", "random_maclaurin"] = "tensor_sketch"
    """`none` uses the outer product itself, as printed (262,144 channels for two maps of 512 channels); the other
    values are random projections of it."""
    dims: int = Field(default=512, gt=0)
    """Channels after the projection."""
    normalize: bool = True
    """Apply the signed square root and the l2 norm at every location; without them the gates of the LSTM saturate."""
    attention: Literal["glimpse", "initial", "printed"] = "glimpse"
    """Position of the location softmax. `glimpse`: every cell of the first layer reads the expectation of the features
    under the softmax of its neighbours' states. `initial`: one softmax per image, of U h0 as after equation 7, weights
    the features. `printed`: the same softmax, with the sums of equations 3 and 4 up to (i, j) only, as printed."""
    input: Literal["cell", "causal"] = "cell"
    """Input of a cell of the LSTM: its own location, or the four preceding locations, as the printed I_<ij."""
    gates: Gates = "printed"
    """Neighbours that the gates read: as in equation 2, or both."""
    output: Output = "tanh(c*o)"
    """Output of a cell: as printed, or as in a standard LSTM."""
    bias: bool = False
    """Add a bias to the gates; equation 2 has none."""
    hidden: int = Field(default=512, gt=0)
    """Channels of the hidden state and of the cell state."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Dropout probability of the connections that are not recurrent."""
    penalty: float = Field(default=1.0, ge=0)
    """Lambda, the weight of the attention penalty."""
    tau: float = Field(default=0.0, ge=0)
    """Tau of the penalty; 0 selects the smallest value that the paper allows, K^2 / (channels of the outer product)."""
    dropped: Dropped = "middle"
    """Rows and columns of the larger map that are dropped if the maps of the streams differ in size."""
    classifier_std: float = 0.001
    """Standard deviation of the initial weights of the softmax layer."""


@methods("spatial_lstm")
class SpatialLstmNet(Method):
    """Outer product of two streams at every location, location attention, two-layer spatial LSTM, softmax.

    The embedding is the flattened grid of the states of the second layer.
    """

    Options: ClassVar[type[Options]] = SpatialLstmOptions
    HEAD: ClassVar[tuple[str, ...]] = ("classifier", "recurrence", "attention")
    LOSSES: ClassVar[tuple[str, ...]] = ("cross_entropy", "attention_penalty")
    OUTPUTS: ClassVar[tuple[str, ...]] = ("attention",)

    def __init__(
        self, backbones: list[Backbone], task: Task, options: SpatialLstmOptions, generator: torch.Generator
    ) -> None:
        super().__init__()
        if options.attention == "glimpse" and options.input == "causal":
            raise ArgumentError("a glimpse reads all locations and has no causal neighbourhood", "set input to cell")
        if len(backbones) != 2:
            raise ArgumentError(f"spatial_lstm takes two streams, not {len(backbones)}")
        self.options = options
        # Streams and the outer product of their maps.
        self.symmetric = backbones[0] is backbones[1]
        self.streams = nn.ModuleList(backbones[:1] if self.symmetric else backbones)
        self.channels = backbones[0].channels, backbones[1].channels
        outer_channels = self.channels[0] * self.channels[1]
        self.project = (
            None
            if options.projection == "none"
            else build_projection(options.projection, self.channels, options.dims, generator)
        )
        features = outer_channels if self.project is None else options.dims
        # Grid of the aligned maps.
        (height, width), other = (backbone.cells(task.size) for backbone in backbones)
        self.cells = min(height, other[0]), min(width, other[1])
        self.tau = options.tau or self.cells[0] * self.cells[1] / outer_channels
        # Initial states, location softmax and both layers. The order of the modules is that of their random weights.
        hidden = options.hidden
        self.recurrence = nn.ModuleDict(
            {
                "start_h": _perceptron(features, hidden, generator),
                "start_c": _perceptron(features, hidden, generator),
                "locations": LocationSoftmax(
                    height=self.cells[0], width=self.cells[1], hidden=hidden, generator=generator
                ),
                "first": self._build_layer(features, generator),
                "second": self._build_layer(hidden, generator),
            }
        )
        self.dropout = nn.Dropout(options.dropout)
        self.classifier = linear_head(
            hidden * self.cells[0] * self.cells[1], task.classes, generator, options.classifier_std
        )

    def _build_layer(self, channels: int, generator: torch.Generator) -> SpatialLstm:
        options = self.options
        return SpatialLstm(
            inputs=channels * (4 if options.input == "causal" else 1),
            hidden=options.hidden,
            gates=options.gates,
            output=options.output,
            bias=options.bias,
            generator=generator,
        )

    def trunk(self, images: Tensor) -> Tensor:
        """Compute the aligned maps of both streams, concatenated: (B, C + D, H, W)."""
        first = self.streams[0](images)  # (B, C, h, w)
        second = first if self.symmetric else self.streams[1](images)  # (B, D, h', w')
        return torch.cat(align_maps(first, second, self.options.dropped), dim=1)

    def features(self, maps: Tensor) -> Tensor:
        """Compute the bilinear features of equation 1 at every location, projected and normalised.

        Args:
            maps: (B, C + D, H, W), from `trunk`.

        Returns:
            (B, F, H, W), called B in the paper.
        """
        a, b = torch.split(maps, list(self.channels), dim=1)  # (B, C, H, W), (B, D, H, W)
        if self.project is None:
            cube = (a[:, :, None] * b[:, None]).flatten(1, 2)  # (B, C * D, H, W)
        else:
            cube = self.project.at_each_location(a, b)  # (B, dims, H, W)
        if self.options.normalize:
            rows = signed_sqrt(cube, SQRT_EPSILON).permute(0, 2, 3, 1)  # (B, H, W, F)
            cube = l2_normalize(rows.flatten(0, 2)).view(rows.shape).permute(0, 3, 1, 2)
        return cube

    def head(self, features: Tensor, target: Target | None = None) -> Outputs:
        """Compute attention, recurrence and class scores from the maps (B, C + D, H, W) of `trunk`."""
        cube = self.features(features)  # (B, F, H, W)
        # Equation 7: the initial states, from the mean feature.
        mean = cube.mean(dim=(2, 3))  # (B, F)
        h0 = torch.tanh(self.recurrence["start_h"](mean))  # (B, hidden)
        c0 = self.recurrence["start_c"](mean)  # (B, hidden)
        # Equations 2 to 4: attention and both layers.
        first, attention = self._first_layer(cube, h0, c0)  # (B, hidden, H, W), (B, H, W)
        second = self._run_layer("second", first, h0, c0)  # (B, hidden, H, W)
        # Softmax layer on the states of all locations.
        embedding = second.flatten(1)  # (B, hidden * H * W)
        return Outputs(self.classifier(self.dropout(embedding)), embedding, attention=attention)

    def _first_layer(self, cube: Tensor, h0: Tensor, c0: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the states of the first layer, (B, hidden, H, W), and the attention, (B, H, W)."""
        locations = cast(LocationSoftmax, self.recurrence["locations"])
        if self.options.attention == "glimpse":
            return glimpse_lstm(self.dropout(cube), cast(SpatialLstm, self.recurrence["first"]), locations, h0, c0)
        attention = locations(h0)  # (B, H, W)
        if self.options.attention == "initial":
            # Relative to uniform attention, so that uniform attention does not change the features.
            cube = cube * (attention * self.cells[0] * self.cells[1])[:, None]
        else:
            cube = printed_expectation(cube, locations.logits(h0).to(cube.dtype))
        return self._run_layer("first", cube, h0, c0), attention

    def _run_layer(self, name: str, x: Tensor, h0: Tensor, c0: Tensor) -> Tensor:
        """Apply dropout and a layer to maps (B, D, H, W): (B, hidden, H, W)."""
        x = self.dropout(x)
        states: Tensor = self.recurrence[name](causal_neighbourhood(x) if self.options.input == "causal" else x, h0, c0)
        return states

    def losses(self, outputs: Outputs, target: Target) -> dict[str, Tensor]:
        """Compute the terms of equation 5: the cross-entropy, and lambda times the attention penalty."""
        assert outputs.attention is not None
        penalty = self.options.penalty * attention_penalty(outputs.attention, self.tau)
        return {**super().losses(outputs, target), "attention_penalty": penalty}

    def modules_of(self, group: str) -> list[nn.Module]:
        """Return the modules of a group.

        `attention` is the location softmax. `recurrence` is everything else between the streams and the softmax layer.
        """
        if group == "recurrence":
            return [module for name, module in self.recurrence.items() if name != "locations"] + [self.dropout]
        if group == "attention":
            return [self.recurrence["locations"]]
        return [self.classifier] if group == "classifier" else list(self.streams)
