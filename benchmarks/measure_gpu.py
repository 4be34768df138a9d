"""Measures CUB-200-2011 on a GPU within a time limit: a smoke test, recipes, frames per second, the report.

    python benchmarks/measure_gpu.py --within 9m --results runs/cub-gpu -- --backbone vgg16:relu5_3

Options after `--` are given to `fgbench run`. Each part ends in time. The same command again keeps finished runs and
measured speeds, and continues unfinished runs. Speeds of other code are measured again. The recipes run in the order of
verdicts a minute. The exit code is 1 if a part failed.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from fgbench.speed.bench_files import frames_of
from fgbench.speed.bench_rows import read_session
from fgbench.util.code_hash import hash_code
from fgbench.util.durations import parse_duration
from fgbench.util.errors import FgbenchError

ROOT = Path(__file__).parents[1]
SMOKE = (
    "bcnn/fc_cnn_d", "bcnn/fv_cnn_d", "bcnn/bcnn_dd", "bcnn/cbp_ts_dd", "bcnn/bcnn_spp_dm",
    "where_to_focus/spatial_lstm_dm", "keypoint_fcn/localizer", "keypoint_fcn/compact_bilinear",
    "keypoint_fcn/part_nets", "tasn/tasn_vgg19",
)  # fmt: skip
"""One recipe of each method: one epoch of each stage on 20 classes."""
RECIPES = (
    "bcnn/bcnn_dd", "bcnn/fv_cnn_d", "keypoint_fcn/localizer", "bcnn/cbp_ts_dd", "bcnn/cbp_rm_dd",
    "where_to_focus/spatial_lstm_dm", "keypoint_fcn/compact_bilinear", "tasn/tasn_vgg19",
)  # fmt: skip
"""Recipes that run as their papers say."""
SUBJECTS = ("B-CNN [D,D]", "Keypoint FCN, compact bilinear", "TASN, VGG-19")
"""Methods whose frames per second and energy are measured, as `benchmarks/test_frames.py` names them."""
SMOKE_SHARE, FRAMES_SHARE, REPORT_S = 0.15, 0.1, 20.0
"""Shares of the time for the smoke test and the frames per second, and the seconds for the report."""
ENERGY_RUN_S = 3
"""Length of a run of the measurement of energy in seconds; three runs are made."""


def environment() -> dict[str, str]:
    """Return the environment of the parts."""
    return {"FGBENCH_ENERGY_RUN_S": str(ENERGY_RUN_S), **os.environ}


class Parts:
    """Runs the parts of the measurement and notes which failed.

    Args:
        limit_s: time for all parts in seconds.
    """

    def __init__(self, limit_s: float) -> None:
        self._end = time.monotonic() + limit_s
        self.failed: list[str] = []

    @property
    def left_s(self) -> float:
        """Seconds until the end."""
        return self._end - time.monotonic()

    def run(self, name: str, command: Sequence[str], limit_s: float) -> None:
        """Run a command of Python, print its time, and end it after a limit in seconds."""
        _say(f"{name}: {' '.join(command)}")
        started, outcome = time.monotonic(), "done"
        try:
            code = _exit_code([sys.executable, *command], max(limit_s, 1))
        except subprocess.TimeoutExpired:
            outcome = "ended at its time limit"
        else:
            if code:
                outcome = f"failed with exit code {code}"
                self.failed.append(name)
        _say(f"{name}: {outcome} after {time.monotonic() - started:.0f} s")


def _exit_code(command: Sequence[str], limit_s: float) -> int:
    """Run a command and return its exit code; after the limit, end it with the processes that it started.

    Raises:
        TimeoutExpired: the command was ended.
    """
    with subprocess.Popen(command, cwd=ROOT, env=environment(), start_new_session=True) as process:
        try:
            return process.wait(limit_s)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Run all parts; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--within", default="9m", help="time limit, such as 9m")
    parser.add_argument("--results", type=Path, default=Path("runs/cub-gpu"), help="folder of records and speeds")
    parser.add_argument("--precision", default="bf16-mixed", help="precision of the training, as of fgbench run")
    parser.add_argument("options", nargs="*", help="options of fgbench run, after --")
    chosen = parser.parse_args(arguments)
    parts, results = Parts(limit_s := parse_duration(chosen.within)), chosen.results.absolute()

    def run(name: str, recipes: Sequence[str], folder: Path, limit_s: float, *more: str) -> None:
        command = ["-m", "fgbench", "run", *recipes, "--profile", "paper", "--seeds", "1", "--results", str(folder)]
        limits = ["--precision", chosen.precision, "--within", f"{limit_s:.0f}s"]
        parts.run(name, [*command, *more, *limits, *chosen.options], limit_s + REPORT_S)

    run("smoke test", SMOKE, results / "smoke", SMOKE_SHARE * limit_s, "--classes", "20", "--epochs", "1")
    run("recipes", RECIPES, results, parts.left_s - FRAMES_SHARE * limit_s - REPORT_S)
    speeds = [results / "speed" / f"{number}.json" for number in range(len(SUBJECTS))]
    for subject, file in zip(SUBJECTS, speeds, strict=True):
        if is_current(file):
            continue
        if parts.left_s <= 2 * REPORT_S:
            old = "; the report has the speed of other code" if file.is_file() else ""
            _say(f"frames per second of {subject}: not measured, because the time is over{old}")
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            test = frames_test(subject, gpu=torch.cuda.is_available())
            command = ["-m", "pytest", "--benchmark-only", f"--benchmark-json={file}", test]
            parts.run(f"frames per second of {subject}", command, parts.left_s - REPORT_S)
    measured = [f"--benchmarks={file}" for file in speeds if file.is_file()]
    parts.run("report", ["-m", "fgbench", "report", "--results", str(results), *measured], parts.left_s)
    return 1 if parts.failed else 0


def is_current(file: Path) -> bool:
    """Return True if the speeds of a file were measured with the code that is here now."""
    try:
        rows = frames_of([read_session(file)])
    except FgbenchError:
        return False
    code = hash_code()
    return bool(rows) and all(row.code == code for row in rows)


def frames_test(subject: str, *, gpu: bool) -> str:
    """Return the benchmark that measures the frames per second and the energy of a method."""
    return f"benchmarks/test_frames.py::test_frames[{subject}-{'cuda' if gpu else 'cpu'}]"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
