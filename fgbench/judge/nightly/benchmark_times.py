"""The times of a night: of each benchmark, what every session says it takes as a multiple of the reference workload."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import ConfigDict

from fgbench.util.errors import FgbenchError
from fgbench.util.validation import StrictModel

AGAIN = "pytest benchmarks --benchmark-only --benchmark-json FILE"


class BenchmarkTimes(StrictModel):
    """A benchmark in a night."""

    model_config = ConfigDict(allow_inf_nan=False)

    name: str
    """Equal from night to night."""
    title: str
    """What readers call it."""
    version: str
    """Hash of the benchmark's source: times of two versions are of two things."""
    machine: str
    """Processor, cores and torch: times of two machines are not compared."""
    sessions: tuple[float, ...]
    """Of each process that timed it, the logarithm of the median round over the reference workload beside it."""

    @property
    def mean(self) -> float:
        """Over the sessions, in logarithms."""
        return sum(self.sessions) / len(self.sessions)

    @property
    def key(self) -> tuple[str, str, str]:
        """What has to be equal for two nights to be compared."""
        return self.name, self.version, self.machine


def read_benchmark_times(paths: Iterable[Path]) -> tuple[BenchmarkTimes, ...]:
    """The benchmarks of fgbench itself in some files of pytest-benchmark, each file a session.

    Those without a reference beside them are left out: on a machine that others use their times say little.

    Raises:
        FgbenchError: a file is not pytest-benchmark's, or a time is no number.
    """
    found: dict[str, BenchmarkTimes] = {}
    for path in paths:
        content = _content(path)
        machine = _machine(content["machine_info"])
        for entry in content["benchmarks"]:
            if bench := _bench(path, entry, machine):
                before = found.get(bench.name)
                if before is not None and before.key != bench.key:
                    raise FgbenchError(f"{path}: {bench.name} is not that of the other sessions: {before.key}", AGAIN)
                sessions = (*(before.sessions if before else ()), *bench.sessions)
                found[bench.name] = bench.model_copy(update={"sessions": sessions})
    return tuple(found.values())


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FgbenchError(f"{path} cannot be read: {error}", AGAIN) from error
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("benchmarks"), list)
        or "machine_info" not in content
    ):
        raise FgbenchError(f"{path} is not of pytest-benchmark", AGAIN)
    return content


def _bench(path: Path, entry: dict[str, Any], machine: str) -> BenchmarkTimes | None:
    try:
        info, name = entry["extra_info"], entry.get("fullname") or entry["name"]
        if info.get("entrant", "fgbench") != "fgbench" or not info.get("version"):
            return None
        rounds: Sequence[float] = info.get("rounds_of_reference") or []
        relative = median(rounds) if rounds else info.get("times_reference")
        if relative is None and info.get("reference_s"):
            relative = entry["stats"]["median"] / info["reference_s"]
        if relative is None:
            return None
        if not relative > 0 or not math.isfinite(relative):
            raise FgbenchError(f"{path}: {name} takes {relative} times the reference", AGAIN)
        sessions, title = (math.log(relative),), entry.get("group") or entry["name"]
        return BenchmarkTimes(name=name, title=title, version=info["version"], machine=machine, sessions=sessions)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FgbenchError(f"{path}: a benchmark that is not of fgbench's kind: {error!r}", AGAIN) from error


def _machine(info: dict[str, Any]) -> str:
    cpu = info.get("cpu") if isinstance(info.get("cpu"), dict) else {}
    assert isinstance(cpu, dict)
    name = cpu.get("brand_raw") or info.get("processor") or info.get("machine") or "a processor not named"
    return f"{name}, {cpu.get('count', '?')} cores, torch {info.get('torch', 'not named')}"
