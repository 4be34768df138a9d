import numpy as np
import pytest
import torch
from PIL import Image

from fgbench.augment import augment
from fgbench.errors import FgbenchError
from fgbench.pipeline import Pipeline


def test_canonical_form_says_every_argument():
    assert str(Pipeline.parse("resize_short(448)|center_crop( 448 )|flip")) == (
        "resize_short(448, bicubic) | center_crop(448) | flip"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("resize_shrot(448) | center_crop(448)", "did you mean 'resize_short'"),
        ("flip | center_crop(448)", "after the others"),
        ("resize_short(448)", "must end in one size"),
        ("resize_short(448) | flip", "must end in one size"),
        ("center_crop", "takes a size"),
        ("center_crop(0)", "takes a size"),
        ("resize(32, bicubik)", "did you mean 'bicubic'"),
        ("center_crop(32, bicubic)", "takes a size"),
        ("flip(2) ", "must end in one size|no argument"),
        ("", "not a step"),
    ],
)
def test_mistakes_are_named(text, says):
    with pytest.raises(FgbenchError, match=says):
        Pipeline.parse(text)


def test_decode_keeps_aspect_and_cuts_the_middle():
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 20:60] = 200
    out = Pipeline.parse("resize_short(20) | center_crop(20)").decode(Image.fromarray(pixels))
    assert out.shape == (20, 20, 3)
    assert (out > 180).all()


def test_grey_image_becomes_three_equal_channels():
    out = Pipeline.parse("resize(8)").decode(Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)))
    assert (out[..., 0] == out[..., 1]).all()
    assert (out[..., 0] == out[..., 2]).all()


def test_crop_of_a_smaller_image_is_refused():
    with pytest.raises(FgbenchError, match="resize before"):
        Pipeline.parse("center_crop(20)").decode(Image.new("RGB", (10, 30)))


def test_resized_scales_every_size():
    pipeline = Pipeline.parse("resize_short(512) | center_crop(448) | flip").resized(224)
    assert str(pipeline) == "resize_short(256, bicubic) | center_crop(224) | flip"
    assert pipeline.cached_size == 224


def test_flip_mirrors_about_half_and_depends_on_the_generator_alone():
    images = torch.arange(1000 * 12).reshape(1000, 1, 3, 4)
    pipeline = Pipeline.parse("resize(4) | flip")
    one = augment(pipeline, images, torch.Generator().manual_seed(1))[0]
    torch.rand(5)
    assert torch.equal(one, augment(pipeline, images, torch.Generator().manual_seed(1))[0])
    same = (one == images).flatten(1).all(1)
    mirrored = (one == images.flip(-1)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 420 < int(mirrored.sum()) < 580


def test_random_crop_cuts_windows_of_the_image():
    images = torch.arange(36).reshape(1, 1, 6, 6).expand(50, 3, 6, 6)
    out = augment(Pipeline.parse("resize(6) | random_crop(4)"), images, torch.Generator().manual_seed(0))[0]
    assert out.shape == (50, 3, 4, 4)
    assert (out[:, :, 1:, 0] - out[:, :, :-1, 0] == 6).all()
    assert len({int(corner) for corner in out[:, 0, 0, 0]}) == 9
