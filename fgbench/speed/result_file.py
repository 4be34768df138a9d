"""Result files with the fields that pytest-benchmark writes, for speeds that are measured without it."""

import platform
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fgbench._version import __version__
from fgbench.records.provenance import git_state
from fgbench.speed.processor import IN_MACHINE_INFO, this_processor
from fgbench.util.files import write_json


@dataclass(frozen=True, slots=True)
class Entry:
    """One benchmark of a result file."""

    group: str
    name: str
    seconds: Sequence[float]
    """Seconds of each round."""
    extra_info: Mapping[str, Any]


def write_result_file(path: Path, entries: Sequence[Entry]) -> None:
    """Write benchmarks into a file that `fgbench report` and pytest-benchmark read.

    Raises:
        FgbenchError: The file cannot be written.
    """
    content = {
        "machine_info": _machine_info() | machine_fields(),
        "commit_info": _commit_info(),
        "benchmarks": [_benchmark(entry) for entry in entries],
        "datetime": datetime.now(UTC).isoformat(),
        "version": f"fgbench {__version__}",
    }
    write_json(path, content)


def machine_fields() -> dict[str, Any]:
    """Return the fields of `machine_info` that fgbench adds to those of pytest-benchmark."""
    return {"torch": version("torch"), IN_MACHINE_INFO: this_processor().model_dump(mode="json")}


def _machine_info() -> dict[str, Any]:
    processor = this_processor()
    return {
        "node": platform.node(),
        "processor": platform.processor(),
        "machine": platform.machine(),
        "python_compiler": platform.python_compiler(),
        "python_implementation": platform.python_implementation(),
        "python_implementation_version": platform.python_version(),
        "python_version": platform.python_version(),
        "python_build": list(platform.python_build()),
        "release": platform.release(),
        "system": platform.system(),
        "cpu": {"brand_raw": processor.name, "count": processor.cores, "arch_string_raw": platform.machine()},
    }


def _commit_info() -> dict[str, Any]:
    state = git_state()
    return {"id": state["commit"] or "unversioned", "dirty": bool(state["dirty"]), "project": "fgbench"}


def _benchmark(entry: Entry) -> dict[str, Any]:
    return {
        "group": entry.group,
        "name": entry.name,
        "fullname": f"fgbench speed::{entry.name}",
        "params": None,
        "param": None,
        "extra_info": dict(entry.extra_info),
        "options": {"disable_gc": True, "timer": "perf_counter", "warmup": True},
        "stats": stats(entry.seconds),
    }


def stats(seconds: Sequence[float]) -> dict[str, Any]:
    """Return the statistics of pytest-benchmark over the seconds of all rounds.

    Example:
        >>> summary = stats([0.1, 0.2, 0.4])
        >>> summary["median"], summary["rounds"], summary["outliers"]
        (0.2, 3, '1;0')
    """
    data, rounds = sorted(seconds), len(seconds)
    mean, deviation = statistics.mean(data), statistics.stdev(data) if rounds > 1 else 0.0
    low, high = _quartiles(data)
    fences = low - 1.5 * (high - low), high + 1.5 * (high - low)
    beyond_deviation = sum(abs(value - mean) > deviation for value in data)
    beyond_fences = sum(not fences[0] <= value <= fences[1] for value in data)
    return {
        "min": data[0],
        "max": data[-1],
        "mean": mean,
        "stddev": deviation,
        "rounds": rounds,
        "median": statistics.median(data),
        "iqr": high - low,
        "q1": low,
        "q3": high,
        "iqr_outliers": beyond_fences,
        "stddev_outliers": beyond_deviation,
        "outliers": f"{beyond_deviation};{beyond_fences}",
        "ld15iqr": data[bisect_left(data, fences[0])],
        "hd15iqr": data[bisect_right(data, fences[1]) - 1],
        "ops": 1 / mean,
        "total": sum(data),
        "data": list(seconds),
        "iterations": 1,
    }


def _quartiles(data: Sequence[float]) -> tuple[float, float]:
    """Return the quartiles of sorted values: the medians of the halves, each with half of a middle value.

    For 4n + 1 and 4n + 3 values, pytest-benchmark takes method 3 of https://en.wikipedia.org/wiki/Quartile.
    """
    half, odd = divmod(len(data), 2)
    if not odd:
        return statistics.median(data[:half]), statistics.median(data[half:])
    if half == 0:
        return data[0], data[0]
    n, rest = divmod(len(data), 4)
    if rest == 1:
        return 0.25 * data[n - 1] + 0.75 * data[n], 0.75 * data[3 * n] + 0.25 * data[3 * n + 1]
    return 0.75 * data[n] + 0.25 * data[n + 1], 0.25 * data[3 * n + 1] + 0.75 * data[3 * n + 2]
