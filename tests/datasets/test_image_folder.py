import os
import re

import pytest
from own_folders import draw, fill
from torchvision.datasets.folder import IMG_EXTENSIONS, ImageFolder

from fgbench.datasets import find, image_folder
from fgbench.datasets.obtain import get_data, is_here
from fgbench.util.errors import FgbenchError


def index_of(root):
    return find(f"imagefolder:{root}").index()


def test_train_and_test_are_read_as_torchvision_reads_them(tmp_path):
    index = index_of(fill(tmp_path / "my images"))
    assert image_folder.SUFFIXES == IMG_EXTENSIONS
    for split, rows in (("train", index.train), ("test", ~index.train)):
        reference = ImageFolder(str(tmp_path / "my images" / split))
        part = index.select(rows)
        assert list(index.classes) == reference.classes == ["ash", "fern, blue", "Öl-Weide"]
        assert [(str(index.root / file), label) for file, label in zip(part.files, part.labels, strict=True)] == (
            reference.samples
        )
    assert index.counts == {"train": 10, "test": 6, "classes": 3}


def test_the_same_folder_by_another_path_is_the_same_data(tmp_path, monkeypatch):
    root = fill(tmp_path / "leaves")
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    first = index_of(root)
    for path in ("leaves", "./leaves/", "~/leaves", f"{root}/train/..", "link", "../" + tmp_path.name + "/leaves"):
        dataset = find(f"imagefolder:{path}")
        assert (dataset.name, dataset.title) == (f"imagefolder:{root}", "leaves"), path
        assert dataset.index().fingerprint == first.fingerprint
    root.rename(tmp_path / "moved")
    assert index_of(tmp_path / "moved").fingerprint == first.fingerprint
    draw(tmp_path / "moved/test/ash/0.png", number=100)
    assert index_of(tmp_path / "moved").fingerprint != first.fingerprint


def test_names_in_records_and_ids_have_no_path():
    name = "imagefolder:/some/where/my\x1bimages"
    assert image_folder.recorded_name(name) == r"imagefolder:my\x1bimages"
    assert image_folder.hashed_name(name) == "imagefolder"
    assert (image_folder.recorded_name("cub"), image_folder.hashed_name("cub")) == ("cub", "cub")
    assert image_folder.title_of(image_folder.folder_of("imagefolder:/")) == "/"


def test_val_is_the_test_split_only_if_there_is_no_test_image(tmp_path):
    root = fill(tmp_path, {"train": {"a": 1, "b": 1}, "val": {"a": 2, "b": 1}})
    assert index_of(root).counts == {"train": 2, "test": 3, "classes": 2}
    (root / "test/a").mkdir(parents=True)
    assert index_of(root).counts["test"] == 3
    draw(root / "test/a/x.jpg")
    assert index_of(root).files == ("test/a/x.jpg", "train/a/0.png", "train/b/0.png")


def test_suffixes_in_upper_case_and_deeper_folders_count_and_hidden_and_other_files_do_not(tmp_path):
    root = fill(tmp_path, {"train": {"a": 1, "b": 1}, "test": {"a": 1}})
    for file in ("train/a/deep/er/1.JPG", "train/b/2.Jpeg"):
        draw(root / file)
    for file in ("train/a/._1.png", "train/.cache/3.png", "train/a/.thumbs/3.png", "train/3.png", "train/a/4.gif"):
        draw(root / file)
    (root / "train/a/5.jpg").mkdir()
    (root / "train/a/notes.txt").touch()
    assert index_of(root).files == (
        "test/a/0.png", "train/a/0.png", "train/a/deep/er/1.JPG", "train/b/0.png", "train/b/2.Jpeg"
    )  # fmt: skip


def test_links_are_followed_and_a_loop_ends(tmp_path):
    root = fill(tmp_path / "r", {"train": {"a": 1, "b": 1}, "test": {"a": 1}})
    draw(tmp_path / "elsewhere/1.png")
    (root / "train/a/linked").symlink_to(tmp_path / "elsewhere")
    (root / "train/b/1.png").symlink_to(tmp_path / "elsewhere/1.png")
    (root / "train/c").symlink_to(tmp_path / "elsewhere")
    (root / "train/a/self").symlink_to(root / "train/a")
    index = index_of(root)
    assert index.files[1:] == ("train/a/0.png", "train/a/linked/1.png", "train/b/0.png", "train/b/1.png",
                               "train/c/1.png")  # fmt: skip
    assert index.classes == ("a", "b", "c")


def test_a_class_without_test_images_is_kept(tmp_path):
    index = index_of(fill(tmp_path, {"train": {"a": 1, "b": 1}, "test": {"a": 1, "b": 0}}))
    assert (index.classes, index.counts["test"]) == (("a", "b"), 1)


@pytest.mark.parametrize(
    ("images", "message", "hint"),
    [
        ({"a": {}, "b": {}}, "has no folder train and no split.csv (its folders: a, b)", "/train/CLASS"),
        ({}, "has no folder train and no split.csv (its folders: none)", "with the columns file,label,split"),
        ({"train": {"a": 1, "b": 1}}, "has no folder test or val and no split.csv", "/test/CLASS"),
        ({"test": {"a": 1, "b": 1}}, "has no folder train and no split.csv", "/train/CLASS"),
        ({"train": {"a": 0, "b": 1}, "test": {"b": 1}}, "train/a has no image (.jpg, ", "add images, or remove it"),
        ({"train": {"a": 1}, "test": {"a": 1, "b": 0}}, "test/b has no image", "add images, or remove it"),
        ({"train": {}, "test": {"a": 1}}, "has no training image", "add training images of each class"),
        ({"train": {"a": 1, "b": 1}, "test": {}}, "has no test image", "add test images of each class"),
        ({"train": {"a": 1, "b": 1}, "test": {"c": 2}}, "the class 'c' has test images, but no training image",
         "add training images of 'c', or remove its test images"),
        ({"train": {"a": 1}, "test": {"a": 1}}, "has only one class, 'a'", "add images of a second class"),
        ({"train": {"a\nb": 1, "c": 1}, "test": {"c": 1}}, r"the name 'a\\nb' has a control character", "rename it"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_used_is_refused(images, message, hint, tmp_path):
    for split in images:
        (tmp_path / split).mkdir()
    with pytest.raises(FgbenchError, match=re.escape(message)) as caught:
        index_of(fill(tmp_path, images))
    assert hint in caught.value.hint
    assert str(tmp_path) in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_not_unicode_is_refused(tmp_path):
    root = fill(tmp_path, {"train": {"a": 1, "b": 1}, "test": {"b": 1}})
    os.rename(os.fsencode(root / "train/a"), os.fsencode(root / "train") + b"/\xff")  # noqa: PTH104 - bytes
    with pytest.raises(FgbenchError, match="control character or is not valid Unicode"):
        index_of(root)


def test_a_folder_above_or_below_the_right_one_is_named(tmp_path):
    fill(tmp_path / "leaves")
    for path in (tmp_path, tmp_path / "leaves/test"):
        with pytest.raises(FgbenchError, match=r"has no folder train and no split\.csv, but") as caught:
            index_of(path)
        assert caught.value.hint == f"imagefolder:{tmp_path / 'leaves'}"


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "images.zip").touch()
    for path, message in (("images.zip", "is a file, not a folder"), ("gone", "does not exist")):
        with pytest.raises(FgbenchError, match=message):
            index_of(tmp_path / path)
        assert not is_here(f"imagefolder:{tmp_path / path}")
    with pytest.raises(FgbenchError, match="imagefolder: names no folder"):
        find("imagefolder:")


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    root = fill(tmp_path)

    def deny(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", deny)
    with pytest.raises(FgbenchError, match=r"cannot read .*: Permission denied\n  get the permission"):
        list(image_folder.files_below(root))


def test_a_folder_in_place_of_a_name_is_suggested(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "leaves")
    with pytest.raises(FgbenchError, match="for images of your own: imagefolder:leaves"):
        find("leaves")
    assert is_here("imagefolder:leaves")
    assert get_data("imagefolder:leaves") == tmp_path / "leaves"
