import pytest
from bench_file import everything, write
from made_records import deviation, of_accuracy
from report_pages import Parsed
from scipy import stats

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
    assert points(chart) == [("B-CNN [D,D]", "bcnn", 20, 81), ("B-CNN [D,M]", "bcnn", 5, 84)]
    first, alone = chart.spec["datasets"]["rows0"]
    assert (first["low"], first["high"]) == pytest.approx(stats.t.interval(0.95, 1, 81, 1), rel=1e-5)
    assert (alone["low"], alone["high"]) == (84, 84)
    assert [(row.number, row.value, row.test_fps) for row in table.rows] == [(1, 81, 20), (2, 84, 5)]
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


def test_runs_without_a_speed_or_a_value_are_only_in_the_table():
    (table,) = page(ran(80.0, None), ran(float("nan"), 3.0, recipe="bcnn/bcnn_mm@cub"),
                    ran(84.0, 5.0, recipe=DM), ran(70.0, 6.0, recipe="bcnn/fc_cnn_d@cub"))["tables"]  # fmt: skip
    assert [row.number for row in table.rows] == [None, 1, None, 2]
    assert len(table.charts[0].rows) == 2
    assert table.note.startswith("2 of 4")


def test_energy_is_drawn_if_all_runs_have_it_and_reported_missing_if_none_has_it():
    with_both = page(ran(80.0, 10.0, joule=5000.0), ran(84.0, 5.0, recipe=DM, joule=7000.0))
    assert [points(chart)[0][2] for chart in with_both["tables"][0].charts] == [10, 5]
    with_one = page(ran(80.0, 10.0, joule=5000.0), ran(84.0, 5.0, recipe=DM))
    assert len(with_one["tables"][0].charts) == 1
    assert with_one["any_energy"]
    none = page(ran(80.0, 10.0))
    assert not none["any_energy"]
    assert none["image_energy_missing"] == "no benchmark was given"


def test_without_records_the_page_says_so(tmp_path):
    from fgbench.report.html.render import render

    render({}, {}, [], [], tmp_path)
    text = Parsed((tmp_path / "costs.html").read_text()).text
    assert "There are no runs." in text
    assert "The energy of the runs was not measured." in text
    assert "The energy per image was not measured: no benchmark was given." in text


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
        [("B-CNN [D,D]", "bcnn", 11, 80), ("B-CNN [D,M]", "bcnn", 22, 84)],
        [("B-CNN [D,D]", "bcnn", 2.5, 80), ("B-CNN [D,M]", "bcnn", 1.5, 84)],
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
    assert len(table.charts[0].rows) == 40
