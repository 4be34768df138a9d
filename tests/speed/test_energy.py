from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_nvml import FakeBoard, FakeNvml
from scipy import stats

from fgbench.records.phase_log import KILLED, UNMEASURED, PhaseLog
from fgbench.records.provenance import cost
from fgbench.records.run_cost import Cost
from fgbench.speed.energy import SENSOR_S, measure_energy
from fgbench.util.damaged import write_checked_json
from fgbench.util.errors import MissingError
from fgbench.util.gpu_board import Board, Meter, board_of

ONE, TWO = "GPU-1111", "GPU-2222"


def nvml(**board):
    return FakeNvml([FakeBoard(ONE, **board), FakeBoard(TWO, watts=7.0)])


def visible(monkeypatch, *uuids):
    """Make these boards the devices of CUDA, in this order."""
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda device: SimpleNamespace(uuid=uuids[torch.device(device).index or 0].removeprefix("GPU-")),
    )


def measured(fake, batch=4, step_s=0.5, watts=None, uuid=ONE, **options):
    """Measure the energy of steps of `step_s` seconds; `watts` is the power of each run."""
    board, sleeps = Board(uuid, fake), []
    steps = iter(range(10**9))
    per_run = -(-options.get("run_s", 20.0) // step_s)

    def work():
        number = next(steps)
        if watts:
            # The counter keeps its value and increases at another rate.
            joules = fake.boards[0].watts * fake.now_s
            fake.boards[0].watts = watts[int(number // per_run)]
            fake.boards[0].base_j += joules - fake.boards[0].watts * fake.now_s
        fake.pass_time(step_s)

    arguments = {"run_s": 20.0, "synchronize": lambda: None, "sleep": sleeps.append, "clock": fake.clock}
    energy = measure_energy(work, batch, step_s, board, **arguments | options)
    return energy, sleeps, next(steps)


def test_energy_of_an_image_is_power_divided_by_rate():
    energy, sleeps, steps = measured(nvml())
    assert energy.joule_per_image == pytest.approx(100.0 * 0.5 / 4)
    assert energy.power_w == pytest.approx(100.0)
    assert energy.run_s == pytest.approx(20.0)
    assert steps == 3 * 40
    assert (energy.sm_mhz, energy.memory_mhz, energy.counter) == ((1700, 1700), (2600, 2600), f"Fake {ONE}")
    # The three runs start in different thirds of the period of the sensor.
    assert sleeps == pytest.approx([0.0, SENSOR_S / 3, 2 * SENSOR_S / 3])


def test_a_counter_without_clocks_gives_energy_alone():
    class Processor:
        name, used_j = "processor packages", 0.0

        def energy_j(self):
            return self.used_j

        def state(self):
            return None

        def check_alone(self):
            pass

    processor, time_s = Processor(), [0.0]

    def work():
        processor.used_j += 3.0
        time_s[0] += 0.25

    energy = measure_energy(
        work, 2, 0.25, processor, run_s=1.0, synchronize=int, sleep=lambda s: None, clock=lambda: time_s[0]
    )
    assert (energy.joule_per_image, energy.power_w) == (pytest.approx(1.5), pytest.approx(12.0))
    assert (energy.sm_mhz, energy.memory_mhz, energy.held_down_before, energy.held_down_since) == (None, None, (), ())


def test_the_interval_is_that_over_the_runs():
    watts = [90.0, 100.0, 110.0]
    energy, _, _ = measured(nvml(), watts=watts)
    per_image = np.array(watts) * 0.5 / 4
    low, high = stats.t.interval(0.95, 2, loc=per_image.mean(), scale=stats.sem(per_image))
    assert energy.joule_per_image == pytest.approx(per_image.mean())
    assert (energy.joule_low, energy.joule_high) == pytest.approx((low, high))
    assert energy.power_w == pytest.approx(100.0)


def test_the_board_is_found_by_the_uuid_of_the_device(monkeypatch):
    fake = nvml()
    visible(monkeypatch, TWO, ONE)
    assert board_of(torch.device("cuda"), fake).name == f"Fake {TWO}"
    assert board_of(torch.device("cuda", 1), fake).name == f"Fake {ONE}"
    energy, _, _ = measured(fake, uuid=board_of(torch.device("cuda", 0), fake).uuid)
    assert energy.power_w == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"starts": False}, "NVML does not start (NVML Shared Library Not Found)"),
        ({"counts": False}, "does not count its energy (Not Supported)"),
        ({"uuid": "GPU-3333"}, "NVML has no board GPU-3333"),
        ({"uuid": "MIG-1"}, "of a slice (MIG) the energy is not counted"),
    ],
)
def test_without_nvml_board_or_counter_there_is_a_reason(fault, message):
    fake = nvml(counts=fault.get("counts", True))
    fake.starts = fault.get("starts", True)
    with pytest.raises(MissingError) as error:
        Board(fault.get("uuid", ONE), fake)
    assert message in str(error.value)
    assert error.value.what == "hardware"


def test_without_a_gpu_there_is_a_reason():
    with pytest.raises(MissingError, match="no GPU was used"):
        board_of(torch.device("cpu"))
    assert Meter.of("cpu").note == "no GPU was used"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda board: setattr(board, "offset_j", -1e6), "went back"),
        (lambda board: setattr(board, "watts", 0.0), "did not change"),
        (lambda board: setattr(board, "programs", 2), "2 programs used"),
        (lambda board: setattr(board, "counts", False), "does not count"),
    ],
)
def test_an_unreliable_counter_is_an_error(spoil, message):
    fake = nvml()
    board = Board(ONE, fake)

    def work():
        fake.pass_time(1.0)
        if fake.now_s == 35.0:
            spoil(fake.boards[0])

    if message == "did not change":
        spoil(fake.boards[0])
    with pytest.raises(MissingError, match=message):
        measure_energy(work, 1, 1.0, board, run_s=20.0, synchronize=int, sleep=int, clock=fake.clock)


def test_reasons_for_low_clocks_before_and_during_the_runs():
    fake = nvml(reasons=0x1 | 0x2)
    board = Board(ONE, fake)

    def work():
        fake.pass_time(1.0)
        fake.boards[0].sm = 1700 - int(fake.now_s)
        fake.boards[0].reasons = 0x4 | 0x20 if fake.now_s == 11.0 else 0x4 | 0x800

    energy = measure_energy(work, 1, 1.0, board, run_s=20.0, synchronize=int, sleep=int, clock=fake.clock)
    assert energy.held_down_before == ("clocks set by the user",)
    assert energy.held_down_since == ("power cap", "heat (software)", "0x800")
    assert energy.sm_mhz == (1640, 1700)


def test_an_older_driver_names_the_reasons_differently():
    fake = nvml(reasons=0x40)
    fake.renamed = False
    assert Board(ONE, fake).state().held_down_by == ("heat (hardware)",)


def test_a_driver_may_not_list_programs():
    Board(ONE, nvml(programs=-1)).check_alone()
    Board(ONE, nvml(programs=0)).check_alone()  # in a container, which hides its programs


def phase_log(tmp_path, fake, monkeypatch, processes=1, uuids=(ONE,)):
    visible(monkeypatch, *uuids)
    return PhaseLog(tmp_path, 0, Meter.of("cuda", processes, fake))


def test_a_record_has_the_energy_of_its_phases_over_all_sessions(tmp_path, monkeypatch):
    fake = nvml()
    first = phase_log(tmp_path, fake, monkeypatch)
    with first.phase("training"):
        fake.pass_time(10.0)
    fake.pass_time(1000.0)  # between the sessions

    def fails():
        with first.phase("test"):
            fake.pass_time(2.0)
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    second = phase_log(tmp_path, fake, monkeypatch)
    with second.phase("test"):
        fake.pass_time(3.0)
    assert second.energy_j == pytest.approx(1500.0)
    assert (second.energy_note, second.sittings, set(second.phase_s)) == ("", 2, {"training", "test"})
    recorded = Cost.model_validate(cost(second, 10))
    assert (recorded.energy_j, recorded.energy_note, recorded.sittings) == (second.energy_j, "", 2)
    assert recorded.test_fps == pytest.approx(10 / second.phase_s["test"])


def test_several_processes_count_every_board(tmp_path, monkeypatch):
    fake = nvml()
    log = phase_log(tmp_path, fake, monkeypatch, processes=2, uuids=(ONE, TWO))
    with log.phase("training"):
        fake.pass_time(10.0)
    assert log.energy_j == pytest.approx(1070.0)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    assert Meter.of("cuda", 2, fake).note == "GPUs of other machines were used as well"


@pytest.mark.parametrize("attribute", ["counts", "programs", "offset_j"])
def test_a_session_without_a_measurement_leaves_the_run_without_one(tmp_path, monkeypatch, attribute):
    fake = nvml()
    first = phase_log(tmp_path, fake, monkeypatch)
    with first.phase("training"):
        fake.pass_time(10.0)
        setattr(fake.boards[0], attribute, {"counts": False, "programs": 2, "offset_j": -1e6}[attribute])
    assert first.energy_j is None
    reason = first.energy_note
    assert reason
    setattr(fake.boards[0], attribute, {"counts": True, "programs": 1, "offset_j": 0.0}[attribute])
    second = phase_log(tmp_path, fake, monkeypatch)
    with second.phase("test"):
        fake.pass_time(3.0)
    assert (second.energy_j, second.energy_note) == (None, reason)


def test_the_energy_note_names_the_missing_last_phase_of_a_killed_session(tmp_path, monkeypatch):
    fake = nvml()
    first = phase_log(tmp_path, fake, monkeypatch)
    with first.phase("pixels"):
        fake.pass_time(10.0)
    going_on = first.phase("training")
    going_on.__enter__()  # and no exit, as after SIGKILL
    second = phase_log(tmp_path, fake, monkeypatch)
    with second.phase("training"):
        fake.pass_time(1.0)
    assert second.energy_j == pytest.approx(1100.0)
    assert second.energy_note == KILLED


def test_a_phase_log_without_energy_gives_none(tmp_path, monkeypatch):
    write_checked_json(tmp_path / "journal.json", {"phase_s": {"training": 5.0}, "sittings": 1})
    log = phase_log(tmp_path, nvml(), monkeypatch)
    with log.phase("test"):
        pass
    assert (log.energy_j, log.energy_note) == (None, UNMEASURED)


def test_on_the_cpu_a_phase_log_gives_the_reason_for_no_energy(tmp_path):
    for _ in range(2):
        log = PhaseLog(tmp_path, 0, Meter.of("cpu"))
        with log.phase("test"):
            pass
        assert (log.energy_j, log.energy_note) == (None, "no GPU was used")
