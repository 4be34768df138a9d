"""Small images with one bright square each, and their index."""

import numpy as np
from PIL import Image

from fgbench.datasets.index import Index

SIZES = [(90, 60), (64, 100), (80, 80)]
PLACES = [(50, 33), (30, 41), (44, 52)]
"""Centre of the square in each image, x and y."""


def dotted_images(folder):
    """Write three images with one bright square each. Its centre is the only keypoint."""
    for number, ((width, height), (x, y)) in enumerate(zip(SIZES, PLACES, strict=True)):
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[y - 3 : y + 4, x - 3 : x + 4] = 255
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return Index(
        name="dots",
        root=folder,
        ids=np.arange(3),
        files=tuple(f"{n}.png" for n in range(3)),
        labels=np.zeros(3, np.int64),
        train=np.ones(3, bool),
        classes=("dot",),
        boxes=np.array([[x - 20.5, y - 15.5, 41, 33] for x, y in PLACES]),
        parts=np.array([[[x + 0.5, y + 0.5, 1]] for x, y in PLACES]),
        part_names=("middle",),
    )
