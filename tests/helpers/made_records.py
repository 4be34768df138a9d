"""Small records, with values computed from arrays or given."""

import numpy as np

from fgbench.backbones import weight_specs
from fgbench.datasets import cub
from fgbench.metrics.values import measure
from fgbench.papers.recipes import load_recipes
from fgbench.records.record import Deviation, Record, Weights
from fgbench.runs.protocol import METRICS
from fgbench.util.hashing import hash_value

RECIPES = load_recipes()
PROTOCOL = {
    "data": "cub", "annotations": hash_value(cub.OFFICIAL), "images": "i", "classes": 200, "train_images": 5994,
    "test_images": 5794, "train_sees": [], "test_sees": [], "metrics": [list(METRICS[0])],
    "selection": "last epoch", "control": "none",
}  # fmt: skip
"""Protocol of a run on the official CUB-200-2011."""


def deviation(field, changes=True, run=2):
    return Deviation(field=field, recipe=1, run=run, origin="code", changes_experiment=changes)


def untrained(key):
    """Return a recipe as it is, but without stages of training: with an SVM its values do not depend on the seed."""
    recipe = RECIPES[key]
    return recipe.model_copy(update={"settings": recipe.settings.model_copy(update={"stages": {}})})


def weights_of(settings):
    """Return the weights of a run that found the files that its recipe names first."""
    weights = []
    for stream in settings.backbones:
        network = stream.partition(":")[0]
        name = next((name for name in settings.weights if name.partition(".")[0] == network), network)
        published = weight_specs[name].sha256 if name in weight_specs else ""
        weights.append(Weights(stream=stream, name=name, sha256=published.ljust(64, "0"), official=True))
    return weights


def made(recipe="bcnn/bcnn_dd@cub", seed=0, *, protocol=None, arrays=None, values=None, **fields):
    """Return a record of a recipe under the profile `paper`, with values of `arrays` or given ones."""
    rules = RECIPES[recipe].settings.ranking
    sees = {"train_sees": list(RECIPES[recipe].train), "test_sees": list(RECIPES[recipe].test)}
    metrics = [list(rule) for rule in (rules.definitions if rules else METRICS)]
    own = {**PROTOCOL, **sees, "metrics": metrics, **(protocol or {})}
    base = {
        "run_id": hash_value([recipe, seed, own, str(values), str(sorted(fields.items()))]), "recipe": recipe,
        "title": RECIPES[recipe].title, "method": RECIPES[recipe].method, "profile": "paper", "seed": seed,
        "settings": RECIPES[recipe].settings.model_dump(mode="json"), "protocol": own,
        "protocol_hash": hash_value(own), "data": "cub", "synthetic": False, "deviations": [],
        "weights": weights_of(RECIPES[recipe].settings),
        "values": measure(arrays) if arrays else values, "curve": [],
        "cost": {"wall_s": 1.0, "phase_s": {}, "peak_mib": 2.0}, "provenance": {}, "outputs": "x",
        "outputs_sha256": "y", "seal": "0" * 64,
    }  # fmt: skip
    return Record.model_validate({**base, **fields})


def of_accuracy(percent, seed=0, *, half=0.94, n=5794, **fields):
    """Return a record with only an accuracy; by default its interval is that of the test set of CUB."""
    value = {"value": percent, "unit": "%", "n": n, "low": percent - half, "high": percent + half}
    return made(seed=seed, values={"accuracy": value}, **fields)


GPU = {
    "device": "NVIDIA H200", "cpu": "EPYC",
    "gpu": {"driver": "570.86", "cuda": "12.8", "cudnn": 91002, "tf32": {"cudnn": False, "matmul": False}},
    "head_features": {"classifier": ["float32 in the memory of the GPU"]},
}  # fmt: skip
"""Provenance that only runs on a GPU have."""
ESTIMATE = {
    "device": "NVIDIA H100 SXM, 80 GB", "source": "50 % of the published peaks",
    "phase_s": {"training": 700.0, "test": 50.0}, "part_s": {"feeding": 150.0, "arithmetic": 600.0},
    "disk_mib": 4096.0, "host_mib": 3000.0, "device_mib": 30000.0,
}  # fmt: skip


def on_gpu(percent, seed=0, **fields):
    """Return a record of a run on a GPU whose cost was estimated before."""
    cost = {
        "wall_s": 1000.0, "phase_s": {"training": 900.0, "test": 100.0}, "peak_mib": 5000.0,
        "device_peak_mib": 31234.0 + seed, "expected": ESTIMATE,
    }  # fmt: skip
    return of_accuracy(percent, seed, **{"cost": cost, "provenance": GPU, **fields})


def scores_of(right, labels, classes):
    """Return scores whose maximum is the label where `right` is true, and else the next class."""
    scores = np.zeros((len(labels), classes), np.float32)
    scores[np.arange(len(labels)), np.where(right, labels, (labels + 1) % classes)] = 1
    return scores


def of_right(right, recipe="bcnn/bcnn_dd@cub", seed=0, *, classes=8, ids=None, **fields):
    """Return a record and its arrays for images with right and wrong predictions."""
    right = np.asarray(right, bool)
    labels = np.arange(len(right)) % classes
    arrays = {
        "ids": np.arange(len(right)) if ids is None else ids, "labels": labels,
        "scores": scores_of(right, labels, classes),
    }  # fmt: skip
    protocol = {"classes": classes, "test_images": len(right), **fields.pop("protocol", {})}
    return made(recipe, seed, arrays=arrays, protocol=protocol, **fields), arrays


class Kept:
    """Arrays by record, as a store returns them; notes every request."""

    def __init__(self, *pairs):
        self.records = [record for record, _ in pairs]
        self._arrays = {record.run_id: arrays for record, arrays in pairs}
        assert len(self._arrays) == len(pairs)
        self.asked = []

    def __call__(self, record):
        self.asked.append(record.run_id)
        return self._arrays.get(record.run_id, {})
