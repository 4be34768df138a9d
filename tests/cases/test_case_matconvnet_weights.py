"""MatConvNet files that are not what their name says: other values, fields, formats and networks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from matconvnet_files import conv, write_matconvnet
from refusals import refused

from fgbench.backbones import WeightSpec, load_backbone, weight_specs
from fgbench.backbones.matconvnet import read_matconvnet

pytestmark = pytest.mark.usefixtures("folders")


def network(*names: str, change: Callable[[dict[str, Any]], object] = lambda layer: None) -> list[dict[str, Any]]:
    layers = [conv(name, (3, 3, 3 if number == 0 else 4, 4)) for number, name in enumerate(names)]
    change(layers[-1])
    return layers


def filters(change: Callable[[np.ndarray], Any], of: int = 0) -> Callable[[dict[str, Any]], None]:
    """Return a function that changes the filters of a layer, or its biases if `of` is 1."""

    def apply(layer: dict[str, Any]) -> None:
        layer["weights"][0, of] = change(layer["weights"][0, of])

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (filters(lambda v: np.where(v > 0.1, np.nan, v)), "layer 'conv2' has filters that are not finite"),
        (filters(lambda v: v + np.inf), "layer 'conv2' has filters that are not finite"),
        (filters(lambda v: v * np.nan, 1), "layer 'conv2' has biases that are not finite"),
        (filters(np.zeros_like), "layer 'conv2' has filters that are all zero"),
        (filters(lambda v: (v * 100).astype(np.int8)), "layer 'conv2' has filters of the type int8"),
        (filters(lambda v: v > 0), "layer 'conv2' has filters of the type"),
        (filters(lambda v: v * (1 + 1j)), "layer 'conv2' has filters of the type complex"),
    ],
)
def test_values_of_matconvnet_files_that_are_no_weights_are_refused(
    folders: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """A network that diverged in training is saved with NaN; a quantized one with codes."""
    path = write_matconvnet(folders / "net.mat", network("conv1", "conv2", change=change))
    refused(lambda: read_matconvnet(path), str(path), message)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"type": "lrn", "name": "n", "param": [5, 1, np.nan, 0.75]}, "param of a layer is not finite"),
        ({"type": "relu", "name": "n", "leak": np.nan}, "leak of a layer is not finite"),
        ({"type": "pool", "name": "n", "pool": 2, "stride": 0}, "stride of a layer is 0, which is not positive"),
        (conv("n", (3, 3, 4, 4), pad=-1), "layer 'n' has the negative padding -1"),
        (conv("conv1", (3, 3, 4, 4)), "has two layers 'conv1'"),
        (conv("n", (1, 1, 4, 4)), "layer 'n' has filters that are not finite in float32"),
    ],
)
def test_fields_of_matconvnet_layers_that_no_network_has_are_refused(
    folders: Path, layer: dict[str, Any], message: str
) -> None:
    """NaN in a normalisation made every output NaN; a second layer of a name replaced the first."""
    if "float32" in message:
        layer["weights"][0, 0] = layer["weights"][0, 0].astype(np.float64) * 1e200
    path = write_matconvnet(folders / "net.mat", [conv("conv1", (3, 3, 3, 4)), layer])
    refused(lambda: read_matconvnet(path), str(path), message)


@pytest.mark.parametrize("average", [(123.0, np.nan, 104.0), (np.inf, 117.0, 104.0)])
def test_an_average_image_that_is_not_finite_is_refused(folders: Path, average: tuple[float, ...]) -> None:
    """Every output of a network is NaN if one value of the average image is."""
    path = write_matconvnet(folders / "net.mat", network("conv1"), average)
    refused(lambda: read_matconvnet(path), str(path), "averageImage has values that are not finite")


def test_biases_that_matlab_stored_as_integers_are_read(folders: Path) -> None:
    """MATLAB stores whole numbers in the smallest type of integers; zero biases are an example."""
    change = filters(lambda v: np.zeros(v.shape, np.uint8), 1)
    layers, _, _ = read_matconvnet(write_matconvnet(folders / "net.mat", network("conv1", change=change)))
    assert not layers[0].bias.any()


@pytest.mark.parametrize("in_net", [False, True])
def test_a_dagnn_file_says_that_it_is_one(folders: Path, in_net: bool) -> None:
    """MatConvNet publishes networks as simplenn and as dagnn files, and reads each by its own wrapper.

    Reports: https://github.com/vlfeat/matconvnet/issues/669, https://github.com/vlfeat/matconvnet/issues/593
    """
    names = [("name", object), ("type", object), ("inputs", object), ("outputs", object), ("params", object)]
    layers = np.array([("conv1", "dagnn.Conv", "data", "x1", "w1")] * 2, dtype=names)
    params = np.array([("w1", np.ones((3, 3, 3, 4), np.float32))], dtype=[("name", object), ("value", object)])
    variables = np.array([("data",), ("x1",)], dtype=[("name", object)])
    normalization = {"averageImage": np.array([123.0, 117.0, 104.0])}
    dag = {"layers": layers, "params": params, "vars": variables, "meta": {"normalization": normalization}}
    path = folders / "imagenet-resnet-50-dag.mat"
    scipy.io.savemat(path, {"net": dag} if in_net else dag)
    refused(lambda: read_matconvnet(path), str(path), "is a DagNN network", "SimpleNN")


def test_a_matconvnet_file_of_another_network_is_refused(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `.mat` file describes its own layers, so that the file of any network with the layer is read."""
    spec = WeightSpec("vggm.mine", "vggm", ("mine.mat",), "matconvnet", None, ("relu5",))
    monkeypatch.setitem(weight_specs._objects, spec.name, spec)
    write_matconvnet(folders / "mine.mat", network("conv1", "relu5"))
    refused(lambda: load_backbone("vggm", "relu5", name=spec.name), "is not a file of vggm up to relu5")
