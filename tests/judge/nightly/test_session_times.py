import numpy as np
import pytest
from made_nights import bench

from fgbench.judge.nightly.session_times import ALPHA, MIN_CHANGE, compare_sessions


def kinds(findings):
    return [(finding.kind, finding.where) for finding in findings]


def test_a_benchmark_of_which_all_sessions_are_slower_is_worse():
    findings, checks = compare_sessions([bench(), bench("c")], [bench(seconds=1.4), bench("c")])
    assert kinds(findings) == [("worse", "b")]
    assert "+40.0 %" in findings[0].text
    assert checks[0].p == pytest.approx(2 / 924)  # six sessions against six, Holm over two benchmarks
    assert checks[1].p > 0.5
    assert kinds(compare_sessions([bench()], [bench(seconds=0.6)])[0]) == [("better", "b")]


def test_a_change_that_two_nights_may_have_by_chance_is_a_note():
    findings, checks = compare_sessions([bench()], [bench(seconds=1 + MIN_CHANGE - 0.01)])
    assert kinds(findings) == [("note", "b")]
    assert "two nights can differ so much by chance" in findings[0].text
    assert len(checks) == 1
    assert compare_sessions([bench()], [bench(seconds=0.9)])[0] == []


def test_sessions_that_overlap_are_no_finding():
    assert compare_sessions([bench(spread=0.5)], [bench(seconds=1.3, spread=0.5)])[0] == []


def test_too_few_sessions_are_not_compared():
    few, many = [bench(sessions=2)], [bench(seconds=9.0, sessions=2)]
    findings, checks = compare_sessions(few, many)
    assert checks == []
    assert kinds(findings) == [("note", "b")]
    assert "the sessions are too few to judge 1 benchmark" in findings[0].text
    # Three sessions are enough for one benchmark, but not for two.
    assert kinds(compare_sessions([bench(sessions=3)], [bench(seconds=9.0, sessions=3)])[0]) == [("worse", "b")]
    pair = [[bench(name, seconds, sessions=3) for name in "bc"] for seconds in (1.0, 9.0)]
    assert kinds(compare_sessions(*pair)[0]) == [("note", "2 benchmarks")]


def test_missing_new_and_changed_benchmarks_are_reported():
    findings, checks = compare_sessions([bench(), bench("c"), bench("d")], [bench(version="w"), bench("d"), bench("e")])
    assert kinds(findings) == [("was not run", "c"), ("note", "b"), ("new", "e")]
    assert [check.where for check in checks] == ["d"]


def test_sessions_of_the_same_time_have_few_false_findings():
    rng, hits, trials = np.random.default_rng(0), 0, 200
    for _ in range(trials):
        rows = 0.02 * rng.standard_t(2, (2, 5, 6))
        nights = [
            [bench(f"b{k}").model_copy(update={"sessions": tuple(row)}) for k, row in enumerate(one)] for one in rows
        ]
        hits += any(check.p <= ALPHA and check.change[0] == "+" for check in compare_sessions(*nights)[1])
    assert hits / trials <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / trials) ** 0.5
