"""The fault campaign: `python -m tests.faults [NAME ...]` tries every fault and prints how many were survived.

It takes about an hour on two cores. Exit code 1 if a fault was not survived. The parts that need a small disk are left
out, with a line, if this user may not mount one.
"""

import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "helpers")]
os.environ["OMP_NUM_THREADS"] = "1"

import torch  # noqa: E402 - after the path
from faults import foreign, full_disk, kills, records, work_files  # noqa: E402 - after the path
from faults.case import Case  # noqa: E402 - after the path
from faults.damages import Hang  # noqa: E402 - after the path

Attempts = Callable[[Path], AbstractContextManager[kills.Attempt]]


def of_records(folder: Path) -> Iterator[Case]:
    """Yield the faults of records: every edit, damaged files, odd fields and arrays."""
    results = records.Results(folder)
    yield from records.edits(results, ["classified"])
    yield from records.damaged_files(results, 800)
    yield from records.odd_fields(results, 500, verbs_every=10)
    yield from records.odd_arrays(results, verbs_every=15)


def of_kills(folder: Path) -> Iterator[Case]:
    """Yield kills, torn writes and refused files at the operations of run, report, nightly and data get."""
    small = partial(kills.run_attempt, recipe="fv_sift")
    yield from _ended("run of FV-SIFT", small, folder / "a", kill=2, torn=6, full=6)
    yield from _ended("run and its cache", partial(small, with_cache=True), folder / "b", kill=7, torn=23, full=23)
    yield from _ended("run with training", partial(kills.run_attempt, recipe="bcnn_dm"), folder / "c", kill=8, torn=24)
    yield from _ended("data get", kills.download_attempt, folder / "d", kill=1, torn=1, full=1)
    yield from _ended("nightly", kills.night_attempt, folder / "e", kill=1, torn=2, full=2)
    accepted = partial(kills.night_attempt, options=("--accept",))
    yield from _ended("nightly --accept", accepted, folder / "f", kill=1, torn=2, full=2)
    source = records.make_results(folder / "source")
    yield from _ended("report", partial(kills.report_attempt, source=source), folder / "g", kill=2, torn=6, full=6)


def _ended(name: str, attempts: Attempts, folder: Path, **steps: int) -> Iterator[Case]:
    folder.mkdir()
    with attempts(folder) as attempt:
        yield from attempt.cases(name, **steps)


def of_full_disks(folder: Path) -> Iterator[Case]:
    """Yield full disks of 20 MB for run, report, nightly and data get."""
    source = records.make_results(folder / "source")
    whole_run = partial(kills.run_attempt, recipe="fv_sift", with_cache=True)
    for name, attempts in (
        ("run and its cache", whole_run),
        ("report", partial(kills.report_attempt, source=source)),
        ("nightly", kills.night_attempt),
        ("data get", partial(kills.download_attempt, side=200)),
    ):
        with full_disk.small_disk(folder / "disk") as disk, attempts(disk) as attempt:
            yield from full_disk.cases(name, disk, attempt)


CAMPAIGNS: dict[str, Callable[[Path], Iterator[Case]]] = {
    "records": of_records,
    "foreign": lambda folder: foreign.foreign_faults(folder / "foreign", 1200),
    "work": lambda folder: work_files.cases(folder, 16, runs_count=2),
    "kills": of_kills,
    "full": of_full_disks,
}


def main(names: list[str]) -> int:
    """Try the faults of the named campaigns, or of all; return the exit code."""
    torch.set_num_threads(1)
    tried: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    started = time.monotonic()
    for name in names or CAMPAIGNS:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            os.environ["FGBENCH_CACHE"] = f"{folder}/cache"
            try:
                for kind, case in CAMPAIGNS[name](Path(folder).resolve()):
                    tried[f"{name}: {kind}"] += 1
                    survived[f"{name}: {kind}"] += _survives(kind, case)
            except PermissionError as error:
                print(f"{name}: left out: {error}", flush=True)
    width = max(map(len, tried))
    for kind, count in tried.items():
        print(f"{kind:<{width}} {count:>6} tried {survived[kind]:>6} survived")
    minutes = (time.monotonic() - started) / 60
    print(f"{'all':<{width}} {tried.total():>6} tried {survived.total():>6} survived, {minutes:.0f} min")
    return 0 if tried == survived else 1


def _survives(kind: str, case: Callable[[], object]) -> bool:
    try:
        case()
    except (Exception, Hang):  # noqa: BLE001 - every error is a fault that was not survived
        print(f"not survived: {kind}", flush=True)
        traceback.print_exc()
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
