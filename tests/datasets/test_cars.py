import shutil

import numpy as np
import pytest
from cars_folder import FIELDS, NAMES, SIZE, TEST, TRAIN, annotations, write, write_cars, write_names
from pictures import photo
from PIL import Image
from same_process import read_here
from scipy.io import savemat

from fgbench.datasets import cars, datasets, obtain
from fgbench.datasets.check import check
from fgbench.util.errors import FgbenchError


@pytest.fixture(autouse=True)
def _same_process(monkeypatch):
    read_here(monkeypatch)


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    return write_cars(tmp_path_factory.mktemp("cars") / "stanford_cars")


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official, tmp_path / official.name)


def test_reads_labels_split_and_boxes(official):
    index = cars.load(official)
    assert index.counts == {"train": 12, "test": 8, "classes": 4}
    assert index.classes == NAMES
    assert index.parts is None
    assert index.ids.tolist() == list(range(1, 21))
    rows = annotations("train") + annotations("test")
    assert index.labels.tolist() == [row["class"] - 1 for row in rows]
    assert index.train.tolist() == [True] * 12 + [False] * 8
    assert index.files == tuple(f"cars_{'train' if n < 12 else 'test'}/{row['fname']}" for n, row in enumerate(rows))
    for row, (x, y, width, height) in zip(rows, index.boxes.tolist(), strict=True):
        assert [x + 1, y + 1, x + width, y + height] == [row[field] for field in FIELDS[:4]]


def test_agrees_with_torchvision(official):
    import fgbench.util.torch_compat  # noqa: F401, I001 - before torchvision
    from torchvision.datasets import StanfordCars

    index = cars.load(official)
    for split, rows in (("train", index.train), ("test", ~index.train)):
        reference = StanfordCars(official.parent, split=split)
        selected = index.select(rows)
        assert tuple(reference.classes) == selected.classes
        files = [str(official / file) for file in selected.files]
        assert reference._samples == list(zip(files, selected.labels.tolist(), strict=True))


def test_a_split_may_have_one_image(copy):
    for file, _ in (TRAIN, TEST):
        write(copy / file, annotations("train")[:1])
    write_names(copy / "devkit/cars_meta.mat", [NAMES[annotations("train")[0]["class"] - 1]])
    with pytest.raises(FgbenchError, match="annotation 1"):
        cars.load(copy)
    row = {**annotations("train")[0], "class": 1}
    for file, _ in (TRAIN, TEST):
        write(copy / file, [row])
    assert cars.load(copy).counts == {"train": 1, "test": 1, "classes": 1}


def test_check_of_a_complete_data_set_reports_only_that_it_is_not_the_official_one(official):
    index = cars.load(official)
    health = check(index, tables=cars.TABLES)
    assert health.problems == []
    assert health.notes == []
    problems = check(index, cars.OFFICIAL, cars.TABLES, cars.COUNTS).problems
    assert {f.file for f in problems} == {cars.TABLES[kind] for kind in (*cars.OFFICIAL, *cars.COUNTS)}
    assert "8 test images, but the official data have 8041" in {f.what for f in problems}


@pytest.mark.parametrize("file", ["devkit/cars_meta.mat", TRAIN[0], TEST[0]])
def test_an_error_names_a_missing_or_damaged_file(copy, file):
    path = copy / file
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(FgbenchError, match=file):
        cars.load(copy)
    random = np.random.default_rng(0)
    for length in random.integers(0, len(whole), 20):
        path.write_bytes(whole[:length])
        with pytest.raises(FgbenchError, match=file):
            cars.load(copy)
    matlab_7_3 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM"
    for content, problem in (
        (b"<html>" * 50, "a web page"),
        (b"text " * 50, "damaged or not a MATLAB file"),
        (matlab_7_3, "a MATLAB 7.3 file"),
    ):
        path.write_bytes(content)
        with pytest.raises(FgbenchError, match=f"{file} is {problem}"):
            cars.load(copy)
    for place in random.integers(0, len(whole), 60):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        path.write_bytes(changed)
        try:
            cars.load(copy)
        except FgbenchError as error:
            assert file in str(error)  # noqa: PT017 - a change of an unused byte is no error
    savemat(path, {"something": np.arange(3)})
    with pytest.raises(FgbenchError, match=f"{file} does not contain "):
        cars.load(copy)


@pytest.mark.parametrize("kept", ["devkit/cars_test_annos.mat", "cars_test_annos.mat"])
def test_an_error_explains_test_annotations_without_classes(copy, kept):
    (copy / "devkit/cars_test_annos.mat").rename(copy / kept)
    labelled = copy / "cars_test_annos_withlabels.mat"
    labelled.unlink()
    with pytest.raises(
        FgbenchError, match=f"withlabels.mat is missing; {kept} cannot replace it, because it has no classes"
    ):
        cars.load(copy)
    shutil.copy(copy / kept, labelled)
    with pytest.raises(
        FgbenchError, match=r"withlabels.mat: the annotations have no field class\n.* cars_test_annos_with"
    ):
        cars.load(copy)


@pytest.mark.parametrize("file", [TRAIN[0], TEST[0]])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class": 5}, r"annotation 2 \(00002.jpg\): class 5 is not one of the 4 classes"),
        ({"class": 0}, r"annotation 2 \(00002.jpg\): class 0 is not one of the 4 classes"),
        ({"class": "car"}, r"annotation 2 \(00002.jpg\): .*'car'"),
        ({"bbox_x1": 33}, r"annotation 2 \(00002.jpg\): the box 33 .* is empty"),
        ({"bbox_y2": "low"}, r"annotation 2 \(00002.jpg\): .*'low'"),
        ({"fname": "../00002.jpg"}, "annotation 2 .* is not a file name"),
        ({"fname": 2}, "annotation 2 .* is not a file name"),
        ({"fname": "00001.jpg"}, "annotation 2: 00001.jpg occurs twice"),
    ],
)
def test_an_error_names_a_wrong_annotation(copy, file, change, message):
    rows = annotations("train" if file == TRAIN[0] else "test")
    rows[1] |= change
    write(copy / file, rows)
    with pytest.raises(FgbenchError, match=f"{file}, {message}"):
        cars.load(copy)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((*NAMES, "Audi TT 2011"), "class 'Audi TT 2011' has no image"),
        ((*NAMES[:3], NAMES[0]), "a class name occurs twice"),
    ],
)
def test_an_error_names_a_wrong_class_name(copy, names, message):
    write_names(copy / "devkit/cars_meta.mat", names)
    with pytest.raises(FgbenchError, match=f"devkit/cars_meta.mat: {message}"):
        cars.load(copy)


def test_check_lists_missing_extra_and_corrupt_images_and_boxes_outside(copy):
    files = cars.load(copy).files
    (copy / files[0]).unlink()
    (copy / files[-1]).write_bytes(b"not an image")
    photo(copy / "cars_test/99999.jpg", SIZE, 99)
    Image.new("RGB", (20, 20)).save(copy / files[3])
    health = check(cars.load(copy))
    assert {(f.kind, f.file) for f in health.problems} == {
        ("missing", files[0]),
        ("corrupt", files[-1]),
        ("extra", "cars_test/99999.jpg"),
    }
    assert [(f.kind, f.file) for f in health.notes] == [("constant", files[3]), ("outside", files[3])]


def test_get_data_explains_how_to_install_the_files_by_hand(copy, tmp_path, monkeypatch):
    place = tmp_path / "elsewhere"
    monkeypatch.setenv("FGBENCH_DATA", str(place))
    with pytest.raises(FgbenchError) as caught:
        obtain.get_data("cars")
    text = str(caught.value)
    for part in ("offline for years", cars.PAGE, str(place / "stanford_cars"), "fgbench data check cars", *cars.FILES):
        assert part in text
    assert not place.exists()
    monkeypatch.setenv("FGBENCH_DATA", str(copy.parent))
    assert obtain.get_data("cars") == copy
    assert datasets["cars"].index().classes == NAMES
