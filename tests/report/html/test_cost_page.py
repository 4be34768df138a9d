import re

import pytest
from bench_file import everything, write
from made_records import deviation, of_accuracy
from report_pages import Parsed

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


def test_points_are_the_records_numbers_means_over_seeds_with_the_interval_of_another_test_set():
    (board,) = page(ran(80.0, 10.0), ran(82.0, 30.0, 1), ran(84.0, 5.0, recipe=DM))["boards"]
    (chart,) = board.charts
    assert points(chart) == [("B-CNN [D,D]", "bcnn", 20, 81), ("B-CNN [D,M]", "bcnn", 5, 84)]
    first = chart.spec["datasets"]["rows0"][0]
    assert (first["low"], first["high"]) == pytest.approx((81 - 0.94, 81 + 0.94), rel=1e-5)
    assert [(row.number, row.value, row.test_fps) for row in board.rows] == [(1, 81, 20), (2, 84, 5)]
    assert "The highest is B-CNN [D,M], 84.0 at 5" in chart.label


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
def test_protocols_machines_and_synthetic_data_never_share_a_chart(other):
    boards = page(ran(80.0, 10.0), ran(84.0, 5.0, recipe=DM, **other))["boards"]
    assert len(boards) == 2
    assert all(not board.charts for board in boards)
    assert all("no comparison" in board.note for board in boards)
    assert len(page(ran(80.0, 10.0), ran(84.0, 5.0, recipe=DM))["boards"]) == 1


def test_real_data_come_before_synthetic_and_controls_are_left_out():
    made_up = {"synthetic": True, "data": "synthetic_birds", "protocol": {"data": "synthetic_birds"}}
    control = {"deviations": [deviation("control", run="shuffled")], "protocol": {"control": "shuffled"}}
    boards = page(ran(99.0, 1.0, **made_up), ran(80.0, 10.0), ran(1.0, 10.0, **control))["boards"]
    assert [board.rows[0].value for board in boards] == [80, 99]


def test_what_has_no_speed_or_no_number_is_in_the_table_alone():
    (board,) = page(ran(80.0, None), ran(float("nan"), 3.0, recipe="bcnn/bcnn_mm@cub"),
                    ran(84.0, 5.0, recipe=DM), ran(70.0, 6.0, recipe="bcnn/fc_cnn_d@cub"))["boards"]  # fmt: skip
    assert [row.number for row in board.rows] == [None, 1, None, 2]
    assert len(board.charts[0].rows) == 2
    assert board.note.startswith("2 of 4")


def test_energy_of_runs_is_drawn_where_all_have_it_and_said_to_be_missing_where_none_has():
    with_both = page(ran(80.0, 10.0, joule=5000.0), ran(84.0, 5.0, recipe=DM, joule=7000.0))
    assert [points(chart)[0][2] for chart in with_both["boards"][0].charts] == [10, 5]
    with_one = page(ran(80.0, 10.0, joule=5000.0), ran(84.0, 5.0, recipe=DM))
    assert len(with_one["boards"][0].charts) == 1
    assert with_one["any_energy"]
    none = page(ran(80.0, 10.0))
    assert not none["any_energy"]
    assert none["no_joule"] == "no benchmark was given"


def test_without_records_the_page_says_so(tmp_path):
    from fgbench.report.html.render import render

    render({}, {}, [], [], tmp_path)
    text = Parsed((tmp_path / "costs.html").read_text()).text
    assert "Nothing has been measured." in text
    assert "No run's energy has been measured." in text
    assert "The energy of an image has not been measured: no benchmark was given." in text


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
    (found,) = page(*both, speed=speed)["timed"]
    assert [points(chart) for chart in found.charts] == [
        [("B-CNN [D,D]", "bcnn", 11, 80), ("B-CNN [D,M]", "bcnn", 22, 84)],
        [("B-CNN [D,D]", "bcnn", 2.5, 80), ("B-CNN [D,M]", "bcnn", 1.5, 84)],
    ]
    for spoiled in (
        {"profile": "frozen"},
        {"deviations": [deviation("test_pipeline")]},
        {"deviations": [deviation("backbones")]},
        {"protocol": {"classes": 20}},
    ):
        assert not page(both[0], ran(84.0, 1.0, recipe=DM, **spoiled), speed=speed)["timed"]
    elsewhere = timed(tmp_path, rows[0], rows[1] | {"dtype": "bf16"})
    assert not page(*both, speed=elsewhere)["timed"]
    batches = timed(tmp_path, rows[0], rows[1] | {"best_batch": True})
    assert not page(*both, speed=batches)["timed"]


def test_axes_of_cost_hold_every_point_and_have_round_numbers():
    for speeds in ((3.0, 7.0), (0.013, 950.0), (10.0, 10.0), (99.0, 101.0), (1.0, 2.0)):
        (board,) = page(ran(80.0, speeds[0]), ran(84.0, speeds[1], recipe=DM))["boards"]
        axis = board.charts[0].spec["layer"][1]["encoding"]["x"]
        low, high = axis["scale"]["domain"]
        assert low * 1.09 < min(speeds) <= max(speeds) < high / 1.09
        assert all(re.match(r"[125]\.0+e", f"{tick:e}") for tick in axis["axis"]["values"])
        assert 1 <= len(axis["axis"]["values"]) <= 8


def test_of_runs_of_years_the_latest_are_told_and_the_others_counted():
    runs = [ran(50.0 + night / 2, 5.0, machine=CPU | {"finished": f"2026-01-{night:02d}", "source": str(night)})
            for night in range(1, 71)]  # fmt: skip
    (board,) = page(*runs)["boards"]
    assert len(board.rows) == 60
    assert min(row.value for row in board.rows) == 50 + 11 / 2
    assert board.note.endswith("10 more runs of it stand in the overview.")
    assert len(board.charts[0].rows) == 40
