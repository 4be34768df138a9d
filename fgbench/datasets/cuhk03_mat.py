"""Extraction of the images of `cuhk-03.mat`, a MATLAB 7.3 (HDF5) file, as PNG files into the cache."""

import importlib.util
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fgbench.datasets.annotation_files import INCOMPLETE_HINT, read_error
from fgbench.datasets.image_hash import hash_files
from fgbench.util.child_process import read_in_child
from fgbench.util.damaged import set_aside
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder, write_json
from fgbench.util.folders import new_folder
from fgbench.util.hashing import hash_value
from fgbench.util.json_toml import read_json
from fgbench.util.locks import locked

MAT = "cuhk-03.mat"
BOXES = ("labeled", "detected")
"""Kinds of boxes, which are the names of the variables that contain the images."""
CELLS_PER_CAMERA = 5
"""The first five cells of a person are for the first camera of the pair, the other five for the second."""
LIMIT_S = 3600.0
"""Longest duration of the extraction."""
_FORMAT = 3
"""Version of the extraction. Increase it when the same file gives other images or names, or the cache has other files.
"""
_CONTENT = "content.json"
_SMALLER_DISK = "set FGBENCH_CACHE to a folder on a larger disk"


@dataclass(frozen=True, slots=True)
class MatContent:
    """Content of the extracted file."""

    files: dict[str, list[str]]
    """Kind of box -> file names `<pair>_<person>_<camera>_<image>.png`, with all numbers from 1."""
    testsets: list[list[tuple[int, int]]]
    """Camera pair and person of each identity, for each test set."""


def extract_images(path: Path) -> tuple[Path, MatContent]:
    """Extract the images of a file into the cache, unless they are there already.

    Args:
        path: `cuhk-03.mat`.

    Returns:
        The folder of the images, with a subfolder for each kind of box; and the content of the file.

    Raises:
        FgbenchError: the file is missing or damaged or has another structure, or h5py is missing.
    """
    if not path.is_file():
        raise FgbenchError(f"cannot read {path}: no such file", INCOMPLETE_HINT)
    digest = hash_files(path.parent, (path.name,))[path.name][:16]
    folder = cache_folder() / "data" / f"cuhk03-{_FORMAT}-{digest}"
    content = _extracted(folder)
    if isinstance(content, str):
        with locked(folder, _SMALLER_DISK):
            content = _extracted(folder)  # another program may have extracted them
            if isinstance(content, str):
                if os.path.lexists(folder):
                    set_aside(folder, content)
                content = _extract(path, folder)
    return folder, content


def _extracted(folder: Path) -> MatContent | str:
    """Return the content of extracted images, or why a folder is not complete."""
    try:
        stored = read_json(folder / _CONTENT)
        value = [stored["files"], stored["testsets"]]
        if stored["checksum"] != hash_value(value):
            return f"the checksum of {_CONTENT} is wrong"
        content = MatContent(value[0], [[(pair, person) for pair, person in testset] for testset in value[1]])
        for boxes in BOXES:
            if missing := sorted(set(content.files[boxes]) - {image.name for image in (folder / boxes).iterdir()}):
                return f"it has no {boxes}/{missing[0]}"
    except (FgbenchError, OSError, LookupError, TypeError, ValueError) as error:
        return f"{_CONTENT} or a folder of images cannot be read: {error}"
    return content


def _extract(path: Path, folder: Path) -> MatContent:
    """Extract all images into a temporary folder, and rename it when it is complete."""
    if importlib.util.find_spec("h5py") is None:
        raise FgbenchError(f"reading {path} needs h5py", "pip install h5py")
    try:
        with new_folder(folder) as temporary:
            content = read_in_child(path, LIMIT_S, INCOMPLETE_HINT, _write_images, path, temporary)
            checksum = hash_value([content.files, content.testsets])
            write_json(temporary / _CONTENT, {**asdict(content), "checksum": checksum})
    except OSError as error:
        raise FgbenchError(f"cannot extract {path} into {folder}: {error.strerror or error}", _SMALLER_DISK) from error
    return content


def _write_images(path: Path, folder: Path) -> MatContent:
    """Write all images of the file into an empty folder."""
    content = MatContent({boxes: [] for boxes in BOXES}, [])
    with _open(path) as file:
        content.testsets.extend(_read(path, "testsets", partial(_testsets, file)))
        for boxes in BOXES:
            (folder / boxes).mkdir()
            images = _images(file, boxes)
            while (image := _read(path, boxes, partial(next, images, None))) is not None:
                name, pixels = image
                Image.fromarray(pixels).save(folder / boxes / name)
                content.files[boxes].append(name)
            if not content.files[boxes]:
                raise FgbenchError(f"{path}: {boxes} contains no image")
    return content


def _open(path: Path) -> Any:
    """Open the file with h5py."""
    import h5py

    try:
        return h5py.File(path, "r")
    except OSError as error:
        if error.errno is not None:
            raise read_error(path, error) from error
        raise FgbenchError(f"{path} is damaged or not a MATLAB 7.3 file: {error}", INCOMPLETE_HINT) from error


def _read(path: Path, variable: str, read: Callable[[], Any]) -> Any:
    """Return `read()`. Errors of h5py and numpy for another structure become errors that name the file."""
    try:
        return read()
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise FgbenchError(f"{path}: {variable} is damaged or differs from the official structure: {error}") from error


def _testsets(file: Any) -> list[list[tuple[int, int]]]:
    """Read the 20 x 1 cell array of matrices with 100 rows `pair person`. HDF5 stores all arrays transposed."""
    return [
        [(int(pair), int(person)) for pair, person in np.asarray(file[reference]).T]
        for reference in np.asarray(file["testsets"]).ravel()
    ]


def _images(file: Any, boxes: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and pixels of each image of a 5 x 1 cell array of M x 10 cell arrays, whose cells may be empty."""
    for pair, reference in enumerate(np.asarray(file[boxes]).ravel(), 1):
        persons = np.asarray(file[reference]).T
        if persons.ndim != 2 or persons.shape[1] != 2 * CELLS_PER_CAMERA:
            raise ValueError(
                f"camera pair {pair} has cells of shape {persons.shape}, not (persons, {2 * CELLS_PER_CAMERA})"
            )
        for person, cells in enumerate(persons, 1):
            for number, cell in enumerate(cells, 1):
                name = f"{pair}_{person:03d}_{1 + (number > CELLS_PER_CAMERA)}_{number:02d}.png"
                pixels = np.asarray(file[cell])
                is_grey = pixels.dtype == np.uint8 and pixels.ndim == 2
                if file[cell].attrs.get("MATLAB_empty", 0) or pixels.size == 0 or (pixels.ndim < 3 and not is_grey):
                    continue
                if is_grey:  # read as three equal channels, as other grey images are
                    pixels = np.stack([pixels] * 3)
                if pixels.shape[0] != 3 or pixels.dtype != np.uint8:
                    raise ValueError(
                        f"{name} has type {pixels.dtype} and shape {pixels.T.shape}, which is not an RGB image"
                    )
                yield name, np.ascontiguousarray(pixels.transpose(2, 1, 0))
