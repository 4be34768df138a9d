import json

import bench_file
import pytest
from bench_file import benchmark, content, cuda, frames, hot, peer, scaling, write, written_by_pytest

from fgbench.speed.bench_rows import FramesRow, HotRow, ScalingRow, read_session
from fgbench.util.errors import FgbenchError


def test_each_row_has_its_kind_and_other_rows_are_ignored(tmp_path):
    other_package = benchmark("g", "test_other", 0.1, {"note": "somebody else's"})
    other_kind = benchmark("g", "test_strange", 0.1, {"kind": "colour"})
    whole = content(hot(), peer(), other_package, other_kind, frames(), cuda(), scaling(2000, 0.1))
    session = read_session(write(tmp_path / "b.json", whole))
    assert [type(timed.row) for timed in session.rows] == [HotRow, FramesRow, FramesRow, ScalingRow]
    first = session.rows[0]
    assert (first.group, first.median_s) == ("compact bilinear pooling", 0.004)
    assert first.row.times_as_fast_as == {"an FFT a location": 15.6, "one inverse FFT": 9.6}
    assert session.machine == "Fake Xeon, 2 cores"
    assert (session.file, session.python, session.platform) == ("b.json", "3.11.2", "Linux 6.1")
    assert session.commit == "abcdef0123456789"
    assert session.finished.startswith("2026-11-21")


def test_a_file_that_pytest_benchmark_writes_is_read(written_file):
    session = read_session(written_file)
    (timed,) = session.rows
    assert timed.row.curve == "c"
    assert timed.group == "the group"
    assert timed.median_s > 0


@pytest.fixture
def written_file(tmp_path):
    """A file written by pytest-benchmark in a process of its own."""
    info = scaling(3, 0.1, curve="c")["extra_info"]
    return written_by_pytest(
        tmp_path,
        "def test_it(benchmark):\n"
        "    benchmark.group = 'the group'\n"
        "    benchmark.pedantic(sum, args=([1, 2],), rounds=3)\n"
        f"    benchmark.extra_info |= {info!r}\n",
    )


def changed(path, value):
    """Return the content of a file with one value replaced; `...` removes it."""
    whole = json.loads(json.dumps(bench_file.everything()))
    place = whole
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return whole


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["benchmarks"], ..., "'benchmarks': missing"),
        (["machine_info"], ..., "'machine_info': missing"),
        (["machine_info"], 5, "'machine_info"),
        (["machine_info", "processor_features"], {"name": "Xeon"}, "processor_features: 'cores': missing"),
        (["machine_info", "processor_features"], "AVX2", "processor_features"),
        (["benchmarks", 0, "extra_info", "values"], {"peak_mib": float("nan")}, "'values.peak_mib'"),
        (["datetime"], 5, "'datetime'"),
        (["benchmarks"], {"a": 1}, "'benchmarks'"),
        (["benchmarks", 0, "stats"], ..., "'benchmarks.0.stats': missing"),
        (["benchmarks", 0, "stats", "median"], "fast", "'benchmarks.0.stats.median'"),
        (["benchmarks", 0, "stats", "median"], -1.0, "'benchmarks.0.stats.median'"),
        (["benchmarks", 0, "stats", "median"], float("nan"), "'benchmarks.0.stats.median'"),
        (["benchmarks", 0, "extra_info"], [], "'benchmarks.0.extra_info'"),
        (["benchmarks", 0, "extra_info", "times_as_fast_as"], {"x": float("inf")}, "'times_as_fast_as.x'"),
        (["benchmarks", 0, "extra_info", "threads"], ..., "'threads': missing"),
        (["benchmarks", 2, "extra_info", "frames_per_s"], ..., "'frames_per_s': missing"),
        (["benchmarks", 2, "extra_info", "frames_per_s"], float("nan"), "'frames_per_s'"),
        (["benchmarks", 2, "extra_info", "frames_per_s"], 0, "'frames_per_s'"),
        (["benchmarks", 2, "extra_info", "device_type"], "tpu", "'device_type'"),
        (["benchmarks", 2, "extra_info", "tried"], [[1, 2, 3]], "'tried.0"),
        (["benchmarks", 5, "extra_info", "at"], "large", "'at'"),
        (["benchmarks", 5, "extra_info", "exponent"], float("inf"), "'exponent'"),
    ],
)
def test_a_missing_or_invalid_field_is_an_error(tmp_path, path, value, message):
    with pytest.raises(FgbenchError) as error:
        read_session(write(tmp_path / "b.json", changed(path, value)))
    assert message in str(error.value)
    assert "b.json" in str(error.value)
    assert "--benchmark-json" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1, 2]", "is not a result file of pytest-benchmark"),
        ("null", "is not a result file of pytest-benchmark"),
        (json.dumps(content(hot("\ud800"))), "surrogates not allowed"),
        (json.dumps(content(hot(), cpu="\ud800")), "surrogates not allowed"),
        (json.dumps(content()), "has no row of fgbench"),
        (json.dumps(content(peer())), "has no row of fgbench"),
    ],
)
def test_a_file_without_benchmark_results_is_an_error(tmp_path, text, message):
    path = tmp_path / "b.json"
    path.write_text(text)
    with pytest.raises(FgbenchError, match=message):
        read_session(path)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")
    for path, message in (("b.json", "is not JSON"), ("none.json", "cannot be read"), (".", "cannot be read")):
        with pytest.raises(FgbenchError, match=message):
            read_session(tmp_path / path)


def test_an_error_message_is_short(tmp_path):
    whole = content(frames(frames_per_s="x" * 100_000))
    with pytest.raises(FgbenchError) as error:
        read_session(write(tmp_path / "b.json", whole))
    assert len(str(error.value)) < 1000


def test_a_machine_may_have_no_name(tmp_path):
    whole = content(hot(), machine_info={"cpu": "?"})
    assert read_session(write(tmp_path / "b.json", whole)).machine == "unknown processor"
