import json
import os
import shutil

import mini
import numpy as np
import pytest

from fgbench.records.phase_log import DAMAGED
from fgbench.records.store import Store
from fgbench.runs.executors.runner import do_run
from fgbench.runs.run import Changes


class Stop(Exception):
    pass


RUN = mini.run_of("fv_cnn_d", changes=Changes(watch_test=True))


def finish(folder):
    record = mini.do(RUN, folder)
    return record, Store(folder / "records").outputs(record)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """Return a results folder with an unfinished run, and the record and arrays of the same run in one session."""
    folder = tmp_path_factory.mktemp("unfinished")

    def stop(what, share):
        if what == "test images":
            raise Stop

    with pytest.raises(Stop):
        do_run(RUN, folder, stop)
    return folder, *finish(tmp_path_factory.mktemp("whole"))


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("names", [
    ("fitted.pt", "journal.json"), ("descriptors.npy", "test-scores.json"), ("watched/finetune-2.npy",),
])  # fmt: skip
def test_a_run_with_damaged_work_ends_with_the_same_values(unfinished, tmp_path, capsys, names):
    source, whole, arrays = unfinished
    folder = shutil.copytree(source, tmp_path / "results")
    work = folder / "work" / RUN.id
    for name in names:
        flip(work / name)
    leftover = work / ".fitted.pt.abcdefgh.fgbench-part.pt"
    leftover.touch()
    seen = set()

    def look(what, share):
        seen.add(leftover.exists())

    do_run(RUN, folder, look)
    assert seen == {False}
    record, again = finish(folder)
    assert record.values == whole.values
    assert all(np.array_equal(again[name], array) for name, array in arrays.items())
    told = capsys.readouterr().err
    for name in names:
        assert f"{work / name} is damaged" in told or (name.startswith("watched") and "epoch 2 of stage" in told)
    assert (record.cost.energy_note == DAMAGED) == ("journal.json" in names)
    assert not list((folder / "work").glob("*/*"))


def test_a_damaged_log_is_set_aside_and_its_loss_is_in_the_record(tmp_path, capsys):
    from fgbench.records.phase_log import PhaseLog
    from fgbench.util.gpu_board import Meter

    log = PhaseLog(tmp_path, 0, Meter.of("cpu"))
    with log.phase("training"):
        pass
    path = tmp_path / "journal.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps(stored | {"phase_s": {"training": 1e9}}))
    again = PhaseLog(tmp_path, 0, Meter.of("cpu"))
    assert (again.phase_s, again.energy_j, again.energy_note) == ({}, None, DAMAGED)
    assert "its checksum is wrong" in capsys.readouterr().err
    assert PhaseLog(tmp_path, 0, Meter.of("cpu")).energy_note == DAMAGED


def test_undamaged_work_is_used_without_a_word(unfinished, tmp_path, capsys):
    folder = shutil.copytree(unfinished[0], tmp_path / "results")
    seen = set()
    do_run(RUN, folder, lambda what, share: seen.add(what.partition(",")[0]))
    assert not seen & {"training", "local descriptors", "descriptors"}
    assert seen
    assert "damaged" not in capsys.readouterr().err


def test_a_fifo_in_the_place_of_the_work_of_a_finished_run_is_not_opened(unfinished, tmp_path):
    folder = shutil.copytree(unfinished[0], tmp_path / "results")
    finish(folder)
    os.mkfifo(folder / "work" / RUN.id)
    assert finish(folder)[0].run_id == RUN.id
