"""The nights that are kept: one line each in a file that is only ever added to."""

from collections.abc import Hashable
from math import isfinite
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, ValidationError

from fgbench.judge.nightly.benchmark_times import BenchmarkTimes
from fgbench.judge.nightly.results_folder import ResultsFolder
from fgbench.judge.nightly.run_matching import run_key, run_label
from fgbench.records.record import Record
from fgbench.util.errors import FgbenchError
from fgbench.util.files import write_text
from fgbench.util.validation import StrictModel

FILE = "history.jsonl"


class Night(StrictModel):
    """A night."""

    model_config = ConfigDict(allow_inf_nan=False)

    schema_version: Literal[1] = 1
    finished: str
    """When, in UTC."""
    commit: str
    """Of the checkout; empty where there is none."""
    source: str
    """Hash of the source that computes values."""
    passed: bool
    """Whether nothing got worse and everything was run, or it was accepted as it is."""
    accepted: bool
    """Whether somebody said that what differs is meant."""
    values: dict[str, float]
    """Run and metric -> value, the mean over seeds."""
    units: dict[str, str]
    benches: tuple[BenchmarkTimes, ...]
    failed: tuple[str, ...]
    """Where something was wrong."""

    @property
    def trusted(self) -> tuple[BenchmarkTimes, ...]:
        """Benchmarks that may be a baseline: not those that were slower in a night that nobody accepted."""
        return self.benches if self.accepted else tuple(b for b in self.benches if b.name not in self.failed)


def read_history(folder: Path) -> list[Night]:
    """The nights of a folder, the oldest first.

    Raises:
        FgbenchError: a line is no night.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    nights = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            nights.append(Night.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise FgbenchError(
                f"{path}, line {number}: {where}: {first['msg']}", "take the file from a copy"
            ) from error
    return nights


def append_night(folder: Path, night: Night) -> None:
    """Add a night: readers see all of its line or nothing."""
    path = folder / FILE
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    write_text(path, f"{before}{night.model_dump_json()}\n")


def baseline_nights(nights: list[Night]) -> list[tuple[BenchmarkTimes, ...]]:
    """What a benchmark may be held against: since it was last accepted after it had been slower."""
    found: list[tuple[BenchmarkTimes, ...]] = []
    for night in nights:
        if night.accepted:
            anew = set(night.failed)
            found = [tuple(bench for bench in own if bench.name not in anew) for own in found]
        if night.trusted:
            found.append(night.trusted)
    return found


def mean_values(kept: ResultsFolder) -> tuple[dict[str, float], dict[str, str]]:
    """Means over seeds and units of a night's runs, by run and metric, named as findings name them.

    What is not finite is left out, and told elsewhere.
    """
    runs: dict[Hashable, list[Record]] = {}
    for record in kept.records:
        runs.setdefault(run_key(record)[:-1], []).append(record)
    values, units = {}, {}
    for seeds in runs.values():
        for name in set.intersection(*(set(record.values) for record in seeds)):
            own = [record.values[name] for record in seeds]
            where, mean = f"{run_label(*seeds)}: {name}", sum(value.value for value in own) / len(own)
            if isfinite(mean):
                values[where], units[where] = mean, own[0].unit
    return dict(sorted(values.items())), units
