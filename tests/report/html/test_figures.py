import re

import pytest

from fgbench.report.html.charts import Axis
from fgbench.report.html.figures import ScatterPoint, heat_map, scatter_chart


def test_the_height_of_a_point_is_its_value():
    points = [ScatterPoint("m", "r", 20.0, 80.0, 78.0, 82.0), ScatterPoint("n", "q", 5.0, 60.0)]
    chart = scatter_chart("Cost", "label", Axis("fps", 1, 100, True, (1, 10, 100)), Axis("rate, %", 0, 100), points)
    svg = str(chart.svg)
    places = re.findall(r'translate\(([\d.]+),([\d.]+)\)"[^>]* fill="var\(--c\d\)"|'
                        r'fill="var\(--c\d\)"[^>]*transform="translate\(([\d.]+),([\d.]+)\)"', svg)  # fmt: skip
    (x1, y1), (x2, y2) = (tuple(float(value) for value in place if value) for place in places[:2])
    # y counts from the top, which is 100 %: 80 % is half as far down as 60 %.
    assert y1 == pytest.approx(y2 / 2, rel=0.001)
    assert x1 > x2


def test_rows_of_the_heat_map_are_true_classes():
    chart = heat_map("Square", "label", "predicted", "true", ["x", "y"], [[75.0, 25.0], [0.0, 100.0]])
    assert chart.heads == ("true", "predicted", "share, %")
    assert chart.rows == (("x", "x", 75), ("x", "y", 25), ("y", "y", 100))
    (wrong,) = [row for row in chart.spec["datasets"]["rows0"] if not row["same"]]
    assert (wrong["t"], wrong["p"]) == ("x", "y")
