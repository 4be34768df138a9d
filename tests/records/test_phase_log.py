import json
import sys

import mini
import numpy as np
import pytest

from fgbench.records import phase_log
from fgbench.records.phase_log import PhaseLog
from fgbench.records.provenance import cost
from fgbench.records.run_cost import Cost
from fgbench.runs.executors.runner import do_run
from fgbench.util.gpu_board import Meter
from fgbench.util.memory import peak_mib


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(phase_log, "time", clock)
    return clock


def start(folder):
    return PhaseLog(folder, 0, Meter.of("cpu"))


def test_phase_times_are_summed_over_sessions_up_to_the_last_save(tmp_path, clock):
    first = start(tmp_path)
    with first.phase("pixels"):
        clock.now += 3
    clock.now += 1000  # between phases
    open_phase = first.phase("descriptors")
    open_phase.__enter__()
    for _ in range(4):
        clock.now += 6
        first.tick()  # every second tick is too early to save
    clock.now += 5
    first.tick()  # too early to save; then the session is killed
    assert json.loads((tmp_path / "journal.json").read_text())["open"] == "descriptors"
    second = start(tmp_path)
    assert second.phase_s == {"pixels": 3.0, "descriptors": 24.0}
    with second.phase("descriptors"):
        clock.now += 2
        second.tick()
        clock.now += 20
        second.tick()
        clock.now += 0.5
    second.tick()  # no phase is open
    with second.phase("test"):
        clock.now += 4
    assert second.phase_s == {"pixels": 3.0, "descriptors": 46.5, "test": 4.0}
    assert cost(second, 8)["wall_s"] == 53.5
    assert start(tmp_path).phase_s == second.phase_s


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports the peak of a phase")
def test_peak_of_each_phase_is_the_largest_over_sessions(tmp_path):
    first = start(tmp_path)
    with first.phase("descriptors"):
        large = np.ones(40_000_000)  # 305 MiB
        del large
    with first.phase("svm"):
        small = np.ones(1_000_000)
        del small
    second = start(tmp_path)
    for name in ("svm", "test"):
        with second.phase(name):
            pass
    run_cost = Cost.model_validate(cost(second, 1))
    assert set(run_cost.phase_peak_mib) == {"descriptors", "svm", "test"}
    assert run_cost.phase_peak_mib["descriptors"] > run_cost.phase_peak_mib["svm"] + 250
    assert run_cost.phase_peak_mib["svm"] == first.phase_peak_mib["svm"]
    assert run_cost.peak_mib == run_cost.phase_peak_mib["descriptors"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the peak")
def test_peak_of_a_run_includes_memory_between_phases_but_not_before_the_run(tmp_path):
    np.ones(60_000_000)  # 458 MiB, before the run
    before = peak_mib()
    log = start(tmp_path)
    np.ones(40_000_000)  # 305 MiB
    with log.phase("test"):
        pass
    between = Cost.model_validate(cost(log, 1))
    assert between.phase_peak_mib["test"] + 250 < between.peak_mib < before - 100
    assert start(tmp_path).peak_mib == between.peak_mib
    np.ones(50_000_000)  # 381 MiB
    assert between.peak_mib + 50 < cost(log, 1)["peak_mib"] < before - 50


def test_phases_have_no_peak_if_the_system_cannot_reset_it(tmp_path, monkeypatch):
    monkeypatch.setattr(phase_log, "forget_peak", lambda: False)
    log = start(tmp_path)
    with log.phase("test"):
        pass
    assert log.phase_peak_mib == {}
    assert log.peak_mib > 10


def test_journal_is_saved_during_each_phase(tmp_path, monkeypatch):
    monkeypatch.setattr(phase_log, "SAVE_INTERVAL_S", -1.0)
    run = mini.run_of("bcnn_dm")
    open_phases = set()

    def report(what, share):
        journal = json.loads((tmp_path / "work" / run.id / "journal.json").read_text())
        open_phases.add(journal["open"] if journal["phase_s"].get(journal["open"]) else "")

    do_run(run, tmp_path, report)
    assert open_phases >= {"training", "descriptors", "svm", "test"}
    assert "" not in open_phases
