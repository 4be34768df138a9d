import shutil
from dataclasses import replace

import mini
import numpy as np
import pytest
from nabirds_folder import CLASSES, image_ids, write_nabirds

from fgbench.cli import data
from fgbench.datasets import cub, datasets, nabirds, obtain
from fgbench.datasets.check import check
from fgbench.papers.recipes import load_recipes
from fgbench.runs.data_deviations import data_deviations
from fgbench.util.errors import FgbenchError

FIRST, SECOND = image_ids(2)
UNKNOWN = "f" * 8 + "-ffff-ffff-ffff-" + "f" * 12
COUNTS = {"train": 18, "test": 12, "classes": 3}


@pytest.fixture(scope="session")
def official(birds_folder, tmp_path_factory):
    return write_nabirds(birds_folder, tmp_path_factory.mktemp("nabirds") / nabirds.FOLDER)


@pytest.fixture
def copy(official, tmp_path):
    return shutil.copytree(official, tmp_path / official.name)


@pytest.fixture
def small(copy, monkeypatch):
    """The data set with the counts of the copy."""
    dataset = replace(datasets["nabirds"], counts=COUNTS)
    monkeypatch.setitem(datasets._objects, "nabirds", dataset)
    monkeypatch.setenv("FGBENCH_DATA", str(copy.parent))
    return dataset


def test_reads_files_labels_split_boxes_and_parts(official, birds_folder):
    index, birds = nabirds.load(official), cub.load(birds_folder)
    assert index.ids.tolist() == list(range(1, 31))
    assert index.classes == tuple(CLASSES.values())
    assert index.labels.tolist() == (2 - birds.labels).tolist()
    numbers = list(CLASSES)
    for name, file, label in zip(image_ids(30), index.files, index.labels, strict=True):
        assert file == f"images/{numbers[label]:04d}/{name.replace('-', '')}.jpg"
    assert index.train.tolist() == birds.train.tolist()
    assert index.counts == COUNTS
    assert index.boxes.tolist() == birds.boxes.round().tolist()
    assert index.part_names == (*birds.part_names[:3], "left wing")
    assert index.parts.tolist() == birds.parts[:, :4].round().tolist()


def test_the_order_of_lines_in_other_files_does_not_matter(copy):
    hashes = nabirds.load(copy).annotation_hashes
    for file in {*nabirds.TABLES.values()} - {"images.txt"}:
        lines = (copy / file).read_text().splitlines(keepends=True)
        (copy / file).write_text("".join(np.random.default_rng(0).permutation(lines)))
    assert nabirds.load(copy).annotation_hashes == hashes


def test_the_official_counts_are_those_of_the_paper():
    assert nabirds.COUNTS["train"] + nabirds.COUNTS["test"] == 48562
    assert datasets["nabirds"].counts["classes"] == 555
    assert datasets["nabirds"].official == {}


READ = ("images.txt", "image_class_labels.txt", "classes.txt", "train_test_split.txt", "bounding_boxes.txt",
        "parts/parts.txt", "parts/part_locs.txt")  # fmt: skip


@pytest.mark.parametrize("file", READ)
def test_an_error_names_a_missing_or_empty_file(copy, file):
    path = copy / file
    path.write_text("")
    with pytest.raises(FgbenchError, match=f"{file} is empty"):
        nabirds.load(copy)
    path.unlink()
    if file == "bounding_boxes.txt":  # methods without boxes need none
        assert nabirds.load(copy).boxes is None
        return
    with pytest.raises(FgbenchError, match=rf"cannot read \S*/{file}: No such file"):
        nabirds.load(copy)
    path.write_bytes(b"\xff\xff")
    with pytest.raises(FgbenchError, match=f"{file} is not a text file"):
        nabirds.load(copy)


def test_files_that_are_not_read_may_be_missing(copy):
    for file in ("hierarchy.txt", "sizes.txt", "photographers.txt"):
        (copy / file).unlink()
    assert nabirds.load(copy).counts == COUNTS
    assert set(nabirds.FILES) == {*READ, "images/"}


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("images.txt", FIRST, "1", "images.txt, line 1: '1' is not an image id such as "),
        ("images.txt", FIRST, FIRST.upper(), "images.txt, line 1: .* is not an image id"),
        ("images.txt", SECOND, FIRST, f"images.txt, line 2: id {FIRST} occurs twice"),
        ("images.txt", f"{FIRST} ", f"{FIRST} a ", "images.txt, line 1: 3 fields instead of 2"),
        ("image_class_labels.txt", f"{FIRST} 817", f"{FIRST} oak", "labels.txt, line 1: .*'oak'"),
        ("image_class_labels.txt", f"{FIRST} 817", f"{FIRST} 9", r"classes \[9\] do not agree with classes.txt"),
        ("image_class_labels.txt", FIRST, UNKNOWN, "labels.txt: .* image .*2 ids differ from images.txt"),
        ("classes.txt", "297 Ruddy", "298 Ruddy", r"labels.txt: classes \[297\] do not agree with classes.txt"),
        ("classes.txt", "0 Birds", "zero Birds", "classes.txt, line 1: .*'zero'"),
        ("classes.txt", "0 Birds", "0", "classes.txt, line 1: 1 field instead of 2"),
        ("classes.txt", "1 Ducks", "0 Ducks", "classes.txt, line 2: id 0 occurs twice"),
        ("train_test_split.txt", f"{FIRST} 1\n", "", f"split.txt: no line for image {FIRST}"),
        ("train_test_split.txt", f"{FIRST} 1\n", f"{FIRST} 1\n{UNKNOWN} 1\n", f"line for the unknown image {UNKNOWN}"),
        ("train_test_split.txt", f"{FIRST} 1", f"{FIRST} 2", "split.txt, line 1: '2' is neither 1"),
        ("bounding_boxes.txt", f"{FIRST} ", f"{FIRST} x ", "boxes.txt, line 1: 6 fields instead of 5"),
        ("bounding_boxes.txt", f"{SECOND} ", f"{SECOND[:-1]} ", "boxes.txt, line 2: .* is not an image id"),
        ("parts/parts.txt", "3 left wing", "2 left wing", "parts.txt, line 4: id 2 occurs twice"),
        ("parts/part_locs.txt", f"{FIRST} 1 ", f"{FIRST} 0 ", "part_locs.txt, line 2: part 0 of image .* occurs twice"),
        ("parts/part_locs.txt", f"{FIRST} 1 ", f"{FIRST} 11 ", "line 2: unknown image or part"),
        ("parts/part_locs.txt", f"{FIRST} 1 ", f"{UNKNOWN} 1 ", "line 2: unknown image or part"),
        ("parts/part_locs.txt", f"{FIRST} 1 ", f"{FIRST} beak ", "line 2: .*'beak'"),
        ("parts/part_locs.txt", f"{FIRST} 1 ", f"{FIRST[1:]} 1 ", "line 2: .* is not an image id"),
    ],
)  # fmt: skip
def test_an_error_names_a_wrong_annotation(copy, file, old, new, message):
    path = copy / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(FgbenchError, match=message):
        nabirds.load(copy)


def test_an_error_counts_missing_keypoints(copy):
    path = copy / "parts/part_locs.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(FgbenchError, match=r"no line for part 3 of image .*1 of 120 keypoints are missing"):
        nabirds.load(copy)


def test_check_finds_missing_extra_and_corrupt_images(copy):
    files = nabirds.load(copy).files
    (copy / files[0]).unlink()
    (copy / files[1]).write_bytes(b"not an image")
    shutil.copyfile(copy / files[2], copy / "images/0817/extra.jpg")
    assert {(f.kind, f.file) for f in check(nabirds.load(copy)).problems} == {
        ("missing", files[0]), ("corrupt", files[1]), ("extra", "images/0817/extra.jpg"),
    }  # fmt: skip


def test_data_check_says_that_the_annotations_are_not_verified(small, copy, capsys):
    assert data.check_data("nabirds")
    text = " ".join(capsys.readouterr().out.split())
    assert "NABirds: 30 images of 3 classes, 18 for training, 0 problems" in text
    assert "not verified" in text
    assert data.check_data("nabirds", as_json=True)
    assert '"unverified"' in capsys.readouterr().out
    path = copy / "train_test_split.txt"
    path.write_text(path.read_text().replace(f"{FIRST} 1", f"{FIRST} 0"))
    assert not data.check_data("nabirds")
    text = " ".join(capsys.readouterr().out.split())
    assert "17 training images, but the official data have 18" in text
    assert "13 test images, but the official data have 12" in text


def test_a_record_says_that_the_annotations_are_not_verified(small, copy):
    index = nabirds.load(copy)
    recipe = load_recipes()["bcnn/bcnn_dm@nabirds"]
    (remark,) = data_deviations(small, index, index, recipe, "none")
    assert (remark.field, remark.changes_experiment) == ("data.annotations", False)
    assert remark.run == "not verified: no hash of the official files is known"
    first = index.first_classes(2)
    fields = {d.field: d.changes_experiment for d in data_deviations(small, index, first, recipe, "none")}
    assert fields == {"data.annotations": False, "data.classes": True}


def test_a_quick_run_is_on_the_same_synthetic_birds_as_that_of_cub(tmp_path):
    run, of_cub = (mini.quick_run(f"bcnn/bcnn_dm@{name}", size=48) for name in ("nabirds", "cub"))
    assert run.protocol == of_cub.protocol
    assert run.settings == of_cub.settings
    record = mini.do(run, tmp_path)
    assert (record.recipe, record.synthetic, record.comparable) == ("bcnn/bcnn_dm@nabirds", True, False)
    assert ("nabirds", "mini_birds") in [(d.recipe, d.run) for d in record.deviations if d.field == "data"]


def test_get_data_says_where_to_ask_and_which_files_to_put_where(copy, tmp_path, monkeypatch):
    place = tmp_path / "elsewhere"
    monkeypatch.setenv("FGBENCH_DATA", str(place))
    with pytest.raises(FgbenchError) as caught:
        obtain.get_data("nabirds")
    text = str(caught.value)
    for part in ("a form", nabirds.PAGE, str(place / "nabirds"), "fgbench data check nabirds", *nabirds.FILES):
        assert part in text
    assert not place.exists()
    monkeypatch.setenv("FGBENCH_DATA", str(copy.parent))
    assert obtain.get_data("nabirds") == copy
