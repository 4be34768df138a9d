import math

import numpy as np
import pytest
from made_records import RECIPES
from report_pages import HOSTILE, PAPERS, Parsed, only_our_script

from fgbench.judge.columns import judge_papers
from fgbench.judge.nightly.benchmark_times import BenchmarkTimes
from fgbench.judge.nightly.history import Night
from fgbench.report.html.history_page import history_page, lines_of
from fgbench.report.html.render import render


def one(k, value, name="v", failed=()):
    return Night(
        finished=f"2026-01-{k + 1:02}", commit="", source="s", passed=not failed, accepted=False,
        values={name: value}, units={name: "%"}, benches=(), failed=failed,
    )  # fmt: skip


def page_of(nights, folder):
    index = render(PAPERS, judge_papers(PAPERS, [], {}, RECIPES, None), [], [], folder, more=[history_page(nights)])
    assert 'href="history.html"' in index.read_text()
    return (folder / "history.html").read_text()


def timed(k, seconds, version):
    bench = BenchmarkTimes(name="b", title="a hot path", version=version, machine="m", sessions=(math.log(seconds),))
    return one(k, 1.0).model_copy(update={"benches": (bench,)})


def test_another_version_of_a_benchmark_is_a_break_and_no_step():
    rng = np.random.default_rng(1)
    nights = [timed(k, (1 if k < 14 else 2) + 0.01 * rng.normal(), "v" if k < 14 else "w") for k in range(28)]
    (line,) = lines_of(nights)[1]
    assert line.name == "a hot path"
    assert line.breaks == (14,)
    assert line.steps == ()
    (line,) = lines_of([timed(k, math.exp(night.benches[0].mean), "v") for k, night in enumerate(nights)])[1]
    assert line.breaks == ()
    assert [step.at for step in line.steps] == [14]
    assert line.steps[0].after == pytest.approx(2, abs=0.02)


def test_the_page_marks_steps_and_keeps_hostile_names_text(tmp_path):
    rng = np.random.default_rng(0)
    nights = [one(k, (70 if k < 14 else 60) + rng.normal(), HOSTILE, failed=(HOSTILE,) * (k == 14)) for k in range(28)]
    ((line,), _) = lines_of(nights)
    assert [step.at for step in line.steps] == [14]
    page = page_of(nights, tmp_path)
    parsed = Parsed(page)
    assert not parsed.wrong
    assert only_our_script(page)
    assert HOSTILE in parsed.text
    assert "step at night 15" in parsed.text
    assert sum(fields.get("class") == "step" for _, fields in parsed.tags) == 1
    assert sum(fields.get("class") == "fault" for _, fields in parsed.tags) == 1


def test_values_that_never_moved_and_older_nights_are_folded(tmp_path):
    nights = [one(k, 70.0 + (k == 9) * (name == "moved"), name) for k in range(10) for name in ("still", "moved")]
    page = page_of(nights, tmp_path)
    parsed = Parsed(page)
    assert not parsed.wrong
    assert "1 values that never moved" in parsed.text
    assert "still: 70 %" in parsed.text
    assert "13 nights before" in parsed.text
    assert page.count("<svg") == 1
