import re

from fgbench.report.html.charts import Axis
from fgbench.report.html.line_charts import MAX_THIN_LINES, ChartLine, line_chart, night_chart


def line(run="seed 0", values=(1.0, 2.0, 4.0)):
    return ChartLine("a", run, tuple(enumerate(values, 1)))


def drawn(lines, **options):
    return line_chart("Loss", "label", Axis("epoch"), Axis("loss"), lines, **options)


def rows_of(chart, layer):
    return chart.spec["datasets"][chart.spec["layer"][layer]["data"]["name"]]


def marks(chart):
    return [layer["mark"]["type"] for layer in chart.spec["layer"]]


def test_lines_draw_each_run_thin_and_the_mean_thick():
    chart = drawn([line(), line("seed 1", (3, 4, 5))], breaks=[1.5])
    thin, thick, breaks, hover = (rows_of(chart, layer) for layer in range(4))
    assert [(row["r"], row["x"], row["y"]) for row in thin] == [
        ("seed 0", 1, 1), ("seed 0", 2, 2), ("seed 0", 3, 4), ("seed 1", 1, 3), ("seed 1", 2, 4), ("seed 1", 3, 5)
    ]  # fmt: skip
    assert [(row["x"], row["low"], row["y"], row["high"], row["n"]) for row in thick] == [
        (1, 1, 2, 3, 2), (2, 2, 3, 4, 2), (3, 4, 4.5, 5, 2)
    ]  # fmt: skip
    assert breaks == [{"x": 1.5}]
    assert hover is thick
    assert chart.heads == ("run", "epoch", "mean", "min", "max")
    assert chart.rows[2] == ("a", 3, 4.5, 4, 5)
    # The SVG has no layer for hovering.
    assert set(re.findall(r'class="mark-(\w+) role-mark', str(chart.svg))) == {"line", "rule"}


def test_one_run_is_one_line_and_its_table_has_no_range():
    chart = drawn([line()])
    assert marks(chart) == ["line", "circle"]
    assert chart.heads == ("run", "epoch", "loss")
    assert chart.rows == (("a", 1, 1), ("a", 2, 2), ("a", 3, 4))


def test_of_many_runs_only_the_means_over_all_of_them_are_drawn():
    def many(count):
        return drawn([line(f"seed {seed}", (seed,)) for seed in range(count)])

    assert marks(many(MAX_THIN_LINES)) == ["line", "line", "circle"]
    assert marks(many(MAX_THIN_LINES + 2)) == ["line", "circle"]
    assert many(MAX_THIN_LINES + 2).rows == (("a", 1, (MAX_THIN_LINES + 1) / 2, 0, MAX_THIN_LINES + 1),)


def test_nights_have_a_point_per_failure_and_lines_at_shifts_and_breaks():
    points = [(1, 5.0, False), (2, 5.5, True), (4, 9.0, False)]
    chart = night_chart("v", "label", "%", points, shifts=[3.5], breaks=[2.5], nights=4)
    assert marks(chart) == ["line", "rule", "rule", "point", "circle"]
    assert rows_of(chart, 1) == [{"x": 2.5}]
    assert rows_of(chart, 2) == [{"x": 3.5}]
    assert rows_of(chart, 3) == [{"x": 2, "y": 5.5, "state": "failed"}]
    assert chart.rows == ((1, 5, "passed"), (2, 5.5, "failed"), (4, 9, "passed"))
    assert marks(night_chart("v", "label", "%", points[:1], nights=1)) == ["line", "circle"]
