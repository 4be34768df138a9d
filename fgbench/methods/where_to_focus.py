"""Where to Focus: bilinear features, soft attention and a spatial LSTM (Wu and Wang, arXiv 1709.05769)."""

from typing import ClassVar, Literal

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
from fgbench.util.errors import FgbenchError


class SpatialLstmOptions(Options):
    """Options of Where to Focus, most of them readings of what the paper leaves open."""

    projection: Literal["none", "tensor_sketch", "random_maclaurin"] = "tensor_sketch"
    """`none` feeds the outer product itself (262,144 channels for two of 512), as printed; else a random projection."""
    dims: int = Field(default=512, gt=0)
    """Channels after the projection."""
    normalize: bool = True
    """Signed square root and l2 norm at every location, without which the LSTM's gates saturate."""
    attention: Literal["glimpse", "initial", "printed"] = "glimpse"
    """Where the location softmax stands. `glimpse`: every cell of the first layer reads the expectation of the features
    under a softmax that its neighbours' states give. `initial`: one softmax an image, of U h0 as after equation 7,
    weights the features. `printed`: the same softmax, its sums up to (i, j) only as in equations 3 and 4."""
    input: Literal["cell", "causal"] = "cell"
    """What a cell of the LSTM reads: its own location, or the four before it, as the printed I_<ij."""
    gates: Gates = "printed"
    output: Output = "tanh(c*o)"
    bias: bool = False
    hidden: int = Field(default=512, gt=0)
    """Size of the hidden and of the cell state."""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """On the connections that are not recurrent."""
    penalty: float = Field(default=1.0, ge=0)
    """Lambda, the weight of the attention penalty."""
    tau: float = Field(default=0.0, ge=0)
    """Tau of the penalty; 0 for the least the paper allows, K^2 over the channels of the outer product."""
    dropped: Dropped = "middle"
    """Which rows and columns of the larger map are dropped where two streams differ in size."""
    classifier_std: float = 0.001
    """Standard deviation of the initial weights of the softmax layer."""


@methods("spatial_lstm")
class SpatialLstmNet(Method):
    """Two streams, their outer product at every location, location attention, a two-layer spatial LSTM, softmax.

    The embedding is the flattened grid of the second layer's states.
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
            raise FgbenchError("a glimpse sees all locations: it has no causal neighbourhood", "set input to cell")
        if len(backbones) != 2:
            raise FgbenchError(f"spatial_lstm takes two streams, not {len(backbones)}")
        self.symmetric = backbones[0] is backbones[1]
        self.streams = nn.ModuleList(backbones[:1] if self.symmetric else backbones)
        self.options, self.channels = options, (backbones[0].channels, backbones[1].channels)
        wide = self.channels[0] * self.channels[1]
        self.project = (
            None
            if options.projection == "none"
            else build_projection(options.projection, self.channels, options.dims, generator)
        )
        features = wide if self.project is None else options.dims
        (height, width), other = (backbone.cells(task.size) for backbone in backbones)
        self.cells = min(height, other[0]), min(width, other[1])
        self.tau = options.tau or self.cells[0] * self.cells[1] / wide
        hidden = options.hidden
        self.recurrence = nn.ModuleDict(
            {
                "start_h": _perceptron(features, hidden, generator),
                "start_c": _perceptron(features, hidden, generator),
                "locations": LocationSoftmax(
                    height=self.cells[0], width=self.cells[1], hidden=hidden, generator=generator
                ),
                "first": self._layer(features, generator),
                "second": self._layer(hidden, generator),
            }
        )
        self.dropout = nn.Dropout(options.dropout)
        self.classifier = linear_head(
            hidden * self.cells[0] * self.cells[1], task.classes, generator, options.classifier_std
        )

    def _layer(self, inputs: int, generator: torch.Generator) -> SpatialLstm:
        o = self.options
        inputs *= 4 if o.input == "causal" else 1
        return SpatialLstm(
            inputs=inputs, hidden=o.hidden, gates=o.gates, output=o.output, bias=o.bias, generator=generator
        )

    def modules_of(self, group: str) -> list[nn.Module]:
        """`recurrence` is all between the streams and the softmax layer, but for `attention`, the location softmax."""
        if group == "recurrence":
            return [module for name, module in self.recurrence.items() if name != "locations"] + [self.dropout]
        if group == "attention":
            return [self.recurrence["locations"]]
        return [self.classifier] if group == "classifier" else list(self.streams)

    def trunk(self, images: Tensor) -> Tensor:
        """(B, C + D, K, K): the aligned maps of both streams, one after the other."""
        first = self.streams[0](images)
        second = first if self.symmetric else self.streams[1](images)
        return torch.cat(align_maps(first, second, self.options.dropped), dim=1)

    def features(self, maps: Tensor) -> Tensor:
        """(B, F, K, K): the bilinear features of equation 1 at every location, projected and normalised."""
        a, b = torch.split(maps, list(self.channels), dim=1)
        cube = (
            (a[:, :, None] * b[:, None]).flatten(1, 2) if self.project is None else self.project.at_each_location(a, b)
        )
        if self.options.normalize:
            rows = signed_sqrt(cube, SQRT_EPSILON).permute(0, 2, 3, 1)
            cube = l2_normalize(rows.flatten(0, 2)).view(rows.shape).permute(0, 3, 1, 2)
        return cube

    def head(self, features: Tensor, target: Target | None = None) -> Outputs:
        """Attention, recurrence and softmax on the maps that `trunk` gives."""
        cube = self.features(features)
        r, mean = self.recurrence, cube.mean(dim=(2, 3))
        h0, c0 = torch.tanh(r["start_h"](mean)), r["start_c"](mean)
        if self.options.attention == "glimpse":
            layer, locations = r["first"], r["locations"]
            assert isinstance(layer, SpatialLstm)
            assert isinstance(locations, LocationSoftmax)
            first, attention = glimpse_lstm(self.dropout(cube), layer, locations, h0, c0)
        else:
            locations = r["locations"]
            assert isinstance(locations, LocationSoftmax)
            attention = locations(h0)
            if self.options.attention == "initial":
                # In multiples of the even attention, so that it changes nothing.
                cube = cube * (attention * self.cells[0] * self.cells[1])[:, None]
            else:
                cube = printed_expectation(cube, locations.logits(h0).to(cube.dtype))
            first = self._run("first", cube, h0, c0)
        second = self._run("second", first, h0, c0)
        embedding = second.flatten(1)
        return Outputs(self.classifier(self.dropout(embedding)), embedding, attention=attention)

    def _run(self, name: str, x: Tensor, h0: Tensor, c0: Tensor) -> Tensor:
        x = self.dropout(x)
        states: Tensor = self.recurrence[name](causal_neighbourhood(x) if self.options.input == "causal" else x, h0, c0)
        return states

    def losses(self, outputs: Outputs, target: Target) -> dict[str, Tensor]:
        """Equation 5: cross-entropy, and lambda times the attention penalty."""
        assert outputs.attention is not None
        penalty = self.options.penalty * attention_penalty(outputs.attention, self.tau)
        return {**super().losses(outputs, target), "attention_penalty": penalty}


def _perceptron(features: int, hidden: int, generator: torch.Generator) -> nn.Sequential:
    """A hidden layer and an output layer of the state's size, for equation 7."""
    layers = nn.Sequential(nn.Linear(features, hidden), nn.Tanh(), nn.Linear(hidden, hidden))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)
    return layers
