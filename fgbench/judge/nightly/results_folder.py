"""Read the records of a results folder, even if some of them cannot be read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fgbench.records.record import Record
from fgbench.records.store import RECORDS, Store
from fgbench.util.errors import FgbenchError


@dataclass(frozen=True, slots=True)
class ResultsFolder:
    """The runs of a night."""

    records: tuple[Record, ...]
    """All readable records."""
    outputs: Callable[[Record], Mapping[str, np.ndarray]]
    """Returns the per-sample arrays of a record; no arrays if they cannot be read."""
    unreadable: tuple[str, ...] = ()
    """For each file that is not a record: its name and the reason."""
    wrong: Mapping[str, list[str]] = field(default_factory=dict)
    """Run id -> errors that `Store.verify` found."""


def read_folder(folder: Path) -> ResultsFolder:
    """Return the records of a results folder, each verified: hashes, and all values recomputed from the outputs.

    Raises:
        FgbenchError: there is no such folder.
    """
    if not folder.is_dir():
        raise FgbenchError(f"no folder {folder}", "give two folders of results: fgbench compare BASE HEAD")
    store = Store(folder / RECORDS)
    records, unreadable, wrong = [], [], {}
    for path in sorted(store.folder.glob("*.json")):
        try:
            record = store.read(path.stem)
            records.append(record)
            if errors := store.verify(record):
                wrong[record.run_id] = errors
        except (FgbenchError, UnicodeDecodeError) as error:
            unreadable.append(f"{path.name}: {str(error).partition(chr(10))[0]}")
    return ResultsFolder(tuple(records), store.outputs_or_none, tuple(unreadable), wrong)
