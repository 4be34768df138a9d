from itertools import combinations

import numpy as np
import pytest

from fgbench.report.html.label_placement import Box, distance, place_labels, text_size


def random_points(count, seed):
    rng = np.random.default_rng(seed)
    return [(float(x), float(y)) for x, y in rng.random((count, 2)) * (280, 300)]


@pytest.mark.parametrize("count", [1, 2, 8, 25, 80])
def test_names_cover_neither_points_nor_other_names_and_stay_in_the_plot(count):
    points = random_points(count, count)
    names = [f"B-CNN [D,{number}]" for number in range(count)]
    boxes = place_labels(points, names, 280, 300)
    placed = [box for box in boxes if box]
    assert len(placed) == count if count < 10 else len(placed) > count / 3
    assert not [pair for pair in combinations(placed, 2) if pair[0].overlaps(pair[1])]
    assert not [box for box in placed for x, y in points if box.left < x < box.right and box.top < y < box.bottom]
    assert all(box.left >= 0 and box.right <= 280 and box.top >= 0 and box.bottom <= 300 for box in placed)
    for box, name in zip(boxes, names, strict=True):
        if box:
            assert (box.right - box.left, box.bottom - box.top) == pytest.approx(text_size(name))


def test_a_name_is_beside_its_point_to_the_right_if_there_is_space_and_to_the_left_at_the_edge():
    (right,) = place_labels([(100.0, 100.0)], ["a name"], 280, 300)
    assert right.left > 100
    assert distance(right, (100.0, 100.0)) < 10
    (left,) = place_labels([(275.0, 100.0)], ["a name"], 280, 300)
    assert left.right < 275


def test_a_name_avoids_lines_if_it_can():
    line = Box(104.0, 100.0, 280.0, 100.0)
    (box,) = place_labels([(100.0, 100.0)], ["a name"], 280, 300, lines=[line])
    assert not box.overlaps(line)
    everywhere = Box(0.0, 0.0, 280.0, 300.0)
    assert place_labels([(100.0, 100.0)], ["a name"], 280, 300, lines=[everywhere]) != [None]


def test_a_name_avoids_points_without_a_name():
    (free,) = place_labels([(100.0, 100.0)], ["a name"], 280, 300)
    other = ((free.left + free.right) / 2, (free.top + free.bottom) / 2)
    (box,) = place_labels([(100.0, 100.0)], ["a name"], 280, 300, [other])
    assert not (box.left < other[0] < box.right and box.top < other[1] < box.bottom)


def test_a_name_that_is_wider_than_the_plot_has_no_place():
    assert place_labels([(100.0, 100.0)], ["m" * 90], 280, 300) == [None]
