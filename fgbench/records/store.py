"""Folders of records: reading, writing and verifying."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from fgbench.metrics.values import measure
from fgbench.records.record import SCHEMA, Record
from fgbench.util.errors import FgbenchError
from fgbench.util.files import DAMAGED_ARRAYS, write_atomic, write_bytes, write_json
from fgbench.util.hashing import hash_file, hash_value

RECORDS = "records"
"""Name of the folder of records in a results folder."""


def _by_kind(pictures: Iterable[Path]) -> dict[str, Path]:
    """Return the pictures of one run by kind, sorted by number. A file is named `<run id>-<number> <kind>.jpg`."""
    return {path.stem.partition("-")[2].partition(" ")[2]: path for path in sorted(pictures)}


class Store:
    """A folder of records: `<run id>.json` with `<run id>.npz` beside it.

    Args:
        folder: the folder; the first record creates it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, run_id: str) -> bool:
        """Return True if the run is finished."""
        return (self.folder / f"{run_id}.json").is_file()

    def write(self, record: dict[str, Any], outputs: dict[str, np.ndarray]) -> Record:
        """Write the array file, then the record.

        Args:
            record: all fields except `outputs` and `outputs_sha256`.
            outputs: the per-sample arrays.

        Returns:
            The complete record.
        """
        run_id = record["run_id"]
        arrays = self.folder / f"{run_id}.npz"
        write_atomic(arrays, lambda path: np.savez_compressed(path, allow_pickle=False, **outputs))
        full = Record.model_validate({**record, "outputs": arrays.name, "outputs_sha256": hash_file(arrays)})
        write_json(self.folder / f"{run_id}.json", full.model_dump(mode="json"))
        return full

    def read(self, run_id: str) -> Record:
        """Read one record.

        Raises:
            FgbenchError: there is no such record, or the file is not a record.
        """
        path = self.folder / f"{run_id}.json"
        try:
            return Record.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise FgbenchError(f"no record {run_id} in {self.folder}") from error
        except OSError as error:
            raise FgbenchError(f"cannot read {path}: {error.strerror or error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise FgbenchError(f"{path} is not a record of schema {SCHEMA}: {where}: {first['msg']}") from error

    def outputs(self, record: Record) -> dict[str, np.ndarray]:
        """Read the per-sample arrays of a record.

        Raises:
            FgbenchError: the array file is missing or unreadable.
        """
        path = self.folder / record.outputs
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except DAMAGED_ARRAYS as error:
            raise FgbenchError(f"{path}: cannot read the per-sample outputs: {error}") from error

    def outputs_or_none(self, record: Record) -> dict[str, np.ndarray]:
        """Read the per-sample arrays; empty if they cannot be read (`verify` reports that)."""
        try:
            return self.outputs(record)
        except FgbenchError:
            return {}

    def pictures(self, run_id: str) -> dict[str, Path]:
        """Return the pictures of a run, kind -> JPEG file. They are not part of the record."""
        return _by_kind(self.folder.glob(f"{run_id}-*.jpg"))

    def all_pictures(self) -> dict[str, dict[str, Path]]:
        """Return the pictures of every run, run id -> kind -> JPEG file. The folder is listed once."""
        by_run: dict[str, list[Path]] = {}
        for path in self.folder.glob("*-*.jpg"):
            by_run.setdefault(path.name.partition("-")[0], []).append(path)
        return {run_id: _by_kind(paths) for run_id, paths in by_run.items()}

    def take(self, run_id: str) -> dict[str, bytes]:
        """Remove a finished run from the folder and return its files, name -> content, for `add` in another folder."""
        # The record is deleted first: an interruption then leaves an unfinished run, not a record without arrays.
        paths = sorted(self.folder.glob(f"{run_id}[.-]*"), key=lambda path: path.suffix != ".json")
        files = {path.name: path.read_bytes() for path in paths}
        for path in paths:
            path.unlink()
        return files

    def add(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Add a run that was executed elsewhere, byte for byte, the record last. An existing record stays as it is.

        Raises:
            FgbenchError: the files do not belong to the run, or are incomplete.
        """
        if self.has(run_id):
            return
        name = f"{run_id}.json"
        try:
            record = Record.model_validate_json(files.get(name, b""))
        except ValidationError as error:
            raise FgbenchError(f"the result of run {run_id} is not a record of schema {SCHEMA}") from error
        arrays = files.get(record.outputs, b"")
        others = [file for file in files if Path(file).name != file or not file.startswith(run_id)]
        if record.run_id != run_id or hashlib.sha256(arrays).hexdigest() != record.outputs_sha256 or others:
            raise FgbenchError(f"the result of run {run_id} is not a record with its array file and pictures")
        for file in sorted(files, key=lambda file: file == name):
            write_bytes(self.folder / file, files[file])

    def records(self, broken: Callable[[FgbenchError], object] | None = None) -> list[Record]:
        """Read every record, sorted by recipe, profile, data set and seed.

        Args:
            broken: called with the error of each file that is not a record; the file is then left out.

        Raises:
            FgbenchError: a file is not a record, and `broken` is None.
        """
        records = []
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []:
            try:
                records.append(self.read(path.stem))
            except FgbenchError as error:
                if broken is None:
                    raise
                broken(error)
        return sorted(records, key=lambda r: (r.recipe, r.profile, r.data, r.seed, r.run_id))

    def verify(self, record: Record, tolerance: float = 1e-9) -> list[str]:
        """Check the hashes of protocol and array file, and recompute every value.

        Args:
            record: the record.
            tolerance: largest absolute difference between a stored and a recomputed value.

        Returns:
            One sentence for each problem.
        """
        if hash_value(record.protocol) != record.protocol_hash:
            return [f"{record.protocol_hash} is not the hash of its protocol"]
        path = self.folder / record.outputs
        if not path.is_file():
            return [f"{record.outputs} is missing"]
        if hash_file(path) != record.outputs_sha256:
            return [f"{record.outputs} is not the file that was written with the record"]
        arrays = self.outputs(record)
        recomputed = measure(arrays)
        problems = [f"{name} is not a value of this protocol" for name in record.values if name not in recomputed]
        for name, value in recomputed.items():
            stored = record.values.get(name)
            if stored is None:
                problems.append(f"{name} is missing from the record")
                continue
            for part in ("value", "low", "high", "n"):
                new, old = getattr(value, part), getattr(stored, part)
                if (new is None) != (old is None) or (new is not None and abs(new - old) > tolerance):
                    problems.append(f"{name}: {part} is stored as {old}, the outputs give {new}")
        return problems


def store_of(folder: Path) -> Store:
    """Return the store of a results folder."""
    return Store(folder / RECORDS)


def results_folders(folder: Path) -> list[Path]:
    """Return the folder itself if it has records, else its subfolders that have records; the folder if none has."""
    if (folder / RECORDS).is_dir():
        return [folder]
    return sorted({path.parents[1] for path in folder.glob(f"*/{RECORDS}/*.json")}) or [folder]
