import io

import numpy as np
import pytest
from few_birds import CLASSES, IMAGES, few_birds
from made_records import made
from PIL import Image

from fgbench.datasets import find
from fgbench.report.photographs import SIDE_PX, Photographs
from fgbench.util.hashing import hash_value

FIRST, SECOND = CLASSES
RECORD = made(values={}, data="cub")


@pytest.fixture
def birds(tmp_path, monkeypatch):
    """Folder of two classes of birds; every pixel of an image has its id as value."""
    monkeypatch.setenv("FGBENCH_DATA", str(few_birds(tmp_path)))
    return tmp_path / "CUB_200_2011" / "images"


def value(content):
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "WEBP"
        assert image.size == (SIDE_PX, SIDE_PX)
        return round(float(np.asarray(image.convert("L")).mean()))


def test_a_photograph_is_that_of_the_image_and_that_of_a_class_is_a_training_image(birds):
    photographs = Photographs()
    assert photographs.missing(RECORD) == ""
    assert value(photographs.of_image(RECORD, 61, SECOND)) == pytest.approx(61, abs=1)
    # The first training images are 2 and 62.
    assert value(photographs.of_class(RECORD, FIRST)) == pytest.approx(2, abs=1)
    assert value(photographs.of_class(RECORD, SECOND)) == pytest.approx(62, abs=1)
    assert len(photographs.of_image(RECORD, 61, SECOND)) < 6000


def test_a_photograph_is_cut_around_the_box(birds):
    pixels = np.zeros((800, 1200, 3), np.uint8)
    pixels[:, 600:] = 255
    Image.fromarray(pixels).save(birds / IMAGES[61][0])
    boxes = birds.parent / "bounding_boxes.txt"
    lines = [line for line in boxes.read_text().splitlines() if not line.startswith("61 ")]
    boxes.write_text("\n".join([*lines, "61 1000 300 120 100"]) + "\n")
    assert value(Photographs().of_image(RECORD, 61, SECOND)) > 250
    boxes.write_text("\n".join([*lines, "61 50 300 120 100"]) + "\n")
    assert value(Photographs().of_image(RECORD, 61, SECOND)) < 5


def test_an_image_of_another_class_or_an_unknown_one_has_no_photograph(birds):
    photographs = Photographs()
    assert photographs.of_image(RECORD, 61, FIRST) is None
    assert photographs.of_image(RECORD, 999, FIRST) is None
    assert photographs.of_class(RECORD, "Owl") is None


@pytest.mark.parametrize("damage", [b"", b"not an image", b"\xff\xd8\xff\xe0 cut", None])
def test_a_damaged_or_missing_image_has_no_photograph_and_the_next_of_the_class_is_taken(birds, damage):
    for number in (2, 61):
        path = birds / IMAGES[number][0]
        path.unlink()
        if damage is not None:
            path.write_bytes(damage)
    photographs = Photographs()
    assert photographs.of_image(RECORD, 61, SECOND) is None
    assert value(photographs.of_class(RECORD, FIRST)) == pytest.approx(4, abs=1)


@pytest.mark.parametrize("kind", ["RGBA", "L", "P", "CMYK"])
def test_images_of_every_colour_mode_can_be_shown(birds, kind):
    path = birds / IMAGES[61][0]
    Image.new("RGB", (5, 400), (61, 61, 61)).convert(kind).save(path, "TIFF")
    assert value(Photographs().of_image(RECORD, 61, SECOND)) == pytest.approx(61, abs=6)  # a palette has no 61


def test_without_the_data_set_a_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))
    photographs = Photographs()
    assert photographs.missing(RECORD) == "No pictures: cub is not on this machine."
    assert photographs.of_image(RECORD, 61, SECOND) is None
    assert photographs.of_class(RECORD, FIRST) is None
    gone = made(values={}, data="no such data set")
    assert photographs.missing(gone) == "No pictures: no such data set is not on this machine."
    assert photographs.missing(made(values={}, data="imagefolder:birds")).startswith("No pictures: birds (own images)")


def test_own_images_are_shown_only_if_they_are_those_of_the_run(tmp_path, monkeypatch):
    """Their ids are places in the list of files: an added image moves all others."""
    monkeypatch.chdir(tmp_path)
    for split, label, number in (("train", "a", 10), ("train", "b", 20), ("test", "a", 30), ("test", "b", 40)):
        file = tmp_path / "leaves" / split / label / f"{number}.png"
        file.parent.mkdir(parents=True)
        Image.new("RGB", (20, 20), (number,) * 3).save(file)
    index = find("imagefolder:leaves").index()
    annotations = hash_value(index.annotation_hashes)
    leaves = made(values={}, data="imagefolder:leaves", protocol={"annotations": annotations})
    (row,) = [row for row, file in enumerate(index.files) if "40" in file]
    assert value(Photographs().of_image(leaves, int(index.ids[row]), "b")) == pytest.approx(40, abs=2)
    Image.new("RGB", (20, 20)).save(tmp_path / "leaves/test/a/00.png")
    photographs = Photographs()
    assert photographs.missing(leaves).endswith("has other images than those of the run.")
    assert photographs.of_image(leaves, int(index.ids[row]), "b") is None


def test_damaged_annotations_are_no_failure(birds):
    (birds.parent / "image_class_labels.txt").write_bytes(b"\xff\x00 broken")
    assert Photographs().missing(RECORD).startswith("No pictures: cub ")


def test_a_report_does_not_draw_synthetic_birds(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    made_up = made(values={}, data="synthetic_birds", synthetic=True)
    assert Photographs().missing(made_up) == "No pictures: synthetic birds is not on this machine."
    assert not (tmp_path / "cache").exists()


def test_data_sets_without_classes_have_no_photographs():
    assert Photographs().missing(made(values={}, data="viper")) == "No pictures: viper has no classes."
