import math

import numpy as np
import pytest

from fgbench.metrics.attention import attention_at_points, attention_in_boxes

SIZE = 60


def maps(samples=30, height=5, width=7, seed=0):
    return np.random.default_rng(seed).random((samples, height, width)).astype(np.float32)


def keypoints(samples=30, parts=4, seed=1):
    rng = np.random.default_rng(seed)
    return np.dstack([rng.uniform(0, SIZE, (samples, parts, 2)), rng.random((samples, parts)) < 0.7])


def boxes(samples=30, seed=2):
    """Return boxes, some of which extend outside the image."""
    rng = np.random.default_rng(seed)
    return np.hstack([rng.uniform(-3, SIZE - 5, (samples, 2)), rng.uniform(4, 50, (samples, 2))])


def test_attention_at_points_equals_a_naive_reference():
    attention, points = maps(), keypoints()
    result = attention_at_points(attention, points, SIZE)
    assert result.shape == (30, 4)
    assert result.dtype == np.float64
    for n in range(30):
        values = [float(v) for row in attention[n] for v in row]
        for p, (x, y, visible) in enumerate(points[n]):
            if visible:
                cell = attention[n, math.floor(y / (SIZE / 5)), math.floor(x / (SIZE / 7))]
                assert result[n, p] == pytest.approx(cell / (sum(values) / 35), rel=1e-6)
            else:
                assert math.isnan(result[n, p])


def test_attention_in_boxes_equals_a_naive_reference():
    attention, frames = maps(), boxes()
    result = attention_in_boxes(attention, frames, SIZE)
    assert result.shape == (30,)
    tall, wide = SIZE / 5, SIZE / 7
    for n, (x, y, width, height) in enumerate(frames):
        total = area = 0.0
        for i in range(5):
            for j in range(7):
                down = min(y + height, (i + 1) * tall) - max(y, i * tall)
                aside = min(x + width, (j + 1) * wide) - max(x, j * wide)
                if down > 0 and aside > 0:
                    total += down * aside * attention[n, i, j]
                    area += down * aside
        assert result[n] == pytest.approx(total / area / attention[n].mean(), rel=1e-6)


def test_boxes_of_whole_cells_give_the_mean_of_the_cells():
    attention = maps(3, 4, 4)
    frames = np.array([[15.0, 30, 30, 15], [0, 0, 60, 60], [-50, 45, 65, 500]])
    expected = [attention[0, 2, 1:3].mean(), attention[1].mean(), attention[2, 3, 0]]
    expected /= attention.mean(axis=(1, 2))
    np.testing.assert_allclose(attention_in_boxes(attention, frames, SIZE), expected, rtol=1e-6)


def test_constant_attention_is_one_everywhere():
    for scale in (1e-6, 1.0, 300.0):
        even = np.full((30, 6, 6), scale, np.float32)
        points = keypoints()
        result = attention_at_points(even, points, SIZE)
        np.testing.assert_allclose(result[points[..., 2] > 0], 1, rtol=1e-6)
        np.testing.assert_allclose(attention_in_boxes(even, boxes(), SIZE), 1, rtol=1e-6)


def test_attention_is_above_one_on_the_object_and_below_one_elsewhere():
    hot = np.full((2, 6, 6), 0.1)
    hot[0, 1:3, 3:5] = 5.0  # y from 10 to 30, x from 30 to 50
    hot[1, 4, 0] = 5.0
    frames = np.array([[30.0, 10, 20, 20]] * 2)
    result = attention_in_boxes(hot, frames, SIZE)
    assert result[0] > 5
    assert result[1] < 1
    points = np.array([[[40.0, 20, 1], [20, 40, 1]]] * 2)
    at = attention_at_points(hot, points, SIZE)
    assert at[0, 0] > 5
    assert at[0, 1] < 1
    assert (at[1] < 1).all()


def test_scale_of_a_map_has_no_effect():
    attention, points, frames = maps(), keypoints(), boxes()
    scaled = attention * np.linspace(0.5, 300, 30, dtype=np.float32)[:, None, None]
    for result, again in (
        (attention_at_points(attention, points, SIZE), attention_at_points(scaled, points, SIZE)),
        (attention_in_boxes(attention, frames, SIZE), attention_in_boxes(scaled, frames, SIZE)),
    ):
        np.testing.assert_allclose(again, result, rtol=1e-5)


def test_points_on_the_border_and_invisible_points():
    attention = np.arange(1.0, 5).reshape(1, 2, 2)
    points = np.array([[[0, 0, 1], [60, 0, 1], [60, 60, 1], [30, 29.9, 1], [np.nan, np.inf, 0], [-1e9, 1e12, 0]]])
    result = attention_at_points(attention, points, SIZE)
    np.testing.assert_allclose(result[0, :4] * 2.5, [1, 2, 4, 2])
    assert np.isnan(result[0, 4:]).all()


def test_box_outside_the_image_gives_nan():
    result = attention_in_boxes(maps(2), np.array([[70.0, 10, 20, 20], [10, 10, 0, 5]]), SIZE)
    assert np.isnan(result).all()


@pytest.mark.parametrize(("change", "message"), [
    (lambda a, p: (a[0], p), r"these are \(5, 7\)"),
    (lambda a, p: (a - 1, p), "not negative"),
    (lambda a, p: (a * np.nan, p), "finite"),
    (lambda a, p: (np.where(np.arange(30)[:, None, None] == 3, 0, a), p), "zero everywhere"),
    (lambda a, p: (a, p[:29]), r"not \(29, 4, 3\)"),
    (lambda a, p: (a, p[..., :2]), r"not \(30, 4, 2\)"),
])  # fmt: skip
def test_wrong_arguments_raise(change, message):
    with pytest.raises(ValueError, match=message):
        attention_at_points(*change(maps(), keypoints()), SIZE)
