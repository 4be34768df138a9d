"""CUHK03 in the layouts in which people have it."""

import json
import os
import shutil

import numpy as np
import pytest
from cuhk03_folder import write_folder
from folders_as_found import index_of

from fgbench.datasets import cuhk03_mat, reid_datasets
from fgbench.datasets.check import check
from fgbench.util.errors import FgbenchError

pytestmark = pytest.mark.usefixtures("root")


def write_extracted(release, folder):
    """Write images and splits as torchreid does from `cuhk-03.mat`, with paths of another machine."""
    for boxes in cuhk03_mat.BOXES:
        index = reid_datasets["cuhk03" if boxes == "labeled" else "cuhk03_detected"].read(release)
        shutil.copytree(index.root / boxes, folder / f"images_{boxes}")

        def rows(part, index=index, boxes=boxes):
            names = [index.files[row].partition("/")[2] for row in part]
            return [[f"D:\\data/cuhk03/images_{boxes}\\{name}", 0, int(name[6]) - 1] for name in names]

        splits = [
            {role: rows(getattr(split, role)) for role in ("train", "query", "gallery")} for split in index.splits
        ]
        (folder / f"splits_classic_{boxes}.json").write_text(json.dumps(splits[:-1]))
        (folder / f"splits_new_{boxes}.json").write_text(json.dumps(splits[-1:]))


@pytest.mark.parametrize("name", ["cuhk03", "cuhk03_detected"])
@pytest.mark.parametrize("place", ["cuhk03", "cuhk03_release"])
def test_cuhk03_as_torchreid_leaves_it(name, place, root):
    """CUHK03 as `images_labeled/` with splits in JSON files, without `cuhk-03.mat`.

    https://github.com/JDAI-CV/fast-reid/issues/249 asks for these files.
    """
    release = write_folder(root / "official/cuhk03_release")
    before = reid_datasets[name].read(release)
    write_extracted(release, root / place)
    index = index_of(name)
    assert index.annotation_hashes == before.annotation_hashes
    assert index.fingerprint == before.fingerprint
    assert [split.name for split in index.splits][-1] == "767/700"
    assert index.images(np.arange(2)).path(index.files[0]).is_file()
    assert check(index).problems == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "splits_classic_labeled.json is not a list of splits"),
        ('[{"query": [["x.png", 0]]}]', "query of split 1 is not a list of image, person and camera"),
        ('[{"query": [["x.png", 0, 1]]}]', "split 1 has no query, or one whose name is not like 1_001_1_01.png"),
        ('[{"query": [["5_999_1_01.png", 0, 1]]}]', "test set 1 contains person 999 of camera pair 5, who has no"),
        ("[", "splits_classic_labeled.json"),
    ],
)
def test_a_wrong_split_of_torchreid_is_named(text, message, root):
    """A damaged file of splits is named."""
    write_extracted(write_folder(root / "official/cuhk03_release"), root / "cuhk03")
    (root / "cuhk03/splits_classic_labeled.json").write_text(text)
    with pytest.raises(FgbenchError, match=message):
        index_of("cuhk03")


def test_cuhk03_with_its_protocol_beside_the_folder(root):
    """`cuhk03_new_protocol_config_labeled.mat` is beside `cuhk03_release`, in the folder `cuhk03` of torchreid.

    https://github.com/JDAI-CV/fast-reid/issues/14 and https://github.com/bismex/MetaBIN/issues/13
    """
    folder = write_folder(root / "cuhk03/cuhk03_release")
    before = reid_datasets["cuhk03"].read(folder).fingerprint
    for path in folder.glob("*config*"):
        path.rename(folder.parent / path.name)
    assert index_of("cuhk03").fingerprint == before
    assert index_of("cuhk03").splits[-1].name == "767/700"


def test_a_grey_cell_of_cuhk03(root):
    """A grey cell of `cuhk-03.mat` was left out without a word; it is read as three equal channels."""
    import h5py
    from PIL import Image

    folder = write_folder(root / "cuhk03_release")
    grey = np.arange(20 * 12, dtype=np.uint8).reshape(20, 12)
    with h5py.File(folder / "cuhk-03.mat", "r+") as file:
        person = file[file["labeled"][0, 0]]
        file["#refs#"].create_dataset("grey", data=grey.T)
        person[0, 0] = file["#refs#/grey"].ref
    index = index_of("cuhk03")
    assert "labeled/1_001_1_01.png" in index.files
    with Image.open(index.path("labeled/1_001_1_01.png")) as image:
        assert (np.asarray(image) == grey[..., None]).all()
        assert image.mode == "RGB"


def test_the_cells_that_are_empty_without_a_mark_are_left_out(root):
    """An empty cell is no grey image: it holds its shape, two numbers of 64 bits."""
    import h5py

    folder = write_folder(root / "cuhk03_release")
    before = index_of("cuhk03").files
    with h5py.File(folder / "cuhk-03.mat", "r+") as file:
        for entry in file["#refs#"].values():
            if "MATLAB_empty" in entry.attrs:
                del entry.attrs["MATLAB_empty"]
    os.utime(folder / "cuhk-03.mat", (1, 1))
    assert index_of("cuhk03").files == before
