"""A report of ten thousand records: read, check for anomalies, judge and write as pages."""

import json
import sys
import tempfile
import time
from pathlib import Path

from race import FGBENCH, Race, run_alone

sys.path.append(str(Path(__file__).parents[1] / "tests/helpers"))
from many_records import fill

from fgbench.cli.report import write_report
from fgbench.records.provenance import peak_mib

RECORDS = 10_000


def report_alone():
    """Return the report in a process of its own, which prints its time and its peak memory."""
    folder = tempfile.TemporaryDirectory(prefix="fgbench-report-")  # removed with the function that keeps it
    fill(Path(folder.name), RECORDS)
    return lambda: run_alone(__file__, folder.name)


def report(folder):
    """Print the time, the peak memory and the size of the first page of one report."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    write_report(folder, folder / "report")
    values = {
        "wall_s": time.perf_counter() - wall_s,
        "cpu_s": time.process_time() - cpu_s,
        "peak_mib": peak_mib(),
        "index_mb": (folder / "report" / "index.html").stat().st_size / 1e6,
    }
    print(json.dumps(values))


RACE = Race(
    "report of 10,000 records, 3 seeds per run",
    {FGBENCH: report_alone},
    at_most_s=30,
    values=lambda result: result,
    values_at_most={"peak_mib": 2048},
    seconds=lambda result: result["wall_s"],
    rounds=1,
    warm=False,
)


def test_report(row):
    row(RACE, FGBENCH)


if __name__ == "__main__":
    report(Path(sys.argv[1]))
