"""Splits that no run can use are refused before any image is decoded."""

import re
import shutil

import numpy as np
import pytest
from command_line import run as fgbench
from cuhk03_folder import write_folder
from few_birds import few_birds
from own_folders import fill
from reid_folders import image, market
from same_process import read_here

from fgbench.datasets import cuhk03_mat, datasets, reid_datasets
from fgbench.datasets.usable_splits import check_matches
from fgbench.util.errors import FgbenchError


@pytest.fixture(autouse=True)
def _no_image_is_decoded(monkeypatch, tmp_path):
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))
    monkeypatch.setattr("fgbench.datasets.pipeline.Pipeline.decode", None)


def rewrite(path, change):
    """Change the fields of each line of a file."""
    path.write_text("".join(" ".join(change(line.split())) + "\n" for line in path.read_text().splitlines()))


@pytest.mark.parametrize(
    ("flag", "message"),
    [("1", "none of 8 images is for test"), ("0", "none of 8 images is for training")],
)
def test_an_empty_split(flag, message, tmp_path):
    """All images of `train_test_split.txt` are of one split: an empty test split ended in `FileNotFoundError`."""
    folder = few_birds(tmp_path) / "CUB_200_2011"
    rewrite(folder / "train_test_split.txt", lambda row: [row[0], flag])
    printed = fgbench("run", "bcnn/bcnn_dd", "--data", "cub", "--profile", "frozen")[1]
    assert f"{folder / 'train_test_split.txt'}: {message}" in printed
    assert "fgbench data get cub" in printed


def test_a_class_without_training_images(tmp_path):
    """All images of a class are for test: the class is named."""
    folder = few_birds(tmp_path) / "CUB_200_2011"
    rewrite(folder / "train_test_split.txt", lambda row: [row[0], "0" if int(row[0]) > 60 else row[1]])
    message = "the class '002.Laysan_Albatross' has no training image (1 such class)"
    with pytest.raises(FgbenchError, match=re.escape(message)):
        datasets["cub"].index()


def test_one_class(tmp_path):
    """There is one class: every answer would be right."""
    folder = few_birds(tmp_path) / "CUB_200_2011"
    rewrite(folder / "image_class_labels.txt", lambda row: [row[0], "1"])
    (folder / "classes.txt").write_text("1 001.Black_footed_Albatross\n")
    with pytest.raises(FgbenchError, match=r"there is one class, '001\.Black_footed_Albatross'"):
        datasets["cub"].index()


@pytest.mark.parametrize("missing", ["train", "test", "class"])
def test_own_images(missing, tmp_path):
    """The same for a folder with images of the user."""
    root = fill(tmp_path / "own")
    if missing == "class":
        for split in ("train", "test"):
            for folder in sorted((root / split).iterdir())[1:]:
                shutil.rmtree(folder)
    else:
        shutil.rmtree(root / missing)
    printed = fgbench("run", "bcnn/bcnn_dd", "--data", f"imagefolder:{root}", "--profile", "frozen")[1]
    assert "has only one class" in printed if missing == "class" else "has no folder" in printed


def persons(tmp_path, names):
    """Write a Market-1501 with the given images for test; return its folder."""
    folder = market(tmp_path / "Market-1501-v15.09.15")
    for role, files in names.items():
        for path in (folder / role).glob("*.jpg"):
            path.unlink()
        for seed, name in enumerate(files):
            image(folder / role / name, seed)
    return folder


ONE_CAMERA = {
    "query": ["0001_c3s1_001051_00.jpg", "0003_c3s1_015641_00.jpg"],
    "bounding_box_test": ["0001_c3s1_000551_00.jpg", "0003_c3s2_015641_03.jpg"],
}
NO_MATCH = {
    "query": ["0001_c3s1_001051_00.jpg", "0003_c3s1_015641_00.jpg"],
    "bounding_box_test": ["0001_c3s1_000551_00.jpg", "0005_c2s2_015641_03.jpg"],
}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (ONE_CAMERA, "all test images of split official are from camera 3; a search needs images by two cameras"),
        (NO_MATCH, "no query of split official has an image of the same person by another camera in the gallery"),
    ],
    ids=["one camera", "no match"],
)
def test_test_images_of_one_camera(names, message, tmp_path):
    """All test images are from one camera, which their names say: refused with this reason, before the embedding.

    https://github.com/KaiyangZhou/deep-person-reid/issues/207 has one camera, and
    https://github.com/JDAI-CV/fast-reid/issues/173 asks why "all query identities do not appear in gallery".
    """
    folder = persons(tmp_path, names)
    printed = fgbench("run", "where_to_focus/bcnn_dm", "--data", "market1501", "--profile", "frozen")[1]
    assert f"{folder}: {message}" in printed
    assert "put the official file in its place" in printed


def test_a_single_query_without_a_match_is_told(tmp_path):
    """One query without a match is told by `data check`: some persons of CUHK03 have images by one camera only."""
    gallery = [*ONE_CAMERA["bounding_box_test"], "0003_c5s2_015641_03.jpg"]
    persons(tmp_path, {**ONE_CAMERA, "bounding_box_test": gallery})
    index = reid_datasets["market1501"].index()
    check_matches(index, index.split())
    assert "0001_c3s1_001051_00.jpg" in fgbench("data", "check", "market1501")[1]


@pytest.mark.parametrize("role", ["query", "bounding_box_test", "bounding_box_train"])
def test_an_empty_folder_of_persons(role, tmp_path):
    """A folder of Market-1501 has no image, or the gallery has only junk."""
    names = ["-1_c1s1_000401_03.jpg"] if role == "bounding_box_test" else []
    folder = persons(tmp_path, {role: names})
    message = "split official has no gallery image" if names else "contains no image"
    with pytest.raises(FgbenchError, match=f"{folder / role}.*{message}"):
        reid_datasets["market1501"].index()


def test_one_person_for_training(tmp_path):
    """One person for training is one class."""
    folder = persons(tmp_path, {"bounding_box_train": ["0002_c1s1_000451_03.jpg", "0002_c2s1_000471_01.jpg"]})
    with pytest.raises(FgbenchError, match=f"{folder / 'bounding_box_train'}: split official has one person"):
        reid_datasets["market1501"].index()


def test_cuhk03_with_all_persons_for_test(tmp_path, monkeypatch):
    """A test set of CUHK03 with all persons leaves none for training."""
    import h5py

    read_here(monkeypatch)
    read_here(monkeypatch, cuhk03_mat)
    folder = write_folder(tmp_path / "cuhk03_release")
    everyone = [(pair, person) for pair, count in enumerate((4, 3, 2, 1, 1), 1) for person in range(1, count + 1)]
    with h5py.File(folder / "cuhk-03.mat", "r+") as file:
        file["#refs#"].create_dataset("everyone", data=np.array(everyone, dtype=np.float64).T)
        file["testsets"][0, 0] = file["#refs#/everyone"].ref
    with pytest.raises(FgbenchError, match=r"split 1 has no training image"):
        reid_datasets["cuhk03"].index()
