import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_nvml import FakeBoard, FakeNvml
from scipy import stats

from fgbench.records.phase_log import KILLED, UNMEASURED, PhaseLog
from fgbench.records.provenance import cost
from fgbench.records.record import Cost
from fgbench.speed.energy import SENSOR_S, measure_energy
from fgbench.util import gpu_board as energy
from fgbench.util.errors import MissingError
from fgbench.util.gpu_board import Board, Meter, board_of

ONE, TWO = "GPU-1111", "GPU-2222"


def nvml(**board):
    return FakeNvml([FakeBoard(ONE, **board), FakeBoard(TWO, watts=7.0)])


def visible(monkeypatch, *uuids):
    """CUDA's devices in its own order, which CUDA_VISIBLE_DEVICES decides."""
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda device: SimpleNamespace(uuid=uuids[torch.device(device).index or 0].removeprefix("GPU-")),
    )


def measured(fake, batch=4, step_s=0.5, watts=None, uuid=ONE, **options):
    """An energy where a step takes `step_s`; `watts` gives each run's power."""
    board, slept = Board(uuid, fake), []
    steps = iter(range(10**9))
    per_run = -(-options.get("run_s", 20.0) // step_s)

    def work():
        number = next(steps)
        if watts:
            # The counter goes on from where it was, with another slope.
            before = fake.boards[0].watts * fake.now_s
            fake.boards[0].watts = watts[int(number // per_run)]
            fake.boards[0].base_j += before - fake.boards[0].watts * fake.now_s
        fake.pass_time(step_s)

    found = measure_energy(
        work, batch, step_s, board, synchronize=lambda: None, sleep=slept.append, clock=fake.clock, **options
    )
    return found, slept, next(steps)


def test_energy_of_an_image_is_power_by_rate():
    found, slept, steps = measured(nvml())
    assert found.joule_per_image == pytest.approx(100.0 * 0.5 / 4)
    assert found.power_w == pytest.approx(100.0)
    assert found.run_s == pytest.approx(20.0)
    assert steps == 3 * 40
    assert (found.sm_mhz, found.memory_mhz, found.board) == ((1700, 1700), (2600, 2600), f"Fake {ONE}")
    # Three runs begin at other thirds of the sensor's period.
    assert slept == pytest.approx([0.0, SENSOR_S / 3, 2 * SENSOR_S / 3])


def test_error_bar_is_the_interval_over_runs():
    watts = [90.0, 100.0, 110.0]
    found, _, _ = measured(nvml(), watts=watts)
    each = np.array(watts) * 0.5 / 4
    low, high = stats.t.interval(0.95, 2, loc=each.mean(), scale=stats.sem(each))
    assert found.joule_per_image == pytest.approx(each.mean())
    assert (found.joule_low, found.joule_high) == pytest.approx((low, high))
    assert found.power_w == pytest.approx(100.0)


def test_the_board_is_the_devices_own_whatever_the_order(monkeypatch):
    fake = nvml()
    visible(monkeypatch, TWO, ONE)
    assert board_of(torch.device("cuda"), fake).name == f"Fake {TWO}"
    assert board_of(torch.device("cuda", 1), fake).name == f"Fake {ONE}"
    found, _, _ = measured(fake, uuid=board_of(torch.device("cuda", 0), fake).uuid)
    assert found.power_w == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        ({"starts": False}, "NVML does not start (NVML Shared Library Not Found)"),
        ({"counts": False}, "does not count its energy (Not Supported)"),
        ({"uuid": "GPU-3333"}, "NVML has no board GPU-3333"),
        ({"uuid": "MIG-1"}, "of a slice (MIG) the energy is not counted"),
    ],
)
def test_without_nvml_board_or_counter_there_is_a_reason(plant, says):
    fake = nvml(counts=plant.get("counts", True))
    fake.starts = plant.get("starts", True)
    with pytest.raises(MissingError) as error:
        Board(plant.get("uuid", ONE), fake)
    assert says in str(error.value)
    assert error.value.what == "hardware"


def test_without_a_gpu_there_is_a_reason():
    with pytest.raises(MissingError, match="no GPU was used"):
        board_of(torch.device("cpu"))
    assert Meter.of("cpu").note == "no GPU was used"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda board: setattr(board, "offset_j", -1e6), "went back"),
        (lambda board: setattr(board, "watts", 0.0), "stood still"),
        (lambda board: setattr(board, "programs", 2), "2 programs used"),
        (lambda board: setattr(board, "counts", False), "does not count"),
    ],
)
def test_a_counter_that_cannot_be_believed_gives_no_number(spoil, says):
    fake = nvml()
    board = Board(ONE, fake)

    def work():
        fake.pass_time(1.0)
        if fake.now_s == 35.0:
            spoil(fake.boards[0])

    if says == "stood still":
        spoil(fake.boards[0])
    with pytest.raises(MissingError, match=says):
        measure_energy(work, 1, 1.0, board, synchronize=int, sleep=int, clock=fake.clock)


def test_what_holds_the_clocks_down_is_told_apart_by_when():
    fake = nvml(reasons=0x1 | 0x2)
    board = Board(ONE, fake)

    def work():
        fake.pass_time(1.0)
        fake.boards[0].sm = 1700 - int(fake.now_s)
        fake.boards[0].reasons = 0x4 | 0x20 if fake.now_s == 11.0 else 0x4 | 0x800

    found = measure_energy(work, 1, 1.0, board, synchronize=int, sleep=int, clock=fake.clock)
    assert found.held_down_before == ("clocks set by the user",)
    assert found.held_down_since == ("power cap", "heat (software)", "0x800")
    assert found.sm_mhz == (1640, 1700)


def test_an_older_driver_tells_the_reasons_under_their_old_name():
    fake = nvml(reasons=0x40)
    fake.renamed = False
    assert Board(ONE, fake).state().held_down_by == ("heat (hardware)",)


def test_a_driver_that_does_not_list_programs_is_believed():
    Board(ONE, nvml(programs=-1)).check_alone()
    Board(ONE, nvml(programs=0)).check_alone()  # in a container, whose own are not seen


def journal(tmp_path, fake, monkeypatch, processes=1, uuids=(ONE,)):
    visible(monkeypatch, *uuids)
    return PhaseLog(tmp_path, 0, Meter.of("cuda", processes, fake))


def test_a_record_has_the_energy_of_its_phases_over_all_sessions(tmp_path, monkeypatch):
    fake = nvml()
    first = journal(tmp_path, fake, monkeypatch)
    with first.phase("training"):
        fake.pass_time(10.0)
    fake.pass_time(1000.0)  # somebody else's

    def fails():
        with first.phase("test"):
            fake.pass_time(2.0)
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    second = journal(tmp_path, fake, monkeypatch)
    with second.phase("test"):
        fake.pass_time(3.0)
    assert second.energy_j == pytest.approx(1500.0)
    assert (second.energy_note, second.sittings, set(second.phase_s)) == ("", 2, {"training", "test"})
    found = Cost.model_validate(cost(second, 10))
    assert (found.energy_j, found.energy_note, found.sittings) == (second.energy_j, "", 2)
    assert found.test_fps == pytest.approx(10 / second.phase_s["test"])


def test_several_processes_count_every_board(tmp_path, monkeypatch):
    fake = nvml()
    found = journal(tmp_path, fake, monkeypatch, processes=2, uuids=(ONE, TWO))
    with found.phase("training"):
        fake.pass_time(10.0)
    assert found.energy_j == pytest.approx(1070.0)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    assert Meter.of("cuda", 2, fake).note == "GPUs of other machines were used as well"


@pytest.mark.parametrize("attribute", ["counts", "programs", "offset_j"])
def test_a_session_without_a_measurement_leaves_the_run_without_one(tmp_path, monkeypatch, attribute):
    fake = nvml()
    first = journal(tmp_path, fake, monkeypatch)
    with first.phase("training"):
        fake.pass_time(10.0)
        setattr(fake.boards[0], attribute, {"counts": False, "programs": 2, "offset_j": -1e6}[attribute])
    assert first.energy_j is None
    reason = first.energy_note
    assert reason
    setattr(fake.boards[0], attribute, {"counts": True, "programs": 1, "offset_j": 0.0}[attribute])
    second = journal(tmp_path, fake, monkeypatch)
    with second.phase("test"):
        fake.pass_time(3.0)
    assert (second.energy_j, second.energy_note) == (None, reason)


def test_the_energy_note_names_the_missing_last_phase_of_a_killed_session(tmp_path, monkeypatch):
    fake = nvml()
    first = journal(tmp_path, fake, monkeypatch)
    with first.phase("pixels"):
        fake.pass_time(10.0)
    going_on = first.phase("training")
    going_on.__enter__()  # and then SIGKILL
    second = journal(tmp_path, fake, monkeypatch)
    with second.phase("training"):
        fake.pass_time(1.0)
    assert second.energy_j == pytest.approx(1100.0)
    assert second.energy_note == KILLED


def test_a_journal_from_before_energy_was_counted_has_none(tmp_path, monkeypatch):
    (tmp_path / "journal.json").write_text(json.dumps({"phase_s": {"training": 5.0}, "sittings": 1}))
    found = journal(tmp_path, nvml(), monkeypatch)
    with found.phase("test"):
        pass
    assert (found.energy_j, found.energy_note) == (None, UNMEASURED)


def test_on_the_cpu_a_journal_says_why_there_is_no_energy(tmp_path):
    for _ in range(2):
        found = PhaseLog(tmp_path, 0, Meter.of("cpu"))
        with found.phase("test"):
            pass
        assert (found.energy_j, found.energy_note) == (None, "no GPU was used")
