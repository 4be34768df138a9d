import io

import numpy as np
import pytest
from PIL import Image
from small_recipes import small_recipe

from fgbench.datasets.pipeline import Pipeline
from fgbench.runs.changed_settings import with_changes
from fgbench.runs.run import Changes
from fgbench.util.errors import FgbenchError

BOX = np.array([5.0, 4.0, 40.0, 32.0])


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(256, size=(48, 64, 3), dtype=np.uint8))


def as_jpeg(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


@pytest.mark.parametrize("steps", ["resize(32)", "crop_box | resize_short(24) | center_crop(16)"])
def test_the_whole_image_is_compressed_before_all_other_steps(picture, steps):
    pipeline = Pipeline.parse(steps)
    expected = pipeline.decode(as_jpeg(picture, 30), BOX)
    assert (pipeline.recompressed(30).decode(picture, BOX) == expected).all()
    assert (expected != pipeline.decode(picture, BOX)).any()


def test_a_lower_quality_changes_more_pixels(picture):
    plain = Pipeline.parse("resize(32)")
    before = plain.decode(picture).astype(float)
    changes = [np.abs(plain.recompressed(quality).decode(picture) - before).mean() for quality in (95, 75, 50, 30, 5)]
    assert changes[0] > 0
    assert changes == sorted(changes)


def test_geometry_and_size_stay():
    plain = Pipeline.parse("crop_box | resize(60) | flip")
    assert plain.recompressed(75).geometry((100, 80), BOX) == plain.geometry((100, 80), BOX)
    assert plain.recompressed(75).output_size == 60
    assert str(plain.recompressed(75)) == "recompress(75) | crop_box | resize(60, bicubic) | flip"
    assert plain.recompressed(75).recompressed(30) == plain.recompressed(30)
    assert str(plain.recompressed(75).resized(30)) == "recompress(75) | crop_box | resize(30, bicubic) | flip"


def test_a_grey_image_is_compressed_in_colour(picture):
    grey = picture.convert("L")
    expected = Pipeline.parse("resize(32)").decode(as_jpeg(grey.convert("RGB"), 50))
    assert (Pipeline.parse("recompress(50) | resize(32)").decode(grey) == expected).all()


def test_both_pipelines_of_a_run_are_changed():
    settings = small_recipe().resolve("quick")
    changed = with_changes(settings, Changes(recompress=50))
    assert changed.train_pipeline == f"recompress(50) | {settings.train_pipeline}"
    assert changed.test_pipeline == f"recompress(50) | {settings.test_pipeline}"
    smaller = with_changes(settings, Changes(size=32, recompress=50))
    assert smaller.test_pipeline.startswith("recompress(50) | ")
    assert Pipeline.parse(smaller.test_pipeline).output_size == 32
    with pytest.raises(FgbenchError, match="JPEG quality"):
        with_changes(settings, Changes(recompress=96))
