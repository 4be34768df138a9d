import json
import shutil

import pytest
from command_line import run
from own_folders import draw, fill, write_split
from PIL import Image

from fgbench.datasets import find
from fgbench.datasets.check import check
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import cached_pixels
from fgbench.util.errors import FgbenchError


@pytest.fixture
def root(tmp_path):
    return fill(tmp_path / "leaves", {"train": {"ash": 3, "fern": 2}, "test": {"ash": 2, "fern": 1}})


def checked(root):
    result = check(find(f"imagefolder:{root}").index())
    return [{(f.kind, f.file): f.what for f in found} for found in (result.problems, result.notes)]


def test_the_command_prints_the_counts_of_each_class(root):
    code, text = run("data", "check", f"imagefolder:{root}")
    assert code == 0
    assert [line.split() for line in text.splitlines()[1:4]] == [
        ["class", "train", "test"], ["ash", "3", "2"], ["fern", "2", "1"]
    ]  # fmt: skip
    assert "leaves: 8 images of 2 classes, 5 for training, 0 problems" in text
    code, text = run("data", "check", f"imagefolder:{root}", "--json")
    assert json.loads(text).items() >= {
        "images": 8, "problems": [], "notes": [],
        "classes": {"ash": {"train": 3, "test": 2}, "fern": {"train": 2, "test": 1}},
    }.items()  # fmt: skip


def test_only_the_first_of_many_classes_are_printed(tmp_path):
    rows = [(f"{n}.png", f"class {n:02d}", split) for n in range(52) for split in ["train"]]
    root = write_split(tmp_path, [*rows, ("x.png", "class 00", "test")])
    code, text = run("data", "check", f"imagefolder:{root}")
    assert code == 0
    assert "class 49" in text
    assert "class 50" not in text.partition("images\n")[2]
    assert "and 2 more classes (--json lists all)" in text


def test_damaged_images_are_listed_and_a_run_names_the_first(root):
    image = (root / "train/ash/0.png").read_bytes()
    (root / "train/ash/cut.jpg").write_bytes(image[:200])
    (root / "train/fern/empty.PNG").touch()
    (root / "test/ash/text.bmp").write_text("no image")
    (root / "test/ash/gone.png").symlink_to("nowhere")
    problems, _ = checked(root)
    assert set(problems) == {
        ("corrupt", "train/ash/cut.jpg"), ("corrupt", "train/fern/empty.PNG"), ("corrupt", "test/ash/text.bmp"),
        ("missing", "test/ash/gone.png"),
    }  # fmt: skip
    assert problems["missing", "test/ash/gone.png"] == "not a regular file, or a link to nothing"
    code, text = run("data", "check", f"imagefolder:{root}")
    assert (code, "4 problems" in text) == (1, True)
    (root / "test/ash/gone.png").unlink()
    with pytest.raises(FgbenchError, match=r"ash/text.bmp is not an image in .*\n  fgbench data check imagefolder:/"):
        cached_pixels(find(f"imagefolder:{root}").index(), Pipeline.parse("resize(8)"))


def test_an_image_with_too_many_pixels_is_a_finding_not_a_traceback(root, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    problems, _ = checked(root)
    assert "decompression bomb" in problems["corrupt", "train/ash/0.png"]
    with pytest.raises(FgbenchError, match=r"cannot be decoded: .* decompression bomb"):
        cached_pixels(find(f"imagefolder:{root}").index(), Pipeline.parse("resize(9)"))


def test_copies_are_told_as_leak_other_class_or_duplicate(root):
    for copy in ("test/ash/copy.png", "train/fern/copy.png", "train/ash/again.png"):
        shutil.copy(root / "train/ash/0.png", root / copy)
    shutil.copy(root / "test/ash/1.png", root / "test/fern/copy.png")
    shutil.copy(root / "train/fern/0.png", root / "train/fern/1.png")
    problems, notes = checked(root)
    same = "has the same bytes as"
    assert problems == {
        ("leak", "test/ash/copy.png"): f"this test image of ash {same} train/ash/0.png (training, ash), "
        "train/ash/again.png (training, ash), train/fern/copy.png (training, fern)",
        ("label", "test/ash/1.png"): f"this test image of ash {same} test/fern/copy.png (test, fern)",
    }
    assert notes == {
        ("duplicate", "train/fern/0.png"): f"this training image of fern {same} train/fern/1.png (training, fern)"
    }


def test_files_that_are_not_used_are_listed(root):
    draw(root / "train/stray.JPG", 50)
    draw(root / "val/ash/1.png", 51)
    draw(root / "train/ash/._hidden.png", 52)
    draw(root / "elsewhere/1.png", 53)
    (root / "test/ash/notes.txt").touch()
    problems, notes = checked(root)
    assert problems == {("extra", "train/stray.JPG"): "an image in no class folder: it is not used"}
    assert notes == {
        ("unused", "val"): "1 image not used, because there are test images",
        ("unused", "test/ash/notes.txt"): "not an image, by its name",
    }


def test_files_that_a_split_file_does_not_list_are_notes(tmp_path):
    root = write_split(tmp_path, [("1.png", "a", "train"), ("2.png", "b", "train"), ("3.png", "a", "test")])
    draw(root / "more/4.png", 50)
    (root / "notes.txt").touch()
    problems, notes = checked(root)
    assert problems == {}
    assert notes == {
        ("unused", "more/4.png"): "not an image for training or test in split.csv",
        ("class", "b"): "no test image of this class",
    }


def test_images_that_a_viewer_shows_differently_are_notes(root):
    exif = Image.Exif()
    exif[0x0112] = 6
    images = {
        "turned.jpg": (Image.new("RGB", (8, 6)), {"exif": exif}),
        "clear.png": (Image.new("RGBA", (8, 7), (1, 2, 3, 0)), {}),
        "deep.png": (Image.new("I;16", (8, 8)), {}),
        "grey.png": (Image.new("L", (8, 9)), {}),
    }
    for name, (image, options) in images.items():
        image.save(root / "train/ash" / name, **options)
    problems, notes = checked(root)
    assert problems == {}
    assert {
        file.rpartition("/")[2]: (kind, what.partition(":")[0])
        for (kind, file), what in notes.items()
        if kind != "constant"
    } == {
        "turned.jpg": ("reading", "its EXIF orientation is not applied"),
        "clear.png": ("reading", "transparent pixels are read as white"),
        "deep.png": ("reading", "values from 0 to 0 of 0 to 65535 are scaled to 8 bits"),
        "grey.png": ("grey", "grey image; read as three equal channels"),
    }
