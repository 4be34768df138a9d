"""The rows of the first page: one for each measured number."""

import re

import pytest
from busy_pages import busy_records
from external_results import outside
from made_records import RECIPES, deviation, of_accuracy
from report_pages import PAPERS, Parsed, pages

from fgbench.judge.columns import judge_papers
from fgbench.judge.seed_interval import seed_interval
from fgbench.report.html.measured_rows import ORDER, measured_rows
from fgbench.report.html.overview import MEASURED


def seeds(recipe, percent, number=3, **fields):
    return [of_accuracy(percent + s / 50, s, recipe=f"bcnn/{recipe}@cub", **fields) for s in range(number)]


def rows_of(records):
    verdicts = judge_papers(PAPERS, records, {}, RECIPES)
    return measured_rows(PAPERS, verdicts), verdicts


@pytest.fixture(scope="module")
def busy_rows():
    return rows_of(busy_records()[0])


def test_every_measured_cell_is_one_row(busy_rows):
    rows, verdicts = busy_rows
    measured = {
        (v.cell.paper, v.cell.id) for of_paper in verdicts.values() for v in of_paper if v.records and not v.cell.cites
    }
    assert len(measured) > 5
    assert {(row.paper, row.verdict.cell.id) for row in rows} == measured
    assert len(rows) == len(measured)


def test_rows_are_sorted_by_outcome_then_by_the_size_of_the_difference(busy_rows):
    """Differences on synthetic data say nothing: those rows come last, in the order of the papers."""
    rows, _ = busy_rows
    places = [ORDER.index(row.verdict.outcome) for row in rows]
    assert places == sorted(places)
    assert set(places) == set(range(len(ORDER)))
    incomparable = [row for row in rows if row.badge.word == "not comparable"]
    assert [row.on_synthetic for row in incomparable] == sorted(row.on_synthetic for row in incomparable)
    sizes = [abs(row.difference or 0) for row in incomparable if not row.on_synthetic]
    assert sizes == sorted(sizes, reverse=True)
    found, _ = rows_of([*seeds("bcnn_mm", 10.0, 1, synthetic=True), *seeds("fc_cnn_d", 1.0, 1, synthetic=True)])
    assert [row.name for row in found] == ["FC-CNN [D], birds, w/ ft", "B-CNN [M,M], birds, w/ ft"]
    changed = {"deviations": [deviation("stages", run="none")]}
    below, above = seeds("bcnn_dd", 80.0, 1, **changed), seeds("fc_cnn_d", 78.0, 1, **changed)
    found, _ = rows_of([*below, *above])
    assert [round(row.difference, 1) for row in found] == [7.6, -4.0]
    assert set(ORDER) == set(MEASURED)


def test_a_row_has_the_difference_the_interval_the_reason_and_the_link_to_its_details():
    records = seeds("bcnn_mm", 70.0)
    ((row,), _) = rows_of(records)
    cell = row.verdict.cell
    assert (row.paper, row.name, row.anchor) == ("bcnn", "B-CNN [M,M], birds, w/ ft", "bcnn-t1-bcnn_mm-birds")
    assert row.address == "bcnn.html#cell-t1-bcnn_mm-birds"
    assert row.difference == pytest.approx(70.02 - cell.value)
    assert row.interval == seed_interval(records, "accuracy")
    assert (row.badge.word, row.reason) == ("not reproduced", "below the margin")


def test_a_number_that_two_papers_share_is_one_row_of_the_paper_that_judges_it():
    rows, verdicts = rows_of(seeds("fv_sift", 18.8))
    assert sum(any(v.records for v in of_paper) for of_paper in verdicts.values()) == 2
    assert [row.paper for row in rows] == ["bcnn"]


def test_results_from_outside_have_rows_of_their_own_with_or_without_a_run():
    results = [*(outside(84.0 + s / 50, s) for s in range(3)), outside(60.0, name="other")]
    with_run, _ = rows_of([*seeds("bcnn_dd", 70.0), *results])
    assert sorted(row.anchor for row in with_run) == [
        "bcnn-t1-bcnn_dd-birds", "bcnn-t1-bcnn_dd-birds-mine", "bcnn-t1-bcnn_dd-birds-other",
    ]  # fmt: skip
    alone, _ = rows_of(results)
    assert {row.anchor for row in alone} == {row.anchor for row in with_run} - {"bcnn-t1-bcnn_dd-birds"}
    mine = next(row for row in alone if row.anchor.endswith("mine"))
    assert (mine.address, mine.badge.word) == ("bcnn.html#cell-t1-bcnn_dd-birds-mine", "reproduced")


def test_runs_of_two_protocols_have_a_row_without_a_number():
    ((row,), _) = rows_of([of_accuracy(84.0), of_accuracy(71.23, protocol={"images": "others"})])
    assert (row.difference, row.badge.word, row.reason) == (None, "not comparable", "runs of several protocols")


def test_without_records_there_is_no_row():
    assert rows_of([])[0] == []


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Pages with a number, two results from outside, and runs of two protocols."""
    records = [
        *seeds("bcnn_dd", 84.0), outside(60.0), outside(84.0, name="other"),
        *seeds("fc_cnn_d", 71.23, 1), *seeds("fc_cnn_d", 72.34, 1, protocol={"images": "others"}),
    ]  # fmt: skip
    return pages(tmp_path_factory.mktemp("rows"), records)


def test_the_first_page_has_the_rows_with_anchors_that_occur_once(written):
    index = written["index"]
    ids = re.findall(r' id="([^"]+)"', index)
    assert len(ids) == len(set(ids))
    table = index.split('<table class="measured')[1].split("</table>")[0]
    rows = {
        anchor: Parsed(row).text for anchor, row in re.findall(r'<tr role="row" id="(.*?)">(.*?)</tr>', table, re.S)
    }
    assert len(rows) == 4
    own = rows["bcnn-t1-bcnn_dd-birds"]
    assert own == ("B-CNN [D,D], birds, w/ ft B-CNN 84.0 84.02 +0.02 83.97 to 84.07 ● reproduced within the margin")
    assert "B-CNN, external: mine 84.0 60.00 −24.00" in rows["bcnn-t1-bcnn_dd-birds-mine"]  # noqa: RUF001
    none = rows["bcnn-t1-fc_cnn_d-birds"]
    assert none == "FC-CNN [D], birds, w/ ft B-CNN 70.4 – – – ◇ not comparable runs of several protocols"  # noqa: RUF001
    assert "71.2" not in table
    assert "72.3" not in table


def test_every_row_has_a_link_to_details_on_the_page_of_its_paper(written):
    table = written["index"].split('<table class="measured')[1].split("</table>")[0]
    links = re.findall(r'href="(\w+)\.html#(cell-[^"]+)"', table)
    assert len(links) == 4
    for page, anchor in links:
        assert written[page].count(f'id="{anchor}"') == 1
