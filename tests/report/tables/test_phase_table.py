import math

import pytest
from made_records import of_accuracy, on_gpu

from fgbench.report.tables.phase_table import PHASES, phase_frame, phase_sheet


def run(seed, phase_s, peaks, peak_mib, **fields):
    cost = {"wall_s": sum(phase_s.values()), "phase_s": phase_s, "phase_peak_mib": peaks, "peak_mib": peak_mib}
    return of_accuracy(80.0, seed, cost=cost, **fields)


RECORDS = [
    run(0, {"fit": 10.0, "test": 4.0}, {"fit": 500.0, "test": 100.0}, 700.0),
    run(1, {"fit": 20.0, "test": 6.0, "svm": 3.0}, {"fit": 400.0, "test": 300.0, "svm": 50.0}, 600.0),
    run(0, {"test": 2000.0}, {}, 12345.6, recipe="bcnn/fv_sift@cub"),
]


def test_a_row_a_phase_with_the_mean_time_and_the_most_memory_and_one_of_the_whole():
    frame = phase_frame(RECORDS)
    assert list(frame.columns) == list(PHASES)
    rows = {(row.recipe, row.phase): (row.wall_s, row.peak_mib, row.seeds) for row in frame.itertuples()}
    assert {name: value for (recipe, name), value in rows.items() if "bcnn_dd" in recipe} == {
        "fit": (15.0, 500.0, 2),
        "test": (5.0, 300.0, 2),
        "svm": (1.5, 50.0, 2),
        "whole": (21.5, 700.0, 2),
    }
    assert rows["bcnn/fv_sift@cub", "whole"] == (2000.0, 12345.6, 1)
    assert math.isnan(rows["bcnn/fv_sift@cub", "test"][1])


def test_it_is_read_a_line_a_run():
    sheet = phase_sheet(phase_frame(RECORDS))
    assert sheet.heads == ("Run", "fit", "test", "svm", "whole")
    lines = [[entry.text for entry in row] for row in sheet.rows]
    assert lines == [
        ["B-CNN [D,D], paper, 2 seeds", "15 s, 500 MiB", "5 s, 300 MiB", "2 s, 50 MiB", "22 s, 700 MiB"],
        ["FV-SIFT, paper", "", "2,000 s", "", "2,000 s, 12,346 MiB"],
    ]
    assert len(sheet.numbers) == len(sheet.heads)


def test_the_estimate_of_a_phase_stands_beside_its_time():
    frame = phase_frame([*RECORDS[:1], on_gpu(84.0, recipe="bcnn/fv_sift@cub")])
    assert frame.expected_s.fillna(-1).tolist() == [-1, -1, -1, 700.0, 50.0, 750.0]
    texts = [entry.text for entry in phase_sheet(frame).rows[1]]
    assert texts[-1] == "1,000 s, 5,000 MiB (estimated 750 s)"


@pytest.mark.parametrize("records", [[], RECORDS[:1]])
def test_few_records(records):
    frame = phase_frame(records)
    assert len(phase_sheet(frame).rows) == len(records)
