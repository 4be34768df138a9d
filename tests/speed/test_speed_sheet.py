import pytest
from bench_file import frames

from fgbench.speed.bench_rows import FramesRow
from fgbench.speed.method_speed import Kind, MethodSpeed
from fgbench.speed.roofline import Need, Rates
from fgbench.speed.speed_sheet import SpeedSheet


def speed(gflop_per_s, bytes_per_s=1e12, **fields):
    row = FramesRow.model_validate(frames(bound_fps=None, share_of_bound=None, **fields)["extra_info"])
    kind = Kind(row.device_type, dtype=row.dtype)
    need = Need(gflop=2.0, weight_count=1, image_bytes=1)
    return MethodSpeed(kind, row, need, Rates(1e9 * gflop_per_s, bytes_per_s), (1.0,), 0.02)


def test_all_rows_of_a_device_have_the_bound_of_its_best_rates():
    sheet = SpeedSheet()
    for measured in (speed(10), speed(30), speed(20), speed(1000, dtype="bf16"), speed(5000, device_type="cuda")):
        sheet.add(measured)
    assert [row.bound_fps for row in sheet.rows()] == pytest.approx([15, 15, 15, 500, 2500])
    assert sheet.rows()[0].share_of_bound == pytest.approx(1.72 / 15)
    assert sheet.rows()[0].peak_gflop_per_s == pytest.approx(30)


@pytest.mark.parametrize("fields", [{"decode": True}, {"task": "training step"}])
def test_decoding_and_training_have_no_bound(fields):
    sheet = SpeedSheet()
    sheet.add(speed(10, **fields))
    assert sheet.rows()[0].bound_fps is None
