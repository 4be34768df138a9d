"""A report of ten thousand records: read, check for anomalies, judge and write as pages."""

import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "tests/helpers"))
from many_records import fill

from fgbench.cli.report import write_report
from fgbench.records.provenance import peak_mib

RECORDS = 10_000
AT_MOST_S, AT_MOST_MIB = 30.0, 2048


@pytest.mark.parametrize("seeds", [3, 1])
def test_report(benchmark, tmp_path, seeds):
    """Time the report; with one seed per run, each record is a row, which is the largest number of rows."""
    fill(tmp_path, RECORDS, seeds)
    start = time.process_time()
    benchmark.group = "report of 10,000 records"
    benchmark.pedantic(lambda: write_report(tmp_path, tmp_path / "report"), rounds=1)
    if benchmark.disabled:
        return
    wall_s = benchmark.stats.stats.median
    cpu_s = time.process_time() - start
    index_mb = (tmp_path / "report" / "index.html").stat().st_size / 1e6
    benchmark.extra_info |= {"cpu_s": cpu_s, "peak_mib": peak_mib(), "index_mb": index_mb}
    print(f"{seeds} seeds: {wall_s:.1f} s ({cpu_s:.1f} s of CPU), {peak_mib():.0f} MiB, index {index_mb:.2f} MB")
    assert wall_s < AT_MOST_S
    assert peak_mib() < AT_MOST_MIB
