"""Verdicts on printed frames per second, on the device of the paper and on others."""

import hashlib
import json
from dataclasses import replace

import bench_file
import pytest
from command_line import run

import fgbench
from fgbench.judge.frame_verdicts import with_frames
from fgbench.judge.reason_words import short_reason
from fgbench.judge.verdict import Outcome, Verdict
from fgbench.papers.printed import load_papers
from fgbench.report.build import build_report
from fgbench.speed.bench_files import frames_of, read_speed
from fgbench.speed.bench_rows import FramesRow
from fgbench.speed.speed_source import SPEED_COLUMNS, SpeedSource

CELLS = {cell.id: cell for cell in load_papers()["bcnn"].cells() if cell.metric == "fps"}
CELL = CELLS["t1/bcnn_dm/fps"]


def row(fps, device="Tesla K40c", spread=0.05, **fields):
    """Return a measurement of B-CNN [D,M]."""
    return FramesRow.model_validate(
        {
            "method": "B-CNN [D,M]", "recipe": "bcnn/bcnn_dm", "device": device, "device_type": "cuda", "batch": 4,
            "size_px": 448, "dtype": "fp32", "layout": "channels_last", "compiled": "", "decode": False, "threads": 2,
            "frames_per_s": fps, "frames_per_s_low": fps - spread, "frames_per_s_high": fps + spread, "steady": True,
            "warmup_s": 1.0, "peak_mib": 100.0, "peak_of": "the GPU", "gflop_per_image": 138.0,
            "peak_gflop_per_s": 100.0, **fields,
        }
    )  # fmt: skip


def judged(*rows, cell=CELL):
    verdict = Verdict(cell, Outcome.NOT_RUN, "not measured")
    return with_frames({"bcnn": [verdict]}, rows)["bcnn"][0]


@pytest.mark.parametrize(("fps", "spread", "outcome"), [
    (8.0, 0.05, Outcome.REPRODUCED), (8.79, 0.001, Outcome.REPRODUCED), (8.79, 0.05, Outcome.INCONCLUSIVE),
    (8.9, 0.05, Outcome.EXCEEDS), (7.1, 0.05, Outcome.NOT_REPRODUCED), (7.1, 0.2, Outcome.INCONCLUSIVE),
])  # fmt: skip
def test_the_margin_decides_on_the_device_of_the_paper(fps, spread, outcome):
    verdict = judged(row(fps, spread=spread))
    assert (verdict.outcome, verdict.mean, verdict.is_measured) == (outcome, fps, True)
    assert "on the device of the paper, fp32, batch 4, 448 px; printed 8, margin 0.8" in verdict.reason


def test_another_device_is_not_comparable_and_both_shares_are_told():
    verdict = judged(row(0.5, "AMD EPYC"))
    assert verdict.outcome is Outcome.NOT_COMPARABLE
    assert "measured on AMD EPYC (fp32, batch 4, 448 px), printed for Tesla K40" in verdict.reason
    assert "here 69% of the measured rate" in verdict.reason
    assert "there 8 x 138 GFLOP are 26% of the peak of 4.29 TFLOP/s" in verdict.reason
    assert short_reason(verdict) == "under other conditions: AMD EPYC"


def test_the_device_of_the_paper_is_preferred_and_else_the_fastest_measurement():
    assert judged(row(7.9), row(500.0, "NVIDIA H100")).mean == 7.9
    assert judged(row(1.0, "a"), row(2.0, "b")).mean == 2.0


@pytest.mark.parametrize("fields", [
    {"recipe": "bcnn/bcnn_dd"}, {"task": "training step"}, {"decode": True}, {"steady": False},
])  # fmt: skip
def test_other_measurements_do_not_count(fields):
    verdict = judged(row(8.0, **fields))
    assert (verdict.outcome, verdict.mean) == (Outcome.NOT_RUN, None)
    assert verdict.command == "fgbench speed bcnn/bcnn_dm --data cub"


def test_a_paper_that_names_no_device_and_a_row_without_recipe_stay_as_they_are():
    first = replace(CELLS["v1/bcnn/fps"], recipe="")
    assert judged(row(8.0), cell=first).reason == "not measured"
    unnamed = judged(row(8.0), cell=replace(CELL, device="", devices=()))
    assert unnamed.outcome is Outcome.NOT_COMPARABLE
    assert "a device that the paper does not name" in unnamed.reason


@pytest.mark.parametrize("fields", [{"dtype": "bf16"}, {"compiled": "default"}, {"device": "Tesla K400"}])
def test_other_numbers_and_cards_with_a_name_that_begins_alike_are_not_comparable(fields):
    device = fields.get("device", "NVIDIA Tesla K40c")
    verdict = judged(row(8.0, device, **{name: value for name, value in fields.items() if name != "device"}))
    assert verdict.outcome is Outcome.NOT_COMPARABLE
    assert judged(row(8.0, "NVIDIA Tesla K40c")).outcome is Outcome.REPRODUCED


def test_a_number_for_a_cpu_without_a_name_is_judged_on_any_cpu():
    cell = CELLS["t1/fv_sift/fps"]
    cpu = {"recipe": "bcnn/fv_sift", "device_type": "cpu"}
    found = judged(row(10.2, "AMD EPYC", **cpu), cell=cell)
    assert found.outcome == Outcome.REPRODUCED
    assert "10.2 frames/s on AMD EPYC; the paper does not name its CPU, fp32, batch 4, 448 px" in found.reason
    assert judged(row(20.0, "AMD EPYC", **cpu), cell=cell).outcome == Outcome.EXCEEDS
    gpu = judged(row(20.0, "NVIDIA H100", recipe="bcnn/fv_sift"), cell=cell)
    assert gpu.outcome == Outcome.NOT_COMPARABLE
    assert "printed for CPU" in gpu.reason


def test_a_card_of_a_name_that_stands_for_several_is_not_judged():
    verdict = judged(row(30.0, "NVIDIA TITAN Xp"), cell=CELLS["updated/best/fps"])
    assert verdict.outcome is Outcome.NOT_COMPARABLE


def test_a_damaged_file_of_benchmarks_is_left_out_and_named(tmp_path):
    (tmp_path / "speed").mkdir()
    (tmp_path / "records").mkdir()
    (tmp_path / "speed/a.json").write_text("")
    sessions, damaged = read_speed(tmp_path)
    assert (sessions, [text.partition(":")[0] for text in damaged]) == ([], ["speed/a.json"])
    with pytest.warns(UserWarning, match="skipped: speed/a.json"):
        assert len(fgbench.verdicts(tmp_path)) > 100
    built = build_report(tmp_path, tmp_path / "pages")
    assert any("speed/a.json" in text for text in built.left_out)


def test_a_measurement_across_the_edge_of_the_margin_says_so():
    assert short_reason(judged(row(8.79, spread=0.2))) == "the measurement lies on both sides of the margin"


def test_the_origin_of_a_speed_is_in_the_verdict_the_export_show_and_the_page(tmp_path):
    (tmp_path / "records").mkdir()
    (tmp_path / "speed").mkdir()
    content = bench_file.content(bench_file.frames(code="c" * 16, source="forged"))
    content["commit_info"]["dirty"] = True
    path = bench_file.write(tmp_path / "speed/a.json", content)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    (row,) = frames_of(read_speed(tmp_path)[0])
    commit = "abcdef0123456789 with changes"
    assert row.source == SpeedSource(
        file="a.json", sha256=sha256, commit=commit, code="c" * 16, measured="2026-11-21T10:20:30.123456+00:00"
    )
    assert "source" not in row.model_dump()
    text = f"a.json, SHA-256 {sha256}; commit {commit}, source {'c' * 16}; 2026-11-21T10:20"
    table = fgbench.verdicts(tmp_path)
    (measured,) = table[table.cell == CELL.id].to_dict("records")
    assert {name: measured[name] for name in SPEED_COLUMNS} == row.source.columns()
    assert set(table[table.measured.isna()].speed_file) == {""}
    code, shown = run("show", f"bcnn/{CELL.id}", "--json", "--results", str(tmp_path))
    assert code == 0
    rows = json.loads(shown)[f"verdict from {tmp_path}"]
    assert {"what": "measured in", "value": text} in rows
    build_report(tmp_path, tmp_path / "pages")
    assert f"<dt>Origin</dt><dd>{text}</dd>" in (tmp_path / "pages/bcnn.html").read_text()


def test_an_origin_without_code_and_commit_says_that_they_are_unknown():
    source = SpeedSource(file="a.json", sha256="0", commit="", code="", measured="2026-11-21T10:20:30")
    assert str(source) == "a.json, SHA-256 0; commit unknown, source unknown; 2026-11-21T10:20"
