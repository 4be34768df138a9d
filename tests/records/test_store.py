import json

import numpy as np
import pytest
from stored_records import PROTOCOL, record

from fgbench.metrics.values import measure
from fgbench.records.store import Store
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_value


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


def test_a_protocol_that_is_not_its_hash_is_found(tmp_path):
    store = Store(tmp_path)
    fields, outputs = record(protocol={**PROTOCOL, "classes": 5})
    assert store.verify(store.write(fields, outputs)) == [f"{hash_value(PROTOCOL)} is not the hash of its protocol"]


def test_outputs_that_cannot_be_read_are_none(tmp_path):
    store = Store(tmp_path)
    written = store.write(*record())
    assert set(store.outputs_or_none(written)) == {"ids", "labels", "scores"}
    (tmp_path / written.outputs).unlink()
    assert store.outputs_or_none(written) == {}


@pytest.mark.parametrize("seed", range(40))
def test_an_array_file_damaged_anywhere_is_no_traceback(tmp_path, seed):
    store, rng = Store(tmp_path), np.random.default_rng(seed)
    written = store.write(*record())
    path = tmp_path / written.outputs
    content = bytearray(path.read_bytes())
    if seed % 4 == 0:
        content = content[: rng.integers(len(content))]
    for _ in range(3):
        content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
    path.write_bytes(bytes(content))
    assert store.verify(written)
    assert set(store.outputs_or_none(written)) <= {"ids", "labels", "scores"}


def test_controls_are_known_by_protocol_or_deviation(tmp_path):
    store = Store(tmp_path)
    assert not store.write(*record()).control
    assert store.write(*record("b" * 16, protocol={**PROTOCOL, "control": "shuffled"})).control


def test_a_record_that_is_none_is_named(tmp_path):
    (tmp_path / "x.json").write_text('{"schema_version": 1}')
    with pytest.raises(FgbenchError, match=r"x.json is not a record of schema 1"):
        Store(tmp_path).records()
    with pytest.raises(FgbenchError, match="no record y"):
        Store(tmp_path).read("y")


def taken(folder, run_id="a" * 16):
    """The files of a run that has pictures."""
    store = Store(folder)
    store.write(*record(run_id))
    for number in range(2):
        (folder / f"{run_id}-{number} images.jpg").write_bytes(bytes([number]))
    (folder / f"{'b' * 16}.json").write_text("another's")
    return store.take(run_id)


def test_a_run_is_taken_from_one_folder_to_another_byte_for_byte(tmp_path):
    files = taken(tmp_path / "there")
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["b" * 16 + ".json"]
    store = Store(tmp_path / "here")
    store.add("a" * 16, files)
    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == files
    assert len(files) == 4
    assert store.verify(store.read("a" * 16)) == []
    assert list(store.pictures("a" * 16)) == ["images"]
    assert store.all_pictures() == {"a" * 16: store.pictures("a" * 16)}


def test_a_run_that_is_here_is_not_replaced(tmp_path):
    files = taken(tmp_path / "there")
    store = Store(tmp_path / "here")
    first = store.write(*record(seed=7))
    store.add("a" * 16, files)
    assert store.read("a" * 16) == first


@pytest.mark.parametrize(
    "spoil",
    [
        lambda files: files.pop("a" * 16 + ".json"),
        lambda files: files.pop("a" * 16 + ".npz"),
        lambda files: files.update({"a" * 16 + ".npz": b"cut"}),
        lambda files: files.update({"a" * 16 + ".json": files["a" * 16 + ".json"][:-9]}),
        lambda files: files.update({"a" * 16 + ".json": files["a" * 16 + ".json"].replace(b"a" * 16, b"c" * 16, 1)}),
        lambda files: files.update({"../" + "a" * 16 + ".jpg": b""}),
        lambda files: files.update({"b" * 16 + ".jpg": b""}),
    ],
)
def test_of_files_that_are_not_all_and_only_a_runs_none_is_kept(spoil, tmp_path):
    files = taken(tmp_path / "there")
    spoil(files)
    with pytest.raises(FgbenchError, match="the result of run aaaa"):
        Store(tmp_path / "here").add("a" * 16, files)
    assert not (tmp_path / "here").exists()


def test_the_record_comes_last_and_goes_first(tmp_path, monkeypatch):
    files = taken(tmp_path / "there")
    wrote = []
    monkeypatch.setattr("fgbench.records.store.write_bytes", lambda path, content: wrote.append(path.name))
    Store(tmp_path / "here").add("a" * 16, files)
    assert wrote[-1] == "a" * 16 + ".json"
    assert next(iter(files)) == "a" * 16 + ".json"


def test_interval_is_wilsons():
    value = measure(record()[1])["accuracy"]
    assert value.low < value.value < value.high
    assert value.n == 40
