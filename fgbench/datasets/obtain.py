"""Presence of a data set on this machine, and its download."""

import os
import shutil
from pathlib import Path

from fgbench.datasets import Dataset, ReidDataset, find
from fgbench.util.archive import extract
from fgbench.util.download import fetch
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder


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

    Returns:
        Folder of the data set.

    Raises:
        FgbenchError: the data set has no download address, or the download fails.
    """
    dataset = find(name)
    if dataset.archive is None:
        return dataset.find()
    if folder := _find_folder(dataset):
        return folder
    first_root = os.environ.get("FGBENCH_DATA", "").split(os.pathsep)[0]
    root = Path(first_root) if first_root else cache_folder() / "data"
    url = os.environ.get(f"FGBENCH_URL_{name.upper()}") or dataset.archive.url
    if not url:
        raise dataset.no_download_error(root / dataset.folder)
    # Download and unpack next to the final folder.
    archive = fetch(url, root / Path(url).name, md5=dataset.archive.md5)
    unpacked = root / f".{dataset.folder}.unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)  # from an interrupted call
    extract(archive, unpacked)
    inner = unpacked / dataset.folder
    if not inner.is_dir():
        raise FgbenchError(f"{archive} contains no folder {dataset.folder}", f"see {dataset.archive.page}")
    # In the archive of CUB, attributes.txt is next to the folder; the loader expects it inside.
    attributes = unpacked / "attributes.txt"
    if attributes.is_file() and not (inner / attributes.name).exists():
        attributes.replace(inner / attributes.name)
    # Move the folder to its place when it is complete.
    inner.replace(root / dataset.folder)
    shutil.rmtree(unpacked)
    archive.unlink()
    return root / dataset.folder
