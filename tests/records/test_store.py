import numpy as np
import pytest
from stored_records import PROTOCOL, edit, record

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


def test_verify_reports_a_changed_value(tmp_path):
    store = Store(tmp_path)
    store.write(*record())
    path = tmp_path / ("a" * 16 + ".json")
    edit(path, lambda fields: fields["values"]["accuracy"].update(value=55.0), schema=1)
    assert any("accuracy: value" in line for line in store.verify(store.read("a" * 16)))


def test_verify_reports_a_missing_value(tmp_path):
    store = Store(tmp_path)
    fields, outputs = record()
    fields["values"].pop("mean_class_accuracy")
    assert store.verify(store.write(fields, outputs)) == ["mean_class_accuracy is missing from the record"]


def test_records_of_earlier_versions_lack_the_mean_average_precision(tmp_path):
    """The highest scores alone do not give it, so that a record that keeps only these has no such value."""
    fields, outputs = record()
    without = {name: value for name, value in fields["values"].items() if name != "class_map"}
    store = Store(tmp_path)
    assert store.verify(store.write({**fields, "values": without}, outputs)) == []
    assert store.verify(store.write({**fields, "values": without, "scores_kept": 1}, outputs)) == []
    assert store.verify(store.write({**fields, "scores_kept": 1}, outputs)) == [
        "class_map is not a value of this protocol"
    ]


def test_verify_reports_changed_or_missing_outputs(tmp_path):
    store = Store(tmp_path)
    written = store.write(*record())
    arrays = store.outputs(written)
    arrays["labels"][0] ^= 1
    np.savez_compressed(tmp_path / written.outputs, **arrays)
    assert "not the file that was written" in store.verify(written)[0]
    with pytest.raises(FgbenchError, match="not the file that was written"):
        store.records()
    (tmp_path / written.outputs).unlink()
    assert "is missing" in store.verify(written)[0]
    with pytest.raises(FgbenchError, match="is missing"):
        store.records()


def test_a_protocol_that_does_not_match_its_hash_is_refused(tmp_path):
    store = Store(tmp_path)
    store.write(*record(protocol={**PROTOCOL, "train_images": 41}))
    with pytest.raises(FgbenchError, match=f"{hash_value(PROTOCOL)} is not the hash of its protocol"):
        store.read("a" * 16)


@pytest.mark.parametrize("seed", range(40))
def test_verify_reports_a_damaged_array_file(tmp_path, seed):
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
    with pytest.raises(FgbenchError):
        store.outputs(written)


def test_control_experiment_is_recognised_by_its_protocol(tmp_path):
    store = Store(tmp_path)
    assert not store.write(*record()).control
    assert store.write(*record("b" * 16, protocol={**PROTOCOL, "control": "shuffled"})).control


def test_invalid_or_missing_record_is_named_in_the_error(tmp_path):
    (tmp_path / "x.json").write_text('{"schema_version": 1}')
    with pytest.raises(FgbenchError, match=r"x.json is not a record of schema 1 or 2"):
        Store(tmp_path).records()
    with pytest.raises(FgbenchError, match="no record y"):
        Store(tmp_path).read("y")


def take_run(folder, run_id="a" * 16):
    """Store a run with pictures beside another run; take its files."""
    store = Store(folder)
    store.write(*record(run_id))
    for number in range(2):
        (folder / f"{run_id}-{number} images.jpg").write_bytes(bytes([number]))
    (folder / f"{'b' * 16}.json").write_text("another run")
    return store.take(run_id)


def test_take_and_add_move_a_run_byte_for_byte(tmp_path):
    files = take_run(tmp_path / "there")
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["b" * 16 + ".json"]
    store = Store(tmp_path / "here")
    store.add("a" * 16, files)
    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == files
    assert len(files) == 4
    assert store.verify(store.read("a" * 16)) == []
    assert list(store.pictures("a" * 16)) == ["images"]
    assert store.all_pictures() == {"a" * 16: store.pictures("a" * 16)}


def test_add_does_not_replace_an_existing_run(tmp_path):
    files = take_run(tmp_path / "there")
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
def test_add_refuses_incomplete_or_foreign_files(spoil, tmp_path):
    files = take_run(tmp_path / "there")
    spoil(files)
    with pytest.raises(FgbenchError, match="the result of run aaaa"):
        Store(tmp_path / "here").add("a" * 16, files)
    assert not (tmp_path / "here").exists()


def test_record_is_added_last_and_taken_first(tmp_path, monkeypatch):
    files = take_run(tmp_path / "there")
    written_names = []
    monkeypatch.setattr("fgbench.records.store.write_bytes", lambda path, content: written_names.append(path.name))
    Store(tmp_path / "here").add("a" * 16, files)
    assert written_names[-1] == "a" * 16 + ".json"
    assert next(iter(files)) == "a" * 16 + ".json"


def test_accuracy_has_an_interval():
    value = measure(record()[1])["accuracy"]
    assert value.low < value.value < value.high
    assert value.n == 40


@pytest.mark.parametrize(
    "make", [lambda path: path.write_text("x"), lambda path: path.symlink_to(path)], ids=["file", "loop"]
)
def test_something_else_in_the_place_of_the_folder_is_an_error(tmp_path, make):
    make(tmp_path / "records")
    with pytest.raises(FgbenchError, match="records is not a folder"):
        Store(tmp_path / "records").records()
    with pytest.raises(FgbenchError, match="records is not a folder"):
        Store(tmp_path / "records").usable_records()


def test_a_file_that_is_too_large_is_named_and_not_read(tmp_path):
    Store(tmp_path).write(*record())
    for name in (f"{'a' * 16}.npz", f"{'b' * 16}.json"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(1 << 40)
    records, left_out = Store(tmp_path).usable_records()
    assert records == []
    assert all("bytes, more than" in text for text in left_out)
    assert len(left_out) == 2


def test_a_finished_run_with_a_damaged_file_is_an_error_and_no_run_to_repeat(tmp_path):
    store = Store(tmp_path)
    assert not store.has_sound("a" * 16)
    store.write(*record())
    assert store.has_sound("a" * 16)
    (tmp_path / f"{'a' * 16}.npz").write_bytes(b"x")
    with pytest.raises(FgbenchError, match="not the file that was written with the record"):
        store.has_sound("a" * 16)
    edit(tmp_path / f"{'a' * 16}.json", lambda fields: fields.update(seed=1))
    with pytest.raises(FgbenchError, match="its seal does not fit"):
        store.has_sound("a" * 16)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("settings", "backbones", [1.5]), ("settings", "stages", 7), ("protocol", "classes", "x"),
        ("protocol", "train_sees", None), ("provenance", "packages", ["torch"]), ("cost", "recalled", -1),
    ],
)  # fmt: skip
def test_a_field_of_another_type_is_refused_in_a_record_without_a_seal(tmp_path, part, name, value):
    store = Store(tmp_path)
    store.write(*record())
    edit(tmp_path / f"{'a' * 16}.json", lambda fields: fields[part].update({name: value}), schema=1)
    with pytest.raises(FgbenchError, match=f"is not a record of schema 1 or 2: '{part}\\.{name}"):
        store.read("a" * 16)


def test_a_record_whose_outputs_do_not_give_its_values_is_left_out(tmp_path):
    store = Store(tmp_path)
    store.write(*record())
    edit(tmp_path / f"{'a' * 16}.json", lambda fields: fields["values"]["accuracy"].update(value=55.0), seal=True)
    records, left_out = store.usable_records()
    assert records == []
    assert "accuracy: value is stored as 55.0, the outputs give" in left_out[0]
    assert len(store.usable_records(values=False)[0]) == 1
    with pytest.raises(FgbenchError, match="the outputs give"):
        store.records()
