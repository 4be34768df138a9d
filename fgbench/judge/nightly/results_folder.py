"""Read the records of a results folder, even if some of them cannot be read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fgbench.records.record import Record
from fgbench.records.store import store_of
from fgbench.util.folders import no_folder_error


@dataclass(frozen=True, slots=True)
class ResultsFolder:
    """The runs of a night."""

    records: tuple[Record, ...]
    """All records that can be used."""
    outputs: Callable[[Record], Mapping[str, np.ndarray]]
    """Returns the per-sample arrays of a record."""
    unreadable: tuple[str, ...] = ()
    """A sentence for each record that is damaged or was changed."""
    wrong: Mapping[str, list[str]] = field(default_factory=dict)
    """Run id -> errors that `Store.verify` found."""


def read_folder(folder: Path) -> ResultsFolder:
    """Return the records of a results folder, each verified: hashes, and all values recomputed from the outputs.

    Raises:
        FgbenchError: there is no such folder.
    """
    if not folder.is_dir():
        raise no_folder_error(folder, "give two folders of results: fgbench compare BASE --results HEAD")
    store = store_of(folder)
    records, left_out = store.usable_records(values=False)
    wrong = {record.run_id: errors for record in records if (errors := store.verify(record))}
    return ResultsFolder(tuple(records), store.outputs, tuple(left_out), wrong)
