"""Replacement of a record and its array file: a reader finds the old run or the new one, at every moment."""

import hashlib

import numpy as np
import pytest
from stored_records import record

from fgbench.metrics.values import measure
from fgbench.records import array_files, store
from fgbench.records.store import Store
from fgbench.util.errors import FgbenchError

RUN = "a" * 16


class Killed(Exception):
    """The program ends here."""


def trained_again():
    """Return fields and arrays of the same run with other outputs."""
    fields, arrays = record(seed=0)
    scores = arrays["scores"][::-1].copy()
    return {**fields, "values": measure({**arrays, "scores": scores})}, {**arrays, "scores": scores}


def scores_of(folder):
    """Return the scores that a reader finds, which are those of the record."""
    kept = Store(folder)
    (found,) = kept.records()
    assert kept.has_sound(RUN)
    assert kept.verify(found) == []
    return kept.outputs(found)["scores"]


OLD, NEW = record()[1]["scores"], trained_again()[1]["scores"]


def write(folder):
    Store(folder).write(*trained_again())


def add(folder):
    other = folder.parent / "node"
    Store(other).write(*trained_again())
    Store(folder).add(RUN, {path.name: path.read_bytes() for path in other.iterdir()}, replace=True)


@pytest.mark.parametrize("replace", [write, add])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_kill_leaves_the_old_run_or_the_new_one(replace, at, tmp_path, monkeypatch):
    """The steps are the two writes, each with the renaming of its file, and the last renaming of the array file."""
    folder = tmp_path / "records"
    Store(folder).write(*record())
    if replace is add:
        Store(tmp_path / "node").write(*trained_again())
    steps = []

    def counted(name, call):
        def step(*arguments, **options):
            before = arguments[0]
            if before.parent == folder and len(steps) < at:
                steps.append(name)
                assert any(np.array_equal(scores_of(folder), scores) for scores in (OLD, NEW))
                if len(steps) == at:
                    raise Killed
            return call(*arguments, **options)

        return step

    with monkeypatch.context() as patched:
        for module, name in ((array_files, "write_bytes"), (store, "write_bytes"), (store, "write_json")):
            patched.setattr(module, name, counted(name, getattr(module, name)))
        path = type(folder)
        patched.setattr(path, "replace", counted("replace", path.replace))
        try:
            replace(folder)
        except Killed:
            assert len(steps) == at
        else:
            assert at > len(steps) == 5
    is_new = np.array_equal(scores_of(folder), NEW)
    assert is_new or np.array_equal(scores_of(folder), OLD)
    assert is_new == (at > 4)
    # The next replacement ends what was interrupted.
    replace(folder)
    assert np.array_equal(scores_of(folder), NEW)
    assert sorted(file.name for file in folder.iterdir()) == [f"{RUN}.json", f"{RUN}.npz"]


def test_new_arrays_without_their_record_are_told(tmp_path):
    kept = Store(tmp_path)
    written = kept.write(*record())
    beside = tmp_path / f"{RUN}-{'0' * 16}.npz"
    beside.write_bytes(b"")
    assert kept.without_record() == [beside.name]
    path = tmp_path / written.outputs
    used = tmp_path / f"{RUN}-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}.npz"
    path.rename(used)
    assert kept.without_record() == [beside.name]
    assert kept.has_sound(RUN)
    assert set(kept.take(RUN)) == {f"{RUN}.json", f"{RUN}.npz"}


def test_a_record_that_is_replaced_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    kept = Store(tmp_path)
    kept.write(*record())
    read = Store.outputs

    def slow(self, found):
        monkeypatch.setattr(Store, "outputs", read)
        write(tmp_path)
        return read(self, found)

    monkeypatch.setattr(Store, "outputs", slow)
    (found,) = kept.records()
    assert np.array_equal(kept.outputs(found)["scores"], NEW)


def test_a_damaged_array_file_stays_an_error(tmp_path):
    kept = Store(tmp_path)
    path = tmp_path / kept.write(*record()).outputs
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FgbenchError, match="not the file that was written"):
        kept.records()
