"""Stanford Cars in the layouts in which people have it."""

import shutil

import numpy as np
import pytest
from cars_folder import NAMES, annotations, write, write_cars
from folders_as_found import index_of, nest, write_each
from pictures import photo
from scipy.io import loadmat, savemat

from fgbench.datasets import datasets
from fgbench.datasets.check import check
from fgbench.util.errors import FgbenchError

pytestmark = pytest.mark.usefixtures("root")


@pytest.mark.parametrize("place", [".", "devkit/devkit", "car_devkit/devkit"])
def test_cars_with_annotations_elsewhere(place, root):
    """Annotations of Stanford Cars are in the folder itself or in the folder of the copy on Kaggle.

    https://github.com/pytorch/vision/issues/7545 describes these copies.
    """
    folder = write_each(root)["cars"]
    before = index_of("cars").fingerprint
    (folder / "devkit").rename(root / "kit")
    (folder / place).mkdir(parents=True, exist_ok=True)
    for path in [*(root / "kit").iterdir(), folder / "cars_test_annos_withlabels.mat"]:
        path.rename(folder / place / path.name)
    assert index_of("cars").fingerprint == before


def test_cars_with_labels_of_the_test_images_in_the_devkit(root):
    """`cars_test_annos_withlabels.mat` is beside the other annotations; people ask where it belongs.

    https://github.com/JiazuoYu/MoE-Adapters4CL/issues/23
    """
    folder = write_each(root)["cars"]
    before = index_of("cars").fingerprint
    file = "cars_test_annos_withlabels.mat"
    (folder / file).rename(folder / "devkit" / file)
    assert index_of("cars").fingerprint == before


def test_cars_with_a_renamed_file_without_labels(root):
    """`cars_test_annos.mat` under the name of the file with classes: its advice named the file itself."""
    folder = write_each(root)["cars"]
    shutil.copy(folder / "devkit/cars_test_annos.mat", folder / "cars_test_annos_withlabels.mat")
    with pytest.raises(FgbenchError, match="have no field class") as caught:
        index_of("cars")
    assert caught.value.hint == "get the official cars_test_annos_withlabels.mat; it is not cars_test_annos.mat"


def test_cars_with_nested_folders_of_images(root):
    """`cars_train/cars_train/00001.jpg`, as the archive of Kaggle has it.

    https://github.com/pytorch/vision/issues/7545 tells readers to remove the inner folders.
    """
    folder = write_each(root)["cars"]
    before = index_of("cars")
    nest(folder / "cars_train")
    nest(folder / "cars_test")
    index = index_of("cars")
    assert index.files == before.files
    assert index.fingerprint == before.fingerprint
    assert check(index).problems == []
    assert index.select(np.arange(2)).path(index.files[0]) == folder / "cars_train/cars_train/00001.jpg"


def write_joined(folder, *, change=lambda rows: rows):
    """Write the edition with all images in one folder; its rows are in another order."""
    rows = []
    for number, (split, row) in enumerate(
        sorted(((s, r) for s in ("train", "test") for r in annotations(s)), key=lambda pair: pair[1]["class"]), 1
    ):
        path = f"car_ims/{number:06d}.jpg"
        photo(folder / path, (48, 40), number)
        rows.append({**row, "relative_im_path": path, "test": int(split == "test")})
    fields = ("relative_im_path", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "test")
    write(folder / "cars_annos.mat", change(rows), fields=fields)
    content = loadmat(folder / "cars_annos.mat")
    cell = np.empty((1, len(NAMES)), dtype=object)
    cell[0] = NAMES
    variables = {"annotations": content["annotations"], "class_names": cell}
    savemat(folder / "cars_annos.mat", variables)
    return folder


def test_cars_in_one_folder(root):
    """`cars_annos.mat` with `car_ims/`, the edition that many programs for fine-grained recognition read.

    https://github.com/JDAI-CV/DCL/issues/37 and https://github.com/raoyongming/CAL/issues/5
    """
    official = write_cars(root / "official/stanford_cars")
    write_joined(root / "stanford_cars")
    index = index_of("cars")
    assert index.counts == datasets["cars"].read(official).counts
    assert index.classes == NAMES
    assert index.files[0] == "car_ims/000001.jpg"
    assert index.labels.tolist() == sorted(index.labels)
    assert check(index).problems == []
    # The order of the images is not that of the official files, which is told.
    assert {p.file for p in check(index, datasets["cars"].official, datasets["cars"].tables).problems}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("test", 2, r"cars_annos.mat, annotation 3 \(car_ims/000003.jpg\): test is 2, not 1"),
        ("relative_im_path", "000003.jpg", r"annotation 3 \(000003.jpg\): '000003.jpg' is not a file name"),
    ],
)
def test_a_wrong_row_of_cars_in_one_folder_is_named(field, value, message, root):
    """A damaged row of `cars_annos.mat` is named."""
    write_joined(root / "stanford_cars", change=lambda rows: [*rows[:2], {**rows[2], field: value}, *rows[3:]])
    with pytest.raises(FgbenchError, match=message):
        index_of("cars")
