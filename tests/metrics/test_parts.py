import math
from pathlib import Path

import numpy as np
import pytest
from real_data import REAL

from fgbench.datasets import cub
from fgbench.datasets.bird_parts import BODY, HEAD
from fgbench.metrics.parts import iou, part_boxes, pcp
from fgbench.util.errors import ArgumentError

NAMES = (
    *("back", "beak", "belly", "breast", "crown", "forehead", "left eye", "left leg", "left wing", "nape"),
    *("right eye", "right leg", "right wing", "tail", "throat"),
)
"""Names in parts.txt of CUB-200-2011."""
MISSING = [np.nan] * 4


def keypoints(samples=60, share=0.35, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 400, (samples, 15, 2)), rng.random((samples, 15)) < share


def boxes(samples=200, seed=0):
    rng = np.random.default_rng(seed)
    return np.hstack([rng.uniform(0, 100, (samples, 2)), rng.uniform(0, 100, (samples, 2))])


def naive_boxes(points, visible, part):
    rows = []
    for n in range(len(points)):
        shown = [points[n, p].tolist() for p, name in enumerate(NAMES) if name in part and visible[n, p]]
        if len(shown) < 3:
            rows.append(MISSING)
            continue
        xs, ys = [x for x, _ in shown], [y for _, y in shown]
        rows.append([min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)])
    return np.array(rows)


def naive_iou(a, b):
    if any(map(math.isnan, (*a, *b))):
        return 0.0
    if a == b:
        return 1.0
    width = max(0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    height = max(0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    union = a[2] * a[3] + b[2] * b[3] - width * height
    return width * height / union if union else 0.0


def test_head_and_body_share_the_throat_and_cover_all_keypoints():
    assert {"throat"} == HEAD & BODY
    assert set(NAMES) == HEAD | BODY
    assert (len(HEAD), len(BODY)) == (7, 9)


@pytest.mark.parametrize(("part", "members"), [("head", HEAD), ("body", BODY)])
def test_boxes_equal_a_naive_reference(part, members):
    points, visible = keypoints()
    expected = naive_boxes(points, visible, members)
    result = part_boxes(points, visible, NAMES, part)
    assert 5 < np.isnan(expected).any(axis=1).sum() < 55
    np.testing.assert_allclose(result, expected, atol=1e-9)
    with_more_columns = np.dstack([points, visible])
    np.testing.assert_array_equal(part_boxes(with_more_columns, visible, NAMES, part), result)
    order = np.random.default_rng(1).permutation(15)
    shuffled = part_boxes(points[:, order], visible[:, order], [NAMES[i] for i in order], part)
    np.testing.assert_array_equal(shuffled, result)


def test_three_visible_keypoints_make_a_box_and_two_do_not():
    points = np.zeros((2, 15, 2))
    visible = np.zeros((2, 15), bool)
    for name, place in (("beak", (10, 20)), ("crown", (15, 5)), ("throat", (40, 8))):
        points[:, NAMES.index(name)] = place
        visible[:, NAMES.index(name)] = True
    visible[1, NAMES.index("throat")] = False
    np.testing.assert_array_equal(part_boxes(points, visible, NAMES, "head"), [[10, 5, 30, 15], MISSING])
    np.testing.assert_array_equal(part_boxes(points, visible, NAMES, "body"), [MISSING, MISSING])


def test_invisible_keypoints_may_be_nan():
    points, visible = keypoints()
    expected = part_boxes(points, visible, NAMES, "body")
    points[~visible] = np.nan
    np.testing.assert_array_equal(part_boxes(points, visible, NAMES, "body"), expected)


def with_nan():
    points, visible = keypoints()
    visible[7, 0] = True
    points[7, 0, 1] = np.nan
    return points, visible


@pytest.mark.parametrize(
    ("points", "visible", "names", "part", "message"),
    [
        (*keypoints(), NAMES, "haed", "did you mean 'head'"),
        (*keypoints(), (*NAMES[:-2], "tale", NAMES[-1]), "head", "did you mean 'tail'"),
        (*keypoints(), (NAMES[1], *NAMES[1:]), "head", "'beak' occurs 2 times"),
        (keypoints()[0][:, 2:], keypoints()[1][:, 2:], NAMES[2:], "head", "head box also needs the keypoints beak"),
        (*keypoints(), NAMES[1:], "head", "and 14"),
        (keypoints()[0], keypoints()[1][:-1], NAMES, "head", "head boxes need keypoints"),
        (keypoints()[0][:, :, :1], keypoints()[1], NAMES, "head", "head boxes need keypoints"),
        (keypoints()[0], keypoints()[1].astype(float), NAMES, "head", "has to be bool, not float64"),
        (*with_nan(), NAMES, "body", "body of sample 7 is not finite"),
    ],
)
def test_wrong_arguments_of_boxes_raise(points, visible, names, part, message):
    with pytest.raises(ArgumentError, match=message):
        part_boxes(points, visible, names, part)


def test_iou_equals_a_naive_reference():
    a, b = boxes(), boxes(seed=1)
    a[3, 2], b[4] = np.nan, np.nan
    b[5] = a[5]
    expected = [naive_iou(*pair) for pair in zip(a.tolist(), b.tolist(), strict=True)]
    assert 0 in expected
    assert max(x for x in expected if x < 1) > 0.4
    np.testing.assert_allclose(iou(a, b), expected, atol=1e-9)
    np.testing.assert_allclose(iou(b, a), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "overlap"),
    [
        ([0, 0, 10, 10], [0, 0, 10, 10], 1),
        ([0, 0, 10, 10], [5, 0, 10, 10], 1 / 3),
        ([0, 0, 10, 10], [0, 0, 5, 10], 1 / 2),
        ([0, 0, 10, 10], [2, 3, 4, 5], 1 / 5),
        ([0, 0, 10, 10], [10, 0, 10, 10], 0),
        ([0, 0, 10, 10], [20, 30, 10, 10], 0),
        ([3, 4, 0, 7], [3, 4, 0, 7], 1),
        ([3, 4, 0, 7], [3, 4, 0, 6], 0),
        ([3, 4, 0, 0], [0, 0, 10, 10], 0),
        ([3, 4, 0, 0], [8, 4, 0, 0], 0),
        (MISSING, [0, 0, 10, 10], 0),
        (MISSING, MISSING, 0),
    ],
)
def test_iou_of_small_boxes(a, b, overlap):
    a, b = np.array([a], dtype=float), np.array([b], dtype=float)
    assert iou(a, b) == pytest.approx(overlap)
    assert iou(b, a) == pytest.approx(overlap)


@pytest.mark.parametrize(
    ("b", "message"),
    [
        (boxes(3), "IoU needs boxes"),
        (boxes(2)[:, :3], "IoU needs boxes"),
        (np.array([[0, 0, 1, 1], [0, 0, 1, -1.0]]), "sample 1 is infinite or has a negative"),
        (np.array([[0, 0, 1, 1], [0, np.inf, 1, 1]]), "sample 1 is infinite or has a negative"),
    ],
)
def test_wrong_arguments_of_iou_raise(b, message):
    for pair in ((boxes(2), b), (b, boxes(2))):
        with pytest.raises(ArgumentError, match=message):
            iou(*pair)


def test_pcp_counts_true_boxes_above_the_threshold():
    """The rows: correct; IoU of exactly 0.5; missing prediction; missing true box; both missing."""
    truth = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10], MISSING, MISSING])
    predicted = np.array([[0, 0, 6, 10], [0, 0, 5, 10], MISSING, [0, 0, 9, 9], MISSING])
    result = pcp(predicted, truth)
    assert (result.percent, result.total) == (pytest.approx(100 / 3), 3)
    assert pcp(predicted, truth, 0.49).percent == pytest.approx(200 / 3)
    assert pcp(predicted, truth, 0.6) == (0, 3)
    assert pcp(predicted, truth, 0).percent == pytest.approx(200 / 3)


def test_pcp_without_true_boxes_is_nan():
    percent, total = pcp(np.array([[0, 0, 1.0, 1]]), np.array([MISSING]))
    assert math.isnan(percent)
    assert total == 0


@pytest.mark.parametrize("threshold", [-0.1, 1.0, math.nan])
def test_threshold_out_of_range_raises(threshold):
    with pytest.raises(ValueError, match="has to be at least 0 and below 1"):
        pcp(boxes(2), boxes(2), threshold)


@pytest.mark.parametrize("part", ["head", "body"])
def test_perfect_prediction_gives_100_for_parts_without_area(part):
    points, visible = keypoints(share=0.6)
    points[:9, :, 0] = 50  # on a vertical line
    points[:3] = 50
    truth = part_boxes(points, visible, NAMES, part)
    assert (truth[:, 2] == 0).any()
    assert pcp(truth, truth) == (100, 60 - np.isnan(truth).any(axis=1).sum())


@pytest.mark.real
@pytest.mark.skipif(not REAL["FGBENCH_DATA"], reason="FGBENCH_DATA is not set")
def test_number_of_boxes_equals_part_rcnn():
    """The numbers are those of the annotations in the code of Part R-CNN."""
    index = cub.load(Path(REAL["FGBENCH_DATA"]) / cub.FOLDER)
    visible = index.parts[:, :, 2] == 1
    counts = {}
    for part in ("head", "body"):
        truth = part_boxes(index.parts, visible, index.part_names, part)
        for split, rows in (("train", index.train), ("test", ~index.train)):
            percent, counts[split, part] = pcp(truth[rows], truth[rows])
            assert percent == 100
    assert counts == {("train", "head"): 5983, ("test", "head"): 5785, ("train", "body"): 5955, ("test", "body"): 5758}
