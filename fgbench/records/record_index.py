"""The index of a folder of records: records that were checked before, in the cache of this machine.

Reading and checking a record and its arrays takes about a millisecond, which is minutes for a hundred thousand. The
index keeps each checked record with the size, inode and times of its two files. A record whose files are unchanged is
read from the index; all others are read and checked again. The JSON and array files stay the truth: an index is never
part of a results folder, and `fgbench verify` does not use it. Each code of fgbench has its own index of a folder. Each
row has a hash, so that a damaged one is not used. An index that cannot be read or written costs only time.

It also keeps results that follow from the content of array files alone, such as comparisons of two runs.
"""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from fgbench.records.file_stamps import code_stamp
from fgbench.records.output_rows import SKETCH, sketch_key
from fgbench.records.packed_records import SHARED, Own, Packed, ReadRecord, Unpacker
from fgbench.records.record import Record
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder
from fgbench.util.hashing import ID_LENGTH, hash_texts
from fgbench.util.memory import garbage_collector_off

MIN_RECORDS = 1000
"""Folders with fewer records have no index: they are read in a second."""
UNUSED_S = 30 * 24 * 3600
"""An index that was not used for this time is removed."""
UNUSED_RESULTS = 1000
"""Results that may stay although the last reports did not need them."""
Recall = Callable[[str, Callable[[], Any]], Any]
"""Returns what a function returned for a key before, or calls it (`RecordIndex.recall`)."""
Change = tuple[str, Iterable[Sequence[Any]]]
"""A statement of SQL, and the rows for which it is executed."""
TABLES = {
    "about": "folder BLOB PRIMARY KEY",
    "shared": "hash TEXT PRIMARY KEY, text TEXT",
    "records": f"hash TEXT, stamp TEXT, {', '.join((*Own._fields, *SHARED))}, PRIMARY KEY (run_id)",
    "results": "hash TEXT, key TEXT PRIMARY KEY, value TEXT",
}
"""Name of each table -> its columns. A column `hash` has the hash of the others."""
OTHER_REASONS = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH,
}  # fmt: skip
"""Error codes of SQLite that do not mean that the file is damaged."""


class RecordIndex:
    """The index of one folder of records.

    Args:
        folder: folder of records.
        read: reads the record of a run id from its file.

    Raises:
        FgbenchError: there is no folder for the cache.
    """

    def __init__(self, folder: Path, read: ReadRecord) -> None:
        self._unpacker = Unpacker(read)
        self._results: dict[str, str] | None = None
        self._new_results: dict[str, str] = {}
        self._used_results: set[str] = set()
        self._file = index_file(folder)
        self._database = _in_memory()
        with suppress(OSError), self._costs_only_time():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self._file, isolation_level=None, timeout=1, check_same_thread=False)
            _make_tables(self._database)
            if not self._database.execute("SELECT folder FROM about").fetchone():
                self._write(("INSERT OR IGNORE INTO about VALUES (?)", [(os.fsencode(folder.resolve()),)]))

    def records(self, stamps: Mapping[str, str]) -> dict[str, Record]:
        """Return the records whose files have these stamps, by run id. All others are forgotten.

        Args:
            stamps: run id -> stamp of its files, from `fgbench.records.file_stamps`.
        """
        records: dict[str, Record] = {}
        known: dict[tuple[str, ...], dict[str, Any]] = {}  # many records have equal shared parts
        gone: list[tuple[str, str]] = []
        with self._costs_only_time(), garbage_collector_off():
            texts = self._database.execute("SELECT hash, text FROM shared")
            shared = {row_hash: text for row_hash, text in texts if row_hash == hash_texts(text)}
            columns, width = ", ".join((*Own._fields, *SHARED)), len(Own._fields)
            for row_hash, stamp, *row in self._database.execute(f"SELECT hash, stamp, {columns} FROM records"):
                own, parts = Own._make(row[:width]), row[width:]
                if stamps.get(own.run_id) != stamp:
                    gone.append((own.run_id, sketch_key(own.outputs_sha256)))
                elif row_hash == hash_texts(stamp, *row):
                    key = tuple(parts)
                    if key not in known and shared.keys() >= {*parts}:
                        known[key] = self._unpacker.fields([shared[part] for part in parts])
                    if key in known:
                        records[own.run_id] = self._unpacker.record(own, known[key])
        if gone:
            self._write(
                ("DELETE FROM records WHERE run_id = ?", [(run_id,) for run_id, _ in gone]),
                ("DELETE FROM results WHERE key = ?", [(key,) for _, key in gone]),
            )
        return records

    def add(self, packed: Mapping[str, Packed], stamps: Mapping[str, str]) -> dict[str, Record]:
        """Add checked records, and return them by run id.

        Args:
            packed: run id -> record as texts.
            stamps: run id -> stamp that the files had before they were read; other runs are returned, but not kept.
        """
        kept = [(stamps[run_id], record) for run_id, record in packed.items() if run_id in stamps]
        texts = {text: hash_texts(text) for _, record in kept for text in record.shared}
        rows = [(stamp, *record.own, *(texts[text] for text in record.shared)) for stamp, record in kept]
        places = ", ".join("?" * (2 + len(Own._fields) + len(SHARED)))
        sketches = {sketch_key(record.own.outputs_sha256): json.dumps(record.sketch) for _, record in kept}
        self._write(
            ("INSERT OR REPLACE INTO shared (text, hash) VALUES (?, ?)", texts.items()),
            (f"INSERT OR REPLACE INTO records VALUES ({places})", [(hash_texts(*row), *row) for row in rows]),
            _insertion(sketches),
        )
        unpacker = self._unpacker
        return {
            run_id: unpacker.record(record.own, unpacker.fields(record.shared)) for run_id, record in packed.items()
        }

    def recall(self, key: str, compute: Callable[[], Any]) -> Any:
        """Return what `compute` returned for this key before, or call it and keep what it returns, as JSON.

        Args:
            key: everything on which the result depends: the name of the function, and contents by their hashes.
            compute: returns the result, as values of JSON.
        """
        if self._results is None:
            self._results = self._stored("key NOT GLOB ?", f"{SKETCH}*")
        text = self._results.get(key)
        if text is None and key.startswith(SKETCH):
            text = self._stored("key = ?", key).get(key)
        else:
            self._used_results.add(key)
        if text is None:
            text = self._results[key] = self._new_results[key] = json.dumps(compute())
        return json.loads(text) if text != "[]" else []  # most results are empty

    def _stored(self, condition: str, *values: str) -> dict[str, str]:
        """Return the stored results of a condition of SQL by key. Sketches are large: they do not fit in memory."""
        rows: list[tuple[str, str, str]] = []
        with self._costs_only_time():
            rows = self._database.execute(f"SELECT hash, key, value FROM results WHERE {condition}", values).fetchall()
        return {key: value for row_hash, key, value in rows if row_hash == hash_texts(key, value)}

    def save_results(self) -> None:
        """Keep the results of `recall`; if many were not used, remove those."""
        unused = (self._results or {}).keys() - self._used_results
        too_many = len(unused) > UNUSED_RESULTS + len(self._used_results)
        removed = [(key,) for key in unused] if too_many else []
        self._write(_insertion(self._new_results), ("DELETE FROM results WHERE key = ?", removed))
        self._new_results = {}

    @contextmanager
    def _costs_only_time(self) -> Iterator[None]:
        """After an error of SQLite, leave the block, and use an empty database in memory from then on.

        A damaged file is removed, so that the next program makes it again.
        """
        try:
            yield
        except sqlite3.Error as error:
            damaged, self._database = self._database, _in_memory()
            damaged.close()  # this ends a transaction
            if getattr(error, "sqlite_errorcode", -1) & 0xFF not in OTHER_REASONS:
                with suppress(OSError):
                    self._file.unlink()

    def _write(self, *changes: Change) -> None:
        """Make all changes, or none."""
        with self._costs_only_time():
            self._database.execute("BEGIN IMMEDIATE")
            for statement, rows in changes:
                self._database.executemany(statement, rows)
            self._database.execute("COMMIT")


def compute_always(key: str, compute: Callable[[], Any]) -> Any:
    """Return `compute()`: a `Recall` that remembers nothing."""
    return compute()


def open_index(folder: Path, read: ReadRecord) -> RecordIndex | None:
    """Return the index of a folder of records, and remove indexes of folders and code that are gone.

    Without a folder for the cache, there is none, which costs only time.
    """
    try:
        index = RecordIndex(folder, read)
    except FgbenchError:  # there is no home folder
        return None
    remove_old_indexes(index_file(folder))
    return index


def index_file(folder: Path) -> Path:
    """Return the file of the index of a folder of records for this code.

    Raises:
        FgbenchError: there is no folder for the cache.
    """
    name = hashlib.sha256(os.fsencode(folder.resolve()) + code_stamp().encode()).hexdigest()[:ID_LENGTH]
    return cache_folder() / "record-indexes" / f"{name}.sqlite"


def remove_old_indexes(used: Path) -> None:
    """Remove the indexes whose folder of records is gone, and those that were not used for a month.

    Args:
        used: the file that is used now.
    """
    with suppress(OSError):
        used.touch()
        for file in used.parent.glob("*.sqlite"):
            if time.time() - file.stat().st_mtime > UNUSED_S or not _has_folder(file):
                file.unlink()


def _has_folder(file: Path) -> bool:
    """Return False if the folder of an index is gone; True if the index cannot be read now."""
    try:
        with closing(sqlite3.connect(file, timeout=0)) as database:
            row = database.execute("SELECT folder FROM about").fetchone()
    except sqlite3.Error:
        return True
    return row is None or Path(os.fsdecode(row[0])).is_dir()


def _in_memory() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _make_tables(database)
    return database


def _make_tables(database: sqlite3.Connection) -> None:
    for name, columns in TABLES.items():
        database.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")


def _insertion(results: Mapping[str, str]) -> Change:
    rows = [(hash_texts(key, value), key, value) for key, value in results.items()]
    return "INSERT OR REPLACE INTO results VALUES (?, ?, ?)", rows
