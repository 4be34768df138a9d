"""Folders with images of a user, and small networks that are ready without training."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

from fgbench.backbones.build import load_backbone
from fgbench.runs.training import tiny_weights
from fgbench.util.damaged import write_checked_json
from fgbench.util.files import cache_folder, write_bytes

IMAGES = {
    "train": {"ash": 4, "fern, blue": 3, "Öl-Weide": 3},
    "test": {"ash": 2, "fern, blue": 2, "Öl-Weide": 2},
}
"""Split -> class -> number of images. Names have a comma, a space and letters beyond ASCII."""


def draw(path, number=0, size=(40, 32)):
    """Draw an image that differs from those of other numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, quality=95)


def fill(root, images=IMAGES):
    """Draw the folders train and test; return the root."""
    number = 0
    for split, classes in images.items():
        for name, count in classes.items():
            (root / split / name).mkdir(parents=True, exist_ok=True)
            for image in range(count):
                draw(root / split / name / f"{image}.png", number := number + 1)
    return root


def write_split(root, rows, columns=("file", "label", "split"), *, drawn=True):
    """Write split.csv with some rows, and draw their files; return the root."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "split.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    for number, row in enumerate(rows):
        if drawn:
            draw(root / row[0], number)
    return root


def restore_pretraining(patch):
    """Give the training of the small networks its own settings, which the mini runs replace for all tests."""
    spec = importlib.util.find_spec(tiny_weights.__name__)
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    for name in ("BIRDS", "PIPELINE", "STAGE"):
        patch.setattr(tiny_weights, name, getattr(fresh, name))


def ready_networks():
    """Put untrained small networks into the cache in place of trained ones, so that a test does not train them."""
    birds = cache_folder() / "data" / f"pretraining_birds-{tiny_weights.birds.settings_hash(tiny_weights.BIRDS)}"
    write_bytes(birds / "none.txt", b"")
    write_checked_json(birds.with_suffix(".json"), {"sha256": tiny_weights._hash_folder(birds)})
    for network in ("tiny_d", "tiny_m"):
        path: Path = cache_folder() / "weights" / f"{network}-{tiny_weights.pretraining_hash(network)}.safetensors"
        state = load_backbone(network, "pool", pretrained=False).state_dict()
        weights = {name: value.contiguous() for name, value in state.items()}
        write_bytes(path, tiny_weights.save(weights, {"digest": tiny_weights._digest(path, weights)}))
