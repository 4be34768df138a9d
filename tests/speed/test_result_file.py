"""Result files that are written without pytest-benchmark, compared with those that it writes."""

import json
import random

import pytest
from bench_file import frames, written_by_pytest
from pytest_benchmark.stats import Stats

from fgbench.speed.bench_files import frames_of, read_speed
from fgbench.speed.bench_rows import read_session
from fgbench.speed.processor import IN_MACHINE_INFO, this_processor
from fgbench.speed.result_file import Entry, stats, write_result_file
from fgbench.util.errors import FgbenchError

INFO = frames()["extra_info"]


def entry(seconds=(0.5, 0.6, 0.7)):
    return Entry("frames/s, cpu", "bcnn/bcnn_dm@cub, one image", seconds, INFO)


@pytest.mark.parametrize("rounds", range(1, 13))
def test_statistics_are_those_of_pytest_benchmark(rounds):
    draw = random.Random(rounds)
    seconds = [draw.lognormvariate(0, 1) for _ in range(rounds)]
    theirs = Stats()
    for value in seconds:
        theirs.update(value)
    ours = stats(seconds)
    assert ours.pop("data") == seconds
    assert ours.pop("iterations") == 1
    assert ours.pop("outliers") == theirs.as_dict()["outliers"]
    assert ours == pytest.approx({name: value for name, value in theirs.as_dict().items() if name != "outliers"})


def test_the_file_has_the_structure_of_one_of_pytest_benchmark(tmp_path):
    theirs = json.loads(
        written_by_pytest(
            tmp_path, "def test_it(benchmark):\n    benchmark.pedantic(sum, args=([1, 2],), rounds=3)\n"
        ).read_text()
    )
    write_result_file(tmp_path / "ours.json", [entry()])
    ours = json.loads((tmp_path / "ours.json").read_text())
    assert ours.keys() == theirs.keys()
    assert ours["machine_info"].keys() - theirs["machine_info"].keys() == {"torch", IN_MACHINE_INFO}
    assert theirs["machine_info"].keys() <= ours["machine_info"].keys()
    for name in ("processor", "python_version", "python_build", "release", "system", "node", "machine"):
        assert ours["machine_info"][name] == theirs["machine_info"][name]
    assert ours["machine_info"]["cpu"].items() <= theirs["machine_info"]["cpu"].items()
    (our_row,), (their_row,) = ours["benchmarks"], theirs["benchmarks"]
    assert our_row.keys() == their_row.keys()
    assert our_row["stats"].keys() == their_row["stats"].keys()
    assert our_row["options"].keys() <= their_row["options"].keys()
    assert type(ours["datetime"]) is type(theirs["datetime"])


def test_the_file_is_read_like_one_of_pytest_benchmark(tmp_path):
    path = tmp_path / "speed" / "a.json"
    write_result_file(path, [entry(), entry((0.1, 0.2))])
    (session,), damaged = read_speed(tmp_path)
    assert damaged == []
    assert session == read_session(path)
    assert session.machine == f"{this_processor().name}, {this_processor().cores} cores"
    assert session.features == this_processor().features
    assert [timed.median_s for timed in session.rows] == pytest.approx([0.6, 0.15])
    assert [row.frames_per_s for row in frames_of([session])] == [INFO["frames_per_s"]] * 2


def test_a_file_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "speed").write_text("x")
    with pytest.raises(FgbenchError, match="is a file, not a folder"):
        write_result_file(tmp_path / "speed" / "a.json", [entry()])
    with pytest.raises(FgbenchError, match="cannot write"):
        write_result_file(tmp_path.joinpath("/dev/full"), [entry()])
