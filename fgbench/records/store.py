"""Folders of records: reading, writing and verifying.

A record is used only if its file has the name of its run, its seal fits, and its array file is the one that was written
with it. Every reader goes through `Store.records`, which refuses or reports all others.
"""

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fgbench.records.array_files import array_path, settle, unnamed_arrays, write_pair
from fgbench.records.arrays import check_arrays, read_arrays
from fgbench.records.checked_reading import outcome_of, pack_outcomes, read_with_index
from fgbench.records.copied_files import has_records, is_copy, pictures_by_kind
from fgbench.records.packed_records import Packed
from fgbench.records.parsed_record import RERUN_HINT, parse_record
from fgbench.records.record import SCHEMA, Record
from fgbench.records.record_index import MIN_RECORDS, Recall, RecordIndex, compute_always, open_index
from fgbench.records.seal import seal_of
from fgbench.records.verification import changed_definitions, wrong_values
from fgbench.util.errors import FgbenchError
from fgbench.util.files import read_bytes, remove_leftovers, storage_error, write_bytes, write_json
from fgbench.util.placeholders import refuse_placeholder
from fgbench.util.plain_text import one_line

RECORDS = "records"
"""Name of the folder of records in a results folder."""

MAX_RECORD_BYTES, MAX_ARRAY_BYTES = 1 << 26, 1 << 30
"""Largest size of a record and of an array file. Larger files are not read into memory."""
Broken = Callable[[FgbenchError], object]
"""Called with the error of each file that cannot be used."""


class Store:
    """A folder of records: `<run id>.json` with `<run id>.npz` beside it.

    Args:
        folder: the folder; the first record creates it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index: RecordIndex | None = None

    def has(self, run_id: str) -> bool:
        """Return True if the run is finished."""
        return (self.folder / f"{run_id}.json").is_file()

    def has_sound(self, run_id: str) -> bool:
        """Return True if the run is finished and its record can be used.

        Raises:
            FgbenchError: the run is finished, but its record or its array file is damaged or was changed.
        """
        return (self.folder / f"{run_id}.json").exists() and bool(self._checked(run_id, values=False))

    def run_ids(self) -> list[str]:
        """Return the ids of all runs by the names of their files, sorted. Hidden files and copies are no records.

        Raises:
            FgbenchError: something else than a folder is in the place of the folder.
        """
        if not self.folder.is_dir():
            if os.path.lexists(self.folder):
                raise FgbenchError(f"{self.folder} is not a folder", "name a results folder")
            return []
        try:
            names = [entry.name for entry in os.scandir(self.folder)]
        except OSError as error:
            raise storage_error(error, self.folder, "read") from error
        records = [name for name in names if name.endswith(".json") and name[0] != "."]
        return sorted(name.removesuffix(".json") for name in records if not is_copy(self.folder, name))

    def without_record(self) -> list[str]:
        """Return the names of array files without a record, which an interrupted run or a deleted record leaves."""
        return unnamed_arrays(self.folder, lambda run_id: self.read(run_id).outputs_sha256)

    def write(self, record: dict[str, Any], outputs: Mapping[str, np.ndarray]) -> Record:
        """Write the array file, then the sealed record.

        Args:
            record: all fields except `schema_version`, `outputs`, `outputs_sha256` and `seal`.
            outputs: the per-sample arrays.

        Returns:
            The complete record.

        Raises:
            FgbenchError: an array is not as `fgbench.records.arrays` describes it, or the disk is full.
        """
        run_id = record["run_id"]
        remove_leftovers(self.folder)
        check_arrays(outputs, record["protocol"])
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **outputs)
        arrays = content.getvalue()
        full = Record.model_validate(
            {
                **record,
                "schema_version": SCHEMA,
                "outputs": f"{run_id}.npz",
                "outputs_sha256": hashlib.sha256(arrays).hexdigest(),
            }
        )
        fields = full.model_dump(mode="json")
        fields["seal"] = seal_of(fields)
        write_record = partial(write_json, self.folder / f"{run_id}.json", fields)
        write_pair(self.folder, run_id, arrays, full.outputs_sha256, write_record)
        return full.model_copy(update={"seal": fields["seal"]})

    def read(self, run_id: str) -> Record:
        """Read one record, and check its name, its seal and the hash of its protocol.

        Raises:
            FgbenchError: there is no such record, or the file is not a record, or it was changed or renamed.
        """
        path = self.folder / f"{run_id}.json"
        try:
            content = read_bytes(path, MAX_RECORD_BYTES)
        except FileNotFoundError as error:
            raise FgbenchError(f"no record {run_id} in {self.folder}") from error
        except OSError as error:
            raise FgbenchError(f"{path} cannot be read: {error.strerror or error}", "move it elsewhere") from error
        return parse_record(content, run_id, path)

    def outputs(self, record: Record) -> dict[str, np.ndarray]:
        """Read the per-sample arrays of a record, and check them.

        Raises:
            FgbenchError: the array file is missing or unreadable, it is not the file that was written with the record,
                or an array is not as `fgbench.records.arrays` describes it.
        """
        path = array_path(self.folder, record.run_id, record.outputs_sha256)
        try:
            content = read_bytes(path, MAX_ARRAY_BYTES)
        except FileNotFoundError as error:
            raise FgbenchError(f"{path} is missing: the record has no per-sample outputs", RERUN_HINT) from error
        except OSError as error:
            raise FgbenchError(f"{path} cannot be read: {error.strerror or error}", RERUN_HINT) from error
        if hashlib.sha256(content).hexdigest() != record.outputs_sha256:
            refuse_placeholder(path)
            raise FgbenchError(f"{path} is not the file that was written with the record", RERUN_HINT)
        try:
            return read_arrays(content, record.protocol)
        except FgbenchError as error:
            raise FgbenchError(f"{path}: {error.args[0]}", RERUN_HINT) from error

    def pictures(self, run_id: str) -> dict[str, Path]:
        """Return the pictures of a run, kind -> JPEG file. They are not part of the record."""
        return pictures_by_kind(self.folder.glob(f"{run_id}-*.jpg"))

    def all_pictures(self) -> dict[str, dict[str, Path]]:
        """Return the pictures of every run, run id -> kind -> JPEG file. The folder is listed once."""
        by_run: dict[str, list[Path]] = {}
        for path in self.folder.glob("[!.]*-*.jpg"):
            by_run.setdefault(path.name.partition("-")[0], []).append(path)
        return {run_id: pictures_by_kind(paths) for run_id, paths in by_run.items()}

    def take(self, run_id: str) -> dict[str, bytes]:
        """Remove a finished run from the folder and return its files, name -> content, for `add` in another folder."""
        settle(self.folder, run_id, self.read(run_id).outputs_sha256)
        # The record is deleted first: an interruption then leaves an unfinished run, not a record without arrays.
        paths = sorted(self.folder.glob(f"{run_id}[.-]*"), key=lambda path: path.suffix != ".json")
        files = {path.name: path.read_bytes() for path in paths}
        for path in paths:
            path.unlink()
        return files

    def add(self, run_id: str, files: Mapping[str, bytes], *, replace: bool = False) -> None:
        """Add a run that was executed elsewhere, byte for byte, the record last.

        Args:
            run_id: id of the run.
            files: name -> content of its record, array file and pictures.
            replace: replace an existing record; otherwise it stays as it is.

        Raises:
            FgbenchError: the files do not belong to the run, or are incomplete.
        """
        if self.has(run_id) and not replace:
            return
        name = f"{run_id}.json"
        arrays = files.get(f"{run_id}.npz", b"")
        others = [file for file in files if Path(file).name != file or not file.startswith(run_id)]
        try:
            record = parse_record(files.get(name, b""), run_id, Path(name))
            if others or hashlib.sha256(arrays).hexdigest() != record.outputs_sha256:
                raise FgbenchError("its array file or a picture is another one")
        except FgbenchError as error:
            raise FgbenchError(
                f"the result of run {run_id} is not a record with its array file and pictures: {error.args[0]}"
            ) from error
        for file in files.keys() - {name, record.outputs}:
            write_bytes(self.folder / file, files[file])
        write_record = partial(write_bytes, self.folder / name, files[name])
        write_pair(self.folder, run_id, arrays, record.outputs_sha256, write_record)

    def records(self, broken: Broken | None = None, *, values: bool = True) -> list[Record]:
        """Read every record that can be used, sorted by recipe, profile, data set and seed.

        Args:
            broken: called with the error of each record that is damaged, was changed, or has not the array file that
                was written with it; the record is then left out.
            values: compute the values again, so that a record whose outputs do not give them cannot be used.

        Raises:
            FgbenchError: a record cannot be used, and `broken` is None.
        """
        run_ids, check = self.run_ids(), partial(self._checked, values=values)
        if values and len(run_ids) >= MIN_RECORDS:
            self._index = self._index or open_index(self.folder, self.read)
        if values and self._index:
            outcomes = iter(read_with_index(self._index, self.folder, run_ids, check, _check_in_folder))
        else:
            outcomes = (outcome_of(check, run_id) for run_id in run_ids)
        records = []
        for outcome in outcomes:
            if isinstance(outcome, Record):
                records.append(outcome)
            elif broken is None:
                raise outcome
            else:
                broken(outcome)
        return sorted(records, key=lambda r: (r.recipe, r.profile, r.data, r.seed, r.run_id))

    @contextmanager
    def remembering(self) -> Iterator[Recall]:
        """Yield a function that returns what was computed from the same arrays before, or computes it.

        Results are kept in the index of the folder, which only folders with many records have.
        """
        if self._index is None:
            yield compute_always
            return
        yield self._index.recall
        self._index.save_results()

    def _checked(self, run_id: str, *, values: bool) -> tuple[Record, dict[str, np.ndarray]]:
        """Read a record and check its array file and, if asked, its values.

        A record may be replaced in the meantime, or its new array file renamed, so that a failure is tried again.
        """
        path = self.folder / f"{run_id}.json"
        try:
            record = self.read(run_id)
            arrays = self.outputs(record)
        except FgbenchError:
            record = self.read(run_id)
            arrays = self.outputs(record)
        if values and (wrong := wrong_values(record, arrays)):
            raise FgbenchError(f"{path}: {wrong[0]}", RERUN_HINT)
        return record, arrays

    def usable_records(self, *, values: bool = True) -> tuple[list[Record], list[str]]:
        """Return the records that can be used, and a sentence for each record that is left out; `values` as above."""
        errors: list[FgbenchError] = []
        records = self.records(errors.append, values=values)
        return records, [one_line(str(error.args[0])).replace(f"{self.folder}/", "") for error in errors]

    def unusable_ids(self, records: Iterable[Record]) -> set[str]:
        """Return the ids of the runs of the folder that are not among the records that can be used."""
        return {*self.run_ids()} - {record.run_id for record in records}

    def verify(self, record: Record) -> list[str]:
        """Check the array file, recompute every value and compare its definition; return a sentence a problem."""
        return self.wrong_parts(record) or changed_definitions(record.values, self.outputs(record))

    def wrong_parts(self, record: Record) -> list[str]:
        """Check the array file and recompute every value; return a sentence a problem."""
        try:
            return wrong_values(record, self.outputs(record))
        except FgbenchError as error:
            return [str(error.args[0])]


def _check_in_folder(folder: Path, run_ids: Sequence[str]) -> Mapping[str, Packed | FgbenchError]:
    """Check records in a process of their own."""
    return pack_outcomes(partial(Store(folder)._checked, values=True), run_ids)


def store_of(folder: Path) -> Store:
    """Return the store of a results folder, or of a folder that has records directly in it and no folder `records`."""
    inner = folder / RECORDS
    return Store(folder if has_records(folder) and not has_records(inner) else inner)


def results_folders(folder: Path) -> list[Path]:
    """Return the folder itself if it has records, else its subfolders that have records; the folder if none has."""
    if has_records(folder / RECORDS):
        return [folder]
    inner = sorted(path for path in folder.glob("[!.]*/") if has_records(path) or has_records(path / RECORDS))
    return [folder] * has_records(folder) + inner or [folder]
