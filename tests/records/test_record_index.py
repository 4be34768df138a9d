"""The index of a folder of records: the same records as without it, and every change of a file is seen."""

import copy
import os
import pickle
import shutil
import sqlite3
from functools import cached_property
from pathlib import Path

import pytest
import stored_records
from indexed_reading import anomalies, read

from fgbench.cli.verify import verify_folder
from fgbench.judge.anomalies import find_anomalies
from fgbench.records import checked_reading, file_stamps, record_index, store
from fgbench.records.record import Deviation, Record
from fgbench.records.record_index import index_file
from fgbench.records.seal import seal_of
from fgbench.records.store import Store, store_of

COMMITTED = Path(__file__).parents[2] / "reports/cub-200-2011"


def test_the_second_reading_checks_nothing_and_gives_equal_records(results, indexed):
    first, _, checked = read(results)
    assert len(checked) == 12
    again, errors, checked = read(results)
    assert checked == errors == []
    without = Store(results / "records")
    assert [record.run_id for record in again] == [record.run_id for record in first]
    for record in again:
        plain = without.read(record.run_id)
        assert record.model_copy().model_dump() == plain.model_dump()
        for name in (
            "identity",
            "values_key",
            "finished",
            "has_curve",
            "settings_text",
            "comparable",
            "control",
            "sealed",
        ):
            assert getattr(record, name) == getattr(plain, name), name
        assert record.has_value("accuracy")
        assert not record.has_value("pck@0.1")
        assert record.provenance_of("source") == plain.provenance["source"]
        assert record.provenance_of("finished") == plain.provenance["finished"]


def test_real_records_have_all_their_fields(indexed):
    read(COMMITTED)
    records, _, checked = read(COMMITTED)
    assert checked == []
    plain = Store(COMMITTED / "records")
    assert len(records) > 20
    for record in records:
        whole = plain.read(record.run_id)
        for name in type(whole).model_fields:
            # As text, in which the order of fields counts.
            assert repr(getattr(record, name)) == repr(getattr(whole, name)), name


def test_a_record_of_the_index_is_copied_compared_and_pickled_with_all_fields(results, indexed):
    read(results)
    for record in read(results)[0][:2]:
        plain = Store(results / "records").read(record.run_id)
        assert record == plain
        assert plain == record.model_copy()
        assert record != plain.model_copy(update={"seed": 9})
        assert record.model_dump() == plain.model_dump()
        assert pickle.loads(pickle.dumps(record)) == plain
        assert copy.deepcopy(record) == record.model_copy(deep=True) == plain


def edit(path, change, *, seal=False):
    """Change a record and give its file back its time of writing, as a program that hides an edit does."""
    before = path.stat()
    stored_records.edit(path, change, seal=seal)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_copy_under_another_recipe_reads_no_file(results, indexed, monkeypatch):
    plain = read(results)[0]
    records = read(results)[0]
    update = {
        "recipe": "bcnn/other", "title": "Other", "profile": "paper", "settings": {**plain[0].settings, "data": "cars"},
        "deviations": [Deviation(field="control", recipe="none", run="x", origin="ours", changes_experiment=True)],
    }  # fmt: skip
    computed = [name for name, member in vars(Record).items() if isinstance(member, cached_property)]
    computed.remove("fingerprint")  # only the index knows it
    with monkeypatch.context() as patch:
        patch.setattr(Store, "read", None)
        for record in records:
            assert [getattr(record, name) for name in computed]  # before the copy
        copies = [record.model_copy(update=update) for record in records]
        found = [[getattr(copy, name) for name in computed] for copy in copies]
    others = [store_of(results).read(record.run_id).model_copy(update=update) for record in records]
    assert found == [[getattr(other, name) for name in computed] for other in others]
    assert [copy.model_dump() for copy in copies] == [other.model_dump() for other in others]
    assert not {copy.identity for copy in copies} & {record.identity for record in records}


def test_records_that_were_read_stay_as_they_are_when_a_file_is_replaced_or_deleted(results, indexed):
    read(results)
    reader = store_of(results)
    records = reader.records()
    before = [store_of(results).read(record.run_id) for record in records]
    changed, deleted = (results / "records" / f"{record.run_id}.json" for record in records[:2])
    edit(changed, lambda fields: fields.update(network_sha256="f" * 64), seal=True)
    deleted.unlink()
    after = {record.run_id: record for record in reader.records()}
    assert [(r.seal, r.network_sha256, r.values) for r in records] == [
        (r.seal, r.network_sha256, r.values) for r in before
    ]
    now = store_of(results).read(records[0].run_id)
    assert (after[now.run_id].seal, after[now.run_id].network_sha256) == (now.seal, "f" * 64)


def test_an_edit_is_seen_although_the_time_of_writing_is_that_of_before(results, indexed):
    run_id = read(results)[0][0].run_id
    path = results / "records" / f"{run_id}.json"
    edit(path, lambda fields: fields.update(seed=7))
    records, errors, checked = read(results)
    assert checked == [run_id]
    assert "its seal does not fit" in errors[0]
    assert len(records) == 11
    edit(path, lambda fields: fields.update(seal=seal_of(fields)))
    records, errors, checked = read(results)
    assert (len(records), errors, checked) == (12, [], [run_id])
    assert next(record for record in records if record.run_id == run_id).seed == 7


def test_other_arrays_are_seen(results, indexed):
    a, b = (record.run_id for record in read(results)[0][:2])
    shutil.copy(results / "records" / f"{a}.npz", results / "records" / f"{b}.npz")
    records, errors, _ = read(results)
    assert b not in {record.run_id for record in records}
    assert errors == [f"{b}.npz is not the file that was written with the record"]


def test_deleted_records_are_forgotten(results, indexed):
    run_id = read(results)[0][0].run_id
    for end in ("json", "npz"):
        (results / "records" / f"{run_id}.{end}").unlink()
    assert run_id not in {record.run_id for record in read(results)[0]}
    database = sqlite3.connect(index_file(results / "records"))
    assert database.execute("SELECT count(*) FROM records").fetchone() == (11,)


def test_files_that_were_written_just_now_are_not_kept(results, indexed, monkeypatch):
    monkeypatch.setattr(file_stamps, "SETTLED_NS", 2_000_000_000)
    assert file_stamps.file_stamps(results / "records") == {}
    assert len(read(results)[2]) == len(read(results)[2]) == 12


def test_a_run_whose_arrays_are_being_replaced_is_not_kept(results, indexed):
    run_id = Store(results / "records").run_ids()[0]
    shutil.copy(results / "records" / f"{run_id}.npz", results / "records" / f"{run_id}-{'0' * 16}.npz")
    stamps = file_stamps.file_stamps(results / "records")
    assert len(stamps) == 11
    assert run_id not in stamps


def test_other_code_has_another_index(results, indexed, monkeypatch):
    read(results)
    with monkeypatch.context() as patch:
        patch.setattr(record_index, "code_stamp", lambda: "other code")
        assert len(read(results)[2]) == 12
        assert read(results)[2] == []
    assert read(results)[2] == []


@pytest.mark.parametrize(
    ("file", "changes"),
    [("metrics/parts.py", True), ("datasets/bird_parts.py", True), ("judge/new.py", True), ("report/build.py", False)],
)
def test_the_stamp_of_the_code_changes_with_the_code_that_checks(tmp_path, file, changes):
    package = tmp_path / "fgbench"
    shutil.copytree(Path(record_index.__file__).parents[1], package)
    before = file_stamps.code_stamp.__wrapped__(package)
    assert file_stamps.code_stamp.__wrapped__(package) == before
    with (package / file).open("a") as text:
        text.write("\nX = 1\n")
    assert (file_stamps.code_stamp.__wrapped__(package) != before) == changes


def test_verify_reads_every_file(results, indexed, monkeypatch):
    read(results)
    monkeypatch.setattr(store, "open_index", None)
    assert verify_folder(results)["verified"] == 12


@pytest.mark.parametrize("most", [4, 100])
def test_several_processes_give_what_one_gives(results, indexed, monkeypatch, most):
    damaged = Store(results / "records").run_ids()[4]
    (results / "records" / f"{damaged}.json").write_text("{}")
    expected = read(results)
    shutil.rmtree(indexed)
    monkeypatch.setattr(checked_reading, "MIN_CHUNK", 1)
    monkeypatch.setattr(checked_reading, "MAX_CHUNK", most)
    monkeypatch.setattr(checked_reading.os, "cpu_count", lambda: 2)
    records, errors, checked = read(results)
    assert checked == []
    assert errors == expected[1]
    assert damaged in errors[0]
    assert [record.run_id for record in records] == [record.run_id for record in expected[0]]
    assert read(results)[2] == [damaged]


def test_what_was_computed_from_arrays_is_remembered(results, indexed):
    """The anomalies are equal, and the second time no array file is read."""
    records = read(results)[0]
    a, b = (record for record in records if record.identity == records[0].identity and record.seed < 2)
    path = results / "records" / f"{b.run_id}.json"
    shutil.copy(results / "records" / f"{a.run_id}.npz", results / "records" / f"{b.run_id}.npz")
    values = {name: value.model_dump() for name, value in a.values.items()}
    edit(path, lambda fields: fields.update(values=values, outputs_sha256=a.outputs_sha256), seal=True)
    first = anomalies(results)
    assert [anomaly.kind for anomaly in first[b.run_id]] == ["identical"]
    assert anomalies(results, may_read=False) == first
    plain = Store(results / "records")
    assert find_anomalies([plain.read(record.run_id) for record in records], plain.outputs) == first
