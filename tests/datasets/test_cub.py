import os
import shutil

import numpy as np
import pytest
from PIL import Image

from fgbench.datasets import cub, datasets
from fgbench.datasets.check import check
from fgbench.util.errors import ArgumentError, FgbenchError, MissingError


@pytest.fixture
def copy(birds_folder, tmp_path):
    return shutil.copytree(birds_folder, tmp_path / "CUB_200_2011")


def problems(folder):
    index = cub.load(folder)
    return {(f.kind, f.file): f.what for f in check(index, official=None).problems}


def test_reads_labels_split_boxes_parts_and_attributes(birds, birds_folder):
    assert len(birds) == 30
    assert birds.train.sum() == 18
    assert np.bincount(birds.labels).tolist() == [10, 10, 10]
    assert birds.boxes.shape == (30, 4)
    assert birds.parts.shape == (30, 15, 3)
    assert birds.part_names[6] == "left eye"
    third = (birds_folder / "bounding_boxes.txt").read_text().splitlines()[2].split()
    assert birds.boxes[2].tolist() == [float(value) for value in third[1:]]
    names, values = cub.attributes(birds_folder)
    assert values.shape == (3, len(names))


def test_check_of_a_complete_data_set_has_no_problems(birds):
    assert check(birds).problems == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("train_test_split.txt", "3 1", "3 2", "train_test_split.txt, line 3: '2' is neither"),
        ("train_test_split.txt", "3 1\n", "", "train_test_split.txt: no line for image 3"),
        ("train_test_split.txt", "3 1\n", "3 1\n99 0\n", "a line for the unknown image 99"),
        ("image_class_labels.txt", "3 1", "3 x", "image_class_labels.txt, line 3"),
        ("image_class_labels.txt", "3 1", "3 7", "classes \\[7\\] do not agree"),
        ("images.txt", "2 001", "1 001", "images.txt, line 2: id 1 occurs twice"),
        ("parts/part_locs.txt", "\n1 2 ", "\n1 1 ", "line 2: part 1 of image 1 occurs twice"),
        ("parts/part_locs.txt", "\n1 2 ", "\n1 77 ", "line 2: unknown image or part"),
    ],
)
def test_an_error_names_a_wrong_annotation(copy, file, old, new, message):
    path = copy / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(FgbenchError, match=message):
        cub.load(copy)


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("images.txt", f"{10**30} x.jpg", "line 31: a number has more than 64 bits"),
        ("images.txt", f"{'9' * 5000} x.jpg", "line 31: "),
        ("bounding_boxes.txt", "31 nan 1 2 3", "line 31: nan is not a finite number"),
        ("bounding_boxes.txt", "31 1 1 2 1e999", "line 31: 1e999 is not a finite number"),
        ("parts/part_locs.txt", "inf 1 2 3 1", "line 451: 'inf' is not an integer"),
        ("parts/part_locs.txt", "1 1 nan 3 1", "line 451: nan is not a finite number"),
        ("attributes/class_attribute_labels_continuous.txt", "nan", "nan is not a finite number"),
        ("attributes/class_attribute_labels_continuous.txt", "x", "x is not a number"),
    ],
    ids=range(8),
)
def test_an_error_names_a_number_that_is_not_finite_or_too_large(copy, file, line, message):
    with (copy / file).open("a") as annotations:
        annotations.write(f"{line}\n")
    with pytest.raises(FgbenchError, match=f"{file}.*{message}"):
        (cub.attributes if "attribute" in file else cub.load)(copy)


def test_a_fifo_in_the_place_of_a_file_is_an_error(copy):
    (copy / "classes.txt").unlink()
    os.mkfifo(copy / "classes.txt")
    with pytest.raises(FgbenchError, match=r"cannot read .*classes.txt: it is a FIFO"):
        cub.load(copy)


def test_check_lists_missing_extra_corrupt_and_truncated_images(copy):
    files = [copy / file for file in cub.load(copy).files]
    files[0].unlink()
    files[1].write_bytes(b"not an image")
    files[2].write_bytes(files[2].read_bytes()[:-300])
    (files[3].parent / "extra.jpg").write_bytes(files[3].read_bytes())
    problems_by_file = problems(copy)
    relative = [file.relative_to(copy).as_posix() for file in files]
    assert set(problems_by_file) == {
        ("missing", relative[0]),
        ("corrupt", relative[1]),
        ("corrupt", relative[2]),
        ("extra", (files[3].parent / "extra.jpg").relative_to(copy).as_posix()),
    }
    with pytest.raises(FgbenchError, match=f"1 of 30 images.*{files[0].name}"):
        _ = cub.load(copy).image_hash


def test_check_notes_grey_recompressed_and_duplicate_images_and_boxes_outside(copy):
    index = cub.load(copy)
    files = [copy / file for file in index.files]
    with Image.open(files[0]) as image:
        image.convert("L").save(files[0])
    with Image.open(files[1]) as image:
        image.save(files[1], format="PNG")
    files[3].write_bytes(files[2].read_bytes())
    (copy / "bounding_boxes.txt").write_text(
        (copy / "bounding_boxes.txt").read_text().replace("\n5 ", "\n5 900.0 0.0 1.0 1.0\n#", 1).split("#")[0]
        + "".join(f"{n} 1.0 1.0 9.0 9.0\n" for n in range(6, 31))
    )
    health = check(cub.load(copy))
    assert health.problems == []
    kinds = {(f.kind, f.file.rsplit("/", 1)[1]) for f in health.notes}
    assert {("grey", files[0].name), ("format", files[1].name), ("duplicate", files[2].name)} <= kinds
    assert ("outside", files[4].name) in kinds


def test_check_reports_a_split_that_is_not_official(copy):
    index = cub.load(copy)
    official = dict(index.annotation_hashes)
    path = copy / "train_test_split.txt"
    path.write_text(path.read_text().replace("1 1", "1 0", 1))
    reported = check(cub.load(copy), official, cub.TABLES).problems
    assert [(f.kind, f.file) for f in reported] == [("annotation", "train_test_split.txt")]
    assert "17 training images and 13 test images" in reported[0].what


def test_fingerprint_depends_on_image_bytes_and_annotations_but_not_on_line_endings(copy):
    def hashes():
        index = cub.load(copy)
        return index.image_hash, index.annotation_hashes

    images, annotations = hashes()
    path = copy / "train_test_split.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert hashes() == (images, annotations)
    file = copy / cub.load(copy).files[7]
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    assert hashes()[0] != images
    path.write_text(path.read_text().replace("1 1", "1 0", 1))
    changed = hashes()[1]
    assert {kind for kind in changed if changed[kind] != annotations[kind]} == {"split"}


def test_first_classes_selects_the_images_of_the_first_classes(birds):
    two = birds.first_classes(2)
    assert len(two) == 20
    assert two.classes == birds.classes[:2]
    assert two.parts.shape == (20, 15, 3)
    with pytest.raises(ArgumentError, match="has 3 classes; the first 4 cannot"):
        birds.first_classes(4)


def test_find_searches_the_folder_and_its_parent_or_reports_missing_data(copy, monkeypatch):
    with pytest.raises(MissingError, match="fgbench data get cub"):
        datasets["cub"].find()
    monkeypatch.setenv("FGBENCH_DATA", str(copy.parent))
    assert datasets["cub"].find() == copy
    monkeypatch.setenv("FGBENCH_DATA", str(copy))
    assert datasets["cub"].find() == copy
