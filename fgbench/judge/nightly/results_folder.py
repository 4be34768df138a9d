"""The records of a results folder, also of one in which some cannot be read."""

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
    outputs: Callable[[Record], Mapping[str, np.ndarray]]
    """Gives the per-sample arrays of a record; none where they cannot be read."""
    unreadable: tuple[str, ...] = ()
    """Why a file is no record."""
    wrong: Mapping[str, list[str]] = field(default_factory=dict)
    """Run id -> what `Store.verify` says of it."""


def read_folder(folder: Path) -> ResultsFolder:
    """The records of a results folder, each verified: hashes, and every value recomputed from its outputs.

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
            if says := store.verify(record):
                wrong[record.run_id] = says
        except (FgbenchError, UnicodeDecodeError) as error:
            unreadable.append(f"{path.name}: {str(error).partition(chr(10))[0]}")
    return ResultsFolder(tuple(records), store.outputs_or_none, tuple(unreadable), wrong)
