"""Pages of thousands of records are small and need little memory. benchmarks/test_report.py measures the time."""

import re
import subprocess
import sys

import pytest
from many_records import fill

RECORDS = 5_000
REPORT = """
import sys, time
from pathlib import Path
from fgbench.cli.report import write_report
from fgbench.util.memory import peak_mib
start = time.perf_counter()
write_report(Path(sys.argv[1]), Path(sys.argv[1]) / "report")
print("seconds", round(time.perf_counter() - start, 1))
print("peak", round(peak_mib()))  # not ru_maxrss, which includes the memory of the parent process
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return the folder of pages on records with one row each, the largest number of rows, and the peak in MiB."""
    results = tmp_path_factory.mktemp("many")
    fill(results, RECORDS, seeds=1)
    done = subprocess.run(
        [sys.executable, "-c", REPORT, str(results)], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return results / "report", int(done.stdout.split("peak ")[1])


def test_every_record_has_a_row_and_pages_are_small(written):
    folder, peak_mib = written
    assert peak_mib < 1024
    pages = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
    assert len(pages["index"].encode()) < 2.5e6
    assert len(re.findall(r'<tr><th scope="row"><a href=', pages["index"])) == RECORDS
    assert len(re.findall(r'<tr id="r-[0-9a-f]{16}"><th scope="row">', pages["provenance"])) == RECORDS
    assert len(pages["provenance"].encode()) < 5e6
    for name in set(pages) - {"index", "provenance"}:
        assert len(pages[name].encode()) < 1e6, name
    linked = set(re.findall(r'href="(\w+)\.html#((?:run|r)-[0-9a-f]{16})"', pages["index"]))
    assert len(linked) == RECORDS
    assert {page for page, _ in linked} >= {"bcnn", "provenance"}
    assert all(f'id="{anchor}"' in pages[page] for page, anchor in list(linked)[::50])


def test_thousands_of_rows_are_filtered_and_sorted(written, chromium):
    folder, _ = written
    page = chromium.new_page()
    page.set_default_timeout(60_000)
    page.goto((folder / "index.html").as_uri())
    numbers, left = page.locator("output").all()
    rows = page.locator(".measured tbody tr").count()
    assert numbers.text_content() == f"{rows} rows"
    assert left.text_content() == f"{RECORDS} rows"
    page.get_by_label("Filter the runs").fill("fv-sift cub")
    shown = page.locator(".runs tbody tr:not(.group):not([hidden])").count()
    assert 0 < shown < RECORDS / 10
    assert left.text_content() == f"{shown} of {RECORDS} rows"
    assert numbers.text_content() == f"{rows} rows"
    page.locator(".runs thead button").nth(1).click()
    values = page.eval_on_selector(
        ".runs tbody:not([hidden])",
        "body => [...body.rows].slice(1).map((row) => parseFloat(row.cells[1].textContent))",
    )
    assert values == sorted(values)
    page.close()
