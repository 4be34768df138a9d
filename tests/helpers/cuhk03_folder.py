"""A small CUHK03 data set in the official layout."""

import numpy as np
import pytest
from scipy.io import savemat

h5py = pytest.importorskip("h5py")

PERSONS = (4, 3, 2, 1, 1)
"""Number of persons of each camera pair."""
TESTSETS = (((1, 1), (1, 3), (2, 2)), ((1, 2), (2, 1), (3, 1)), ((2, 3), (1, 4), (3, 2)))
"""Camera pair and person of each identity, for each test set."""
EMPTY_CELLS = {"labeled": (4, 6, 10), "detected": (5, 10)}
"""Empty cells of the ten cells of a person, from 1; equal for all persons."""
IMAGES = {boxes: sum(PERSONS) * (10 - len(empty)) for boxes, empty in EMPTY_CELLS.items()}
"""Number of images for each kind of box."""


def pixels(boxes, pair, person, number):
    """Pixels (H, W, 3) of an image. Sizes differ between persons and images."""
    seed = (len(boxes), pair, person, number)
    return np.random.default_rng(seed).integers(0, 255, (20 + person, 10 + number, 3), dtype=np.uint8)


def write_mat(path, change=lambda file: None):
    """Write a file like MATLAB 7.3: cells are references to transposed arrays; an empty cell contains its shape.

    Args:
        path: the file.
        change: function that changes the open file before it is closed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")

        def ref(array, empty=False):
            entry = refs.create_dataset(f"r{len(refs)}", data=array)
            if empty:
                entry.attrs["MATLAB_empty"] = np.uint8(1)
            return entry.ref

        def cells(array):
            """A cell array from an array of references."""
            table = np.empty(array.T.shape, dtype=h5py.ref_dtype)
            for place, value in np.ndenumerate(array.T):
                table[place] = value
            return table

        def column(values):
            array = np.empty((len(values), 1), dtype=object)
            array[:, 0] = values
            return cells(array)

        for boxes, empty in EMPTY_CELLS.items():
            pairs = []
            for pair, count in enumerate(PERSONS, 1):
                table = np.empty((count, 10), dtype=object)
                for person, number in np.ndindex(count, 10):
                    table[person, number] = (
                        ref(np.zeros(2, dtype=np.uint64), empty=True)
                        if number + 1 in empty
                        else ref(pixels(boxes, pair, person + 1, number + 1).T)
                    )
                pairs.append(refs.create_dataset(f"{boxes}{pair}", data=cells(table)).ref)
            file.create_dataset(boxes, data=column(pairs))
        sets = [ref(np.array(testset, dtype=np.float64).T) for testset in TESTSETS]
        file.create_dataset("testsets", data=column(sets))
        change(file)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")


def listed(boxes):
    """Yield the file name of each image, with camera pair and person, in the order of the 767/700 protocol."""
    for pair, count in enumerate(PERSONS, 1):
        for person in range(1, count + 1):
            for number in range(1, 11):
                if number not in EMPTY_CELLS[boxes]:
                    yield f"{pair}_{person:03d}_{1 + (number > 5)}_{number:02d}.png", (pair, person)


def protocol(boxes):
    """Return the variables of a file of the 767/700 protocol. The first six persons are for training."""
    names, persons = zip(*listed(boxes), strict=True)
    order = sorted(set(persons))
    labels = np.array([order.index(person) + 1 for person in persons])
    test = np.flatnonzero(labels > 6) + 1
    query = [row for row in test if names[row - 1][6:] in {"1_01.png", "2_07.png"}]
    column = np.empty((len(names), 1), dtype=object)
    column[:, 0] = names
    return {
        "filelist": column,
        "labels": labels[:, None].astype(float),
        "camId": np.array([[int(name[6])] for name in names]),
        "train_idx": np.flatnonzero(labels <= 6)[:, None] + 1,
        "query_idx": np.array(query)[:, None],
        "gallery_idx": np.setdiff1d(test, query)[:, None],
    }


def write_folder(root):
    """Write all files of the data set."""
    write_mat(root / "cuhk-03.mat")
    for boxes in EMPTY_CELLS:
        savemat(root / f"cuhk03_new_protocol_config_{boxes}.mat", protocol(boxes))
    return root
