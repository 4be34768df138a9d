import json

import numpy as np
import pytest

from fgbench.errors import FgbenchError
from fgbench.measures import measure
from fgbench.records import Store, load

PROTOCOL = {
    "train_sees": [], "test_sees": [], "classes": 4, "train_images": 40, "test_images": 40, "images": "i",
    "annotations": "a",
}  # fmt: skip


def record(run_id="a" * 16, **fields):
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(40, 4)).astype(np.float32), np.arange(40) % 4
    base = {
        "run_id": run_id, "recipe": "bcnn/fv_sift@cub", "title": "FV-SIFT", "method": "fv_sift", "profile": "quick",
        "seed": 0, "settings": {}, "protocol": PROTOCOL, "protocol_hash": "p", "data": "cub",
        "synthetic": True, "deviations": [], "weights": [], "curve": [],
        "values": measure({"scores": scores, "labels": labels}),
        "cost": {"wall_s": 1.0, "phase_s": {}, "peak_mib": 2.0}, "provenance": {},
    }  # fmt: skip
    return {**base, **fields}, {"ids": np.arange(40), "labels": labels, "scores": scores}


def test_round_trip_and_verify(tmp_path):
    store = Store(tmp_path)
    written = store.write(*record())
    assert store.has("a" * 16)
    assert store.read("a" * 16) == written
    assert store.verify(written) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a" * 16 + ".json", "a" * 16 + ".npz"]


def test_a_changed_value_is_found(tmp_path):
    store = Store(tmp_path)
    store.write(*record())
    path = tmp_path / ("a" * 16 + ".json")
    content = json.loads(path.read_text())
    content["values"]["accuracy"]["value"] += 0.01
    path.write_text(json.dumps(content))
    assert any("accuracy: value" in line for line in store.verify(store.read("a" * 16)))


def test_a_dropped_value_is_found(tmp_path):
    store = Store(tmp_path)
    fields, outputs = record()
    fields["values"].pop("mean_class_accuracy")
    assert store.verify(store.write(fields, outputs)) == ["mean_class_accuracy is missing from the record"]


def test_changed_or_missing_outputs_are_found(tmp_path):
    store = Store(tmp_path)
    written = store.write(*record())
    arrays = store.outputs(written)
    arrays["labels"][0] ^= 1
    np.savez_compressed(tmp_path / written.outputs, **arrays)
    assert "not the file that was written" in store.verify(written)[0]
    (tmp_path / written.outputs).unlink()
    assert "is missing" in store.verify(written)[0]


def test_a_record_that_is_none_is_named(tmp_path):
    (tmp_path / "x.json").write_text('{"schema_version": 1}')
    with pytest.raises(FgbenchError, match=r"x.json is not a record of schema 1"):
        Store(tmp_path).records()
    with pytest.raises(FgbenchError, match="no record y"):
        Store(tmp_path).read("y")


def test_load_gives_full_precision(tmp_path):
    store = Store(tmp_path)
    written = store.write(*record())
    frame = load(tmp_path)
    row = frame[frame.metric == "accuracy"].iloc[0]
    assert row.value == written.values["accuracy"].value
    assert len(frame) == 2


def test_interval_is_wilsons():
    value = measure(record()[1])["accuracy"]
    assert value.low < value.value < value.high
    assert value.n == 40
