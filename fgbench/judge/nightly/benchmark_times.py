"""Read the times of benchmarks: for each session a time as a multiple of the reference workload."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from fgbench.util.errors import FgbenchError
from fgbench.util.json_toml import read_json
from fgbench.util.validation import StrictModel

RERUN = "pytest benchmarks --benchmark-only --benchmark-json FILE"
MAX_LOGARITHM = 500.0
"""Largest logarithm of a time relative to the reference whose exponential is a float."""


class BenchmarkTimes(StrictModel):
    """The times of one benchmark in one night."""

    model_config = ConfigDict(allow_inf_nan=False)

    name: str
    """Test id of pytest; equal in all nights."""
    title: str
    """Readable name."""
    version: str
    """Hash of the code of the benchmark; times of different versions are not compared."""
    machine: str
    """Processor, number of cores and version of torch; times of different machines are not compared."""
    sessions: tuple[Annotated[float, Field(ge=-MAX_LOGARITHM, le=MAX_LOGARITHM)], ...] = Field(min_length=1)
    """For each session (process), the logarithm of the median time of a round relative to the reference workload."""

    @property
    def mean(self) -> float:
        """Mean of the logarithms over the sessions."""
        return sum(self.sessions) / len(self.sessions)

    @property
    def key(self) -> tuple[str, str, str]:
        """Name, version and machine: equal if the times of two nights may be compared."""
        return self.name, self.version, self.machine


def read_benchmark_times(paths: Iterable[Path]) -> tuple[BenchmarkTimes, ...]:
    """Return the benchmarks of fgbench itself in files of pytest-benchmark; each file is one session.

    Benchmarks without times of the reference workload are left out: their times depend on the load of the machine.

    Raises:
        FgbenchError: a file is not from pytest-benchmark, or a time is not a positive number.
    """
    by_name: dict[str, BenchmarkTimes] = {}
    for path in paths:
        content = _content(path)
        machine = _machine(content["machine_info"])
        for entry in content["benchmarks"]:
            if bench := _bench(path, entry, machine):
                before = by_name.get(bench.name)
                if before is not None and before.key != bench.key:
                    raise FgbenchError(
                        f"{path}: {bench.name} has another version or machine than in the other sessions", RERUN
                    )
                sessions = (*(before.sessions if before else ()), *bench.sessions)
                by_name[bench.name] = bench.model_copy(update={"sessions": sessions})
    return tuple(by_name.values())


def _content(path: Path) -> dict[str, Any]:
    content = read_json(path, RERUN, finite=False)
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("benchmarks"), list)
        or not isinstance(content.get("machine_info"), dict)
    ):
        raise FgbenchError(f"{path} is not a file of pytest-benchmark", RERUN)
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
            raise FgbenchError(f"{path}: {name} takes {relative} times the reference", RERUN)
        sessions, title = (math.log(relative),), entry.get("group") or entry["name"]
        return BenchmarkTimes(name=name, title=title, version=info["version"], machine=machine, sessions=sessions)
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise FgbenchError(f"{path}: an entry is not a benchmark of fgbench: {error!r}", RERUN) from error


def _machine(info: dict[str, Any]) -> str:
    cpu = info.get("cpu") if isinstance(info.get("cpu"), dict) else {}
    assert isinstance(cpu, dict)
    name = cpu.get("brand_raw") or info.get("processor") or info.get("machine") or "a processor not named"
    return f"{name}, {cpu.get('count', '?')} cores, torch {info.get('torch', 'not named')}"
