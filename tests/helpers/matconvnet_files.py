"""Files in both layouts of MatConvNet with random weights."""

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

RANDOM = np.random.default_rng(0)
Layer = dict[str, Any]


def conv(name: str, shape: tuple[int, ...], old: bool = False, **fields: Any) -> Layer:
    filters = (0.1 * RANDOM.standard_normal(shape)).astype(np.float32)
    biases = RANDOM.standard_normal((1, shape[-1])).astype(np.float32)
    layer: Layer = {"type": "conv", "name": name, "stride": [1, 1], "pad": 0, **fields}
    if old:
        return layer | {"filters": filters, "biases": biases}
    weights = np.empty((1, 2), dtype=object)
    weights[0, 0], weights[0, 1] = filters, biases
    return layer | {"weights": weights}


def write_matconvnet(path: Path, layers: list[Layer], average: Any = (123.0, 117.0, 104.0), old: bool = False) -> Path:
    cell = np.empty((1, len(layers)), dtype=object)
    cell[0, :] = layers
    normalization = {"imageSize": [224, 224, 3], "averageImage": np.asarray(average, dtype=np.float32)}
    content: dict[str, Any] = {"layers": cell}
    content |= {"normalization": normalization} if old else {"meta": {"normalization": normalization}}
    scipy.io.savemat(path, content, do_compression=True)
    return path
