"""Every method learns what is there to be learnt, and nothing where there is nothing.

Images of 32 px with six spots, at three keypoints of a head and three of a body. Each keypoint has a colour of its own;
that of three of them is one of two, which makes eight classes. No one keypoint tells a class, and no place does.
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


def birds(each, seed):
    """(N, 32, 32, 3) uint8, labels (N,) and keypoints (N, 6, 3), as many of every class."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), each)
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


def made(name):
    """The method and its stage; backbones of 4 px a cell, from random weights."""
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


def learnt(name, folder, shuffled=False):
    """Outputs for held-out images, their labels and their keypoints, after training."""
    pixels, labels, keypoints = birds(16, seed=0)
    if shuffled:
        labels = np.random.default_rng(1).permutation(labels)
    method, how = made(name)
    data = TrainData(pixels, labels, Pipeline.parse(f"resize({SIZE})"), keypoints, NAMES)
    train(method, data, [("all", how)], seed=0, engine=Engine(), work=folder)
    pixels, labels, keypoints = birds(10, seed=2)
    with torch.inference_mode():
        out = method.eval().predict(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    return out, labels, keypoints


@pytest.mark.parametrize("name", NAMED)
def test_learns_the_classes_and_finds_the_keypoints(name, tmp_path):
    out, labels, keypoints = learnt(name, tmp_path)
    assert (out.logits.argmax(1).numpy() == labels).mean() > 0.6
    if out.keypoints is not None:
        whole = np.tile([0.0, 0, SIZE, SIZE], (len(labels), 1))
        assert (pck(out.keypoints[..., :2].double().numpy(), keypoints, whole, 0.1) > 80).all()
        assert (out.keypoints[..., 2] > 0).double().mean() > 0.8


@pytest.mark.parametrize("name", NAMED)
def test_learns_no_classes_from_labels_that_mean_nothing(name, tmp_path):
    """The images of a class are much alike, so that they may all be right by chance: what counts is the classes.

    More than half of a class right is then as likely as one in eight at most; so many classes are one in a thousand.
    """
    out, labels, _ = learnt(name, tmp_path, shuffled=True)
    right = out.logits.argmax(1).numpy() == labels
    classes = sum(right[labels == label].mean() > 0.5 for label in range(CLASSES))
    assert classes <= binom.isf(1e-3, CLASSES, 1 / CLASSES)
    assert right.mean() < 0.5
