import json

import pytest
from stored_records import edit, record, write_record

from fgbench.records.seal import seal_of
from fgbench.records.store import Store
from fgbench.util.errors import FgbenchError


def test_the_seal_depends_on_every_field_and_not_on_their_order():
    fields = {"a": 1, "b": {"c": [1.5, None]}, "seal": "old"}
    assert seal_of(fields) == seal_of({"b": {"c": [1.5, None]}, "a": 1})
    for other in ({**fields, "a": 2}, {**fields, "b": {"c": [1.5]}}, {**fields, "d": 0}, {"b": fields["b"]}):
        assert seal_of(other) != seal_of(fields)


@pytest.mark.parametrize(
    "content", [b'{"a": NaN}', b'{"a": 1, "a": 2}', b'"\\ud800"', b'"\xff"', b"[" * 100_000, b"", b"[]"]
)
def test_content_that_is_not_json_of_an_object_is_no_record(tmp_path, content):
    (tmp_path / f"{'a' * 16}.json").write_bytes(content)
    with pytest.raises(FgbenchError, match="is not a record"):
        Store(tmp_path).read("a" * 16)


def test_a_record_has_its_seal_and_a_reader_of_later_fields_keeps_it(tmp_path):
    written = write_record(tmp_path)
    fields = json.loads((tmp_path / f"{'a' * 16}.json").read_text())
    assert written.seal == fields["seal"] == seal_of(fields)
    # A record of a version with fewer fields is sealed over the fields that it has.
    edit(tmp_path / f"{'a' * 16}.json", lambda fields: fields.pop("scores_kept"), seal=True)
    assert Store(tmp_path).read("a" * 16).scores_kept is None


def test_a_record_without_a_seal_has_schema_1(tmp_path):
    write_record(tmp_path)
    path = tmp_path / f"{'a' * 16}.json"
    edit(path, lambda fields: fields.update(seal=""))
    with pytest.raises(FgbenchError, match="was changed after it was written"):
        Store(tmp_path).read("a" * 16)
    edit(path, lambda fields: None, schema=1)
    assert Store(tmp_path).read("a" * 16).seal == ""


def test_a_renamed_record_and_a_copy_of_its_array_file_are_refused(tmp_path):
    write_record(tmp_path)
    store = Store(tmp_path)
    (tmp_path / f"{'b' * 16}.json").write_bytes((tmp_path / f"{'a' * 16}.json").read_bytes())
    with pytest.raises(FgbenchError, match=f"has the record of run {'a' * 16}"):
        store.records()
    edit(tmp_path / f"{'b' * 16}.json", lambda fields: fields.update(run_id="b" * 16), seal=True)
    with pytest.raises(FgbenchError, match=f"names '{'a' * 16}.npz' as its array file"):
        store.records()


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder"])
def test_a_special_file_in_place_of_a_record_or_its_arrays_is_refused_without_waiting(tmp_path, kind, special_file):
    write_record(tmp_path)
    for name in (f"{'c' * 16}.json", f"{'a' * 16}.npz"):
        (tmp_path / name).unlink(missing_ok=True)
        special_file(tmp_path / name, kind)
    records, left_out = Store(tmp_path).usable_records()
    assert records == []
    assert [text.partition(": ")[2] for text in left_out] == [f"it is a {kind}, not a file"] * 2


def test_a_temporary_file_of_a_killed_program_is_no_record_and_is_removed_by_the_next_write(tmp_path):
    write_record(tmp_path)
    content = (tmp_path / f"{'a' * 16}.json").read_bytes()
    for name in (f".{'a' * 16}.json.a1b2c3d4.fgbench-part.json", f".{'a' * 16}.json.qwertz12.json"):
        (tmp_path / name).write_bytes(content)
    assert len(Store(tmp_path).records()) == 1
    Store(tmp_path).write(*record("b" * 16))
    assert sorted(path.name[0] for path in tmp_path.iterdir() if "part" in path.name) == []
    assert len(Store(tmp_path).records()) == 2
