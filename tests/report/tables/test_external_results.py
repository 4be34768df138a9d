"""Results from outside in the tables: rows of their own, with what was made outside."""

import numpy as np
import pytest
from external_results import external
from stored_records import write_record

import fgbench
from fgbench.judge.external_verdicts import with_external
from fgbench.judge.frames import judge_store
from fgbench.papers.printed import load_papers
from fgbench.records.external import UNCHECKED
from fgbench.records.store import Store
from fgbench.report.tables.differences import difference_frame
from fgbench.report.tables.phase_table import phase_frame
from fgbench.report.tables.run_table import run_frame, run_sheet
from fgbench.report.tables.sheet import comparison_sheet

PAPERS = {"bcnn": load_papers()["bcnn"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of FV-SIFT, and two results from outside for it."""
    folder = tmp_path_factory.mktemp("results")
    write_record(folder / "records")
    for k, name in enumerate(("mine", "other"), 1):
        write_record(folder / "records", run_id=str(k) * 16, **external(name))
    return folder


def test_values_and_verdicts_say_what_was_made_outside(folder):
    values = fgbench.load(folder)
    assert values.groupby("external").run_id.nunique().to_dict() == {"": 1, "predictions": 2}
    assert set(values[values.external != ""].external_file) == {"mine-0.csv", "other-0.csv"}
    assert values.external_sha256.str.len().isin([0, 64]).all()
    verdicts = fgbench.verdicts(folder)
    cell = verdicts[(verdicts.cell == "t1/fv_sift/birds_no_ft") & (verdicts.paper == "bcnn")]
    assert cell.external.tolist() == ["", "predictions", "predictions"]
    assert cell.result.tolist() == ["", "mine", "other"]
    assert len(verdicts[verdicts.external == ""]) == len(fgbench.cells())


def test_a_printed_table_has_the_results_beside_the_run_with_a_footnote(folder):
    verdicts = judge_store(PAPERS, Store(folder / "records"))["bcnn"]
    sheet = comparison_sheet(PAPERS["bcnn"], PAPERS["bcnn"].tables[0], verdicts)
    (text,) = [cell.text for row in sheet.rows for cell in row if "external" in cell.text]
    assert text.count("external: ") == 2
    assert text.endswith("not comparable")
    notes = [note for _, note in sheet.notes if "SHA-256" in note]
    assert [note.partition(":")[0] for note in notes] == ["mine", "other"]
    assert all(note.endswith(UNCHECKED["predictions"]) for note in notes)


def test_runs_have_no_cost_and_phases_and_differences_leave_them_out(folder):
    records = Store(folder / "records").records()
    verdicts = with_external(judge_store(PAPERS, Store(folder / "records"))["bcnn"])
    frame = run_frame(records, verdicts).set_index("title")
    outside = frame.loc["mine (external)"]
    assert (outside.profile, outside.printed, np.isnan(outside.wall_s)) == ("external", "18.8", True)
    assert frame.loc["FV-SIFT"].wall_s == 1.0
    assert "nan" not in " ".join(cell.text for row in run_sheet(frame.reset_index()).rows for cell in row)
    assert set(phase_frame(records).title) == {"FV-SIFT"}
    assert difference_frame(records, lambda record: {}, {}).empty
