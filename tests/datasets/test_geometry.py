import numpy as np
import pytest
from dotted_images import SIZES, dotted_images

from fgbench.datasets.geometry import image_sizes, input_geometry, to_input, to_original
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import cached_pixels
from fgbench.util.errors import ArgumentError, FgbenchError


@pytest.fixture
def index(tmp_path):
    return dotted_images(tmp_path)


def test_image_sizes_are_width_and_height(index):
    assert image_sizes(index).tolist() == [list(size) for size in SIZES]
    assert image_sizes(index).dtype == np.int64


def test_an_error_names_a_file_that_is_not_an_image(index):
    (index.root / "1.png").write_bytes(b"nothing")
    with pytest.raises(
        FgbenchError,
        match=r"1.png is not an image in a format that is read, or its header is damaged\n  fgbench data check",
    ):
        image_sizes(index)
    (index.root / "1.png").unlink()
    with pytest.raises(FgbenchError, match=r"1.png does not exist"):
        image_sizes(index)


@pytest.mark.parametrize("text", ["resize(48)", "resize_short(56) | center_crop(48)", "crop_box | resize(48)"])
def test_keypoints_match_the_pixels_and_convert_back(index, text, tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    pipeline = Pipeline.parse(text)
    scale, offset = input_geometry(index, pipeline)
    assert scale.shape == offset.shape == (3, 2)
    moved = to_input(index.parts, scale, offset, pipeline.cached_size)
    assert moved.shape == (3, 1, 3)
    assert (moved[..., 2] == 1).all()
    rows, columns = np.indices((48, 48)) + 0.5
    for pixels, (x, y, _) in zip(cached_pixels(index, pipeline), moved[:, 0], strict=True):
        light = pixels.sum(-1, dtype=float)
        light[light < light.max() / 3] = 0
        assert abs((columns * light).sum() / light.sum() - x) < 0.5
        assert abs((rows * light).sum() / light.sum() - y) < 0.5
    np.testing.assert_allclose(to_original(moved[..., :2], scale, offset), index.parts[..., :2], atol=1e-9)


def test_to_input_makes_keypoints_outside_the_input_invisible():
    points = np.array([[[10.0, 20, 1], [0, 20, 1], [10, 90, 1], [10, 20, 0], [5, 35, 1]]])
    moved = to_input(points, np.array([[2.0, 0.5]]), np.array([[-5.0, -1.0]]), 30)
    np.testing.assert_allclose(moved[0, :, 0], [15, -5, 15, 15, 5])
    np.testing.assert_allclose(moved[0, :, 1], [9, 9, 44, 9, 16.5])
    assert moved[0, :, 2].tolist() == [1, 0, 0, 0, 1]


@pytest.mark.parametrize("shapes", [((2, 5, 2), (2, 2), (2, 2)), ((2, 5, 3), (1, 2), (1, 2)), ((5, 3), (5, 2), (5, 2))])
def test_shapes_that_do_not_agree_are_an_error(shapes):
    with pytest.raises(ArgumentError, match=r"must have shapes \(N, P, 3\), \(N, 2\) and \(N, 2\), not"):
        to_input(*map(np.zeros, shapes), 30)
