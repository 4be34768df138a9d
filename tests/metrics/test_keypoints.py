import math

import numpy as np
import pytest

from fgbench.metrics.keypoints import pck, pck_hits


def birds(samples=40, parts=5, seed=0):
    """Return random predictions, keypoints of which about 30 % are invisible, and boxes."""
    rng = np.random.default_rng(seed)
    truth = np.dstack([rng.uniform(0, 300, (samples, parts, 2)), rng.random((samples, parts)) < 0.7])
    predicted = truth[:, :, :2] + rng.normal(scale=15, size=(samples, parts, 2))
    return predicted, truth, np.hstack([rng.uniform(0, 50, (samples, 2)), rng.uniform(100, 300, (samples, 2))])


@pytest.mark.parametrize("alpha", [0.02, 0.05, 0.1])
def test_pck_equals_a_naive_reference(alpha):
    predicted, truth, boxes = birds()
    hits, visible = np.zeros(5), np.zeros(5)
    for n in range(40):
        for p in range(5):
            if truth[n, p, 2]:
                distance = math.dist(predicted[n, p], truth[n, p, :2])
                visible[p] += 1
                hits[p] += distance <= alpha * max(boxes[n, 2], boxes[n, 3])
                assert pck_hits(predicted, truth, boxes, alpha)[n, p] == (distance <= alpha * max(boxes[n, 2:]))
            else:
                assert not pck_hits(predicted, truth, boxes, alpha)[n, p]
    percent = [100 * h / v for h, v in zip(hits, visible, strict=True)]
    assert 0 < min(percent) < max(percent) < 100
    np.testing.assert_allclose(pck(predicted, truth, boxes, alpha), percent, atol=1e-9)


@pytest.mark.parametrize("sides", [(100.0, 40.0), (40.0, 100.0)])
def test_prediction_at_exactly_the_threshold_is_correct(sides):
    """The offset (3, -4) has a length of exactly 5 px, which is 0.05 * 100 px."""
    truth = np.array([[[50.0, 60.0, 1.0]]])
    boxes = np.array([[7.0, 8.0, *sides]])
    at = truth[:, :, :2] + [3, -4]
    assert pck_hits(at, truth, boxes, 0.05).all()
    assert not pck_hits(at + np.array([1e-9, 0]), truth, boxes, 0.05).any()
    assert not pck_hits(at - [0, 1e-9], truth, boxes, 0.05).any()


def test_perfect_prediction_gives_100_at_any_alpha():
    _, truth, boxes = birds()
    truth[:, 2, 2] = 0
    values = pck(truth[:, :, :2], truth, boxes, 1e-6)
    assert values.dtype == np.float64
    assert np.isnan(values).tolist() == [False, False, True, False, False]
    assert (values[[0, 1, 3, 4]] == 100).all()


def test_without_visible_keypoints_pck_is_nan():
    predicted, truth, boxes = birds()
    truth[:, :, 2] = 0
    assert not pck_hits(predicted, truth, boxes, 0.1).any()
    assert np.isnan(pck(predicted, truth, boxes, 0.1)).all()


def test_left_and_right_keypoints_are_different():
    truth = np.array([[[10, 10, 1], [90, 10, 1.0]]])
    swapped = truth[:, ::-1, :2]
    assert pck(swapped, truth, np.array([[0, 0, 100.0, 100]]), 0.1).tolist() == [0, 0]


def test_coarse_grid_limits_pck_at_small_alpha():
    _, truth, boxes = birds(400)
    snapped = (truth[:, :, :2] / 32).round() * 32
    assert (pck(snapped, truth, boxes, 0.02) < 25).all()
    assert (pck(snapped, truth, boxes, 0.25) == 100).all()


def test_invisible_keypoints_may_be_nan():
    predicted, truth, boxes = birds()
    expected = pck(predicted, truth, boxes, 0.05)
    truth[truth[:, :, 2] == 0, :2] = np.nan
    np.testing.assert_array_equal(pck(predicted, truth, boxes, 0.05), expected)


def change(array, where, value):
    array = array.copy()
    array[where] = value
    return array


@pytest.mark.parametrize(
    ("change_arguments", "message"),
    [
        (lambda p, t, b: (p[:, :, :1], t, b, 0.1), "PCK needs predictions"),
        (lambda p, t, b: (p[:-1], t, b, 0.1), "PCK needs predictions"),
        (lambda p, t, b: (p, t[:, :, :2], b, 0.1), "PCK needs predictions"),
        (lambda p, t, b: (p, t, b[:, :3], 0.1), "PCK needs predictions"),
        (lambda p, t, b: (p[:0], t[:0], b[:0], 0.1), "PCK needs predictions"),
        (lambda p, t, b: (p, t, b, 0.0), "has to be above 0, not 0.0"),
        (lambda p, t, b: (p, t, b, math.nan), "has to be above 0, not nan"),
        (lambda p, t, b: (change(p, (3, 1, 0), np.nan), t, b, 0.1), "predicted keypoints of sample 3 are not finite"),
        (lambda p, t, b: (change(p, (4, 0, 1), np.inf), t, b, 0.1), "predicted keypoints of sample 4 are not finite"),
        (lambda p, t, b: (p, change(t, (5, 0, 2), 2), b, 0.1), "visibility of a keypoint of sample 5"),
        (lambda p, t, b: (p, change(t, (5, 0, 2), np.nan), b, 0.1), "visibility of a keypoint of sample 5"),
        (lambda p, t, b: (p, change(t, 6, [np.nan, 0, 1]), b, 0.1), "visible keypoint of sample 6 is not finite"),
        (lambda p, t, b: (p, t, change(b, (7, 2), 0), 0.1), "width or height of the box of sample 7 is not positive"),
        (lambda p, t, b: (p, t, change(b, (7, 3), -5), 0.1), "width or height of the box of sample 7 is not positive"),
        (lambda p, t, b: (p, t, change(b, (8, 3), np.nan), 0.1), "box of sample 8 is not finite"),
    ],
)
def test_wrong_arguments_raise(change_arguments, message):
    arguments = change_arguments(*birds())
    for measure in (pck_hits, pck):
        with pytest.raises(ValueError, match=message):
            measure(*arguments)
