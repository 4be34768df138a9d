import json
from math import exp

import bench_file
import numpy as np
import pytest
from made_nights import bench
from simulated_nights import night, worse

from fgbench.judge.nightly.benchmark_times import read_benchmark_times
from fgbench.judge.nightly.timing import compare_speed
from fgbench.util.errors import FgbenchError


def kinds(result):
    return [(finding.kind, finding.where) for finding in result[0]]


def test_slower_and_faster_against_one_night():
    past = [[bench(), bench("c")]]
    assert kinds(compare_speed(past, [bench(seconds=1.4), bench("c")])) == [("worse", "b")]
    assert kinds(compare_speed(past, [bench(seconds=0.6), bench("c")])) == [("better", "b")]
    # With one earlier night the assumed spread is 3 %: 10 % is not a finding.
    assert kinds(compare_speed(past, [bench(seconds=1.1), bench("c")])) == []


def test_with_many_quiet_nights_less_is_found_but_never_under_five_percent():
    past = [[bench(seconds=1 + 0.002 * (k % 3), spread=0.002)] for k in range(14)]
    assert kinds(compare_speed(past, [bench(seconds=1.09, spread=0.002)])) == [("worse", "b")] * 2
    assert kinds(compare_speed(past, [bench(seconds=1.04, spread=0.002)])) == []


def test_a_slow_drift_is_found_against_the_first_nights():
    past = [[bench(seconds=1.004**k, spread=0.005)] for k in range(30)]
    found, _ = compare_speed(past, [bench(seconds=1.004**30, spread=0.005)])
    assert [finding.kind for finding in found] == ["worse"]
    assert "the first nights" in found[0].text


def test_the_spread_between_sessions_is_included():
    past = [[bench(spread=0.3)] for _ in range(2)]
    assert kinds(compare_speed(past, [bench(seconds=1.3, spread=0.3)])) == []
    assert kinds(compare_speed([[bench()]] * 2, [bench(seconds=1.3)])) == [("worse", "b")]


def test_a_missing_benchmark_was_not_run_and_an_added_one_is_new():
    result = compare_speed([[bench(), bench("c")]], [bench(), bench("d")], ["b", "c"])
    assert kinds(result) == [("was not run", "c"), ("new", "d")]


def test_another_version_or_machine_is_not_compared_but_noted():
    past = [[bench()]]
    (found, checks) = compare_speed(past, [bench(seconds=2, version="w")])
    assert [f.kind for f in found] == ["note"]
    assert "v to w" in found[0].text
    assert not checks
    (found, checks) = compare_speed(past, [bench(seconds=2, machine="n")])
    assert "the machine changed (m to n)" in found[0].text
    assert not checks
    # Nights of the same version before it count.
    assert kinds(compare_speed([[bench()], [bench(version="w")]], [bench(seconds=2)])) == [("worse", "b")]


def test_the_detectable_change_is_found_in_simulations():
    rng = np.random.default_rng(3)
    past = [night(rng) for _ in range(14)]
    _, checks = compare_speed(past, night(rng))
    detectable = float(next(c.detectable for c in checks if c.where == "b7").rstrip(" %"))
    assert 6 < detectable < 13
    found = sum(
        any(f.where == "b7" for f in worse(compare_speed(past, night(rng, slower=[7], by=1 + (detectable + 4) / 100))))
        for _ in range(40)
    )
    assert found >= 34


def content(relatives, **fields):
    return bench_file.hot(rounds_of_reference=relatives, **fields)


def test_sessions_are_read_with_their_rounds(tmp_path):
    one = bench_file.write(tmp_path / "1.json", bench_file.content(content([1.0, 2.0, 9.0]), bench_file.peer()))
    two = bench_file.write(tmp_path / "2.json", bench_file.content(content([3.0, 3.0, 3.0])))
    (found,) = read_benchmark_times([one, two])
    assert [round(exp(x), 9) for x in found.sessions] == [2.0, 3.0]
    assert found.machine == "Fake Xeon, 2 cores, torch not named"
    assert found.version == "0123456789ab"


def test_without_rounds_the_median_is_used_and_without_a_reference_the_benchmark_is_left_out(tmp_path):
    whole = bench_file.content(bench_file.hot("x"), bench_file.frames(), bench_file.scaling(10, 1.0))
    found = {own.title: own for own in read_benchmark_times([bench_file.write(tmp_path / "1.json", whole)])}
    assert set(found) == {"x", "frames/s, cpu"}
    assert exp(found["x"].mean) == pytest.approx(0.2)
    assert exp(found["frames/s, cpu"].mean) == pytest.approx(0.58 / 0.02)


WRONG = (
    *("{", "[]", '{"benchmarks": 3}', '{"benchmarks": [3], "machine_info": {}}', "[" * 100_000),
    *('{"benchmarks": [], "machine_info": null}', '{"benchmarks": [], "machine_info": []}'),
    *('{"benchmarks": [], "machine_info": {"a": %s}}' % ("9" * n) for n in (25, 5000)),
)


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_another_file_is_refused(tmp_path, wrong):
    path = tmp_path / "x.json"
    path.write_text(wrong)
    with pytest.raises(FgbenchError, match=r"x\.json"):
        read_benchmark_times([path])


@pytest.mark.parametrize("time", [0.0, -1.0, float("nan"), float("inf"), 1e-300])
def test_a_time_that_is_not_positive_and_finite_is_refused(tmp_path, time):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(bench_file.content(content([time]))))
    with pytest.raises(FgbenchError, match=r"times the reference|not a benchmark of fgbench"):
        read_benchmark_times([path])
