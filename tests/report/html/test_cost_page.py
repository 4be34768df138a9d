import pytest
from bench_file import everything, write
from made_records import deviation, of_accuracy
from report_pages import Parsed, pages
from scipy import stats

from fgbench.judge.frame_verdicts import COMMAND
from fgbench.records.record import by_identity
from fgbench.report.html.cost_page import cost_page
from fgbench.report.html.speed_page import speed_page
from fgbench.speed.bench_rows import read_session

CPU = {"device": "cpu", "cpu": "EPYC", "threads": 2}


def ran(percent, fps, seed=0, recipe="bcnn/bcnn_dd@cub", joule=None, machine=CPU, **fields):
    cost = {"wall_s": 10.0, "phase_s": {}, "peak_mib": 100.0, "test_fps": fps, "energy_j": joule}
    return of_accuracy(percent, seed, recipe=recipe, cost=cost, provenance=machine, **fields)


def page(*records, speed=None):
    return cost_page(by_identity(records), speed).context


def points(chart):
    return [row[1:] for row in chart.rows]


DM = "bcnn/bcnn_dm@cub"


def test_points_are_means_over_seeds_with_their_interval():
    (table,) = page(ran(80.0, 10.0), ran(82.0, 30.0, 1), ran(84.0, 5.0, recipe=DM))["tables"]
    (chart,) = table.charts
    assert points(chart) == [("B-CNN [D,D]", "B-CNN", 20, 81, "yes"), ("B-CNN [D,M]", "B-CNN", 5, 84, "yes")]
    first, alone = next(rows for rows in chart.spec["datasets"].values() if "low" in rows[0])
    assert (first["low"], first["high"]) == pytest.approx(stats.t.interval(0.95, 1, 81, 1), rel=1e-5)
    assert (alone["low"], alone["high"]) == (84, 84)
    assert [(row.value, row.test_fps) for row in table.rows] == [(81, 20), (84, 5)]
    assert "Highest: B-CNN [D,M], 84.0 at 5" in chart.label


@pytest.mark.parametrize(
    "other",
    [
        {"protocol": {"classes": 20}},
        {"synthetic": True, "data": "synthetic_birds", "protocol": {"data": "synthetic_birds"}},
        {"machine": CPU | {"threads": 8}},
        {"machine": CPU | {"device": "NVIDIA H200"}},
        {"machine": CPU | {"cpu": "Xeon"}},
    ],
)
def test_protocols_machines_and_synthetic_data_have_charts_of_their_own(other):
    tables = page(ran(80.0, 10.0), ran(84.0, 5.0, recipe=DM, **other))["tables"]
    assert len(tables) == 2
    assert all(not table.charts for table in tables)
    assert all("only one run" in table.note for table in tables)
    assert len(page(ran(80.0, 10.0), ran(84.0, 5.0, recipe=DM))["tables"]) == 1


def test_real_data_are_before_synthetic_data_and_controls_are_left_out():
    made_up = {"synthetic": True, "data": "synthetic_birds", "protocol": {"data": "synthetic_birds"}}
    control = {"deviations": [deviation("control", run="shuffled")], "protocol": {"control": "shuffled"}}
    tables = page(ran(99.0, 1.0, **made_up), ran(80.0, 10.0), ran(1.0, 10.0, **control))["tables"]
    assert [table.rows[0].value for table in tables] == [80, 99]


def test_every_run_is_drawn_against_its_speed_or_among_those_without_a_speed():
    context = page(ran(80.0, None), ran(float("nan"), 3.0, recipe="bcnn/bcnn_mm@cub"), ran(84.0, 5.0, recipe=DM),
                   ran(70.0, 6.0, recipe="bcnn/fc_cnn_d@cub"), ran(75.0, None, recipe="bcnn/fv_cnn_d@cub"))  # fmt: skip
    (table,) = context["tables"]
    against_speed, without = table.charts
    assert [row[1] for row in against_speed.rows] == ["B-CNN [D,M]", "FC-CNN [D]"]
    assert [(row[0], row[2]) for row in without.rows] == [("B-CNN [D,D]", 80), ("FV-CNN [D]", 75)]
    assert len(table.rows) == 5
    assert table.note == "1 run without a value is not drawn. 2 of 5 runs have no speed."
    assert context["speed_command"] == f"{COMMAND} RECIPE"
    assert not page(ran(80.0, 1.0), ran(84.0, 5.0, recipe=DM))["speed_command"]


def test_the_page_says_which_runs_lack_a_speed_because_of_stored_maps_and_how_to_measure_it(tmp_path):
    cost = {"wall_s": 10.0, "phase_s": {}, "peak_mib": 100.0, "recalled": 400}
    stored = of_accuracy(84.0, 0, recipe=DM, cost=cost, provenance=CPU)
    records = [ran(80.0, 10.0), stored]
    (table,) = page(*records)["tables"]
    assert table.note == "1 of 2 runs has no speed; 1 used feature maps that an earlier run had stored."
    text = Parsed(pages(tmp_path, records)["costs"]).text
    assert f"To measure the speed of each method apart: {COMMAND} RECIPE , then fgbench report" in text


def test_energy_is_drawn_if_all_runs_have_it():
    with_both = page(ran(80.0, 10.0, joule=5000.0), ran(84.0, 5.0, recipe=DM, joule=7000.0))
    assert [points(chart)[0][2] for chart in with_both["tables"][0].charts] == [10, 5]
    with_one = page(ran(80.0, 10.0, joule=5000.0), ran(84.0, 5.0, recipe=DM))
    assert len(with_one["tables"][0].charts) == 1
    assert with_one["any_energy"]
    none = page(ran(80.0, 10.0))
    assert not none["any_energy"]
    assert not none["image_energy"]


def test_without_records_the_page_says_so_and_has_no_empty_section(tmp_path):
    text = pages(tmp_path, [])["costs"]
    assert "There are no runs." in Parsed(text).text
    assert "<h2" not in text


def test_without_a_measured_energy_one_line_says_why_and_there_is_no_section(tmp_path):
    cost = {"wall_s": 10.0, "phase_s": {}, "peak_mib": 100.0, "energy_note": "no GPU was used"}
    text = pages(tmp_path, [of_accuracy(84.0, 0, cost=cost, provenance=CPU)])["costs"]
    assert "The energy of the runs was not measured: no GPU was used." in Parsed(text).text
    assert ">Energy<" not in text


def timed(tmp_path, *rows):
    whole = everything()
    (sample,) = [entry for entry in whole["benchmarks"] if entry["extra_info"].get("kind") == "frames"][:1]
    whole["benchmarks"] = [
        sample | {"extra_info": sample["extra_info"] | {"task": "recognition", "best_batch": False} | row}
        for row in rows
    ]
    return speed_page([read_session(write(tmp_path / "bench.json", whole))])


def test_benchmarks_are_joined_to_runs_of_the_same_network_alone(tmp_path):
    rows = [{"recipe": "bcnn/bcnn_dd", "frames_per_s": 11.0, "joule_per_image": 2.5},
            {"recipe": "bcnn/bcnn_dm", "frames_per_s": 22.0, "joule_per_image": 1.5}]  # fmt: skip
    speed = timed(tmp_path, *rows)
    both = [ran(80.0, 1.0), ran(84.0, 1.0, recipe=DM)]
    (runs,) = page(*both, speed=speed)["benchmarked"]
    assert [points(chart) for chart in runs.charts] == [
        [("B-CNN [D,D]", "B-CNN", 11, 80, "no"), ("B-CNN [D,M]", "B-CNN", 22, 84, "yes")],
        [("B-CNN [D,D]", "B-CNN", 2.5, 80, "no"), ("B-CNN [D,M]", "B-CNN", 1.5, 84, "yes")],
    ]
    for spoiled in (
        {"profile": "frozen"},
        {"deviations": [deviation("test_pipeline")]},
        {"deviations": [deviation("backbones")]},
        {"protocol": {"classes": 20}},
    ):
        assert not page(both[0], ran(84.0, 1.0, recipe=DM, **spoiled), speed=speed)["benchmarked"]
    elsewhere = timed(tmp_path, rows[0], rows[1] | {"dtype": "bf16"})
    assert not page(*both, speed=elsewhere)["benchmarked"]
    batches = timed(tmp_path, rows[0], rows[1] | {"best_batch": True})
    assert not page(*both, speed=batches)["benchmarked"]


def test_of_many_runs_the_table_has_the_latest_and_counts_the_others():
    runs = [ran(50.0 + night / 2, 5.0, machine=CPU | {"finished": f"2026-01-{night:02d}", "source": str(night)})
            for night in range(1, 71)]  # fmt: skip
    (table,) = page(*runs)["tables"]
    assert len(table.rows) == 60
    assert min(row.value for row in table.rows) == 50 + 11 / 2
    assert table.note.endswith("10 more runs of this protocol are in the overview.")
    assert len(table.charts[0].rows) == 60
