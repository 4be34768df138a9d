"""Reading and checking of many records: known ones from the index of their folder, many others in several processes."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path

import numpy as np

from fgbench.records.file_stamps import file_stamps
from fgbench.records.packed_records import Packed, pack
from fgbench.records.record import Record
from fgbench.records.record_index import RecordIndex
from fgbench.util.child_process import read_in_child
from fgbench.util.errors import FgbenchError

MIN_CHUNK, MAX_CHUNK = 2500, 10_000
"""Number of records that a process checks at once. It takes a second to start, and the index is written after it."""
MAX_PROCESSES = 8
CHUNK_LIMIT_S = 1800.0
"""Longest time for a chunk, which takes about ten seconds on a local disk."""
Outcome = Record | FgbenchError
"""A record, or the error that says why it cannot be used."""
Check = Callable[[str], tuple[Record, Mapping[str, np.ndarray]]]
"""Reads and checks the record and the arrays of a run id; raises FgbenchError."""
CheckFolder = Callable[[Path, Sequence[str]], Mapping[str, Packed | FgbenchError]]
"""Reads and checks records of a folder in another process; a function of a module."""


def outcome_of(check: Check, run_id: str) -> Outcome:
    """Return the record of a run, or the error that says why it cannot be used."""
    try:
        return check(run_id)[0]
    except FgbenchError as error:
        return error


def pack_outcomes(check: Check, run_ids: Sequence[str]) -> dict[str, Packed | FgbenchError]:
    """Return the record of each run as texts, or the error that says why it cannot be used."""
    outcomes: dict[str, Packed | FgbenchError] = {}
    for run_id in run_ids:
        try:
            outcomes[run_id] = pack(*check(run_id))
        except FgbenchError as error:
            outcomes[run_id] = error
    return outcomes


def read_with_index(
    index: RecordIndex, folder: Path, run_ids: Sequence[str], check: Check, check_folder: CheckFolder
) -> list[Outcome]:
    """Return the record of each run, in the order of the ids, or the error that says why it cannot be used.

    Args:
        index: the index of the folder; the records that it lacks are added.
        folder: folder of records.
        run_ids: runs to read.
        check: reads and checks one record.
        check_folder: does the same for many records in another process.
    """
    stamps = file_stamps(folder)
    outcomes: dict[str, Outcome] = {**index.records(stamps)}
    unknown = [run_id for run_id in run_ids if run_id not in outcomes]
    processes = min(os.cpu_count() or 1, MAX_PROCESSES)
    size = min(max(ceil(len(unknown) / processes), MIN_CHUNK), MAX_CHUNK)
    chunks = [unknown[start : start + size] for start in range(0, len(unknown), size)]
    for packed in _packed_chunks(folder, chunks, min(processes, len(chunks)), check, check_folder):
        outcomes |= {run_id: found for run_id, found in packed.items() if isinstance(found, FgbenchError)}
        outcomes |= index.add({run_id: p for run_id, p in packed.items() if isinstance(p, Packed)}, stamps)
    return [outcomes[run_id] for run_id in run_ids]


def _packed_chunks(
    folder: Path, chunks: Sequence[Sequence[str]], processes: int, check: Check, check_folder: CheckFolder
) -> Iterator[Mapping[str, Packed | FgbenchError]]:
    """Yield the outcomes of each chunk; several chunks are read in several processes."""
    if processes < 2:
        yield from (pack_outcomes(check, chunk) for chunk in chunks)
        return

    def in_child(chunk: Sequence[str]) -> Mapping[str, Packed | FgbenchError]:
        return read_in_child(folder, CHUNK_LIMIT_S, "", check_folder, folder, chunk)

    with ThreadPoolExecutor(processes) as threads:
        # One chunk a process at a time, so that few texts wait for the index.
        for start in range(0, len(chunks), processes):
            group = chunks[start : start + processes]
            for chunk, future in [(chunk, threads.submit(in_child, chunk)) for chunk in group]:
                try:
                    yield future.result()
                except FgbenchError:  # no process can be started, or it ended: read here
                    yield pack_outcomes(check, chunk)
