import errno
import os
from dataclasses import replace

import numpy as np
import pytest
from dotted_images import dotted_images
from PIL import Image

from fgbench.datasets import pixel_cache
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import cached_pixels, pixel_key
from fgbench.util import checked_rows
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder

PIPELINE = Pipeline.parse("resize_short(24) | center_crop(24) | flip")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def index(tmp_path):
    return dotted_images(tmp_path)


def test_cached_pixels_equal_the_decoded_images(birds):
    cached = cached_pixels(birds, PIPELINE)
    assert cached.shape == (30, 24, 24, 3)
    with Image.open(birds.root / birds.files[17]) as image:
        assert np.array_equal(cached[17], PIPELINE.decode(image))


def test_key_depends_on_images_and_deterministic_steps_only(birds):
    assert pixel_key(birds, PIPELINE) == pixel_key(birds, Pipeline.parse("resize_short(24) | center_crop(24)"))
    assert pixel_key(birds, PIPELINE) != pixel_key(birds, Pipeline.parse("resize_short(25) | center_crop(24)"))
    assert pixel_key(birds, PIPELINE) != pixel_key(birds.first_classes(2), PIPELINE)


def test_an_interrupted_call_is_continued(birds, monkeypatch):
    monkeypatch.setattr(pixel_cache, "CHUNK", 8)
    original = pixel_cache._decode
    decoded = []

    def failing(index, row, pipeline):
        decoded.append(row)
        if row == 20:
            raise KeyboardInterrupt
        return original(index, row, pipeline)

    monkeypatch.setattr(pixel_cache, "_decode", failing)
    with pytest.raises(KeyboardInterrupt):
        cached_pixels(birds, PIPELINE)
    decoded.clear()
    monkeypatch.setattr(pixel_cache, "_decode", lambda *a: (decoded.append(a[1]), original(*a))[1])
    result = np.array(cached_pixels(birds, PIPELINE))
    assert min(decoded) == 16
    with Image.open(birds.root / birds.files[3]) as image:
        assert np.array_equal(result[3], PIPELINE.decode(image))


def test_the_second_call_decodes_nothing(birds, monkeypatch):
    cached_pixels(birds, PIPELINE)
    monkeypatch.setattr(pixel_cache, "_decode", None)
    assert cached_pixels(birds, PIPELINE).shape == (30, 24, 24, 3)


def test_an_error_names_a_corrupt_image(birds, birds_folder, tmp_path):
    import shutil

    from fgbench.datasets import cub

    copy = shutil.copytree(birds_folder, tmp_path / "copy")
    index = cub.load(copy)
    (copy / index.files[4]).write_bytes(b"broken")
    with pytest.raises(FgbenchError, match=index.files[4].rsplit("/", 1)[1]):
        cached_pixels(index, PIPELINE)


def test_a_full_disk_is_an_error_before_anything_is_written(birds, monkeypatch):
    monkeypatch.setattr(pixel_cache.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(FgbenchError, match="FGBENCH_CACHE"):
        cached_pixels(birds, PIPELINE)


def test_the_key_depends_on_boxes_only_with_crop_box(index):
    moved, none = replace(index, boxes=index.boxes + 1), replace(index, boxes=None)
    plain, cut = Pipeline.parse("resize(48)"), Pipeline.parse("crop_box | resize(48)")
    assert pixel_key(index, plain) == pixel_key(moved, plain) == pixel_key(none, plain)
    assert pixel_key(index, cut) != pixel_key(moved, cut)
    assert pixel_key(index, cut) != pixel_key(index, plain)
    assert pixel_key(index, cut) == pixel_key(replace(index, parts=None), cut)


def test_crop_box_uses_the_boxes_and_errors_name_the_image(index):
    cut = Pipeline.parse("crop_box | resize(40)")
    with Image.open(index.root / "1.png") as image:
        np.testing.assert_array_equal(cached_pixels(index, cut)[1], cut.decode(image, index.boxes[1]))
    with pytest.raises(FgbenchError, match=r"0.png: crop_box needs the box of the object"):
        cached_pixels(replace(index, boxes=None), cut)
    outside = index.boxes.copy()
    outside[2, 0] = 500
    with pytest.raises(FgbenchError, match=r"2.png: the box .* outside the image of 80 x 80"):
        cached_pixels(replace(index, boxes=outside), cut)


def files(suffix):
    return list((cache_folder() / "pixels").glob(f"*{suffix}"))


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(("place", "text"), [(-1, "rows from 24 on"), (-17 * 1728, "rows from 8 on"), (9, "header")])
def test_damaged_pixels_are_named_and_decoded_again(birds, monkeypatch, capsys, place, text):
    monkeypatch.setattr(pixel_cache, "CHUNK", 8)
    expected = np.array(cached_pixels(birds, PIPELINE))
    flip(*files(".npy"), place)
    assert np.array_equal(cached_pixels(birds, PIPELINE), expected)
    assert text in capsys.readouterr().err
    cached_pixels(birds, PIPELINE)
    assert not capsys.readouterr().err


def test_pixels_without_checksums_are_named_and_decoded_again(birds, capsys):
    """Earlier versions of fgbench wrote no checksums."""
    expected = np.array(cached_pixels(birds, PIPELINE))
    files(".json")[0].unlink()
    flip(*files(".npy"), -1)
    pixel_cache._verified.clear()
    assert np.array_equal(cached_pixels(birds, PIPELINE), expected)
    assert "has no checksums and is computed again" in capsys.readouterr().err


def test_a_process_verifies_a_file_once_until_it_changes(birds, monkeypatch):
    cached_pixels(birds, PIPELINE)
    read = []
    original = pixel_cache.are_complete
    monkeypatch.setattr(pixel_cache, "are_complete", lambda *a: (read.append(a), original(*a))[1])
    for _ in range(3):
        cached_pixels(birds, PIPELINE)
    assert len(read) == 1
    os.utime(*files(".npy"), ns=(1, 1))
    cached_pixels(birds, PIPELINE)
    assert len(read) == 2


def test_a_disk_that_becomes_full_keeps_the_finished_chunks(birds, monkeypatch):
    monkeypatch.setattr(pixel_cache, "CHUNK", 8)
    monkeypatch.setattr(checked_rows, "FLUSH_S", 0)
    decoded, original, real = [], pixel_cache._decode, os.fsync
    monkeypatch.setattr(pixel_cache, "_decode", lambda *a: (decoded.append(a[1]), original(*a))[1])

    def full(handle):
        if len(decoded) > 16:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(FgbenchError, match=r"the disk of .* is full"):
            cached_pixels(birds, PIPELINE)
    decoded.clear()
    cached_pixels(birds, PIPELINE)
    assert min(decoded) == 16


def test_intact_pixels_are_read_from_a_cache_that_cannot_be_written(birds, monkeypatch):
    expected = np.array(cached_pixels(birds, PIPELINE))
    pixel_cache._verified.clear()
    monkeypatch.setattr(pixel_cache, "locked", None)
    assert np.array_equal(cached_pixels(birds, PIPELINE), expected)


def test_a_cache_that_cannot_be_written_is_an_error_with_the_next_step(birds, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(FgbenchError, match="is a file, not a folder") as caught:
        cached_pixels(birds, PIPELINE)
    assert "set FGBENCH_CACHE" in caught.value.hint
