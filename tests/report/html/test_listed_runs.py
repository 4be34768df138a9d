"""Pages of very many runs list those behind the numbers, and the latest."""

import re

from made_records import of_accuracy
from report_pages import Parsed, pages

from fgbench.judge.anomalies import find_anomalies
from fgbench.report.html import listed_runs
from fgbench.report.html.listed_runs import listed_groups


def run(number, **fields):
    """Return a run of its own code that finished on a day of January."""
    record = of_accuracy(60.0 + number, run_id=f"{number:016x}", **fields)
    provenance = record.provenance | {"source": f"code {number}", "finished": f"2026-01-{number:02d}T00:00:00+00:00"}
    return record.model_copy(update={"provenance": provenance})


def test_the_shown_and_the_latest_groups_are_listed_in_their_order(monkeypatch):
    groups = [[run(number)] for number in (3, 9, 1, 7, 5)]
    assert listed_groups(groups, []) == groups
    monkeypatch.setattr(listed_runs, "MAX_LISTED", 3)
    listed = listed_groups(groups, [groups[2]])
    assert [group[0].run_id[-1] for group in listed] == ["9", "1", "7"]
    linked = listed_groups(groups, [], [groups[0][0].run_id])
    assert [group[0].run_id[-1] for group in linked] == ["3", "9", "7"]


def test_the_overview_says_how_many_runs_are_not_listed(tmp_path, monkeypatch):
    records = [run(number) for number in range(1, 9)]
    monkeypatch.setattr(listed_runs, "MAX_LISTED", 3)
    written = pages(tmp_path, records, anomalies=find_anomalies(records, lambda record: {}))
    rows = re.findall(r'<tr><th scope="row"><a href="([^"]+)">', written["index"].split('id="runs"')[1])
    assert len(rows) == 3
    assert "5 older runs are not listed" in Parsed(written["index"]).text
    ids = re.findall(r'<tr id="r-([0-9a-f]{16})">', written["provenance"])
    assert [run_id[-1] for run_id in ids] == ["6", "7", "8"]
    assert all(f'id="{anchor}"' in written[page] for page, anchor in (row.split(".html#") for row in rows))
