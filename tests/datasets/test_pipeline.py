import numpy as np
import pytest
import torch
from PIL import Image

from fgbench.datasets.augment import augment
from fgbench.datasets.pipeline import Pipeline
from fgbench.util.errors import FgbenchError


def test_str_writes_every_argument():
    assert str(Pipeline.parse("resize_short(448)|center_crop( 448 )|flip")) == (
        "resize_short(448, bicubic) | center_crop(448) | flip"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resize_shrot(448) | center_crop(448)", "did you mean 'resize_short'"),
        ("flip | center_crop(448)", "must follow the others"),
        ("resize_short(448)", "must be resize or center_crop"),
        ("resize_short(448) | flip", "must be resize or center_crop"),
        ("center_crop", "takes a size"),
        ("center_crop(0)", "takes a size"),
        ("resize(32, bicubik)", "did you mean 'bicubic'"),
        ("center_crop(32, bicubic)", "takes a size"),
        ("flip(2) ", "must be resize or center_crop|no argument"),
        ("", "not a step"),
        ("resize(8))", "not a step"),
        ("Resize(8)", "not a step"),
        ("center_crop(-3)", "takes a size"),
        ("center_crop(3.5)", "takes a size"),
        ("center_crop(\u00b2)", "takes a size"),
        ("resize(8, bicubic, 3)", "takes a size in pixels and a filter"),
        ("center_crop(3, 4)", "takes a size in pixels$"),
        ("resize(8) | random_crop(0)", "random_crop takes a size"),
        ("resize(8) | random_crop", "random_crop takes a size"),
        ("resize(8) | shift(2)", "shift takes two lengths"),
        ("resize(8) | shift(2, 1, 1)", "shift takes two lengths"),
        ("resize(8) | shift(2, x)", "shift takes two lengths"),
        ("resize(8) | shift(4, 1)", "nothing remains"),
        ("resize(8) | shift(1, 2) | shift(2, 0)", "nothing remains"),
        ("resize(8) | rotate", "rotate takes an angle in degrees, at most 180$"),
        ("resize(8) | rotate(0)", "rotate takes an angle in degrees, at most 180$"),
        ("resize(8) | rotate(181)", "rotate takes an angle in degrees, at most 180$"),
        ("resize(8) | rotate(a)", "rotate takes an angle in degrees, at most 180$"),
        ("resize(8) | rotate(nan)", "rotate takes an angle in degrees, at most 180$"),
        ("resize(8) | rotate(3, 4)", "rotate takes an angle in degrees, at most 180$"),
        ("resize(8) | color_jitter(1.5)", "color_jitter takes a strength, at most 1$"),
        ("resize(8) | color_jitter", "color_jitter takes a strength, at most 1$"),
        ("resize(8) | pca_noise(-0.1)", "pca_noise takes a standard deviation, at most 1$"),
        ("resize(8) | flip(1)", "flip takes no argument"),
        ("crop_box(3) | resize(8)", "crop_box takes no argument"),
        ("crop_box", "must be resize or center_crop"),
        ("crop_box | resize_short(8)", "must be resize or center_crop"),
        ("resize(8) | resize_short(9)", "must be resize or center_crop"),
        ("resize(8) | crop_box | center_crop(4)", "crop_box must be the first step"),
        ("crop_box | crop_box | resize(8)", "crop_box must be the first step"),
        ("resize(8) | cut_bottom(2) | resize(8)", "cut_bottom must be the first step"),
        ("cut_bottom | resize(8)", "cut_bottom takes a height in pixels"),
        ("cut_bottom(2.5) | resize(8)", "cut_bottom takes a height in pixels"),
        ("resize(8) | recompress(75) | resize(8)", "recompress must be the first step"),
        ("recompress(75) | recompress(75) | resize(8)", "recompress must be the first step"),
        ("recompress | resize(8)", "recompress takes a JPEG quality from 1 to 95"),
        ("recompress(0) | resize(8)", "recompress takes a JPEG quality from 1 to 95"),
        ("recompress(96) | resize(8)", "recompress takes a JPEG quality from 1 to 95"),
        ("recompress(7.5) | resize(8)", "recompress takes a JPEG quality from 1 to 95"),
        ("resize(8) | rotat(3)", "did you mean 'rotate'"),
        ("resize(8) | flip | resize(8)", "must follow the others"),
    ],
)
def test_parse_reports_mistakes(text, message):
    with pytest.raises(FgbenchError, match=message):
        Pipeline.parse(text)


def test_decode_keeps_aspect_ratio_and_crops_the_centre():
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, 20:60] = 200
    out = Pipeline.parse("resize_short(20) | center_crop(20)").decode(Image.fromarray(pixels))
    assert out.shape == (20, 20, 3)
    assert (out > 180).all()


def test_grey_image_becomes_three_equal_channels():
    out = Pipeline.parse("resize(8)").decode(Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)))
    assert (out[..., 0] == out[..., 1]).all()
    assert (out[..., 0] == out[..., 2]).all()


def test_a_crop_larger_than_the_image_is_an_error():
    with pytest.raises(FgbenchError, match="put a resize step before"):
        Pipeline.parse("center_crop(20)").decode(Image.new("RGB", (10, 30)))


def test_resized_scales_every_length():
    pipeline = Pipeline.parse("resize_short(512) | center_crop(448) | flip").resized(224)
    assert str(pipeline) == "resize_short(256, bicubic) | center_crop(224) | flip"
    assert pipeline.cached_size == 224


def test_str_parses_to_an_equal_pipeline():
    text = (
        "crop_box | resize_short(52, lanczos) | resize(50, bilinear) | center_crop(48) | random_crop(44) | "
        "shift(3, 2) | flip | rotate(7.5) | color_jitter(0.4) | pca_noise(0.1)"
    )
    pipeline = Pipeline.parse(text)
    assert str(pipeline) == text
    assert Pipeline.parse(str(pipeline)) == pipeline
    assert " | ".join(map(str, pipeline.fixed + pipeline.random)) == text
    assert len(pipeline.fixed) == 4
    assert [step.name for step in pipeline.random][:2] == ["random_crop", "shift"]
    assert str(Pipeline.parse("resize(8, lanczos) | rotate(30.0)")) == "resize(8, lanczos) | rotate(30)"


@pytest.mark.parametrize(
    ("text", "cached", "output"),
    [
        ("resize(50) | flip", 50, 50),
        ("resize_short(60) | center_crop(50) | random_crop(44)", 50, 44),
        ("resize(50) | shift(3, 5)", 50, 40),
        ("resize(50) | shift(5, 3) | flip", 50, 40),
        ("resize(50) | random_crop(44) | shift(2, 0)", 50, 40),
        ("resize(50) | shift(2, 0) | random_crop(44)", 50, 44),
        ("center_crop(30) | resize(20)", 20, 20),
        ("resize(30) | center_crop(20) | rotate(9)", 20, 20),
    ],
)
def test_sizes(text, cached, output):
    pipeline = Pipeline.parse(text)
    assert (pipeline.cached_size, pipeline.output_size) == (cached, output)
    pixels = pipeline.decode(Image.new("RGB", (70, 61)))
    assert pixels.shape == (cached, cached, 3)
    assert pixels.dtype == np.uint8
    images = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    assert augment(pipeline, images, torch.Generator().manual_seed(0))[0].shape == (1, 3, output, output)


@pytest.mark.parametrize(
    ("text", "size", "result"),
    [
        ("resize_short(512) | center_crop(448) | random_crop(400)", 200, "256|224|200"),
        ("resize(250, bilinear) | shift(13, 6)", 448, "500|26, 12"),
        ("resize(448) | rotate(10) | color_jitter(0.4) | pca_noise(0.1) | flip", 112, "112|10|0.4|0.1"),
    ],
)
def test_resized_scales_lengths_only(text, size, result):
    pipeline = Pipeline.parse(text)
    resized = pipeline.resized(size)
    assert resized.output_size == size
    assert "|".join(", ".join(f"{n:g}" for n in step.numbers) for step in resized.steps if step.numbers) == result
    assert [step.name for step in resized.steps] == [step.name for step in pipeline.steps]
    assert [step.filter_name for step in resized.steps] == [step.filter_name for step in pipeline.steps]


@pytest.mark.parametrize("text", ["resize(250) | shift(13, 7)", "resize_short(250) | center_crop(250) | shift(5, 13)"])
def test_resized_has_exactly_the_requested_size(text):
    for size in range(20, 300):
        resized = Pipeline.parse(text).resized(size)
        assert resized.output_size == size
        assert resized.decode(Image.new("RGB", (400, 333))).shape[0] == resized.cached_size


BOX = np.array([10.4, 5.0, 20.2, 30.0])


def test_crop_box_keeps_all_pixels_that_the_box_touches():
    step = Pipeline.parse("crop_box | resize(8)").steps[0]
    assert step.window((100, 80), BOX) == ((10, 5, 31, 35), (21, 30))
    assert step.window((25, 20), BOX) == ((10, 5, 25, 20), (15, 15))
    assert step.window((100, 80), np.array([-4.5, -3.0, 10.0, 10.0])) == ((0, 0, 6, 7), (6, 7))
    pixels = np.zeros((80, 100, 3), np.uint8)
    pixels[5:35, 10:31] = 255
    out = Pipeline.parse("crop_box | resize(8)").decode(Image.fromarray(pixels), BOX)
    assert out.shape == (8, 8, 3)
    assert (out == 255).all()


def test_cut_bottom_removes_the_lowest_rows_of_the_original_image():
    pixels = np.full((80, 100, 3), 7, np.uint8)
    pixels[60:] = 200
    pipeline = Pipeline.parse("cut_bottom(20) | resize(8)")
    assert (pipeline.decode(Image.fromarray(pixels)) == 7).all()
    assert str(pipeline.resized(16)) == "cut_bottom(20) | resize(16, bicubic)"
    with pytest.raises(FgbenchError, match="leaves nothing of the image of 100 x 20 px"):
        pipeline.decode(Image.new("RGB", (100, 20)))


@pytest.mark.parametrize(
    "box", [None, [100, 5, 20, 20], [-30, 5, 30, 20], [5, 80, 3, 3], [5, -20, 3, 20], [5, 5, 0, 9]]
)
def test_crop_box_needs_a_box_that_overlaps_the_image(box):
    pipeline = Pipeline.parse("crop_box | resize(8)")
    box = None if box is None else np.array(box, dtype=float)
    message = "hides it from the method" if box is None else "outside the image of 100 x 80"
    with pytest.raises(FgbenchError, match=message):
        pipeline.decode(Image.new("RGB", (100, 80)), box)
    with pytest.raises(FgbenchError, match=message):
        pipeline.geometry((100, 80), box)


def image_with_dot(width, height, x, y):
    """A black image with a bright square of 5 px around pixel x, y."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[y - 2 : y + 3, x - 2 : x + 3] = 255
    return Image.fromarray(pixels)


def centre_of_light(pixels):
    """x, y of the bright square; the origin is the corner of the first pixel."""
    light = pixels.astype(float).sum(-1)
    light[light < light.max() / 3] = 0
    rows, columns = np.indices(light.shape) + 0.5
    return np.array([(columns * light).sum(), (rows * light).sum()]) / light.sum()


FIXED = [
    "resize(90)",
    "resize(61, bilinear)",
    "resize_short(70) | center_crop(61)",
    "resize_short(33, lanczos) | center_crop(32)",
    "center_crop(75)",
    "resize(150) | center_crop(101) | resize(60)",
    "resize_short(200) | center_crop(150) | resize(140)",
    "crop_box | resize(64)",
    "crop_box | resize_short(70) | center_crop(64)",
    "cut_bottom(9) | resize(64)",
]


@pytest.mark.parametrize("size", [(140, 81), (80, 133), (100, 100)], ids=["landscape", "portrait", "square"])
@pytest.mark.parametrize("text", FIXED)
def test_geometry_maps_points_like_pixels(text, size):
    pipeline, box = Pipeline.parse(text), np.array([size[0] / 2 - 28.7, size[1] / 2 - 30.2, 55.9, 62.1])
    scale, offset = pipeline.geometry(size, box)
    for right, down in ((-7, -9), (6, 10), (0, 1)):
        x, y = size[0] // 2 + right, size[1] // 2 + down
        measured = centre_of_light(pipeline.decode(image_with_dot(*size, x, y), box))
        expected = np.array([x + 0.5, y + 0.5]) * scale + offset
        assert ((expected > 0) & (expected < pipeline.cached_size)).all()
        np.testing.assert_allclose(measured, expected, atol=0.35)


def test_geometry_of_known_cases():
    assert Pipeline.parse("resize(50)").geometry((100, 200)) == ((0.5, 0.25), (0.0, 0.0))
    assert Pipeline.parse("center_crop(50)").geometry((100, 201)) == ((1.0, 1.0), (-25.0, -75.0))
    assert Pipeline.parse("resize_short(50) | center_crop(40)").geometry((200, 100)) == ((0.5, 0.5), (-30.0, -5.0))
    assert Pipeline.parse("crop_box | resize(60)").geometry((100, 80), BOX) == (
        (60 / 21, 2.0),
        (pytest.approx(-10 * 60 / 21), -10.0),
    )
