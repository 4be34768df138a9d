import shutil

import numpy as np
import pytest
from cuhk03_folder import EMPTY_CELLS, IMAGES, TESTSETS, listed, pixels, protocol, write_folder
from PIL import Image
from same_process import read_here
from scipy.io import savemat

from fgbench.datasets import cuhk03, cuhk03_mat, datasets, obtain, reid_datasets
from fgbench.datasets.check import check
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder


@pytest.fixture(autouse=True)
def _same_process(monkeypatch):
    read_here(monkeypatch, cuhk03_mat)
    read_here(monkeypatch)


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("cuhk03") / "cuhk03_release")


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official, tmp_path / official.name)


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("boxes", list(EMPTY_CELLS))
def test_load_reads_pixels_identity_and_camera_of_every_image(official, boxes):
    index = (cuhk03.load if boxes == "labeled" else cuhk03.load_detected)(official)
    names, persons = zip(*listed(boxes), strict=True)
    assert index.files == tuple(f"{boxes}/{name}" for name in names)
    assert len(index) == IMAGES[boxes]
    assert index.identities.tolist() == [10_000 * pair + person for pair, person in persons]
    assert index.cameras.tolist() == [int(name[6]) for name in names]
    for file, (pair, person) in zip(index.files, persons, strict=True):
        with Image.open(index.root / file) as image:
            assert np.array_equal(np.asarray(image), pixels(boxes, pair, person, int(file[-6:-4])))
    assert index.root.is_relative_to(cache_folder())


def test_the_two_kinds_of_boxes_have_different_images(official):
    labeled, detected = cuhk03.load(official), cuhk03.load_detected(official)
    assert (labeled.name, detected.name) == ("cuhk03", "cuhk03_detected")
    assert labeled.image_hash != detected.image_hash
    assert len(labeled) != len(detected)


def test_classic_splits_equal_the_official_test_sets(official):
    index = cuhk03.load(official)
    assert [split.name for split in index.splits] == ["1", "2", "3", "767/700"]
    for split, persons in zip(index.splits, TESTSETS, strict=False):
        expected = {10_000 * pair + person for pair, person in persons}
        assert set(index.identities[split.query].tolist()) == expected
        assert split.query.tolist() == split.gallery.tolist()
        assert not expected & set(index.identities[split.train].tolist())
        assert len(split.train) + len(split.query) == len(index)
        assert set(index.cameras[split.query].tolist()) == {1, 2}
        assert len(index.unmatched(split)) == 0
    assert len({split.number for split in index.splits}) == 4


@pytest.mark.parametrize("boxes", list(EMPTY_CELLS))
def test_the_new_split_equals_its_file(official, boxes):
    index = cuhk03.load(official, boxes=boxes)
    split = index.split("767/700")
    variables = protocol(boxes)
    for rows, variable in ((split.train, "train_idx"), (split.query, "query_idx"), (split.gallery, "gallery_idx")):
        expected = [variables["filelist"][row - 1, 0] for row in variables[variable].ravel()]
        assert [index.files[row] for row in rows] == [f"{boxes}/{name}" for name in expected]
    assert len(np.unique(index.identities[split.train])) == 6
    assert len(split.query) == 2 * 5
    assert not set(split.query.tolist()) & set(split.gallery.tolist())


def test_the_file_list_of_the_new_protocol_may_have_another_order(copy):
    variables = protocol("labeled")
    order = np.random.default_rng(0).permutation(len(variables["filelist"]))
    positions = np.argsort(order)
    shuffled = {name: variables[name][order] for name in ("filelist", "labels", "camId")}
    shuffled |= {name: positions[variables[name] - 1] + 1 for name in ("train_idx", "query_idx", "gallery_idx")}
    before = cuhk03.load(copy).split("767/700")
    savemat(copy / "cuhk03_new_protocol_config_labeled.mat", shuffled)
    after = cuhk03.load(copy).split("767/700")
    assert after.query.tolist() == before.query.tolist()
    assert after.train.tolist() == before.train.tolist()


def test_the_classic_splits_do_not_need_the_file_of_the_new_protocol(copy):
    (copy / "cuhk03_new_protocol_config_labeled.mat").unlink()
    index = cuhk03.load(copy)
    assert [split.name for split in index.splits] == ["1", "2", "3"]
    problems = check(index, None, cuhk03.TABLES["labeled"], cuhk03.COUNTS["labeled"]).problems
    file_of = {f.what: f.file for f in problems}
    assert (
        file_of["3 splits, but the official data have 21"] == "cuhk-03.mat and cuhk03_new_protocol_config_labeled.mat"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filelist": "9_001_1_01.png"}, "9_001_1_01.png is not an image of cuhk-03.mat"),
        ({"filelist": "1_001_1_02.png"}, "an image occurs twice in the file list"),
        ({"labels": 9.0}, "the labels do not agree"),
        ({"train_idx": 0}, "train_idx has rows outside the file list of 77 images"),
        ({"query_idx": 78}, "query_idx has rows outside the file list of 77 images"),
        (
            {"gallery_idx": 1},
            "person 10001 of the training image 1_001_1_01.png is also in the test part",
        ),
    ],
)
def test_an_error_names_a_wrong_protocol_file(copy, change, message):
    variables = protocol("labeled")
    for name, value in change.items():
        variables[name][0, 0] = value
    savemat(copy / "cuhk03_new_protocol_config_labeled.mat", variables)
    with pytest.raises(FgbenchError, match=f"cuhk03_new_protocol_config_labeled.mat: {message}"):
        cuhk03.load(copy)
    assert len(cuhk03.load_detected(copy).splits) == 4


def test_an_error_names_a_missing_variable_of_the_protocol(copy):
    variables = protocol("labeled")
    del variables["query_idx"]
    savemat(copy / "cuhk03_new_protocol_config_labeled.mat", variables)
    with pytest.raises(FgbenchError, match=r"config_labeled.mat does not contain query_idx"):
        cuhk03.load(copy)


def test_check_lists_corrupt_images_and_wrong_counts(copy, empty_cache):
    index = cuhk03.load(copy)
    assert check(index).problems == []
    (index.root / index.files[4]).write_bytes(b"x")
    index = cuhk03.load(copy)
    assert {(f.kind, f.file) for f in check(index).problems} == {
        ("corrupt", "labeled/1_001_2_07.png"),
    }
    problems = check(index, None, cuhk03.TABLES["labeled"], cuhk03.COUNTS["labeled"]).problems
    assert ("cuhk-03.mat", "77 images, but the official data have 14096") in {(f.file, f.what) for f in problems}


@pytest.mark.parametrize("name", ["cuhk03", "cuhk03_detected"])
def test_get_data_explains_how_to_install_the_files_by_hand(copy, tmp_path, monkeypatch, name):
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(FgbenchError) as caught:
        obtain.get_data(name)
    for part in (cuhk03.PAGE, "cuhk03_release", f"fgbench data check {name}", *cuhk03.FILES):
        assert part in str(caught.value)
    lines = str(caught.value).splitlines()
    assert len([line for line in lines if "the 767/700 protocol" in line and ".mat  " in line]) == 2
    monkeypatch.setenv("FGBENCH_DATA", str(copy.parent))
    assert obtain.get_data(name) == copy
    assert len(reid_datasets[name].index()) == IMAGES["detected" if name.endswith("ted") else "labeled"]
    assert name not in datasets
