"""Read the times of benchmarks: for each session a time as a multiple of the reference workload."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from fgbench.speed.bench_machine import fields_of, processor_of
from fgbench.speed.bench_rows import is_foreign
from fgbench.util.errors import FgbenchError
from fgbench.util.json_toml import read_json
from fgbench.util.validation import StrictModel

RERUN = "pytest benchmarks --benchmark-only --benchmark-json FILE"
AGAIN_FILES = "benchmarks-again-"
"""Start of the names of files with sessions in which only benchmarks that looked slower were measured again."""
UNNAMED = "a processor not named"
"""Name of the processor in a file that does not say it."""
Count = Callable[[Path, int, int], object]
MAX_LOGARITHM = 500.0
"""Largest logarithm of a time relative to the reference whose exponential is a float."""
Logarithm = Annotated[float, Field(ge=-MAX_LOGARITHM, le=MAX_LOGARITHM)]
"""Logarithm of a time relative to the reference."""


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
    sessions: tuple[Logarithm, ...] = Field(min_length=1)
    """For each session (process), the logarithm of the median time of a round relative to the reference workload."""
    again: tuple[Logarithm, ...] = ()
    """The same for the sessions in which the benchmark was measured again because it looked slower."""
    beyond_limit: Literal["", "slower", "faster"] = ""
    """Set when the night is judged: the benchmark was beyond its limit in this night."""

    @property
    def level(self) -> float:
        """Median of the logarithms over the sessions; the smaller median if it was measured again.

        Seconds that a busy machine adds are in one of the two measurements only; a slower benchmark is slower in both.
        """
        return _level(self.sessions, self.again)

    @property
    def key(self) -> tuple[str, str, str]:
        """Name, version and machine: equal if the times of two nights may be compared."""
        return self.name, self.version, self.machine


@lru_cache(maxsize=2**16)
def _level(sessions: tuple[float, ...], again: tuple[float, ...]) -> float:
    """Return `BenchmarkTimes.level`. The levels of all earlier nights are needed again for each night."""
    return min(median(times) for times in (sessions, again) if times)


def read_benchmark_times(
    paths: Iterable[Path], count: Count = lambda path, used, others: None
) -> tuple[BenchmarkTimes, ...]:
    """Return the benchmarks of fgbench itself in files of pytest-benchmark; each file is one session.

    Files whose names start with `AGAIN_FILES` are sessions in which benchmarks were measured again.

    Benchmarks without times of the reference workload are left out: their times depend on the load of the machine.

    Args:
        paths: the files.
        count: called with each file, the number of its benchmarks that are used, and that of the other projects.

    Raises:
        FgbenchError: a file is not from pytest-benchmark, or a time is not a positive number.
    """
    by_name: dict[str, BenchmarkTimes] = {}
    for path in sorted(paths, key=_is_again):
        content = _content(path)
        machine, used, others = _machine(fields_of(content["machine_info"], "processor")), 0, 0
        for entry in content["benchmarks"]:
            if is_foreign(entry):
                others += 1
            elif bench := _bench(path, entry, machine):
                used += 1
                before = by_name.get(bench.name)
                if before is None and _is_again(path):
                    raise FgbenchError(f"{path}: {bench.name} was measured again, but not before", RERUN)
                if before is not None and before.key != bench.key:
                    raise FgbenchError(
                        f"{path}: {bench.name} has another version or machine than in the other sessions",
                        "name only the files of one machine and one version",
                    )
                by_name[bench.name] = _added(before, bench, again=_is_again(path))
        count(path, used, others)
    return tuple(by_name.values())


def _is_again(path: Path) -> bool:
    return path.name.startswith(AGAIN_FILES)


def _added(before: BenchmarkTimes | None, session: BenchmarkTimes, *, again: bool) -> BenchmarkTimes:
    """Return the benchmark with one more session."""
    if before is None:
        return session
    field = "again" if again else "sessions"
    return session.model_copy(
        update={"sessions": before.sessions, "again": before.again}
        | {field: (*getattr(before, field), *session.sessions)}
    )


def _content(path: Path) -> dict[str, Any]:
    content = read_json(path, RERUN, finite=False)
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("benchmarks"), list)
        or not isinstance(content.get("machine_info", []), dict | str | None)
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
    name, cores = processor_of(info)
    return f"{name or UNNAMED}, {cores or '?'} cores, torch {info.get('torch', 'not named')}"
