"""The history of nights: a file with one line for each night, to which lines are only added."""

from math import isfinite
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, ValidationError

from fgbench.judge.nightly.benchmark_times import BenchmarkTimes
from fgbench.judge.nightly.results_folder import ResultsFolder
from fgbench.judge.nightly.run_matching import named_runs
from fgbench.metrics.values import CLASS_MAP
from fgbench.statistics.shift_limits import RECENT
from fgbench.util.errors import FgbenchError
from fgbench.util.files import read_text, write_text
from fgbench.util.json_toml import parse_json
from fgbench.util.validation import StrictModel, explain

HISTORY_FILE = "history.jsonl"
RESTORE = "restore the file from a backup"


class Night(StrictModel):
    """The results of one night."""

    model_config = ConfigDict(allow_inf_nan=False)

    schema_version: Literal[1] = 1
    finished: str
    """Time in UTC."""
    commit: str
    """Commit of the checkout; empty without a checkout."""
    source: str
    """Hash of the code that computes values."""
    passed: bool
    """True if the comparison had no failure, or if the night was accepted."""
    accepted: bool
    """True if a user accepted the differences."""
    values: dict[str, float]
    """Run and metric -> mean over seeds."""
    units: dict[str, str]
    """Run and metric -> unit of the value."""
    benches: tuple[BenchmarkTimes, ...]
    """Times of the benchmarks."""
    failed: tuple[str, ...]
    """`where` of each finding with which the comparison failed."""
    suspects: tuple[str, ...] = ()
    """`where` of each finding that fails only if two nights in a row have it; empty if the night is accepted."""

    @property
    def trusted(self) -> tuple[BenchmarkTimes, ...]:
        """Benchmarks that may be a baseline: in a night that is not accepted, those without a failure."""
        return self.benches if self.accepted else tuple(b for b in self.benches if b.name not in self.failed)


def read_history(folder: Path) -> list[Night]:
    """Return the nights of a folder, the oldest first.

    Raises:
        FgbenchError: a line is not a valid night.
    """
    path = folder / HISTORY_FILE
    nights = []
    # Not splitlines(): a name may contain other characters that end a line.
    *lines, rest = _text(path).split("\n")
    for number, line in enumerate([*lines, rest] if rest else lines, start=1):
        try:
            nights.append(Night.model_validate(parse_json(line)))
        except ValidationError as error:
            raise FgbenchError(f"{path}, line {number}: {explain(error, Night)}", RESTORE) from error
        except ValueError as error:
            raise FgbenchError(f"{path}, line {number}: {error}", RESTORE) from error
    return nights


def _text(path: Path) -> str:
    """Return the text of a history; empty if there is none."""
    try:
        return read_text(path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise FgbenchError(f"{path} cannot be read: {error.strerror or error}", RESTORE) from error
    except UnicodeDecodeError as error:
        raise FgbenchError(f"{path} is damaged: byte {error.start} is no UTF-8", RESTORE) from error


def append_night(folder: Path, night: Night) -> None:
    """Add a night to the history; readers never see a part of its line."""
    path = folder / HISTORY_FILE
    before = _text(path)
    end = "\n" if before and not before.endswith("\n") else ""
    write_text(path, f"{before}{end}{night.model_dump_json()}\n")


def baseline_nights(nights: list[Night]) -> list[tuple[BenchmarkTimes, ...]]:
    """Return the times of all nights with which a benchmark may be compared.

    A benchmark that failed in a night is left out, except in the last nights, where it is marked as slower: they show
    how long it has been slower. If a night is accepted, the earlier times of the benchmarks that failed in it are left
    out.
    """
    baselines: list[tuple[BenchmarkTimes, ...]] = []
    for number, night in enumerate(nights):
        if night.accepted:
            accepted = set(night.failed)
            baselines = [tuple(bench for bench in times if bench.name not in accepted) for times in baselines]
        times = night.trusted
        if number > len(nights) - RECENT:
            failed = (bench for bench in night.benches if bench.name in night.failed and not night.accepted)
            times += tuple(bench.model_copy(update={"beyond_limit": "slower"}) for bench in failed)
        if times:
            baselines.append(times)
    return baselines


def mean_values(folder: ResultsFolder) -> tuple[dict[str, float], dict[str, str]]:
    """Return the means over seeds and the units of the runs of a night, by run and metric as in findings.

    Runs that differ in their settings or protocol have different names, so they are never averaged. Values that are not
    finite are left out; `compare_quality` reports them. The mean average precision is left out, because it follows from
    the same scores as the accuracies and would be tested for the same change once more.
    """
    values, units = {}, {}
    for label, seeds in named_runs(folder.records).items():
        for name in set.intersection(*(set(record.values) - {CLASS_MAP} for record in seeds)):
            per_seed = [record.values[name] for record in seeds]
            where, mean = f"{label}: {name}", sum(value.value for value in per_seed) / len(per_seed)
            if isfinite(mean):
                values[where], units[where] = mean, per_seed[0].unit
    return dict(sorted(values.items())), units
