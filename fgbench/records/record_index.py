"""The index of a folder of records: records that were checked before, in the cache of this machine.

Reading and checking a record and its arrays takes about a millisecond, which is minutes for a hundred thousand. The
index keeps each checked record with the size and times of its two files. A record whose files are unchanged is read
from the index; all others are read and checked again. The JSON and array files stay the truth: an index is never part
of a results folder, `fgbench verify` does not use it, and without it everything is only slower.

It also keeps results that follow from the content of array files alone, such as comparisons of two runs.
"""

import hashlib
import json
import os
import platform
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from fgbench.records.output_fingerprint import fingerprint_key
from fgbench.records.packed_records import SHARED, Own, Packed, ReadRecord, Unpacker
from fgbench.records.record import Record
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder
from fgbench.util.hashing import ID_LENGTH, canonical, stamp_of_status
from fgbench.util.memory import garbage_collector_off

MIN_RECORDS = 1000
"""Folders with fewer records have no index: they are read in a second."""
SETTLED_NS = 2_000_000_000
"""A file that was written less than this before it was read may be written again within one tick of the clock."""
CHECKING_ROOMS = ("judge", "metrics", "records", "statistics", "util")
"""Rooms whose code decides what is in an index. With other code, an index is made again."""
Recall = Callable[[str, Callable[[], Any]], Any]
"""Returns what a function returned for a key before, or calls it (`RecordIndex.recall`)."""
TABLES = {
    "about": "name TEXT PRIMARY KEY, value TEXT",
    "shared": "number INTEGER PRIMARY KEY, part TEXT, text TEXT, UNIQUE (part, text)",
    "records": f"stamp TEXT, {', '.join((*Own._fields, *SHARED))}, PRIMARY KEY (run_id)",
    "results": "key TEXT PRIMARY KEY, value TEXT",
}
"""Name of each table -> its columns."""


class RecordIndex:
    """The index of one folder of records.

    Args:
        folder: folder of records.
        read: reads the record of a run id from its file.

    Raises:
        sqlite3.Error: the file of the index cannot be used, or another program is writing it.
        OSError: its folder cannot be made.
        FgbenchError: the folder of the cache is not known.
    """

    def __init__(self, folder: Path, read: ReadRecord) -> None:
        self._folder = folder.resolve()
        self._file = index_file(folder)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(self._file, isolation_level=None, timeout=1, check_same_thread=False)
        self._start_again_if_outdated()
        self._unpacker = Unpacker(read)
        self._numbers: dict[tuple[str, str], int] = {}
        self._results: dict[str, str] | None = None
        self._new_results: dict[str, str] = {}

    def records(self, stamps: Mapping[str, str]) -> dict[str, Record]:
        """Return the records whose files have these stamps, by run id. Records of deleted files are forgotten.

        Args:
            stamps: run id -> stamp of its files, from `file_stamps`.
        """
        try:
            records = self._records(stamps)
            gone = [(run_id,) for run_id in self._run_ids() - stamps.keys()]
            with self._transaction():
                self._database.executemany("DELETE FROM records WHERE run_id = ?", gone)
        except sqlite3.OperationalError:  # another program is writing, or the disk is full
            return {}
        except (sqlite3.Error, ValueError, LookupError):  # the file is damaged
            self._file.unlink(missing_ok=True)
            return {}
        return records

    def _records(self, stamps: Mapping[str, str]) -> dict[str, Record]:
        parts = {}
        for number, name, text in self._database.execute("SELECT number, part, text FROM shared"):
            parts[number] = text
            self._numbers[name, text] = number
        columns = ", ".join((*Own._fields, *SHARED))
        records: dict[str, Record] = {}
        width = len(Own._fields) + 1
        with garbage_collector_off():
            for row in self._database.execute(f"SELECT stamp, {columns} FROM records"):
                own = Own._make(row[1:width])
                if stamps.get(own.run_id) == row[0]:
                    shared = [parts[number] for number in row[width:]]
                    records[own.run_id] = self._unpacker.record(own, shared)
        return records

    def _run_ids(self) -> set[str]:
        return {row[0] for row in self._database.execute("SELECT run_id FROM records")}

    def add(self, packed: Mapping[str, Packed], stamps: Mapping[str, str]) -> dict[str, Record]:
        """Add checked records, and return them by run id.

        Args:
            packed: run id -> record as texts.
            stamps: run id -> stamp that the files had before they were read; other runs are returned, but not kept.
        """
        kept = {run_id: record for run_id, record in packed.items() if run_id in stamps}
        with suppress(sqlite3.Error), self._transaction():
            rows = [
                (stamps[run_id], *record.own, *map(self._number, SHARED, record.shared))
                for run_id, record in kept.items()
            ]
            places = ", ".join("?" * (1 + len(Own._fields) + len(SHARED)))
            self._database.executemany(f"INSERT OR REPLACE INTO records VALUES ({places})", rows)
            results = [
                (_result_key(fingerprint_key(record.own.outputs_sha256)), json.dumps(record.fingerprint))
                for record in kept.values()
            ]
            self._database.executemany("INSERT OR REPLACE INTO results VALUES (?, ?)", results)
        return {run_id: self._unpacker.record(record.own, record.shared) for run_id, record in packed.items()}

    def recall(self, key: str, compute: Callable[[], Any]) -> Any:
        """Return what `compute` returned for this key before, or call it and keep what it returns, as JSON.

        Args:
            key: everything on which the result depends: the name of the function, and contents by their hashes.
            compute: returns the result, as values of JSON.
        """
        if self._results is None:
            self._results = {}
            with suppress(sqlite3.Error):
                self._results.update(self._database.execute("SELECT key, value FROM results"))
        name = _result_key(key)
        if name not in self._results:
            self._results[name] = self._new_results[name] = json.dumps(compute())
        return json.loads(self._results[name])

    def save_results(self) -> None:
        """Keep the results of `recall`."""
        with suppress(sqlite3.Error), self._transaction():
            self._database.executemany("INSERT OR REPLACE INTO results VALUES (?, ?)", self._new_results.items())
        self._new_results = {}

    def _number(self, name: str, text: str) -> int:
        """Return the number of a shared content; a new one is added."""
        if (name, text) not in self._numbers:
            self._database.execute("INSERT OR IGNORE INTO shared (part, text) VALUES (?, ?)", (name, text))
            row = self._database.execute("SELECT number FROM shared WHERE part = ? AND text = ?", (name, text))
            self._numbers[name, text] = row.fetchone()[0]
        return self._numbers[name, text]

    def _start_again_if_outdated(self) -> None:
        """Empty the index if it was made by other code, and remove the indexes of folders that are gone."""
        about = {"code": _code_stamp(), "folder": str(self._folder)}
        with suppress(sqlite3.OperationalError):  # there is no such table
            if dict(self._database.execute("SELECT name, value FROM about")) == about:
                return
        with self._transaction():
            for name in TABLES:
                self._database.execute(f"DROP TABLE IF EXISTS {name}")
            for name, columns in TABLES.items():
                self._database.execute(f"CREATE TABLE {name} ({columns})")
            self._database.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        for file in self._file.parent.glob("*.sqlite"):
            _remove_if_folder_is_gone(file)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Make all changes of the block, or none."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            self._numbers.clear()
            raise
        self._database.execute("COMMIT")


def compute_always(key: str, compute: Callable[[], Any]) -> Any:
    """Return `compute()`: a `Recall` that remembers nothing."""
    return compute()


def open_index(folder: Path, read: ReadRecord) -> RecordIndex | None:
    """Return the index of a folder of records; None if this machine cannot keep one, which costs only time."""
    try:
        return RecordIndex(folder, read)
    except sqlite3.OperationalError:
        return None
    except sqlite3.DatabaseError:  # the file is damaged
        with suppress(OSError, sqlite3.Error):
            index_file(folder).unlink()
            return RecordIndex(folder, read)
    except (OSError, FgbenchError):
        pass
    return None


def index_file(folder: Path) -> Path:
    """Return the file of the index of a folder of records."""
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:ID_LENGTH]
    return cache_folder() / "record-indexes" / f"{name}.sqlite"


def file_stamps(folder: Path) -> dict[str, str]:
    """Return a stamp of the record and the array file of each run, by run id.

    Runs are left out whose files were written just now, or whose array file is being replaced.
    """
    settled = time.time_ns() - SETTLED_NS
    stamps: dict[str, dict[str, str]] = {}
    unsettled = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            stem, _, end = entry.name.rpartition(".")
            if end not in {"json", "npz"} or entry.name.startswith("."):
                continue
            run_id, _, mark = stem.partition("-")
            with suppress(OSError):
                status = entry.stat()
                stamps.setdefault(run_id, {})[end] = stamp_of_status(status)
                if mark or max(status.st_mtime_ns, status.st_ctime_ns) > settled:
                    unsettled.add(run_id)
    return {
        run_id: f"{files['json']} {files['npz']}"
        for run_id, files in stamps.items()
        if len(files) == 2 and run_id not in unsettled
    }


def _result_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[: 2 * ID_LENGTH]


@cache
def _code_stamp() -> str:
    """Return a hash that changes with the code that checks records, and with the versions of its libraries."""
    package = Path(__file__).parents[1]
    files = sorted(file for room in CHECKING_ROOMS for file in (package / room).rglob("*.py"))
    states = [(str(file.relative_to(package)), stamp_of_status(file.stat())) for file in files]
    versions = (platform.python_version(), np.__version__, pydantic.VERSION)
    return hashlib.sha256(canonical([states, *versions]).encode()).hexdigest()


def _remove_if_folder_is_gone(file: Path) -> None:
    """Remove the file of an index whose folder of records is gone."""
    with suppress(sqlite3.Error, OSError):
        database = sqlite3.connect(file)
        row = database.execute("SELECT value FROM about WHERE name = 'folder'").fetchone()
        database.close()
        if row and not Path(row[0]).is_dir():
            file.unlink()
