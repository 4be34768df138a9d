import json
import re
from html.parser import HTMLParser

import altair as alt
import pytest

from fgbench.report.html.charts import COLOURS, DASHES, MAX_SERIES, WIDTH, Axis, library, log_axis, styles
from fgbench.report.html.figures import RangePoint, dot_chart, heat_map
from fgbench.report.html.line_charts import ChartLine, line_chart, night_chart
from fgbench.report.html.trade_off import TradeOffPoint, trade_off_chart

HOSTILE = '<script>alert(1)</script> role="x" \'&]]>'
PERCENT = Axis("rate, %", 0, 100)


class ParsedSvg(HTMLParser):
    """The texts and the tags of an SVG."""

    def __init__(self, svg):
        super().__init__()
        self.texts, self.tags = [], []
        self.feed(svg)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)


def line(series="a", run="seed 0", values=(1.0, 2.0, 4.0)):
    return ChartLine(series, run, tuple(enumerate(values, 1)))


TWO_SEEDS = [line(), line(run="seed 1", values=(3, 4, 5))]
CHARTS = {
    "lines": line_chart("Loss", "label", Axis("epoch"), Axis("loss"), TWO_SEEDS, breaks=[1.5]),
    "hostile": line_chart(HOSTILE, HOSTILE, Axis(HOSTILE), Axis(HOSTILE), [line(HOSTILE), line("b")]),
    "ranks": line_chart("CMC", "label", Axis("rank", 1, 50, True, (1, 10, 50)), PERCENT, [line(), line("b")]),
    "points": line_chart("Time", "label", log_axis("n", [1, 9]), log_axis("s", [1, 4]), [line()], points=True),
    "nights": night_chart("Value", "label", HOSTILE, [(1, 2.0, False), (2, 3.0, True)], shifts=[1.5], nights=2),
    "costs": trade_off_chart("Cost", "fps", "rate, %", [TradeOffPoint("m", "r", 20.0, 60.0, 58.0, 62.0),
                                                        TradeOffPoint("n", HOSTILE, 5.0, 80.0)], more_is_better=True),
    "dots": dot_chart("Parts", "label", PERCENT, [RangePoint("a", "beak", 50, 40, 60),
                                                  RangePoint("b", HOSTILE, 5, 5, 5)], reference=1.0),
    "heat": heat_map("Square", "label", "predicted", "true", ["x", HOSTILE], [[75.0, 25.0], [0.0, 100.0]]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_valid_vega_lite_and_its_svg_fits_a_phone_without_ids_or_urls(name):
    chart = CHARTS[name]
    alt.LayerChart.from_dict(chart.spec)
    svg = str(chart.svg)
    tags = ParsedSvg(svg).tags
    assert tags[0][0] == "svg"
    assert tags[0][1]["aria-hidden"] == "true"
    assert 300 <= float(tags[0][1]["width"]) <= WIDTH + 4
    assert not re.search(r'\b(id|href|on\w+)="|url\(', svg)
    assert "var(--ink)" in svg  # light or dark like its page
    assert {tag for tag, _ in tags} <= {"svg", "rect", "g", "path", "line", "text", "tspan"}


@pytest.mark.parametrize("name", ["hostile", "nights", "costs", "dots", "heat"])
def test_names_stay_text_in_the_svg_and_in_the_script(name):
    chart = CHARTS[name]
    script = str(chart.script)
    assert not set("<>&'") & set(script)
    assert json.loads(script) == json.loads(json.dumps(chart.spec))
    if name == "hostile":
        assert HOSTILE in ParsedSvg(str(chart.svg)).texts


def test_each_series_has_its_own_colour_dash_and_shape():
    names = [f"series {number}" for number in range(MAX_SERIES)]
    looks = [channel.to_dict()["scale"]["range"] for channel in styles(names)]
    together = list(zip(*(map(str, look) for look in looks), strict=True))
    assert len(set(together)) == MAX_SERIES
    assert len(set(looks[0][:6])) == len(COLOURS) == len(DASHES) == 6
    assert len({str(dash) for dash in looks[1][:6]}) == 6
    assert len(set(looks[2][:6])) == 6


@pytest.mark.parametrize("values", [(3.0, 7.0), (0.013, 950.0), (10.0, 10.0), (99.0, 101.0), (1.0, 2.0)])
def test_a_logarithmic_axis_contains_every_value_and_has_round_ticks(values):
    axis = log_axis("fps", values)
    assert axis.low * 1.09 < min(values) <= max(values) < axis.high / 1.09
    assert all(re.match(r"[125]\.0+e", f"{tick:e}") for tick in axis.ticks)
    assert 1 <= len(axis.ticks) <= 8


def test_a_number_that_is_not_finite_raises_an_error():
    with pytest.raises(ValueError, match="cannot be drawn"):
        line_chart("t", "l", Axis("x"), Axis("y"), [line(values=(float("nan"),))])


def test_the_library_is_one_file_without_requests():
    script = library()
    assert len(script) < 1_200_000
    assert "figure.chart" in script
    assert not re.search(r'\bimport\s*["\'(]|importScripts|cdn\.|unpkg', script)
