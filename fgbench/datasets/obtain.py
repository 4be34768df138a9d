"""Whether a data set is on this machine, and its download."""

import os
import shutil
from pathlib import Path

from fgbench.datasets import Dataset, ReidDataset, find
from fgbench.util.download import extract, fetch
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder


def is_here(name: str) -> bool:
    """Return True if a data set is on this machine or is generated when it is needed."""
    dataset = find(name)
    return dataset.synthetic or _folder(dataset) is not None


def _folder(dataset: Dataset | ReidDataset) -> Path | None:
    try:
        return dataset.find()
    except FgbenchError:
        return None


def get_data(name: str) -> Path:
    """Download and unpack a data set, unless it is here.

    Returns:
        The folder of the data set.

    Raises:
        FgbenchError: the data set has no official address, or the download fails.
    """
    dataset = find(name)
    if dataset.archive is None:
        return dataset.find()
    if folder := _folder(dataset):
        return folder
    first = os.environ.get("FGBENCH_DATA", "").split(os.pathsep)[0]
    root = Path(first) if first else cache_folder() / "data"
    url = os.environ.get(f"FGBENCH_URL_{name.upper()}") or dataset.archive.url
    if not url:
        raise dataset.by_hand(root / dataset.folder)
    archive = fetch(url, root / Path(url).name, md5=dataset.archive.md5)
    unpacked = root / f".{dataset.folder}.unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)  # left by an interrupted call
    extract(archive, unpacked)
    inner = unpacked / dataset.folder
    if not inner.is_dir():
        raise FgbenchError(f"{archive} has no folder {dataset.folder}", f"see {dataset.archive.page}")
    # CUB's archive has attributes.txt beside the folder; the loader reads it in the folder.
    names = unpacked / "attributes.txt"
    if names.is_file() and not (inner / names.name).exists():
        names.replace(inner / names.name)
    inner.replace(root / dataset.folder)
    shutil.rmtree(unpacked)
    archive.unlink()
    return root / dataset.folder
