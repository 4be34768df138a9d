"""Speeds of small methods, in this process and in one of their own."""

import os
import signal
from dataclasses import replace

import pytest
import torch

from fgbench.papers.recipes import load_recipes
from fgbench.speed import method_speed
from fgbench.speed.method_speed import (
    ELSEWHERE,
    ENERGY_RUN,
    Kind,
    Subject,
    measure_alone,
    measure_kinds,
    photographs,
    printed_fps,
)
from fgbench.speed.roofline import Rates
from fgbench.speed.throughput import Limits
from fgbench.util.code_hash import hash_code
from fgbench.util.errors import FgbenchError, MissingError
from fgbench.util.memory import peak_mib

QUICK = Limits(window_s=0.0, rounds=3, warmup_s=0.0, budget_s=0.0, search_s=0.0, max_batch=4)
SUBJECT = Subject(load_recipes()["bcnn/bcnn_dm@cub"], "B-CNN [D,M]", profile="quick")
ONE, BEST, FILES, STEP = Kind("cpu"), Kind("cpu", best=True), Kind("cpu", decode=True), Kind("cpu", training=True)


@pytest.fixture(autouse=True)
def known_rates(monkeypatch):
    monkeypatch.setattr(method_speed, "measure_rates", lambda device, dtype: Rates(1e9, 1e9))


def test_all_kinds_of_a_method_are_measured():
    speeds = measure_kinds(SUBJECT, [ONE, STEP, BEST, FILES], QUICK)
    assert list(speeds) == [ONE, STEP, BEST, FILES]
    rows = [speed.row for speed in speeds.values()]
    assert [row.task for row in rows] == ["recognition", "training step", "recognition", "recognition"]
    assert [row.decode for row in rows] == [False, False, False, True]
    assert [row.best_batch for row in rows] == [False, False, True, False]
    assert {(row.method, row.recipe, row.size_px) for row in rows} == {("B-CNN [D,M]", "bcnn/bcnn_dm@cub", 96)}
    assert [row.paper_fps for row in rows] == [8.0, None, 8.0, 8.0]
    for speed in speeds.values():
        assert len(speed.batch_s) == 3
        assert speed.row.batch / sorted(speed.batch_s)[1] == pytest.approx(speed.row.frames_per_s)
        assert speed.need.gflop > 0
        assert 0 < speed.reference_s < 60


def test_one_image_and_the_best_batch_are_from_the_same_windows():
    """If one image is the best batch, both rows have the same numbers."""
    limits = replace(QUICK, max_batch=1)
    speeds = measure_kinds(SUBJECT, [BEST, ONE], limits)
    assert speeds[BEST].batch_s == speeds[ONE].batch_s
    assert speeds[BEST].row.tried
    assert not speeds[ONE].row.tried
    assert list(measure_kinds(SUBJECT, [BEST], limits)) == [BEST]


@pytest.mark.parametrize("largest", [1, 2])
def test_the_energy_of_the_processor_is_that_of_the_best_batch(monkeypatch, largest):
    class Counter:
        name, used_j = "processor packages", 0.0

        def energy_j(self):
            self.used_j += 7.0
            return self.used_j

        def state(self):
            return None

        def check_alone(self):
            pass

    monkeypatch.setattr(method_speed, "ProcessorEnergy", Counter)
    monkeypatch.setenv(ENERGY_RUN, "1e-9")
    monkeypatch.setattr("fgbench.speed.best_batch.MIN_GAIN", 0.0)
    monkeypatch.setattr("fgbench.speed.throughput.TimedWork.fps", property(lambda work: float(work.conditions.batch)))
    speeds = measure_kinds(SUBJECT, [ONE, BEST, FILES], replace(QUICK, max_batch=largest, search_s=60.0))
    assert speeds[BEST].row.batch == largest
    assert speeds[BEST].row.joule_per_image == pytest.approx(7.0 / largest)
    assert speeds[ONE].row.joule_per_image == (pytest.approx(7.0) if largest == 1 else None)
    assert speeds[ONE].row.energy_note == ("" if largest == 1 else ELSEWHERE)
    assert speeds[FILES].row.energy_note == ELSEWHERE


def test_missing_energy_has_its_reason(monkeypatch):
    def missing():
        raise MissingError("hardware", "no counter here")

    monkeypatch.setattr(method_speed, "ProcessorEnergy", missing)
    assert measure_kinds(SUBJECT, [BEST], QUICK)[BEST].row.energy_note == "no counter here"


def test_compiled_kinds_begin_with_a_reset(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: calls.append("reset"))
    monkeypatch.setattr(torch, "compile", lambda module, **options: calls.append("compile") or module)
    speeds = measure_kinds(SUBJECT, [replace(BEST, compiled="default", dtype="bf16"), ONE], QUICK)
    assert calls[:2] == ["reset", "compile"]
    assert calls.count("reset") == 1
    compiled, eager = (speed.row for speed in speeds.values())
    assert 0 < compiled.difference_from_fp32 < 0.1
    assert eager.difference_from_fp32 is None


def test_a_method_has_a_process_of_its_own():
    ballast = bytearray(700 << 20)
    row = measure_alone(SUBJECT, [ONE], QUICK)[ONE].row
    assert len(ballast) / 2**20 < peak_mib()
    assert row.peak_mib < peak_mib() - 500
    assert row.code == hash_code()


def test_an_error_of_the_process_is_raised_here():
    with pytest.raises(FgbenchError, match="profile"):
        measure_alone(replace(SUBJECT, profile="fast"), [ONE], QUICK)


def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_an_error(monkeypatch):
    monkeypatch.setattr(method_speed, "measure_kinds", killed)
    with pytest.raises(FgbenchError, match=r"the process that measures B-CNN \[D,M\] was ended"):
        measure_alone(SUBJECT, [ONE], QUICK)


def test_options_replace_those_of_the_recipe():
    compact = Subject(load_recipes()["bcnn/cbp_rm_dd@cub"], "RM", "quick", {"dims": 64})
    assert compact.build("cpu").method.classifier.in_features == 64


def test_photographs_are_alike_and_not_equal(tmp_path):
    files = photographs(tmp_path, 3)
    assert sorted(tmp_path.iterdir()) == files
    sizes = [file.stat().st_size for file in files]
    assert 10_000 < min(sizes) < max(sizes) < 200_000


def test_printed_speeds_have_the_first_source_of_a_recipe():
    fps, source = printed_fps()["bcnn/bcnn_dm@cub"]
    assert fps == 8.0
    assert "K40" in source
