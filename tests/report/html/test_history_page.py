import json
import math

import numpy as np
import pytest
from made_records import RECIPES
from report_pages import HOSTILE, PAPERS, Parsed, only_our_script

from fgbench.judge.columns import judge_papers
from fgbench.judge.nightly.benchmark_times import BenchmarkTimes
from fgbench.judge.nightly.history import Night
from fgbench.report.html.history_page import MAX_CHARTS, benchmark_series, history_page, value_series
from fgbench.report.html.render import render


def one(k, value, name="v", failed=()):
    return Night(
        finished=f"2026-01-{k + 1:02}", commit="", source="s", passed=not failed, accepted=False,
        values={name: value}, units={name: "%"}, benches=(), failed=failed,
    )  # fmt: skip


def page_of(nights, folder):
    index = render(
        PAPERS, judge_papers(PAPERS, [], {}, RECIPES, None), [], [], folder, extra_pages=[history_page(nights)]
    )
    assert 'href="history.html"' in index.read_text()
    return (folder / "history.html").read_text()


def timed(k, seconds, version):
    bench = BenchmarkTimes(name="b", title="a hot path", version=version, machine="m", sessions=(math.log(seconds),))
    return one(k, 1.0).model_copy(update={"benches": (bench,)})


def test_another_version_of_a_benchmark_is_a_break_and_no_level_shift():
    rng = np.random.default_rng(1)
    nights = [timed(k, (1 if k < 14 else 2) + 0.01 * rng.normal(), "v" if k < 14 else "w") for k in range(28)]
    (series,) = benchmark_series(nights)
    assert series.name == "a hot path"
    assert series.breaks == (14,)
    assert series.shifts == ()
    (series,) = benchmark_series([timed(k, math.exp(night.benches[0].level), "v") for k, night in enumerate(nights)])
    assert series.breaks == ()
    assert [shift.at for shift in series.shifts] == [14]
    assert series.shifts[0].after == pytest.approx(2, abs=0.02)


def test_the_page_marks_level_shifts_and_keeps_hostile_names_text(tmp_path):
    rng = np.random.default_rng(0)
    nights = [one(k, (70 if k < 14 else 60) + rng.normal(), HOSTILE, failed=(HOSTILE,) * (k == 14)) for k in range(28)]
    (series,) = value_series(nights)
    assert [shift.at for shift in series.shifts] == [14]
    page = page_of(nights, tmp_path)
    parsed = Parsed(page)
    assert not parsed.wrong
    assert only_our_script(page)
    assert HOSTILE in parsed.text
    assert "level shift at night 15" in parsed.text
    data = json.loads(page.split('<script type="application/json">')[1].split("</script>")[0])["datasets"].values()
    assert [{"x": 14.5}] in data
    assert [[row["x"] for row in rows] for rows in data if all(row.get("state") == "failed" for row in rows)] == [[15]]


def test_constant_values_and_earlier_nights_are_collapsed(tmp_path):
    nights = [one(k, 70.0 + (k == 9) * (name == "moved"), name) for k in range(10) for name in ("still", "moved")]
    page = page_of(nights, tmp_path)
    parsed = Parsed(page)
    assert not parsed.wrong
    assert "1 constant value " in parsed.text
    assert "still: 70 %" in parsed.text
    assert "13 earlier nights" in parsed.text
    assert page.count("<svg") == 1


def test_values_beyond_the_limit_of_charts_are_listed(tmp_path):
    names = [f"value {number}" for number in range(MAX_CHARTS + 3)]
    nights = [
        one(k, 0.0).model_copy(
            update={"values": {name: float(k) for name in names}, "units": dict.fromkeys(names, "%")}
        )
        for k in range(2)
    ]
    page = page_of(nights, tmp_path)
    assert page.count('<figure class="chart">') == MAX_CHARTS
    assert "3 more without a chart" in Parsed(page).text
    assert f"{names[-1]}: 1 %" in Parsed(page).text


def test_a_chart_has_the_last_nights_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("fgbench.report.html.history_page.DRAWN_NIGHTS", 10)
    page = page_of([one(k, 70.0 + 10 * (k > 14) + k % 3) for k in range(30)], tmp_path)
    data = json.loads(page.split('<script type="application/json">')[1].split("</script>")[0])["datasets"].values()
    assert [row["x"] for rows in data for row in rows if "state" in row] == [*range(21, 31)]
    assert "30 nights" in page
    assert "The last 10 nights are drawn." in page
    assert "level shift at night 16" in page
    assert "The charts show night 21 and later." in page
