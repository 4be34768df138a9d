import numpy as np
import pytest
from PIL import Image

from fgbench.records.pictures import (
    FRAME,
    GAP,
    HUES,
    SHOWN,
    SIDE,
    draw_attention,
    draw_mark,
    draw_points,
    save_pictures,
    shown_rows,
)
from fgbench.records.store import Store

GREY = np.full((96, 96, 3), 100, np.uint8)


def brightest(pixels):
    """Return y, x of the centre of the brightest pixels."""
    light = pixels.astype(float).sum(-1)
    return np.argwhere(light >= light.max() - 3).mean(axis=0) + 0.5


@pytest.mark.parametrize(("count", "rows"), [
    (1, [0]), (3, [0, 1, 2]), (8, list(range(8))), (15, list(range(0, 15, 2))), (5794, None)
])  # fmt: skip
def test_rows_shown_are_spread_over_the_split(count, rows):
    shown = shown_rows(count).tolist()
    assert shown == rows or rows is None
    assert len(shown) == min(count, SHOWN)
    assert (shown[0], shown[-1]) == (0, count - 1)
    assert np.ptp(np.diff(shown)) <= 1 if len(shown) > 1 else True


@pytest.mark.parametrize("cells", [(6, 6), (7, 7), (12, 4)])
def test_attention_is_brightest_at_its_maximum(cells):
    for cell in ((0, 0), (1, 3), (cells[0] - 1, cells[1] - 2), (cells[0] // 2, 1)):
        attention = np.full(cells, 0.01, np.float32)
        attention[cell] = 1.0
        picture = draw_attention(GREY, attention)
        assert picture.shape == GREY.shape
        assert picture.dtype == np.uint8
        stride = 96 / np.array(cells)
        assert (np.abs(brightest(picture) - (np.array(cell) + 0.5) * stride) <= stride / 2 + 1).all()
        far = picture[95 if cell[0] < cells[0] / 2 else 0, 95 if cell[1] < cells[1] / 2 else 0].astype(int)
        assert far.sum() < picture.reshape(-1, 3).astype(int).sum(1).max() / 2


def test_attention_is_smooth_and_the_image_shows_through():
    attention = np.zeros((4, 4))
    attention[1, 2] = 1
    pixels = GREY.copy()
    pixels[:, :48] += 100
    picture = draw_attention(pixels, attention).astype(int)
    assert (picture[90, 10] - picture[90, 90] >= 40).all()
    row = picture[36, 60:96].sum(-1) - picture[90, 60:96].sum(-1)
    assert (np.diff(row) <= 1).all()
    assert len(set(row.tolist())) > 8
    even = draw_attention(GREY, np.ones((4, 4)))
    assert (even == even[0, 0]).all()


def test_each_keypoint_is_a_dot_of_one_colour_at_its_position():
    points = np.array([[20.0, 70.0], [60.0, 24.0], [48.0, 48.0]])
    picture = draw_points(GREY, points, np.array([True, True, False]))
    assert picture.shape == (SIDE, SIDE, 3)
    for number, (x, y) in enumerate(points[:2]):
        dot = np.argwhere((picture == HUES[number]).all(-1))
        middle = dot.mean(axis=0) + 0.5
        np.testing.assert_allclose(middle, np.array([y, x]) * SIDE / 96, atol=1)
        assert 20 < len(dot) < 80
        assert np.ptp(dot, axis=0).max() < 10
    assert not (picture == HUES[2]).all(-1).any()
    changed = (picture != 100).any(-1).sum()
    assert changed < 200
    assert len(set(HUES)) == len(HUES) == 15


def save_and_list(folder, outputs, truth=None, drawn=None, count=3):
    pixels = np.stack([np.full((64, 64, 3), 60 * k, np.uint8) for k in range(1, count + 1)])
    save_pictures(folder, "r" * 16, pixels, outputs, truth, drawn or {})
    return Store(folder).pictures("r" * 16)


def strip(path):
    with Image.open(path) as image:
        assert image.format == "JPEG"
        return np.asarray(image).astype(int)


def test_nothing_is_written_for_a_method_without_pictures(tmp_path):
    assert save_and_list(tmp_path, {"scores": np.zeros((3, 4))}) == {}
    assert not list(tmp_path.iterdir())


def test_strip_contains_all_images_side_by_side(tmp_path):
    attention = np.full((3, 4, 4), 0.01)
    attention[np.arange(3), np.arange(3), 3 - np.arange(3)] = 1
    pictures = save_and_list(
        tmp_path, {"attention": attention}, drawn={"sampled": np.full((3, 20, 20, 3), 200, np.uint8)}
    )
    assert list(pictures) == ["images", "attention", "sampled"]
    assert all(path.parent == tmp_path and path.name.startswith("r" * 16) for path in pictures.values())
    for path in pictures.values():
        assert strip(path).shape == (SIDE, 3 * SIDE + 2 * GAP, 3)
    images, heat, sampled = (strip(path) for path in pictures.values())
    for k in range(3):
        left = k * (SIDE + GAP)
        assert np.abs(images[20:-20, left + 20 : left + SIDE - 20] - 60 * (k + 1)).max() <= 2
        assert np.abs(sampled[20:-20, left + 20 : left + SIDE - 20] - 200).max() <= 2
        y, x = brightest(heat[:, left + 2 : left + SIDE - 2])
        assert abs(y - (k + 0.5) * SIDE / 4) < SIDE / 8 + 2
        assert abs(x + 2 - (3.5 - k) * SIDE / 4) < SIDE / 8 + 2
    assert (images[:, SIDE + 1 : SIDE + GAP - 1] > 245).all()


def dot_position(pixels, number):
    """Return y, x of the dot of a keypoint; None if there is no dot."""
    near = np.argwhere(np.abs(pixels - HUES[number]).max(-1) < 40)
    return near.mean(axis=0) + 0.5 if len(near) > 8 else None


def test_true_and_predicted_keypoints_are_drawn_for_visible_parts_only(tmp_path):
    true = np.tile([[10.0, 20, 1], [50, 40, 0]], (3, 1, 1))
    predicted = np.tile([[30.0, 50, -1], [20, 10, 1]], (3, 1, 1))
    pictures = save_and_list(tmp_path, {"keypoints": predicted}, true)
    assert list(pictures) == ["images", "keypoints, true", "keypoints, found"]
    for kind, x, y in (("keypoints, true", 10, 20), ("keypoints, found", 30, 50)):
        first = strip(pictures[kind])[:, :SIDE]
        np.testing.assert_allclose(dot_position(first, 0), np.array([y, x]) * SIDE / 64, atol=2)
        assert dot_position(first, 1) is None


def test_without_true_keypoints_predicted_visibility_selects_the_dots(tmp_path):
    predicted = np.tile([[30.0, 50, -1], [20, 10, 1]], (3, 1, 1))
    pictures = save_and_list(tmp_path, {"keypoints": predicted})
    assert list(pictures) == ["images", "keypoints, found"]
    first = strip(pictures["keypoints, found"])[:, :SIDE]
    assert dot_position(first, 0) is None
    np.testing.assert_allclose(dot_position(first, 1), np.array([10, 20]) * SIDE / 64, atol=2)


def test_right_and_wrong_marks_differ_in_frame_and_symbol():
    image = Image.fromarray(np.full((60, 30, 3), 200, np.uint8))
    right, wrong = (np.asarray(draw_mark(image, is_right).convert("L")).astype(int) for is_right in (True, False))
    assert right.shape == (60 + 2 * FRAME, 30 + 2 * FRAME)
    assert (right[0] < 150).all()  # solid
    assert 0.3 < (wrong[0] > 240).mean() < 0.7  # dashed
    marks = [framed[-18:-4, -18:-4] > 220 for framed in (right, wrong)]
    assert all(mark.any() for mark in marks)
    assert not np.array_equal(*marks)
    assert (right[FRAME:20, FRAME:20] == 200).all()
