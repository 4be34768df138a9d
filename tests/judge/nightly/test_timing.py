import json
from math import exp, log

import bench_file
import numpy as np
import pytest
from made_nights import bench

from fgbench.judge.nightly.benchmark_times import BenchmarkTimes, read_benchmark_times
from fgbench.judge.nightly.timing import FIRST, MIN_NIGHTS, compare_speed, slower_tonight
from fgbench.util.errors import FgbenchError

SUITE = 6


def night(rng, changes=(), spread=0.01, **fields):
    """Return a night of a suite whose benchmarks b0, b1, ... have relative changes."""
    levels = spread * rng.normal(size=SUITE) + np.array([*map(np.log1p, changes), *[0.0] * (SUITE - len(changes))])
    return [bench(f"b{k}", seconds=exp(level), **fields) for k, level in enumerate(levels)]


def judge(past, tonight):
    """Return the comparison of a night, and add the night to the past as the history does."""
    result = compare_speed(past, tonight)
    failed = {finding.where for finding in result.findings if finding.fails}
    past.append([one for one in result.judged if one.name not in failed])
    return result


def kinds(result):
    return [(finding.kind, finding.where) for finding in result.findings]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def past(rng):
    """Thirty nights without a change."""
    return [night(rng) for _ in range(30)]


def test_a_slower_benchmark_is_a_note_until_most_of_seven_nights_are_slower(rng, past):
    found = [kinds(judge(past, night(rng, [0.2]))) for _ in range(10)]
    assert found == [[("note", "b0")]] * 3 + [[("worse", "b0")]] * 7
    # One night as before ends it.
    assert kinds(judge(past, night(rng))) == []


def test_the_note_says_what_was_measured_and_when_it_fails(rng, past):
    tonight = night(rng, [0.2])
    tonight[0] = tonight[0].model_copy(update={"again": tonight[0].sessions})
    judge(past, night(rng, [0.2]))
    (finding,) = judge(past, tonight).findings
    assert not finding.fails
    assert "also in 6 new sessions; slower in 2 of the last 7 nights, and the night fails at 4" in finding.text


def test_one_slow_night_changes_nothing(rng, past):
    judge(past, night(rng, [3.0]))
    assert [kinds(judge(past, night(rng))) for _ in range(10)] == [[]] * 10


def test_a_slower_night_is_not_a_part_of_the_baseline(rng):
    past = [night(rng, spread=0.0) for _ in range(MIN_NIGHTS)]
    marked = [[one.model_copy(update={"beyond_limit": "slower"}) for one in night(rng, [1.0] * SUITE, 0.0)]] * 20
    checks = compare_speed([*past, *marked, *past[:7]], night(rng, spread=0.0)).checks
    assert {check.base for check in checks} == {"1 times"}
    unmarked = [[one.model_copy(update={"beyond_limit": ""}) for one in benches] for benches in marked]
    checks = compare_speed([*past, *unmarked, *past[:7]], night(rng, spread=0.0)).checks
    assert {check.base for check in checks} == {"2 times"}


def test_a_faster_benchmark_is_better_until_it_is_the_baseline(rng, past):
    found = [kinds(judge(past, night(rng, [-0.2]))) for _ in range(60)]
    assert found[:3] == [[]] * 3
    assert found[3] == [("better", "b0")]
    assert found[-1] == []
    # The baseline is the faster one now: the old speed is worse.
    assert [kinds(judge(past, night(rng))) for _ in range(4)][-1] == [("worse", "b0")]


def test_a_change_under_five_percent_is_not_a_finding(rng):
    past = [night(rng, spread=0.001) for _ in range(30)]
    assert [kinds(judge(past, night(rng, [0.04], spread=0.001))) for _ in range(7)] == [[]] * 7
    assert [kinds(judge(past, night(rng, [0.06], spread=0.001))) for _ in range(4)][-1] == [("worse", "b0")]


def test_the_limit_is_larger_where_earlier_nights_shifted(rng):
    """All benchmarks are slower for a week now and then; one more such week is not a finding."""
    weeks = [0, 0, 0.1, 0, 0, 0, 0.1, 0, 0]
    past = [night(rng, [week] * SUITE, 0.002) for week in weeks for _ in range(7)]
    found = [kinds(judge(past, night(rng, [0.1] * SUITE, 0.002))) for _ in range(7)]
    assert not any(kind == "worse" for kinds in found for kind, _ in kinds)
    # A larger shift of one benchmark is found.
    found = [kinds(judge(past, night(rng, [0.3], 0.002))) for _ in range(4)]
    assert found[-1] == [("worse", "b0")]


def test_a_slow_drift_is_found_against_the_first_nights(rng, past):
    for k in range(160):
        result = judge(past, night(rng, [1.001**k - 1], 0.004))
        if kinds(result) == [("worse", "b0")]:
            break
    assert f"against the first {FIRST}" in result.findings[0].text
    assert f"against the first {FIRST}" in result.checks[0].test
    assert 110 < k < 150  # 5 % for the limit, 8 % for the drift of a machine


@pytest.mark.parametrize("count", [0, 1, MIN_NIGHTS - 1])
def test_with_too_few_nights_nothing_is_judged(rng, count):
    past = [night(rng) for _ in range(count)]
    result = judge(past, night(rng, [9.0]))
    assert result.checks == []
    (finding,) = result.findings
    assert (finding.kind, finding.where) == ("note", "6 benchmarks")
    assert f"{count} of the {MIN_NIGHTS} earlier nights" in finding.text
    assert slower_tonight(past[:-1], night(rng, [9.0])) == []


def test_a_benchmark_with_enough_nights_is_judged_beside_a_younger_one(rng, past):
    past = [benches[:-1] for benches in past[:-3]] + past[-3:]
    result = judge(past, night(rng))
    assert [check.where for check in result.checks] == [f"b{k}" for k in range(SUITE - 1)]
    assert kinds(result) == [("note", f"b{SUITE - 1}")]


def test_a_missing_benchmark_was_not_run_and_an_added_one_is_new():
    result = compare_speed([[bench(), bench("c")]], [bench(), bench("d")], ["b", "c"])
    assert kinds(result) == [("was not run", "c"), ("note", "b"), ("new", "d")]


def test_another_version_or_machine_is_not_compared_but_noted_once(rng, past):
    (finding,) = judge(list(past), night(rng, [1.0], version="w")).findings
    assert (finding.kind, finding.where) == ("note", "6 benchmarks")
    assert "v to w" in finding.text
    result = judge(list(past), night(rng, [1.0], machine="n"))
    assert "the machine changed (m to n)" in result.findings[0].text
    assert result.checks == []
    # Nights of the same version before it count.
    past.append(night(rng, version="w"))
    assert len(judge(past, night(rng)).checks) == SUITE


def test_what_looks_slower_is_ordered_by_its_change(rng, past):
    assert slower_tonight(past, night(rng, [0.2, 0, 0.4])) == ["b2", "b0"]
    assert slower_tonight(past, night(rng, [-0.2])) == []


def test_a_benchmark_measured_again_is_judged_by_the_smaller_median():
    one = BenchmarkTimes(name="b", title="b", version="v", machine="m", sessions=(1.0, 2.0, 9.0))
    assert one.level == 2.0
    assert one.model_copy(update={"again": (0.1, 0.2, 0.3)}).level == 0.2
    assert one.model_copy(update={"again": (4.0,)}).level == 2.0


def test_sessions_measured_again_are_read_apart(tmp_path):
    files = {"benchmarks-again-1": 3.0, "benchmarks-1": 1.0, "benchmarks-2": 2.0}
    paths = [
        bench_file.write(tmp_path / f"{name}.json", bench_file.content(content([seconds])))
        for name, seconds in files.items()
    ]
    (found,) = read_benchmark_times(paths)
    assert found.sessions == (log(1.0), log(2.0))
    assert found.again == (log(3.0),)
    with pytest.raises(FgbenchError, match="measured again, but not before"):
        read_benchmark_times(paths[:1])


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
    assert exp(found["x"].level) == pytest.approx(0.2)
    assert exp(found["frames/s, cpu"].level) == pytest.approx(0.58 / 0.02)


WRONG = (
    *("{", "[]", '{"benchmarks": 3}', '{"benchmarks": [3], "machine_info": {}}', "[" * 100_000),
    *('{"benchmarks": [], "machine_info": []}'),
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
