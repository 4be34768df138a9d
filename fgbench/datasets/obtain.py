"""Presence of a data set on this machine, and its download."""

import os
from contextlib import suppress
from pathlib import Path

from fgbench.datasets import Dataset, ReidDataset, find
from fgbench.datasets.dataset_base import data_roots
from fgbench.util.archive import extract
from fgbench.util.download import fetch
from fgbench.util.errors import FgbenchError
from fgbench.util.files import storage_error
from fgbench.util.folders import remove_folder
from fgbench.util.locks import locked


def is_here(name: str) -> bool:
    """Return True if a data set is on this machine or is generated when it is needed."""
    dataset = find(name)
    return dataset.synthetic or _find_folder(dataset) is not None


def _find_folder(dataset: Dataset | ReidDataset) -> Path | None:
    """The folder of a data set; None if it is not on this machine."""
    try:
        return dataset.find()
    except FgbenchError:
        return None


def get_data(name: str) -> Path:
    """Download and unpack a data set, unless it is on this machine.

    A lock prevents two programs from unpacking the same data set at the same time. A program that was killed leaves
    the archive, or the downloaded part of it, and unpacked files; the next call continues and removes them.

    Returns:
        Folder of the data set.

    Raises:
        FgbenchError: the data set has no download address, the download fails, or another folder is in its place.
    """
    dataset = find(name)
    if dataset.archive is None:
        return dataset.find()
    folder = data_roots()[0] / dataset.folder
    unpacked = folder.with_name(f".{dataset.folder}.unpacked")
    url = os.environ.get(f"FGBENCH_URL_{name.upper()}") or dataset.archive.url
    present = _find_folder(dataset)
    if present and not (present == folder and url and _is_folder(unpacked)):
        return present
    if not url:
        raise dataset.incomplete_error(folder) if _has_files(folder) else dataset.no_download_error(folder)
    with locked(folder.with_name(f".{dataset.folder}"), "name another folder in FGBENCH_DATA"):
        try:
            archive = folder.with_name(Path(url).name)
            if not (present := _find_folder(dataset)):
                if _has_files(folder):
                    raise dataset.incomplete_error(folder)
                _get(dataset, url, archive, folder, unpacked)
            # The unpacked files are removed last: they show that a killed program has left the archive.
            if present in {None, folder}:
                archive.unlink(missing_ok=True)
                with suppress(OSError):
                    remove_folder(unpacked)
        except OSError as error:
            raise storage_error(error, folder) from error
    return present or folder


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _has_files(folder: Path) -> bool:
    """Return True if something other than an empty folder is in the place of a folder."""
    return os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir()))


def _get(dataset: Dataset | ReidDataset, url: str, archive: Path, folder: Path, unpacked: Path) -> None:
    """Download an archive and unpack it, next to the final folder; move the folder to its place when it is complete."""
    assert dataset.archive is not None
    remove_folder(unpacked)  # from a killed program
    fetch(url, archive, md5=dataset.archive.md5)
    extract(archive, unpacked)
    inner = unpacked / folder.name
    if not inner.is_dir() or dataset.missing_in(inner):
        missing = f"file {folder.name}/{dataset.missing_in(inner)}" if inner.is_dir() else f"folder {folder.name}"
        remove_folder(unpacked)
        raise FgbenchError(f"{archive} contains no {missing}", f"see {dataset.archive.page}")
    # In the archive of CUB, attributes.txt is next to the folder; the loader expects it inside.
    attributes = unpacked / "attributes.txt"
    if attributes.is_file() and not (inner / attributes.name).exists():
        attributes.replace(inner / attributes.name)
    if folder.is_dir():
        folder.rmdir()
    inner.replace(folder)
