"""The small networks of `quick`: their weight files, and their training."""

import numpy as np
import pytest
import torch
from command_line import run
from safetensors import safe_open

from fgbench.backbones import load_backbone
from fgbench.backbones.small_weights import SMALL_NETWORKS, small_weights
from fgbench.datasets import cub
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import cached_pixels
from fgbench.datasets.synthetic.birds import SyntheticBirds, generate
from fgbench.runs.training import small_networks
from fgbench.runs.training.small_networks import train_small_network, training_hash
from fgbench.util.errors import FgbenchError
from fgbench.util.numeric.seeding import same_operations

FEW = SyntheticBirds(classes=3, train_per_class=4, test_per_class=1, size=64, first_class=1000)


@pytest.fixture
def short_training(monkeypatch):
    """A training of one epoch on few images."""
    monkeypatch.setattr(small_networks, "BIRDS", FEW)
    monkeypatch.setattr(small_networks, "STAGE", small_networks.STAGE.model_copy(update={"epochs": 1, "lr_drops": ()}))


@pytest.mark.parametrize("network", SMALL_NETWORKS)
def test_the_file_of_the_package_has_the_settings_of_the_training(network):
    with safe_open(small_weights(network), "pt") as file:
        assert file.metadata() == {"training": training_hash(network)}


@pytest.mark.parametrize("network", SMALL_NETWORKS)
def test_the_file_of_the_package_tells_unseen_species_apart(network, tmp_path):
    unseen = SyntheticBirds(classes=10, train_per_class=8, test_per_class=8, size=96, first_class=2000)
    generate(tmp_path / "birds", unseen, workers=1)
    index = cub.load(tmp_path / "birds")
    pixels = torch.from_numpy(np.array(cached_pixels(index, Pipeline.parse("resize(64)")))).permute(0, 3, 1, 2)
    train, right = torch.from_numpy(index.train), {}
    labels = torch.from_numpy(index.labels)
    for pretrained in (True, False):
        with torch.no_grad():
            features = load_backbone(network, "pool", pretrained=pretrained)(pixels).flatten(1)
        features = (features - features[train].mean(0)) / features[train].std(0).clamp(min=1e-6)
        means = torch.stack([features[train & (labels == label)].mean(0) for label in range(10)])
        nearest = torch.cdist(features[~train], means).argmin(1)
        right[pretrained] = (nearest == labels[~train]).float().mean().item()
    assert right[True] > right[False] + 0.1, right


@pytest.mark.usefixtures("short_training")
def test_the_training_does_not_depend_on_the_state_of_the_process(tmp_path):
    with same_operations():
        for threads, strict in ((1, True), (3, False)):
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict)
            train_small_network("tiny_m", tmp_path / str(threads))
            assert torch.get_num_threads() == threads
    one, three = ((tmp_path / name).read_bytes() for name in "13")
    assert one == three
    assert one != small_weights("tiny_m").read_bytes()


@pytest.mark.usefixtures("short_training")
def test_the_command_writes_a_file_that_can_be_loaded(tmp_path):
    path = tmp_path / "new" / "net.safetensors"
    code, text = run("weights", "train", "tiny_d", "--out", str(path))
    assert (code, f"tiny_d is at {path}" in text.replace("\n", "")) == (0, True), text
    trained = load_backbone("tiny_d", "conv", weights=path)
    assert trained.channels == load_backbone("tiny_d", "conv").channels


def test_mistakes_are_named(tmp_path, short_training):
    code, text = run("weights", "train", "tiny_x", "--out", str(tmp_path / "x"))
    assert (code, "'tiny_x' is not a small network; did you mean" in text) == (1, True), text
    (tmp_path / "file").touch()
    with pytest.raises(FgbenchError, match="is a file, not a folder"):
        train_small_network("tiny_m", tmp_path / "file" / "x")
