import json
import re
from html.parser import HTMLParser

import altair as alt
import pytest

from fgbench.report.html.charts import COLOURS, DASHES, MOST_SERIES, WIDTH, Axis, library, styles
from fgbench.report.html.figures import THIN, Bar, Line, Spot, dots, heat, lines, scatter

HOSTILE = '<script>alert(1)</script> role="x" \'&]]>'
PERCENT = Axis("rate, %", 0, 100)


class Text(HTMLParser):
    """What is read in an SVG, and its tags."""

    def __init__(self, svg):
        super().__init__()
        self.words, self.tags = [], []
        self.feed(svg)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)


def line(series="a", run="seed 0", values=(1.0, 2.0, 4.0)):
    return Line(series, run, tuple(enumerate(values, 1)))


CHARTS = {
    "lines": lines("Loss", "label", Axis("epoch"), Axis("loss"), [line(), line(run="seed 1", values=(3, 4, 5))], [1.5]),
    "one line": lines("Loss", "label", Axis("epoch"), Axis("loss"), [line()]),
    "hostile": lines(HOSTILE, HOSTILE, Axis(HOSTILE), Axis(HOSTILE), [line(HOSTILE), line("b")]),
    "ranks": lines("CMC", "label", Axis("rank", 1, 50, True, (1, 10, 50)), PERCENT, [line(), line("b")]),
    "scatter": scatter("Cost", "label", Axis("fps", 1, 100, True, (1, 10, 100)), PERCENT,
                       [Spot("m", "r", 20.0, 80.0, 78.0, 82.0), Spot("n", HOSTILE, 5.0, 60.0)]),
    "dots": dots("Parts", "label", PERCENT, [Bar("a", "beak", 50, 40, 60), Bar("b", HOSTILE, 5, 5, 5)], at=1.0),
    "heat": heat("Square", "label", "said", "true", ["x", HOSTILE], [[75.0, 25.0], [0.0, 100.0]]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_valid_vega_lite_and_drawn_for_a_telephone_without_ids_or_addresses(name):
    chart = CHARTS[name]
    alt.LayerChart.from_dict(chart.spec)
    svg = str(chart.svg)
    tags = Text(svg).tags
    assert tags[0][0] == "svg"
    assert tags[0][1]["aria-hidden"] == "true"
    assert 300 <= float(tags[0][1]["width"]) <= WIDTH + 4
    assert not re.search(r'\b(id|href|on\w+)="|url\(', svg)
    assert "var(--ink)" in svg  # light or dark with its page
    assert {tag for tag, _ in tags} <= {"svg", "rect", "g", "path", "line", "text"}


@pytest.mark.parametrize("name", ["hostile", "scatter", "dots", "heat"])
def test_names_stay_text_in_the_drawing_and_in_the_script(name):
    chart = CHARTS[name]
    script = str(chart.script)
    assert not set("<>&'") & set(script)
    assert json.loads(script) == json.loads(json.dumps(chart.spec))
    if name == "hostile":
        assert HOSTILE in Text(str(chart.svg)).words


def rows_of(chart, layer):
    return chart.spec["datasets"][chart.spec["layer"][layer]["data"]["name"]]


def test_lines_draw_each_run_thin_and_the_mean_thick():
    chart = CHARTS["lines"]
    thin, thick, breaks, hover = (rows_of(chart, layer) for layer in range(4))
    assert [(row["r"], row["x"], row["y"]) for row in thin] == [
        ("seed 0", 1, 1), ("seed 0", 2, 2), ("seed 0", 3, 4), ("seed 1", 1, 3), ("seed 1", 2, 4), ("seed 1", 3, 5)
    ]  # fmt: skip
    assert [(row["x"], row["low"], row["y"], row["high"], row["n"]) for row in thick] == [
        (1, 1, 2, 3, 2), (2, 2, 3, 4, 2), (3, 4, 4.5, 5, 2)
    ]  # fmt: skip
    assert breaks == [{"x": 1.5}]
    assert hover is thick
    assert chart.heads == ("run", "epoch", "mean", "least", "most")
    assert chart.rows[2] == ("a", 3, 4.5, 4, 5)
    # What is for the pointer alone is not in the picture, which has a line for each run, a thick one and a break.
    marks = re.findall(r'class="mark-(\w+) role-mark', str(chart.svg))
    assert marks.count("symbol") == 0
    assert set(marks) == {"line", "rule"}


def test_one_run_is_one_line_and_its_table_has_no_spread():
    chart = CHARTS["one line"]
    assert [layer["mark"]["type"] for layer in chart.spec["layer"]] == ["line", "circle"]
    assert chart.heads == ("run", "epoch", "loss")
    assert chart.rows == (("a", 1, 1), ("a", 2, 2), ("a", 3, 4))


def test_of_many_runs_the_means_alone_are_drawn_and_are_of_all():
    def drawn(count):
        return lines("t", "l", Axis("x"), Axis("y"), [line(run=f"seed {s}", values=(s,)) for s in range(count)])

    assert [layer["mark"]["type"] for layer in drawn(THIN).spec["layer"]] == ["line", "line", "circle"]
    many = drawn(THIN + 2)
    assert [layer["mark"]["type"] for layer in many.spec["layer"]] == ["line", "circle"]
    assert many.rows == (("a", 1, (THIN + 1) / 2, 0, THIN + 1),)


def test_the_height_of_a_point_is_its_number():
    svg = str(CHARTS["scatter"].svg)
    places = re.findall(r'translate\(([\d.]+),([\d.]+)\)"[^>]* fill="var\(--c\d\)"|'
                        r'fill="var\(--c\d\)"[^>]*transform="translate\(([\d.]+),([\d.]+)\)"', svg)  # fmt: skip
    points = [tuple(float(value) for value in place if value) for place in places[:2]]
    (x1, y1), (x2, y2) = points
    # From the top, which is 100 %: 80 % is half as far down as 60 %.
    assert y1 == pytest.approx(y2 / 2, rel=0.001)
    assert x1 > x2


def test_series_differ_in_colour_dash_and_shape_and_never_in_none():
    names = [f"series {number}" for number in range(MOST_SERIES)]
    looks = [channel.to_dict()["scale"]["range"] for channel in styles(names)]
    together = list(zip(*(map(str, look) for look in looks), strict=True))
    assert len(set(together)) == MOST_SERIES
    assert len(set(looks[0][:6])) == len(COLOURS) == len(DASHES) == 6
    assert len({str(dash) for dash in looks[1][:6]}) == 6
    assert len(set(looks[2][:6])) == 6


def test_what_is_no_number_is_not_drawn_in_silence():
    with pytest.raises(ValueError, match="cannot be drawn"):
        lines("t", "l", Axis("x"), Axis("y"), [line(values=(float("nan"),))])


def test_the_square_has_a_row_for_what_is_true():
    chart = CHARTS["heat"]
    assert chart.heads == ("true", "said", "share, %")
    assert chart.rows == (("x", "x", 75), ("x", HOSTILE, 25), (HOSTILE, HOSTILE, 100))
    (row,) = [row for row in rows_of(chart, 0) if not row["same"]]
    assert (row["t"], row["p"]) == ("x", HOSTILE)


def test_the_library_is_one_file_that_asks_for_nothing():
    script = library()
    assert len(script) < 1_200_000
    assert "figure.chart" in script
    assert not re.search(r'\bimport\s*["\'(]|importScripts|cdn\.|unpkg', script)
