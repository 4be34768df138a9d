"""Results from outside on the pages: beside the runs, marked, and never counted as runs."""

import re

import numpy as np
import pytest
from external_results import outside, outside_of
from made_records import Kept, of_accuracy, of_right
from report_pages import HOSTILE, PAPERS, Parsed, only_our_script, pages

from fgbench.judge.anomalies import find_anomalies
from fgbench.records.external import UNCHECKED

CELL = "at-t1-bcnn_dd-birds"


def cell_text(page):
    """Return the text of the cell of B-CNN [D,D] on birds."""
    return Parsed(re.search(rf'<td [^>]*id="{CELL}">(.*?)</td>', page, re.DOTALL)[1]).text


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Pages with and without two results from outside beside a run."""
    run = of_accuracy(80.0, provenance={"finished": "2026-11-01"})
    results = [*(outside(84.0 + seed / 100, seed) for seed in range(3)), outside(60.0, name=HOSTILE)]
    return tuple(
        pages(tmp_path_factory.mktemp("pages"), records)
        for records in ([run, *results], [run], results)
    )  # fmt: skip


def test_a_cell_shows_the_run_and_each_result_with_its_own_verdict(made):
    text = cell_text(made[0]["bcnn"])
    own, first, second = text.split("external, ")
    assert own == "84.0 80.00 −4.00 one seed ◆ inconclusive too few seeds "  # noqa: RUF001
    assert first.startswith("mine: 84.01 +0.01 83.99 to 84.03 ● reproduced within the margin")
    assert second.startswith(f"{HOSTILE}: 60.00 −24.00 one seed")  # noqa: RUF001
    assert cell_text(made[1]["bcnn"]) == own.strip()
    assert cell_text(made[2]["bcnn"]).startswith("84.0 not run external, mine: 84.01")


def test_the_counts_and_the_other_pages_of_a_run_do_not_change(made):
    with_results, alone, _ = made
    matrix = re.compile(r'<table class="matrix".*?</table>', re.DOTALL)
    assert matrix.search(with_results["index"])[0] == matrix.search(alone["index"])[0]
    for page in ("costs", "method-bcnn", "keypoint_fcn"):
        main = re.compile(r"<main.*?</main>", re.DOTALL)
        assert main.search(with_results[page])[0] == main.search(alone[page])[0], page
    assert "method-external" not in alone
    assert "their method is not known" in with_results["method-external"]


def test_the_details_name_the_file_and_what_nobody_has_checked(made):
    page = Parsed(made[0]["bcnn"]).text
    assert page.count(f"External: {UNCHECKED['predictions']}.") == 2
    assert "Seed 1: mine-1.csv, SHA-256 " + f"{1:064x}" in page
    assert "The cost of these predictions is not known." in page
    assert "No deviations of the data; those of the method are not known." in page
    assert "external: mine" in page
    row = re.search(r"<tr><th scope=\"row\"><a[^>]*>mine \(external\).*?</tr>", made[0]["index"], re.DOTALL)[0]
    cells = [Parsed(cell).text for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)]
    assert (cells[0], cells[4]) == ("84.01 %", "external")
    assert cells[-4:-1] == ["–", "–", "–"]  # noqa: RUF001


def test_every_anchor_is_unique_and_hostile_names_stay_text(made):
    for text in made[0].values():
        ids = re.findall(r' id="([^"]+)"', text)
        assert len(ids) == len(set(ids))
        assert only_our_script(text)
        assert not Parsed(text).wrong


def test_a_copy_of_a_run_is_flagged_and_the_run_is_not(tmp_path):
    run, arrays = of_right(np.arange(80) % 5 > 0)
    copy, _ = outside_of(arrays)
    kept = Kept((run, arrays), (copy, arrays))
    text = pages(
        tmp_path,
        kept.records,
        papers={"bcnn": PAPERS["bcnn"]},
        outputs=kept,
        anomalies=find_anomalies(kept.records, kept),
    )
    own, result = cell_text(text["bcnn"]).split("external, ")
    assert ("copy" in own, "copy" in result) == (False, True)
