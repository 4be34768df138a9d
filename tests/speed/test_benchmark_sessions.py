"""Sessions of pytest with the files of `benchmarks/`: what fails, what is printed, and what is recorded."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fgbench.speed.bench_rows import HotRow, read_session

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SLOW = """
import pytest
from race import FGBENCH, Race

def work(result):
    return lambda: lambda: result

RACE = Race(
    "a slow path",
    {
        FGBENCH: work({"peak_mib": 3387.0, "cores_busy": 1.9}),
        "a peer": work({}),
        "an absent one": lambda: pytest.skip("no"),
    },
    at_least={"a peer": 1000, "an absent one": 2},
    at_most_s=1e-12,
    values=lambda result: result,
    values_at_most={"peak_mib": 2048},
    values_at_least={"cores_busy": 1.6},
    seconds=lambda result: 0.25,
    rounds=3,
)

@pytest.mark.parametrize("who", RACE.names)
def test_slow(row, who):
    row(RACE, who)
"""


def session(folder, *options):
    """Run a race that misses all that it asks for but one value; return the exit code and the output."""
    (folder / "test_slow.py").write_text(SLOW)
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "--benchmark-only", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    environment["PYTHONPATH"] = os.pathsep.join([str(BENCHMARKS), *sys.path])
    done = subprocess.run(
        [*command, f"--benchmark-json={folder / 'b.json'}", "test_slow.py"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    return folder, *session(folder)


def test_without_check_nothing_fails_and_the_table_says_what_was_missed(measured):
    _, code, text = measured
    assert code == 0, text
    lines = [" ".join(line.split()) for line in text.splitlines() if line.startswith("a slow path")]
    assert lines == [
        "a slow path a peer 250 ms 250 ms to 250 ms 250 ms 1 times as fast at least 1000 missed -",
        "a slow path an absent one 250 ms 250 ms to 250 ms not measured - at least 2 -",
        "a slow path seconds 250 ms 250 ms to 250 ms - 250 ms at most 1e-06 us missed -",
        "a slow path peak_mib 250 ms 250 ms to 250 ms - 3387 at most 2048 missed -",
        "a slow path cores_busy 250 ms 250 ms to 250 ms - 1.9 at least 1.6 -",
    ]
    assert "cores: " in text
    assert "reference workload: " in text


def test_each_row_has_the_reference_workload_and_the_processor(measured):
    folder, _, _ = measured
    content = json.loads((folder / "b.json").read_text())
    assert len(content["benchmarks"]) == 2
    for row in content["benchmarks"]:
        assert row["extra_info"]["reference_s"] > 0
        assert "BLAS" in row["extra_info"]["processor"]
    read = read_session(folder / "b.json")
    assert "BLAS" in read.features
    (timed,) = read.rows
    assert isinstance(timed.row, HotRow)
    assert timed.median_s == pytest.approx(0.25)
    assert timed.row.values == {"peak_mib": 3387.0, "cores_busy": 1.9}
    assert (timed.row.values_at_most, timed.row.values_at_least) == ({"peak_mib": 2048}, {"cores_busy": 1.6})


def test_with_check_what_was_missed_fails(tmp_path):
    code, text = session(tmp_path, "--check")
    assert code == 1
    assert (
        "a slow path: times as fast as a peer: 1; asked: at least 1000; seconds: 0.25; asked: at most 1e-12; "
        "peak_mib: 3387; asked: at most 2048\n"
    ) in text
    assert "1 failed, 1 passed, 1 skipped" in text


def test_no_benchmark_asserts_a_number_but_results_that_agree():
    """What is asked of times, ratios and memory belongs into a race, which fails only with `--check`."""
    allowed = {"agree", "agree_em", "test_frames", "test_training_step"}
    for path in BENCHMARKS.glob("*.py"):
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
        asserting = {
            function.name for function in functions for node in ast.walk(function) if isinstance(node, ast.Assert)
        }
        outer = {"race", "fisher_race"}  # functions that contain an `agree`
        assert asserting - outer <= allowed, path
