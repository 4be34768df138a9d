"""Every method learns classes from informative labels, and learns nothing from shuffled labels.

The images have 32 px and six spots, at three keypoints of a head and three of a body. Each keypoint has its own colour.
Three keypoints have one of two colours each, which makes eight classes. Neither a single keypoint nor a position
determines the class.
"""

import numpy as np
import pytest
import torch
from made_methods import NAMES, Pooled, build, small
from scipy.stats import binom

from fgbench.datasets.pipeline import Pipeline
from fgbench.metrics.keypoints import pck
from fgbench.papers.settings import Stage
from fgbench.runs.training.batches import TrainData
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.loop import train

CLASSES, SIZE = 8, 32
COLOURS = {
    "beak": ((255, 0, 255), (0, 255, 255)),
    "crown": ((255, 0, 0), (0, 255, 0)),
    "tail": ((255, 255, 255), (0, 0, 0)),
    "nape": ((255, 255, 0),) * 2,
    "back": ((0, 0, 255),) * 2,
    "belly": ((150, 70, 0),) * 2,
}
NAMED = ["spatial_lstm", "tasn", "keypoint_fcn", "keypoint_fcn of one stream", "part_nets"]
HEAD, BODY = ((0, 0), (7, 0), (4, 7)), ((0, 0), (9, 1), (3, 9))


def draw_birds(per_class, seed):
    """Draw images (N, 32, 32, 3) uint8, labels (N,) and keypoints (N, 6, 3), the same number of every class."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), per_class)
    pixels = draw.normal(110, 12, (len(labels), SIZE, SIZE, 3))
    keypoints = np.ones((len(labels), len(NAMES), 3))
    for n, label in enumerate(labels):
        head, body = draw.integers(3, 7, 2), draw.integers(16, 19, 2)
        if draw.random() < 0.5:
            head[0] += 15
            body[0] -= 13
        for k, name in enumerate(NAMES):
            x, y = (*(head + HEAD).tolist(), *(body + BODY).tolist())[k]
            bit = label >> ("beak", "crown", "tail").index(name) & 1 if name in {"beak", "crown", "tail"} else 0
            pixels[n, y - 2 : y + 2, x - 2 : x + 2] = COLOURS[name][bit]
            keypoints[n, k, :2] = x, y
    return pixels.clip(0, 255).round().astype(np.uint8), labels, keypoints


def stage(*groups, epochs):
    return Stage(
        step=1, train=groups, epochs=epochs, batch_size=16, lr=0.01, momentum=0.9, weight_decay=0.0, optimizer="adam",
        augment=False, lr_drops=(epochs - 2,),
    )  # fmt: skip


def build_method(name):
    """Build the method and its training stage; the backbones have random weights and cells of 4 px."""
    if name == "spatial_lstm":
        options = {"dims": 32, "hidden": 16, "dropout": 0.1, "classifier_std": 0.01}
        backbones = [small(16), small(12, seed=1)]
    elif name == "tasn":
        options = {"size": 24, "classifier_std": 0.1}
        backbones = [small(12), Pooled(small(24, seed=1))]
    elif name == "keypoint_fcn":
        options = {"window": 1}
        backbones = [small(24), small(16, seed=1)]
    elif name == "keypoint_fcn of one stream":
        options = {"window": 1}
        backbones = [small(32)]
    else:
        options = {"crop": 16, "pooling": "full"}
        backbones = [small(24), *(small(12, seed=k) for k in (1, 2, 3))]
    method = build(name.partition(" ")[0], backbones, px=SIZE, classes=CLASSES, **options)
    return method, stage(*method.HEAD, *method.TRUNK, epochs=16 if len(backbones) == 1 else 7)


def train_and_predict(name, folder, shuffled=False):
    """Train, then return the outputs for held-out images, their labels and their keypoints."""
    pixels, labels, keypoints = draw_birds(16, seed=0)
    if shuffled:
        labels = np.random.default_rng(1).permutation(labels)
    method, training = build_method(name)
    data = TrainData(pixels, labels, Pipeline.parse(f"resize({SIZE})"), keypoints, NAMES)
    train(method, data, [("all", training)], seed=0, engine=Engine(), work=folder)
    pixels, labels, keypoints = draw_birds(10, seed=2)
    with torch.inference_mode():
        out = method.eval().predict(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    return out, labels, keypoints


@pytest.mark.parametrize("name", NAMED)
def test_learns_the_classes_and_finds_the_keypoints(name, tmp_path):
    out, labels, keypoints = train_and_predict(name, tmp_path)
    assert (out.logits.argmax(1).numpy() == labels).mean() > 0.6
    if out.keypoints is not None:
        whole = np.tile([0.0, 0, SIZE, SIZE], (len(labels), 1))
        assert (pck(out.keypoints[..., :2].double().numpy(), keypoints, whole, 0.1) > 80).all()
        assert (out.keypoints[..., 2] > 0).double().mean() > 0.8


@pytest.mark.parametrize("name", NAMED)
def test_learns_no_classes_from_shuffled_labels(name, tmp_path):
    """Images of a class are similar, so that all of them can be right by chance: the test counts classes.

    More than half of a class is right with a probability of at most 1/8. The limit is the 0.1 % quantile.
    """
    out, labels, _ = train_and_predict(name, tmp_path, shuffled=True)
    right = out.logits.argmax(1).numpy() == labels
    classes = sum(right[labels == label].mean() > 0.5 for label in range(CLASSES))
    assert classes <= binom.isf(1e-3, CLASSES, 1 / CLASSES)
    assert right.mean() < 0.5
