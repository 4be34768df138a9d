"""Copies of records with the highest scores alone, and `fgbench keep`."""

import numpy as np
import pytest
from command_line import run
from stored_records import PROTOCOL, record

from fgbench.metrics.values import measure
from fgbench.records import kept_scores
from fgbench.records.kept_scores import keep
from fgbench.records.store import Store, store_of
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_value


def wide(seed=0):
    """A record of 60 images and 20 classes."""
    draw = np.random.default_rng(seed)
    arrays = {
        "ids": np.arange(60), "labels": np.arange(60) % 20,
        "scores": draw.normal(size=(60, 20)).astype(np.float32),
    }  # fmt: skip
    protocol = {**PROTOCOL, "classes": 20, "test_images": 60}
    fields, _ = record(protocol=protocol, protocol_hash=hash_value(protocol))
    return {**fields, "values": measure(arrays)}, arrays


def test_values_classes_and_the_highest_scores_stay_and_the_rest_goes(tmp_path):
    source, target = Store(tmp_path / "a"), Store(tmp_path / "b")
    before = source.write(*wide())
    keep(source, target)
    (after,) = target.records()
    assert (before.scores_kept, after.scores_kept) == (None, 5)
    kept_values = {name: value for name, value in before.values.items() if name != "class_map"}  # it needs all scores
    assert (after.values, after.identity) == (kept_values, before.identity)
    assert target.verify(after) == []
    whole, kept = source.outputs(before)["scores"], target.outputs(after)["scores"]
    order = np.argsort(-whole, axis=1)[:, :5]
    assert np.array_equal(np.argsort(-kept, axis=1, kind="stable")[:, :5], order)
    assert np.array_equal(np.take_along_axis(kept, order, 1), np.take_along_axis(whole, order, 1))
    rest = np.sort(kept, axis=1)[:, :-5]
    assert (rest == rest[:, :1]).all()
    assert (rest < np.sort(kept, axis=1)[:, -5:-4]).all()


def test_few_classes_and_what_is_there_are_left_as_they_are(tmp_path):
    source, target = Store(tmp_path / "a"), Store(tmp_path / "b")
    fields, arrays = record()
    source.write(fields, arrays)
    keep(source, target)
    (after,) = target.records()
    assert after.scores_kept is None
    assert np.array_equal(target.outputs(after)["scores"], arrays["scores"])
    written = (target.folder / after.outputs).stat().st_mtime_ns
    keep(source, target)
    assert (target.folder / after.outputs).stat().st_mtime_ns == written


def test_a_record_whose_values_do_not_come_of_what_is_kept_is_not_kept(tmp_path, monkeypatch):
    source, target = Store(tmp_path / "a"), Store(tmp_path / "b")
    fields, arrays = wide()
    right = np.arange(60) % 3 > 0
    arrays["scores"][np.arange(60), arrays["labels"]] += 10 * right
    source.write({**fields, "values": measure(arrays)}, arrays)
    monkeypatch.setattr(kept_scores, "highest", lambda scores: -scores)
    with pytest.raises(FgbenchError, match="the outputs give"):
        keep(source, target)
    assert list(target.folder.iterdir()) == []


def test_a_record_that_does_not_verify_is_not_kept(tmp_path):
    source, target = Store(tmp_path / "a"), Store(tmp_path / "b")
    fields, arrays = wide()
    source.write({**fields, "values": measure(wide(1)[1])}, arrays)
    with pytest.raises(FgbenchError, match="the outputs give"):
        keep(source, target)
    assert target.records() == []


def test_the_verb_copies_what_is_missing_and_says_what_it_did(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    fields, arrays = wide()
    written = store_of(source).write(fields, arrays)
    code, text = run("keep", str(target), "--results", str(source))
    assert code == 0
    assert f"{written.run_id}\n1 record copied to {target}, 0 already there" in text
    assert store_of(target).read(written.run_id).scores_kept == 5
    assert "0 records copied to" in run("keep", str(target), "--results", str(source))[1]


@pytest.mark.parametrize(("command", "kept"), [
    ("fgbench run a/b --results /home/me/runs/cub", "fgbench run a/b --results cub"),
    ("fgbench run a/b --results=~/runs --seeds 3", "fgbench run a/b --results=runs --seeds 3"),
    (r"fgbench run a/b --results C:\Users\me\runs", "fgbench run a/b --results runs"),
    ("fgbench run a/b --results runs/cub", "fgbench run a/b --results runs/cub"),
])  # fmt: skip
def test_folders_of_the_machine_are_left_out_of_the_command(tmp_path, command, kept):
    source, target = Store(tmp_path / "a"), Store(tmp_path / "b")
    fields, arrays = record(provenance={"command": command})
    source.write(fields, arrays)
    keep(source, target)
    (after,) = target.records()
    assert after.provenance["command"] == kept
    assert target.verify(after) == []
