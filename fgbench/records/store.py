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
"""Name of their folder, in a folder of results."""


def _by_kind(pictures: Iterable[Path]) -> dict[str, Path]:
    """Pictures of one run, named `<run id>-<number> <kind>.jpg`, in their order."""
    return {path.stem.partition("-")[2].partition(" ")[2]: path for path in sorted(pictures)}


class Store:
    """A folder of records: `<run id>.json` with `<run id>.npz` beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, run_id: str) -> bool:
        """True when the run is finished."""
        return (self.folder / f"{run_id}.json").is_file()

    def write(self, record: dict[str, Any], outputs: dict[str, np.ndarray]) -> Record:
        """Write a record (all fields but those of its array file), arrays first; returns it as read back."""
        run_id = record["run_id"]
        arrays = self.folder / f"{run_id}.npz"
        write_atomic(arrays, lambda path: np.savez_compressed(path, allow_pickle=False, **outputs))
        full = Record.model_validate({**record, "outputs": arrays.name, "outputs_sha256": hash_file(arrays)})
        write_json(self.folder / f"{run_id}.json", full.model_dump(mode="json"))
        return full

    def read(self, run_id: str) -> Record:
        """One record.

        Raises:
            FgbenchError: there is none, or the file is not a record.
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
        """The per-sample arrays of a record.

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
        """As `outputs`, but empty where they cannot be read, which `verify` tells."""
        try:
            return self.outputs(record)
        except FgbenchError:
            return {}

    def pictures(self, run_id: str) -> dict[str, Path]:
        """Pictures that a run left beside its record, in their order: kind -> JPEG file. They are not part of it."""
        return _by_kind(self.folder.glob(f"{run_id}-*.jpg"))

    def all_pictures(self) -> dict[str, dict[str, Path]]:
        """The pictures of every run that left some, by run id: the folder is read once, not once a run."""
        found: dict[str, list[Path]] = {}
        for path in self.folder.glob("*-*.jpg"):
            found.setdefault(path.name.partition("-")[0], []).append(path)
        return {run_id: _by_kind(paths) for run_id, paths in found.items()}

    def take(self, run_id: str) -> dict[str, bytes]:
        """Take a finished run out of the folder, for `add` to keep it in another: file name -> what is in it."""
        # The record goes first: what is left when this is cut short is a run that is not finished.
        paths = sorted(self.folder.glob(f"{run_id}[.-]*"), key=lambda path: path.suffix != ".json")
        files = {path.name: path.read_bytes() for path in paths}
        for path in paths:
            path.unlink()
        return files

    def add(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Keep a run that was done elsewhere, byte for byte, its record last; what is here already stays as it is.

        Raises:
            FgbenchError: the files are not those of that run, or not whole.
        """
        if self.has(run_id):
            return
        name = f"{run_id}.json"
        try:
            record = Record.model_validate_json(files.get(name, b""))
        except ValidationError as error:
            raise FgbenchError(f"what came of run {run_id} is no record of schema {SCHEMA}") from error
        arrays = files.get(record.outputs, b"")
        others = [file for file in files if Path(file).name != file or not file.startswith(run_id)]
        if record.run_id != run_id or hashlib.sha256(arrays).hexdigest() != record.outputs_sha256 or others:
            raise FgbenchError(f"what came of run {run_id} is not its record with its array file and pictures")
        for file in sorted(files, key=lambda file: file == name):
            write_bytes(self.folder / file, files[file])

    def records(self, broken: Callable[[FgbenchError], object] | None = None) -> list[Record]:
        """Every record, by recipe, profile and seed.

        Args:
            broken: called with what is wrong with each file that is not a record, which is then left out.

        Raises:
            FgbenchError: a file is not a record, and `broken` is not given.
        """
        found = []
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []:
            try:
                found.append(self.read(path.stem))
            except FgbenchError as error:
                if broken is None:
                    raise
                broken(error)
        return sorted(found, key=lambda r: (r.recipe, r.profile, r.data, r.seed, r.run_id))

    def verify(self, record: Record, tolerance: float = 1e-9) -> list[str]:
        """What is wrong with a record: its protocol's and array file's hash, and every value recomputed from these."""
        if hash_value(record.protocol) != record.protocol_hash:
            return [f"{record.protocol_hash} is not the hash of its protocol"]
        path = self.folder / record.outputs
        if not path.is_file():
            return [f"{record.outputs} is missing"]
        if hash_file(path) != record.outputs_sha256:
            return [f"{record.outputs} is not the file that was written with the record"]
        arrays = self.outputs(record)
        again = measure(arrays)
        wrong = [f"{name} is not a value of this protocol" for name in record.values if name not in again]
        for name, value in again.items():
            stored = record.values.get(name)
            if stored is None:
                wrong.append(f"{name} is missing from the record")
                continue
            for part in ("value", "low", "high", "n"):
                new, old = getattr(value, part), getattr(stored, part)
                if (new is None) != (old is None) or (new is not None and abs(new - old) > tolerance):
                    wrong.append(f"{name}: {part} is stored as {old}, the outputs give {new}")
        return wrong


def store_of(folder: Path) -> Store:
    """The records kept in a results folder."""
    return Store(folder / RECORDS)


def campaigns(folder: Path) -> list[Path]:
    """A results folder itself, or, where it keeps no records, those in it that do."""
    if (folder / RECORDS).is_dir():
        return [folder]
    return sorted({path.parents[1] for path in folder.glob(f"*/{RECORDS}/*.json")}) or [folder]
