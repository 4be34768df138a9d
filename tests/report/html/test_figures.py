import re

import pytest

from fgbench.report.html.charts import Axis
from fgbench.report.html.figures import RangePoint, dot_chart, heat_map


def test_names_of_several_lines_are_centred_on_their_row():
    points = [RangePoint("s", "one", 60.0, 60.0, 60.0), RangePoint("s", "a\nb", 70.0, 69.0, 71.0),
              RangePoint("s", "c\nd\ne", 70.0, 69.0, 71.0)]  # fmt: skip
    svg = str(dot_chart("Dots", "label", Axis("rate, %", 0, 100), points).svg)
    first_lines = [float(y) for y in re.findall(r'translate\(-7,([\d.]+)\)"', svg)]
    rows = [float(y) for y in re.findall(r'translate\([\d.]+,([\d.]+)\)" d="M3', svg)]
    above = [row - line for row, line in zip(rows, first_lines, strict=True)]
    assert [above[k] - above[0] for k in (1, 2)] == pytest.approx([5.5, 11.0], abs=0.01)
    assert [word in svg for word in (">b<", ">d<", ">e<")] == [True] * 3
    assert rows[1] - rows[0] > 3 * 11


def test_rows_of_the_heat_map_are_true_classes():
    chart = heat_map("Square", "label", "predicted", "true", ["x", "y"], [[75.0, 25.0], [0.0, 100.0]])
    assert chart.heads == ("true", "predicted", "share, %")
    assert chart.rows == (("x", "x", 75), ("x", "y", 25), ("y", "y", 100))
    (wrong,) = [row for row in chart.spec["datasets"]["rows0"] if not row["same"]]
    assert (wrong["t"], wrong["p"]) == ("x", "y")
