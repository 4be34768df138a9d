"""Annotations with numbers that are none, doubled or missing lines, or no visible keypoint."""

import re

import numpy as np
import pytest
from cars_folder import annotations, write, write_cars
from command_line import run as fgbench
from few_birds import IMAGES, few_birds
from same_process import read_here
from stored_records import record

from fgbench.datasets import cars, datasets
from fgbench.datasets.check import check
from fgbench.metrics.values import measure
from fgbench.records.store import store_of
from fgbench.util.errors import FgbenchError


@pytest.fixture
def birds(tmp_path, monkeypatch):
    """The folder of a small CUB-200-2011 that FGBENCH_DATA names."""
    monkeypatch.setenv("FGBENCH_DATA", str(few_birds(tmp_path)))
    return tmp_path / "CUB_200_2011"


def edit(path, line, new):
    """Replace a line, counted from 1."""
    lines = path.read_text().splitlines()
    lines[line - 1] = new
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "NaN", "1e999", "1_0"])
@pytest.mark.parametrize("file", ["bounding_boxes.txt", "parts/part_locs.txt"])
def test_a_number_that_is_none(file, number, birds):
    """NaN or infinity in an annotation: the file, the line, the value and the next step are named before any work."""
    edit(birds / file, 4, f"4 {number} 10 100 60" if "box" in file else f"2 2 {number} 20 1")
    printed = fgbench("run", "bcnn/bcnn_dd", "--data", "cub", "--profile", "frozen")[1]
    assert f"{birds / file}, line 4: {number} is not a " in printed
    assert "fgbench data get cub" in printed


@pytest.mark.parametrize("visible", ["2", "0.5", "-1", "nan", "1.0", "01"])
def test_a_visibility_that_is_neither_0_nor_1(visible, birds):
    """A visibility of 2, as COCO writes it, 0.5 or -1 is refused with its line, and not after the training.

    https://github.com/cocodataset/cocoapi/issues/130 asks what the numbers mean.
    """
    edit(birds / "parts/part_locs.txt", 5, f"3 1 40.0 30.0 {visible}")
    message = f"part_locs.txt, line 5: the visibility is {visible}, not 1 (visible) or 0 (not visible)"
    with pytest.raises(FgbenchError, match=re.escape(message)):
        datasets["cub"].index()


@pytest.mark.parametrize(
    ("file", "line", "new", "message"),
    [
        ("bounding_boxes.txt", 2, "2 10 10 -100 60", "line 2: the box has a width of -100 and a height of 60"),
        ("bounding_boxes.txt", 2, "2 10 10 100 0", "line 2: the box has a width of 100 and a height of 0"),
        ("bounding_boxes.txt", 2, "3 10 10 100 60", "line 3: id 3 occurs twice"),
        ("bounding_boxes.txt", 2, "", "no line for image 2"),
        ("bounding_boxes.txt", 2, "2 10 10 100", "line 2: 4 fields instead of 5"),
        ("parts/part_locs.txt", 2, "1 1 60 20 1", "line 2: part 1 of image 1 occurs twice"),
        ("parts/part_locs.txt", 2, "", "no line for part 2 of image 1 (1 of 16 keypoints are missing)"),
        ("parts/part_locs.txt", 2, "5 2 60 20 1", "line 2: unknown image or part"),
        ("parts/parts.txt", 2, "1 beak", "line 2: id 1 occurs twice"),
        ("images.txt", 2, "1 001.Black_footed_Albatross/x.jpg", "line 2: id 1 occurs twice"),
        ("images.txt", 2, "2 " + IMAGES[1][0], "is listed twice, as image 1 and image 2"),
        ("image_class_labels.txt", 2, "2 9", "classes [9] do not agree with classes.txt"),
        ("image_class_labels.txt", 2, "2 1.0", "line 2: '1.0' is not an integer"),
        ("bounding_boxes.txt", 2, "2 10,0 10 100 60", "line 2: 10,0 is not a number"),
        ("train_test_split.txt", 2, "2 -1", "line 2: '-1' is neither 1 (training) nor 0 (test)"),
    ],
)
def test_a_wrong_line(file, line, new, message, birds):
    """A doubled or missing id, a negative width, a field too few: file, line and value are named when it is read."""
    edit(birds / file, line, new)
    with pytest.raises(FgbenchError, match=re.escape(message)) as caught:
        datasets["cub"].index()
    assert str(birds / file) in str(caught.value)


@pytest.mark.parametrize(("x", "y"), [(-5.0, 30.0), (500.0, 30.0)])
def test_a_point_outside_its_image_is_told(x, y, birds):
    """A visible keypoint outside its image is accepted and told: the official data have one.

    It is that of `086.Pacific_Loon/Pacific_Loon_0034_75438.jpg`.
    """
    edit(birds / "parts/part_locs.txt", 5, f"3 1 {x} {y} 1")
    index = datasets["cub"].index()
    assert index.parts[2, 0].tolist() == [x, y, 1]
    found = [(note.kind, note.file, note.what) for note in check(index).notes if note.kind == "outside"]
    assert found == [("outside", index.files[2], "a visible keypoint is outside the image")]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("bbox_x1", float("nan"), "annotation 2 (00002.jpg): the box nan "),
        ("bbox_x2", float("inf"), "annotation 2 (00002.jpg): the box "),
        ("bbox_x2", 0, "annotation 2 (00002.jpg): the box "),
        ("class", 2.5, "annotation 2 (00002.jpg): 2.5 is not an integer"),
        ("class", float("nan"), "annotation 2 (00002.jpg): "),
        ("class", float("inf"), "annotation 2 (00002.jpg): "),
        ("class", 5, "annotation 2 (00002.jpg): class 5 is not one of the 4 classes"),
    ],
)
def test_a_number_that_is_none_in_cars(field, value, message, tmp_path, monkeypatch):
    """NaN, infinity or a fraction in the annotations of Stanford Cars is named with the image."""
    read_here(monkeypatch)
    folder = write_cars(tmp_path / "stanford_cars")
    rows = annotations("train")
    rows[1][field] = value
    write(folder / "devkit/cars_train_annos.mat", rows)
    with pytest.raises(FgbenchError, match=re.escape(message)):
        cars.load(folder)


def hide_all(birds, images):
    """Make all keypoints of images invisible."""
    path = birds / "parts/part_locs.txt"
    lines = [line.split() for line in path.read_text().splitlines()]
    path.write_text("".join(f"{' '.join(row[:4])} {int(int(row[0]) not in images)}\n" for row in lines))


def test_no_visible_keypoint_in_the_test_split_is_refused(birds):
    """No test image has a visible keypoint: the run is refused before any work, and not by `StopIteration` after it."""
    hide_all(birds, {1, 3, 61, 63})
    printed = fgbench("run", "keypoint_fcn/localizer", "--data", "cub", "--profile", "frozen")[1]
    assert f"{birds / 'parts/part_locs.txt'}: no keypoint is visible in any test image" in printed
    # A recipe that needs no keypoints is only blocked by its weights.
    assert "keypoint is visible" not in fgbench("run", "bcnn/bcnn_dd", "--data", "cub", "--profile", "frozen")[1]


def test_no_visible_keypoint_in_one_image(birds):
    """One image without a visible keypoint is read: its keypoints count for no value."""
    hide_all(birds, {1, 2})
    index = datasets["cub"].index()
    test = index.select(~index.train)
    predicted = np.concatenate([test.parts[..., :2], np.ones((4, 2, 1))], axis=-1)
    arrays = {"keypoints": predicted, "true_keypoints": test.parts, "boxes": test.boxes}
    values = measure({**arrays, "part_names": np.array(index.part_names)})
    assert values["pck@0.10"].value == 100
    assert values["pck@0.10"].n == 6


def test_attention_without_a_visible_keypoint_has_no_value():
    """Attention at keypoints that are visible in no test image has no value, and not NaN, which JSON does not have."""
    arrays = {"attention_at_parts": np.full((3, 2), np.nan), "attention_in_box": np.ones(3)}
    values = measure({**arrays, "part_names": np.array(["back", "beak"])})
    assert list(values) == ["attention/box"]


def test_a_record_without_values_stops_no_verb(tmp_path):
    """A record of an earlier version without any value is left out of `report` and `export` with a sentence."""
    store = store_of(tmp_path)
    store.write(*record("a" * 16))
    fields, arrays = record("b" * 16, seed=1)
    shape = (len(arrays["labels"]), 2)
    store.write(
        {**fields, "values": {}},
        {
            "ids": arrays["ids"],
            "labels": arrays["labels"],
            "keypoints": np.zeros((*shape, 3)),
            "true_keypoints": np.zeros((*shape, 3)),
            "boxes": np.ones((shape[0], 4)),
            "part_names": np.array(["back", "beak"]),
        },
    )
    records, left_out = store.usable_records()
    assert [each.run_id for each in records] == ["a" * 16]
    assert left_out == [f"{'b' * 16}.json: its outputs give no value"]
    for verb in (["report"], ["export", "csv"], ["export", "latex"], ["list", "runs"], ["show", "b" * 16], ["verify"]):
        code, printed = fgbench(*verb, "--results", str(tmp_path))
        assert "Traceback" not in printed
        assert "StopIteration" not in printed
        assert code in {0, 1, 2}, (verb, printed)
    assert (tmp_path / "report/index.html").is_file()
