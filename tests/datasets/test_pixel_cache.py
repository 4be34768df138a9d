import numpy as np
import pytest
from PIL import Image

from fgbench.datasets import pixel_cache as pixels
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import cached_pixels, pixel_key
from fgbench.util.errors import FgbenchError

PIPELINE = Pipeline.parse("resize_short(24) | center_crop(24) | flip")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))


def test_holds_what_decoding_gives(birds):
    cached = cached_pixels(birds, PIPELINE)
    assert cached.shape == (30, 24, 24, 3)
    with Image.open(birds.root / birds.files[17]) as image:
        assert np.array_equal(cached[17], PIPELINE.decode(image))


def test_key_follows_content_and_preprocessing_alone(birds):
    assert pixel_key(birds, PIPELINE) == pixel_key(birds, Pipeline.parse("resize_short(24) | center_crop(24)"))
    assert pixel_key(birds, PIPELINE) != pixel_key(birds, Pipeline.parse("resize_short(25) | center_crop(24)"))
    assert pixel_key(birds, PIPELINE) != pixel_key(birds.first_classes(2), PIPELINE)


def test_goes_on_where_it_was_interrupted(birds, monkeypatch):
    monkeypatch.setattr(pixels, "CHUNK", 8)
    whole = pixels._decode
    seen = []

    def failing(index, row, pipeline):
        seen.append(row)
        if row == 20:
            raise KeyboardInterrupt
        return whole(index, row, pipeline)

    monkeypatch.setattr(pixels, "_decode", failing)
    with pytest.raises(KeyboardInterrupt):
        cached_pixels(birds, PIPELINE)
    seen.clear()
    monkeypatch.setattr(pixels, "_decode", lambda *a: (seen.append(a[1]), whole(*a))[1])
    result = np.array(cached_pixels(birds, PIPELINE))
    assert min(seen) == 16
    with Image.open(birds.root / birds.files[3]) as image:
        assert np.array_equal(result[3], PIPELINE.decode(image))


def test_second_call_decodes_nothing(birds, monkeypatch):
    cached_pixels(birds, PIPELINE)
    monkeypatch.setattr(pixels, "_decode", None)
    assert cached_pixels(birds, PIPELINE).shape == (30, 24, 24, 3)


def test_corrupt_image_is_named(birds, birds_folder, tmp_path):
    import shutil

    from fgbench.datasets import cub

    copy = shutil.copytree(birds_folder, tmp_path / "copy")
    index = cub.load(copy)
    (copy / index.files[4]).write_bytes(b"broken")
    with pytest.raises(FgbenchError, match=index.files[4].rsplit("/", 1)[1]):
        cached_pixels(index, PIPELINE)


def test_no_room_on_the_disk_is_said_before_anything_is_written(birds, monkeypatch):
    monkeypatch.setattr(pixels.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(FgbenchError, match="FGBENCH_CACHE"):
        cached_pixels(birds, PIPELINE)
