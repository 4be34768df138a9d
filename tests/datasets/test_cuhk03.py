import shutil
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from fgbench.datasets import cuhk03, cuhk03_mat, datasets, obtain, reid_datasets
from fgbench.datasets.check import check
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder

h5py = pytest.importorskip("h5py")

PERSONS = (4, 3, 2, 1, 1)
"""Of each camera pair."""
TESTSETS = (((1, 1), (1, 3), (2, 2)), ((1, 2), (2, 1), (3, 1)), ((2, 3), (1, 4), (3, 2)))
LAST_EMPTY = {"labeled": (4, 6, 10), "detected": (5, 10)}
"""Of the ten cells of a person: here all persons lack the same ones."""
IMAGES = {boxes: sum(PERSONS) * (10 - len(empty)) for boxes, empty in LAST_EMPTY.items()}


def pixels(boxes, pair, person, number):
    """Rows, columns and colours, in sizes that differ."""
    seed = (len(boxes), pair, person, number)
    return np.random.default_rng(seed).integers(0, 255, (20 + person, 10 + number, 3), dtype=np.uint8)


def write_mat(path, change=lambda file: None):
    """As MATLAB 7.3 writes it: cells are references to transposed arrays, an empty one holds its own shape."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")

        def ref(array, empty=False):
            entry = refs.create_dataset(f"r{len(refs)}", data=array)
            if empty:
                entry.attrs["MATLAB_empty"] = np.uint8(1)
            return entry.ref

        def cells(array):
            """Of MATLAB's shape: stored transposed."""
            table = np.empty(array.T.shape, dtype=h5py.ref_dtype)
            for place, value in np.ndenumerate(array.T):
                table[place] = value
            return table

        def column(values):
            array = np.empty((len(values), 1), dtype=object)
            array[:, 0] = values
            return cells(array)

        for boxes, empty in LAST_EMPTY.items():
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
    """Names of the images as the 767/700 protocol lists them, with pair and person."""
    for pair, count in enumerate(PERSONS, 1):
        for person in range(1, count + 1):
            for number in range(1, 11):
                if number not in LAST_EMPTY[boxes]:
                    yield f"{pair}_{person:03d}_{1 + (number > 5)}_{number:02d}.png", (pair, person)


def protocol(boxes):
    """The variables of a file of the 767/700 protocol: the first six persons are for training."""
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
    write_mat(root / "cuhk-03.mat")
    for boxes in LAST_EMPTY:
        savemat(root / f"cuhk03_new_protocol_config_{boxes}.mat", protocol(boxes))
    return root


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("cuhk03") / "cuhk03_release")


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official, tmp_path / official.name)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("boxes", list(LAST_EMPTY))
def test_extracts_every_image_and_knows_whose_it_is(official, boxes):
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


def test_the_two_kinds_of_boxes_have_images_of_their_own(official):
    labeled, detected = cuhk03.load(official), cuhk03.load_detected(official)
    assert (labeled.name, detected.name) == ("cuhk03", "cuhk03_detected")
    assert labeled.image_hash != detected.image_hash
    assert len(labeled) != len(detected)


def test_classic_splits_are_the_test_sets_as_shipped(official):
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


@pytest.mark.parametrize("boxes", list(LAST_EMPTY))
def test_the_new_protocol_is_as_its_file_says(official, boxes):
    index = cuhk03.load(official, boxes=boxes)
    split = index.split("767/700")
    said = protocol(boxes)
    for rows, variable in ((split.train, "train_idx"), (split.query, "query_idx"), (split.gallery, "gallery_idx")):
        expected = [said["filelist"][row - 1, 0] for row in said[variable].ravel()]
        assert [index.files[row] for row in rows] == [f"{boxes}/{name}" for name in expected]
    assert len(np.unique(index.identities[split.train])) == 6
    assert len(split.query) == 2 * 5
    assert not set(split.query.tolist()) & set(split.gallery.tolist())


def test_the_list_of_the_new_protocol_may_have_another_order(copy):
    said = protocol("labeled")
    order = np.random.default_rng(0).permutation(len(said["filelist"]))
    place = np.argsort(order)
    shuffled = {name: said[name][order] for name in ("filelist", "labels", "camId")}
    shuffled |= {name: place[said[name] - 1] + 1 for name in ("train_idx", "query_idx", "gallery_idx")}
    before = cuhk03.load(copy).split("767/700")
    savemat(copy / "cuhk03_new_protocol_config_labeled.mat", shuffled)
    after = cuhk03.load(copy).split("767/700")
    assert after.query.tolist() == before.query.tolist()
    assert after.train.tolist() == before.train.tolist()


def test_without_the_file_of_the_new_protocol_there_are_the_classic_splits(copy):
    (copy / "cuhk03_new_protocol_config_labeled.mat").unlink()
    index = cuhk03.load(copy)
    assert [split.name for split in index.splits] == ["1", "2", "3"]
    found = check(index, None, cuhk03.TABLES["labeled"], cuhk03.COUNTS["labeled"]).problems
    what = {f.what: f.file for f in found}
    assert what["3 splits, but the official data have 21"] == "cuhk-03.mat and cuhk03_new_protocol_config_labeled.mat"


def test_extraction_is_done_once_and_survives_without_h5py(copy, own_cache, monkeypatch):
    index = cuhk03.load(copy)
    monkeypatch.setitem(sys.modules, "h5py", None)
    again = cuhk03.load(copy)
    assert again.files == index.files
    assert again.fingerprint == index.fingerprint
    shutil.rmtree(cache_folder())
    with pytest.raises(FgbenchError, match=r"cuhk-03.mat needs h5py\n  pip install h5py"):
        cuhk03.load(copy)


def test_another_file_is_extracted_anew(copy, official, own_cache):
    index = cuhk03.load(copy)

    def darken(file):
        image = file[np.asarray(file[file["labeled"][0, 0]])[0, 0]]
        image[...] = 0

    write_mat(copy / "cuhk-03.mat", darken)
    other = cuhk03.load(copy)
    assert other.root != index.root
    assert other.image_hash != index.image_hash
    assert not np.asarray(Image.open(other.root / other.files[0])).any()


def test_an_interrupted_extraction_leaves_nothing(copy, own_cache, monkeypatch):
    saved = []

    def stop(self, path, *args, **kwargs):
        saved.append(path)
        if len(saved) == 9:
            raise OSError(28, "No space left on device")
        path.write_bytes(b"x")

    monkeypatch.setattr(Image.Image, "save", stop)
    with pytest.raises(FgbenchError, match=r"cannot extract .*cuhk-03.mat into .*: No space left on device"):
        cuhk03.load(copy)
    assert [p for p in (cache_folder() / "data").iterdir() if p.is_dir()] == []
    monkeypatch.undo()


def test_a_missing_or_damaged_file_is_named(copy, own_cache):
    path = copy / "cuhk-03.mat"
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(FgbenchError, match=r"cannot read .*cuhk-03.mat"):
        cuhk03.load(copy)
    random = np.random.default_rng(0)
    for length in [0, 100, *random.integers(0, len(whole) - 1, 12)]:
        path.write_bytes(whole[:length])
        with pytest.raises(FgbenchError, match=r"cuhk-03.mat"):
            cuhk03.load(copy)
    path.write_bytes(b"<html>" * 500)
    with pytest.raises(FgbenchError, match=r"cuhk-03.mat is damaged or not a MATLAB 7.3 file"):
        cuhk03.load(copy)
    assert [p for p in (cache_folder() / "data").iterdir() if p.is_dir()] == []


def replace_cell(file, array):
    table = file[file["labeled"][0, 1]]
    table[2, 1] = file["#refs#"].create_dataset("other", data=array).ref


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.__delitem__("testsets"), "testsets is damaged"),
        (lambda f: f.__delitem__("detected"), "detected is damaged"),
        (lambda f: replace_cell(f, np.zeros((3, 9, 9))), "labeled is damaged .* 2_002_1_03.png would be float64"),
        (lambda f: replace_cell(f, np.zeros((4, 9, 9), np.uint8)), "2_002_1_03.png would be uint8 of shape"),
        (lambda f: f["testsets"].__setitem__((0, 0), f["labeled"][0, 0]), "testsets is damaged"),
        (lambda f: f[f["testsets"][0, 1]].__setitem__((1, 0), 5), "test set 2 names person 5 of camera pair 1"),
        (lambda f: f[f["testsets"][0, 0]].__setitem__((1, 1), 1), "test set 1 names a person twice"),
        (lambda f: f["labeled"].__setitem__((0, 0), f["testsets"][0, 0]), "labeled is damaged"),
        (lambda f: f["labeled"].__setitem__((0, 0), f[f["labeled"][0, 1]][0, 0]), "labeled is damaged"),
    ],
)
def test_another_structure_is_told(copy, own_cache, change, says):
    write_mat(copy / "cuhk-03.mat", change)
    with pytest.raises(FgbenchError, match=f"cuhk-03.mat: .*({says})"):
        cuhk03.load(copy)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"filelist": "9_001_1_01.png"}, "9_001_1_01.png is no image of cuhk-03.mat"),
        ({"filelist": "1_001_1_02.png"}, "an image is listed twice"),
        ({"labels": 9.0}, "its labels do not agree"),
        ({"train_idx": 0}, "train_idx does not fit its list of 77 images"),
        ({"query_idx": 78}, "query_idx does not fit its list of 77 images"),
        ({"gallery_idx": 1}, "person 10001 of the training image 1_001_1_01.png is in the test split 767/700"),
    ],
)
def test_a_wrong_protocol_is_told(copy, change, says):
    said = protocol("labeled")
    for name, value in change.items():
        said[name][0, 0] = value
    savemat(copy / "cuhk03_new_protocol_config_labeled.mat", said)
    with pytest.raises(FgbenchError, match=f"cuhk03_new_protocol_config_labeled.mat: {says}"):
        cuhk03.load(copy)
    assert len(cuhk03.load_detected(copy).splits) == 4


def test_a_protocol_that_lacks_a_part_is_told(copy):
    said = protocol("labeled")
    del said["query_idx"]
    savemat(copy / "cuhk03_new_protocol_config_labeled.mat", said)
    with pytest.raises(FgbenchError, match=r"config_labeled.mat holds no query_idx"):
        cuhk03.load(copy)


def test_check_names_missing_and_corrupt_images_and_wrong_counts(copy, own_cache):
    index = cuhk03.load(copy)
    assert check(index).problems == []
    (index.root / index.files[3]).unlink()
    (index.root / index.files[4]).write_bytes(b"x")
    index = cuhk03.load(copy)
    assert {(f.kind, f.file) for f in check(index).problems} == {
        ("missing", "labeled/1_001_1_05.png"),
        ("corrupt", "labeled/1_001_2_07.png"),
    }
    found = check(index, None, cuhk03.TABLES["labeled"], cuhk03.COUNTS["labeled"]).problems
    assert ("cuhk-03.mat", "77 images, but the official data have 14096") in {(f.file, f.what) for f in found}


@pytest.mark.parametrize("name", ["cuhk03", "cuhk03_detected"])
def test_get_says_where_to_ask_and_what_to_put_where(copy, tmp_path, monkeypatch, name):
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


def test_the_names_that_images_get_are_those_that_the_index_reads():
    assert cuhk03._NAME.fullmatch("1_843_2_10.png")
    assert cuhk03_mat.VIEW == 5
