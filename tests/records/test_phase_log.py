import json
import sys

import mini
import numpy as np
import pytest

from fgbench.records import phase_log as module
from fgbench.records.phase_log import PhaseLog
from fgbench.records.provenance import cost
from fgbench.records.record import Cost
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
    monkeypatch.setattr(module, "time", clock)
    return clock


def start(folder):
    return PhaseLog(folder, 0, Meter.of("cpu"))


def test_times_are_summed_over_sessions_and_a_killed_session_loses_the_time_after_its_last_save(tmp_path, clock):
    first = start(tmp_path)
    with first.phase("pixels"):
        clock.now += 3
    clock.now += 1000  # between phases
    going_on = first.phase("descriptors")
    going_on.__enter__()
    for _ in range(4):
        clock.now += 6
        first.tick()  # every other one is too soon
    clock.now += 5
    first.tick()  # too soon, and then SIGKILL
    assert json.loads((tmp_path / "journal.json").read_text())["open"] == "descriptors"
    second = start(tmp_path)
    assert second.phase_s == {"pixels": 3.0, "descriptors": 24.0}
    with second.phase("descriptors"):
        clock.now += 2
        second.tick()
        clock.now += 20
        second.tick()
        clock.now += 0.5
    second.tick()  # no phase is going on
    with second.phase("test"):
        clock.now += 4
    assert second.phase_s == {"pixels": 3.0, "descriptors": 46.5, "test": 4.0}
    assert cost(second, 8)["wall_s"] == 53.5
    assert start(tmp_path).phase_s == second.phase_s


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a phase is told by Linux alone")
def test_every_phase_has_a_peak_and_the_largest_of_all_sessions_is_the_peak_of_the_run(tmp_path):
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
    found = Cost.model_validate(cost(second, 1))
    assert set(found.phase_peak_mib) == {"descriptors", "svm", "test"}
    assert found.phase_peak_mib["descriptors"] > found.phase_peak_mib["svm"] + 250
    assert found.phase_peak_mib["svm"] == first.phase_peak_mib["svm"]
    assert found.peak_mib == found.phase_peak_mib["descriptors"]


@pytest.mark.skipif(sys.platform != "linux", reason="the peak begins anew under Linux alone")
def test_the_peak_of_a_run_is_also_that_between_its_phases_but_not_that_before_it(tmp_path):
    np.ones(60_000_000)  # 458 MiB, of something else
    before = peak_mib()
    found = start(tmp_path)
    np.ones(40_000_000)  # 305 MiB
    with found.phase("test"):
        pass
    between = Cost.model_validate(cost(found, 1))
    assert between.phase_peak_mib["test"] + 250 < between.peak_mib < before - 100
    assert start(tmp_path).peak_mib == between.peak_mib
    np.ones(50_000_000)  # 381 MiB
    assert between.peak_mib + 50 < cost(found, 1)["peak_mib"] < before - 50


def test_where_peaks_cannot_be_begun_anew_the_phases_have_none(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "forget_peak", lambda: False)
    found = start(tmp_path)
    with found.phase("test"):
        pass
    assert found.phase_peak_mib == {}
    assert found.peak_mib > 10


def test_a_run_notes_its_time_while_a_phase_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAVE_INTERVAL_S", -1.0)
    run = mini.run_of("bcnn_dm")
    noted = set()

    def report(what, share):
        found = json.loads((tmp_path / "work" / run.id / "journal.json").read_text())
        noted.add(found["open"] if found["phase_s"].get(found["open"]) else "")

    do_run(run, tmp_path, report)
    assert noted >= {"training", "descriptors", "svm", "test"}
    assert "" not in noted
