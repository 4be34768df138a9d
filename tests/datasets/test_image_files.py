"""Image files named by the user: the pixels of the pixel cache, and every fault by its file."""

import numpy as np
import pytest
from own_folders import draw
from PIL import Image

from fgbench.datasets.image_files import ImageFiles
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import cached_pixels
from fgbench.util.errors import FgbenchError

PIPELINE = Pipeline.parse("resize_short(48, bilinear) | center_crop(48)")


def test_pixels_are_those_of_the_cache(birds):
    files = [birds.root / file for file in birds.files]
    images = ImageFiles(files, PIPELINE)
    cached = cached_pixels(birds, PIPELINE)
    assert images.shape == cached.shape
    assert np.array_equal(images[2:5], cached[2:5])
    assert np.array_equal(images[np.array([4, 1])], cached[[4, 1]])
    images.check()
    assert images.sizes() == [Image.open(file).size for file in files]


def test_every_file_that_is_no_image_is_named(tmp_path):
    good, cut, text, small = (tmp_path / name for name in ("good.png", "cut.png", "text.jpg", "small.png"))
    for path in (good, cut):
        draw(path)
    cut.write_bytes(cut.read_bytes()[:900])
    text.write_text("hello")
    draw(small, size=(8, 8))
    missing, folder = tmp_path / "missing.jpg", tmp_path / "folder"
    folder.mkdir()
    pipeline = Pipeline.parse("center_crop(16)")
    with pytest.raises(FgbenchError) as error:
        ImageFiles([good, cut, missing, text, folder, small, missing], pipeline).check()
    head, *lines = str(error.value.args[0]).splitlines()
    assert head == "5 of 7 images cannot be used:"
    faults = [line.strip() for line in lines]
    assert faults[0].startswith(f"{cut} cannot be decoded: ")
    assert faults[1:4] == [
        f"{missing} does not exist",
        f"{text} is not an image in a format that is read, or its header is damaged",
        f"{folder} is a folder, not an image",
    ]
    assert faults[4].startswith(f"{small}: ")
    with pytest.raises(FgbenchError, match=r"missing\.jpg does not exist"):
        ImageFiles([missing], pipeline).check()
