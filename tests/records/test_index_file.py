"""The file of an index: damage, other programs, and what is removed. Nothing of this changes what is read."""

import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from indexed_reading import anomalies, read
from many_records import fill
from stored_records import edit

from fgbench.records import file_stamps, record_index
from fgbench.records.output_rows import sketch, sketch_key
from fgbench.records.packed_records import pack
from fgbench.records.record_index import index_file
from fgbench.records.store import Store, store_of
from fgbench.util.hashing import hash_file

COMMITTED = Path(__file__).parents[2] / "reports/cub-200-2011"


def test_a_damaged_index_is_made_again(results, indexed):
    read(results)
    index_file(results / "records").write_bytes(b"not a database" * 100)
    assert len(read(results)[0]) == 12
    assert read(results)[2:] == ([*Store(results / "records").run_ids()],)  # the damaged file was removed
    assert read(results)[2] == []


DAMAGE = {
    "shared": ["DELETE FROM shared", "UPDATE shared SET text = '[]'", "UPDATE shared SET text = CAST(x'ff' AS TEXT)"],
    "records": [
        f"UPDATE records SET {change}" for change in ("rest = '{}'", "fingerprint = ''", "seed = 5", "head = settings")
    ],
    "results": ["UPDATE results SET value = 'x'", "UPDATE results SET value = '[[0, 1]]'"],
}


@pytest.mark.parametrize("statement", [statement for of_table in DAMAGE.values() for statement in of_table])
def test_damaged_rows_cost_only_time(results, indexed, statement):
    expected = anomalies(results)
    with sqlite3.connect(index_file(results / "records")) as database:
        assert database.execute(statement).rowcount > 0
    assert anomalies(results) == expected
    records, errors, _ = read(results)
    plain = Store(results / "records")
    assert errors == []
    assert [record.model_dump() for record in records] == [plain.read(r.run_id).model_dump() for r in records]
    assert read(results)[2] == []


def test_the_file_of_an_index_that_cannot_be_removed_costs_only_time(results, indexed, monkeypatch):
    read(results)
    index_file(results / "records").write_bytes(b"not a database" * 100)
    monkeypatch.setattr(Path, "unlink", lambda self, **options: (_ for _ in ()).throw(PermissionError))
    for _ in range(2):
        records, errors, checked = read(results)
        assert (len(records), errors, len(checked)) == (12, [], 12)


def test_a_read_only_index_is_read(results, indexed, monkeypatch):
    read(results)
    connect, file = sqlite3.connect, index_file(results / "records")
    monkeypatch.setattr(
        record_index.sqlite3,
        "connect",
        lambda name, **options: connect(name if name == ":memory:" else f"file:{file}?mode=ro", uri=True, **options),
    )
    assert read(results)[2] == []
    run_id = Store(results / "records").run_ids()[0]
    for end in ("json", "npz"):
        (results / "records" / f"{run_id}.{end}").unlink()
    records, errors, checked = read(results)
    assert (len(records), errors, checked) == (11, [], [])


def test_a_full_disk_costs_only_time(results, indexed, monkeypatch):
    monkeypatch.setattr(record_index, "TABLES", {**record_index.TABLES, "records": "x CHECK (x = 1)"})
    records, errors, checked = read(results)
    assert (len(records), errors, len(checked)) == (12, [], 12)


def test_two_programs_may_add_to_one_index(results, indexed):
    """The second one adds other records with the same settings after the first has read the index."""
    folder = results / "records"
    stamps, plain = file_stamps.file_stamps(folder), Store(folder)
    packed = {run_id: pack(record := plain.read(run_id), plain.outputs(record)) for run_id in stamps}
    first, second = record_index.open_index(folder, plain.read), record_index.open_index(folder, plain.read)
    for number, run_id in enumerate(packed):
        (first, second)[number % 2].add({run_id: packed[run_id]}, stamps)
        assert len((second, first)[number % 2].records(stamps)) == number + 1
    records, _, checked = read(results)
    assert checked == []
    assert [record.model_dump() for record in records] == [plain.read(r.run_id).model_dump() for r in records]


def test_results_that_no_report_needs_are_removed(results, indexed, monkeypatch):
    monkeypatch.setattr(record_index, "UNUSED_RESULTS", 2)
    for prefix, count in (("old", 40), ("new", 30)):
        reader = store_of(results)
        reader.records()
        with reader.remembering() as recall:
            found = [recall(f"{prefix} {number}", lambda number=number: number) for number in range(count)]
        assert found == [*range(count)]
    with sqlite3.connect(index_file(results / "records")) as database:
        keys = {key.split()[0] for (key,) in database.execute("SELECT key FROM results")}
    assert keys == {"new", "sketch"}


def test_the_sketch_of_a_deleted_record_is_removed(results, indexed):
    records, _, _ = read(results)
    gone = records[0]
    for end in ("json", "npz"):
        (results / "records" / f"{gone.run_id}.{end}").unlink()
    read(results)
    with sqlite3.connect(index_file(results / "records")) as database:
        keys = {key for (key,) in database.execute("SELECT key FROM results WHERE key GLOB 'sketch *'")}
    assert len(keys) == len(records) - 1
    assert sketch_key(gone.outputs_sha256) not in keys


def test_the_sketch_of_replaced_arrays_is_removed(results, indexed):
    record = read(results)[0][0]
    path = results / "records" / f"{record.run_id}.npz"
    with np.load(path) as arrays:
        np.savez_compressed(path, **arrays)
    edit(path.with_suffix(".json"), lambda fields: fields.update(outputs_sha256=hash_file(path)), seal=True)
    assert len(read(results)[0]) == 12
    with sqlite3.connect(index_file(results / "records")) as database:
        keys = {key for (key,) in database.execute("SELECT key FROM results WHERE key GLOB 'sketch *'")}
    assert len(keys) == 12
    assert sketch_key(record.outputs_sha256) not in keys


def test_sketches_are_not_read_before_a_comparison_needs_them(results, indexed):
    records, _, _ = read(results)
    reader = store_of(results)
    reader.records()
    with reader.remembering() as recall:
        recall("other", lambda: 1)
        assert not any(key.startswith("sketch ") for key in reader._index._results)
        known = recall(sketch_key(records[0].outputs_sha256), lambda: pytest.fail("the sketch is computed again"))
    assert known == sketch(reader.outputs(records[0]))


def test_a_folder_whose_name_is_not_text_has_an_index(results, indexed, tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    results.rename(folder)
    read(folder)
    assert read(folder)[2] == []


def test_without_a_home_folder_records_are_read(results, indexed, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", "~nobody-of-this-name/cache")
    records, errors, checked = read(results)
    assert (len(records), errors, len(checked)) == (12, [], 12)


def test_an_index_that_was_not_used_for_a_month_is_removed(results, indexed):
    read(results)
    old = index_file(results / "records").with_name("0123456789abcdef.sqlite")
    shutil.copy(index_file(results / "records"), old)
    os.utime(old, (0, 0))
    read(results)
    assert not old.exists()


def test_without_a_cache_folder_records_are_read(results, indexed):
    indexed.write_text("a file in the place of the folder")
    records, errors, checked = read(results)
    assert (len(records), errors, len(checked)) == (12, [], 12)


def test_an_index_that_another_program_writes_is_not_waited_for(results, indexed):
    read(results)
    other = sqlite3.connect(index_file(results / "records"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert len(read(results)[0]) == 12
    other.execute("ROLLBACK")
    assert read(results)[2] == []


def test_the_index_of_a_deleted_folder_is_removed(results, indexed, tmp_path):
    fill(tmp_path / "others", 3)
    read(tmp_path / "others")
    file = index_file(tmp_path / "others/records")
    assert file.exists()
    shutil.rmtree(tmp_path / "others")
    read(results)
    assert not file.exists()
