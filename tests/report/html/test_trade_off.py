"""The chart of accuracy against cost: the front, the names, and in a browser the places of the names."""

import re
from itertools import combinations
from pathlib import Path

import axe_playwright_python
import numpy as np
import pytest
from made_records import of_accuracy
from report_pages import pages

from fgbench.report.html.trade_off import FRONT, MAX_NAMED, TradeOffPoint, _y_axis, front, short_names, trade_off_chart

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
RECIPES = ("bcnn_dd", "bcnn_dm", "bcnn_mm", "fc_cnn_d", "fc_cnn_m", "fv_cnn_d", "fv_cnn_m", "fv_sift")


def point(x, y, name="", series="m"):
    return TradeOffPoint(series, name or f"{x} {y}", x, y)


def chart(*points, more_is_better=True):
    return trade_off_chart("Accuracy", "images/s", "accuracy, %", points, more_is_better=more_is_better)


def labels(made):
    return [row["label"] for rows in made.spec["datasets"].values() for row in rows if "label" in row]


def test_the_front_has_the_points_that_no_other_beats():
    a, b, c, slow, equal = point(1, 80), point(10, 70), point(100, 50), point(5, 60), point(10, 60)
    assert front([c, slow, a, equal, b], more_is_better=True) == [a, b, c]
    assert front([a, b, c], more_is_better=False) == [a]
    cheap, dear, wasteful = point(1, 50), point(10, 80), point(20, 70)
    assert front([wasteful, dear, cheap], more_is_better=False) == [cheap, dear]
    twins = [point(3, 60, "one"), point(3, 60, "two")]
    assert front(twins, more_is_better=True) == twins


@pytest.mark.parametrize("more_is_better", [True, False])
def test_the_front_is_that_of_a_sweep(more_is_better):
    rng = np.random.default_rng(3)
    points = [point(float(x), float(y)) for x, y in rng.integers(1, 40, (200, 2))]
    best, expected = -1.0, set()
    for x in sorted({p.x for p in points}, reverse=more_is_better):
        high = max(p.y for p in points if p.x == x)
        if high > best:
            best = high
            expected.add((x, high))
    found = front(points, more_is_better=more_is_better)
    assert {(p.x, p.y) for p in found} == expected
    assert [p.x for p in found] == sorted(p.x for p in found)


@pytest.mark.parametrize(("more_is_better", "step"), [(True, "step-before"), (False, "step-after")])
def test_the_front_is_a_line_in_the_legend_and_a_column_of_the_table(more_is_better, step):
    ends = (80, 50) if more_is_better else (50, 80)
    beaten = point(5, 55) if more_is_better else point(50, 60)
    made = chart(point(1, ends[0]), point(10, 65), point(100, ends[1]), beaten, more_is_better=more_is_better)
    (line,) = [layer for layer in made.spec["layer"] if layer["mark"]["type"] == "line"]
    assert line["mark"]["interpolate"] == step
    assert [row["x"] for row in made.spec["datasets"][line["data"]["name"]]] == [1, 10, 100]
    assert FRONT in str(made.svg)
    assert [row[-1] for row in made.rows] == ["yes", "yes", "yes", "no"]
    assert made.heads[-1] == FRONT
    assert "Best trade-offs: 1 " in made.label


def test_one_run_that_is_best_in_both_has_no_line_and_is_named():
    made = chart(point(10, 80, "B-CNN"), point(5, 70))
    assert not [layer for layer in made.spec["layer"] if layer["mark"]["type"] == "line"]
    assert made.note == "B-CNN is the best in both numbers."


@pytest.mark.parametrize("accuracies", [[75.42285], [75.42, 75.43]])
def test_the_axis_of_nearly_equal_accuracies_has_short_numbers(accuracies):
    axis = _y_axis("accuracy, %", [point(1, y) for y in accuracies])
    assert (axis.low, axis.high) == (75.0, 76.0)


def test_every_name_is_beside_its_point_and_a_number_where_there_is_no_space():
    made = chart(point(1, 80, "slow"), point(100, 50, "fast"), point(10, 10, "neither"))
    assert labels(made) == ["slow", "fast", "neither"]
    same = [point(10, 50, f"B-CNN [D,D] number {number}") for number in range(40)]
    crowded = chart(*same)
    numbers = [label for label in labels(crowded) if label.isdigit()]
    assert len(numbers) >= len(same) - MAX_NAMED
    assert "A number stands for a name" in crowded.note
    assert [row[1] for row in crowded.rows] == [p.name for p in same]


def test_names_are_short_and_unique():
    assert short_names(["B-CNN on vgg16:relu5_3, frozen", "FC-CNN, frozen"]) == ["B-CNN\non vgg16", "FC-CNN"]
    assert short_names(["B-CNN, frozen", "B-CNN, paper"]) == ["B-CNN, frozen", "B-CNN, paper"]
    cut = ["A on vgg16:relu5_3", "A on vgg16:pool5"]
    assert short_names(cut) == ["A\non vgg16:relu5_3", "A\non vgg16:pool5"]
    assert max(map(len, short_names(["w" * 90])[0].split("\n"))) <= 26


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """Folder of pages with eight runs, some of them close together."""
    speeds = (2.0, 2.2, 60.0, 5.0, 5.5, 9.0, 10.0, 11.0)
    records = [
        of_accuracy(84.0 - 3 * number, 0, recipe=f"bcnn/{name}@cub", provenance={"device": "cpu"},
                    cost={"wall_s": 1.0, "phase_s": {}, "peak_mib": 1.0, "test_fps": speeds[number]})
        for number, name in enumerate(RECIPES)
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("crowded")
    pages(folder, records)
    return folder


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scripts", [True, False])
def test_in_a_browser_no_name_covers_another_or_a_point(chromium, crowded, width, scripts):
    context = chromium.new_context(viewport={"width": width, "height": 900}, java_script_enabled=scripts)
    page = context.new_page()
    page.goto((crowded / "costs.html").as_uri())
    if scripts:
        page.wait_for_selector("figure.chart.live")
    drawing = page.locator("figure.chart .drawing").first
    names = [t for t in drawing.locator("svg .role-mark text").all() if re.search("CNN|SIFT", t.text_content())]
    assert len(names) == len(RECIPES)
    boxes = [name.bounding_box() for name in names]
    marks = [mark.bounding_box() for mark in drawing.locator("svg .mark-symbol.role-mark path").all()]
    # The browser adds space for the corners of the outline.
    points = [
        {"x": box["x"] + box["width"] / 2 - 4, "y": box["y"] + box["height"] / 2 - 4, "width": 8, "height": 8}
        for box in marks
    ]
    assert len(points) == len(RECIPES)
    frame = drawing.bounding_box()

    def overlap(a, b):
        return all(
            a[at] < b[at] + b[size] and b[at] < a[at] + a[size] for at, size in (("x", "width"), ("y", "height"))
        )

    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]
    assert not [(name, mark) for name in boxes for mark in points if overlap(name, mark)]
    assert all(box["x"] >= frame["x"] and box["x"] + box["width"] <= frame["x"] + frame["width"] + 1 for box in boxes)
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_in_the_charts(chromium, crowded, scheme):
    page = chromium.new_page(color_scheme=scheme)
    page.goto((crowded / "costs.html").as_uri())
    page.wait_for_selector("figure.chart.live")
    page.evaluate(AXE)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [rule["id"] for rule in result["violations"]] == []
    assert "color-contrast" in {rule["id"] for rule in result["passes"]}
    page.close()
