"""A small Stanford Cars data set in the official layout."""

import numpy as np
from pictures import photo
from scipy.io import savemat

NAMES = ("AM General Hummer SUV 2000", "Ram C/V Cargo Van Minivan 2012", "BMW 3-Series Wagon 2012", "smart fortwo 2012")
SIZE = (48, 40)
FIELDS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")
"""Fields in the order of the official files."""
TRAIN = ("devkit/cars_train_annos.mat", "cars_train")
TEST = ("cars_test_annos_withlabels.mat", "cars_test")


def write(path, rows, *, fields=FIELDS):
    """Write annotations as in the official files: a 1 x N struct array with names and the smallest integer types."""
    table = np.empty((1, len(rows)), dtype=[(field, object) for field in fields])
    for n, row in enumerate(rows):
        for field in fields:
            value = row[field]
            number = isinstance(value, int) and value >= 0
            table[field][0, n] = np.array([[value]], dtype=np.min_scalar_type(value)) if number else value
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"annotations": table}, do_compression=True)


def write_names(path, names):
    cell = np.empty((1, len(names)), dtype=object)
    cell[0] = names
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"class_names": cell}, do_compression=True)


def annotations(split):
    """Rows of a split, with unsorted classes."""
    labels = np.random.default_rng(len(split)).permutation(np.repeat(np.arange(1, 5), 3 if split == "train" else 2))
    corners = [(1 + n % 3, 2 + n % 2, 30 + n % 5, 39) for n in range(len(labels))]
    return [
        dict(zip(FIELDS, (*box, int(label), f"{n:05d}.jpg"), strict=True))
        for n, (box, label) in enumerate(zip(corners, labels, strict=True), 1)
    ]


def write_cars(root):
    """Write the data set; return its folder."""
    write_names(root / "devkit/cars_meta.mat", NAMES)
    for seed, (split, (file, folder)) in enumerate({"train": TRAIN, "test": TEST}.items()):
        rows = annotations(split)
        write(root / file, rows)
        for n, row in enumerate(rows):
            photo(root / folder / row["fname"], SIZE, 100 * seed + n)
    unlabelled = [f for f in FIELDS if f != "class"]
    write(root / "devkit/cars_test_annos.mat", annotations("test"), fields=unlabelled)
    return root
