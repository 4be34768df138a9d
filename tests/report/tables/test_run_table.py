import numpy as np
import pytest
from made_records import RECIPES, deviation, of_accuracy, on_gpu, untrained
from scipy import stats

from fgbench.judge.verdict import judge
from fgbench.papers.printed import load_papers
from fgbench.report.tables.run_table import HEADS, RUNS, run_frame, run_sheet

CELLS = list(load_papers()["bcnn"].cells())


def table(records):
    return run_frame(records, [judge(cell, records, {}, RECIPES) for cell in CELLS])


def row_of(frame, number=0):
    return frame.iloc[number].to_dict()


def test_seeds_share_a_row_with_the_interval_of_their_mean():
    percents = [83.0, 84.5, 84.1]
    records = [of_accuracy(percent, seed) for seed, percent in enumerate(percents)]
    frame = table(records)
    (row,) = [row_of(frame)]
    assert len(frame) == 1
    assert (row["seeds"], row["printed"], row["verdict"]) == (3, "84.0", str(judge_cell(records).outcome))
    assert row["measured"] == pytest.approx(np.mean(percents), abs=1e-12)
    ends = stats.t.interval(0.95, 2, np.mean(percents), stats.sem(percents))
    assert (row["low"], row["high"]) == pytest.approx(ends, abs=1e-9)
    assert row["interval"] == "95 % over 3 seeds"
    assert row["runs"].split(", ") == [record.run_id for record in records]


def test_a_seed_run_once_more_with_the_test_images_watched_is_one_seed():
    plain = of_accuracy(80.0).model_copy(update={"provenance": {"finished": "2026-01-01"}})
    more = plain.values | {"watched/last_epoch": plain.values["accuracy"]}
    watched = plain.model_copy(update={"run_id": "watched", "provenance": {"finished": "2026-01-02"}, "values": more})
    other = of_accuracy(82.0, 1)
    frame = table([watched, plain])
    row = row_of(frame)
    assert (len(frame), row["seeds"], row["runs"]) == (1, 1, plain.run_id)
    assert row["interval"] == "one seed"
    row = row_of(table([watched, plain, other]))
    assert (row["seeds"], row["measured"], row["runs"]) == (2, 81.0, f"{plain.run_id}, {other.run_id}")


def judge_cell(records):
    (cell,) = [cell for cell in CELLS if cell.id == "t1/bcnn_dd/birds"]
    return judge(cell, records, {}, RECIPES)


def test_a_lone_seed_and_a_run_without_random_numbers_have_no_interval():
    alone = of_accuracy(80.0)
    settings = untrained("bcnn/cbp_ts_dd@cub").settings.model_dump(mode="json")
    fixed = of_accuracy(70.0, recipe="bcnn/fc_cnn_d@cub", settings=settings | {"options": {}}, seeded=False)
    frame = table([alone, fixed])
    assert frame[["low", "high"]].isna().to_numpy().all()
    assert list(frame.interval) == ["one seed", "same for all seeds"]
    assert [row[2].text for row in run_sheet(frame).rows] == ["one seed", "same for all seeds"]


def test_cost_is_the_mean_time_and_the_most_memory():
    records = [of_accuracy(80.0, seed) for seed in range(2)]
    costs = [(10.0, 300.0, 7), (30.0, 200.0, 0)]
    records = [
        record.model_copy(
            update={"cost": record.cost.model_copy(update={"wall_s": wall_s, "peak_mib": mib, "recalled": recalled})}
        )
        for record, (wall_s, mib, recalled) in zip(records, costs, strict=True)
    ]
    row = row_of(table(records))
    assert (row["wall_s"], row["peak_mib"], row["recalled"]) == (20.0, 300.0, 7)
    sheet = run_sheet(table(records))
    assert "the time does not include the network: 7 maps were read from the cache" in sheet.notes[0][1]
    assert "≥ 20" in [entry.text for entry in sheet.rows[0]]


def test_peak_of_the_gpu_and_estimate_are_columns_that_are_read_only_if_a_run_has_them():
    alone = table([of_accuracy(80.0)])
    assert alone[["device_peak_mib", "expected_s"]].isna().to_numpy().all()
    assert run_sheet(alone).heads == HEADS
    both = table([on_gpu(84.0), on_gpu(84.2, 1), of_accuracy(80.0, recipe="bcnn/fc_cnn_d@cub")])
    row = row_of(both)
    assert (row["device"], row["device_peak_mib"], row["expected_s"]) == ("NVIDIA H200", 31235.0, 750.0)
    sheet = run_sheet(both)
    assert sheet.heads == (*HEADS, "estimated, s", "GPU peak, MiB")
    assert [[entry.text for entry in row[-2:]] for row in sheet.rows] == [["750", "31,235"], ["–", "–"]]  # noqa: RUF001
    assert len(sheet.numbers) == len(sheet.heads)


def test_a_run_that_answers_nothing_has_no_printed_number():
    record = of_accuracy(80.0, recipe="bcnn/cbp_rm_dd@cub")
    sheet = run_sheet(table([record]))
    texts = dict(zip(sheet.heads, (entry.text for entry in sheet.rows[0]), strict=True))
    assert (texts["printed"], texts["verdict"]) == ("–", "")  # noqa: RUF001
    assert texts["measured"] == "80.00 %"


def test_each_deviation_is_told_once():
    odd = deviation("test_pipeline")
    files = deviation("weights").model_copy(update={"recipe": ["vgg16.matconvnet"], "run": []})
    records = [of_accuracy(80.0)]
    records += [
        of_accuracy(70.0, recipe=f"bcnn/{name}@cub", deviations=deviations)
        for name, deviations in (("cbp_ts_dd", [odd]), ("cbp_rm_dd", [files, odd]))
    ]
    sheet = run_sheet(table(records))
    notes = dict(sheet.notes)
    told = [[notes[letter] for letter in row[0].note.split(",") if letter] for row in sheet.rows]
    pipeline, weights = "test_pipeline: 1 -> 2", "weights: vgg16.matconvnet -> any"
    assert told == [[], [pipeline], [weights, pipeline]]
    assert set(notes.values()) == {pipeline, weights}


def test_without_records_there_is_a_table_of_the_same_columns():
    frame = table([])
    assert list(frame.columns) == list(RUNS)
    assert frame.empty
    assert run_sheet(frame).rows == ()
