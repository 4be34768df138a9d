"""The images of `cuhk-03.mat`, a MATLAB 7.3 (HDF5) file, as PNG files in the cache."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from PIL import Image

from fgbench.datasets.annotation_files import read_error
from fgbench.datasets.image_hash import hash_files
from fgbench.util.errors import FgbenchError
from fgbench.util.files import cache_folder, write_json

MAT = "cuhk-03.mat"
BOXES = ("labeled", "detected")
"""The variables with the images, by how their boxes were made."""
VIEW = 5
"""Of the ten cells of a person the first five are of the first camera of the pair."""
_FORMAT = 1
"""Raise it when the same file gives other images or names."""


@dataclass(frozen=True, slots=True)
class Content:
    """What was extracted."""

    files: dict[str, list[str]]
    """Names of the images of each kind of box, `<pair>_<person>_<view>_<image>.png`, all counted from 1."""
    testsets: list[list[tuple[int, int]]]
    """Pair and person of each identity of each test set."""


def extracted(path: Path) -> tuple[Path, Content]:
    """The folder with the images of a file, a folder a kind of box, and what is in it.

    They are extracted at the first call, all of them or none; later calls read a list.

    Raises:
        FgbenchError: the file is missing, damaged or another one; h5py is missing.
    """
    if not path.is_file():
        raise FgbenchError(f"cannot read {path}: there is no such file", "the data set is not whole: get it again")
    digest = hash_files(path.parent, (path.name,))[path.name][:16]
    folder = cache_folder() / "data" / f"cuhk03-{_FORMAT}-{digest}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                _extract(path, folder)
    stored = json.loads((folder / "content.json").read_text(encoding="utf-8"))
    testsets = [[(pair, person) for pair, person in testset] for testset in stored["testsets"]]
    return folder, Content(stored["files"], testsets)


def _extract(path: Path, folder: Path) -> None:
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        content = Content({boxes: [] for boxes in BOXES}, [])
        for boxes in BOXES:
            (temporary / boxes).mkdir()
        with _open(path) as file:
            content.testsets.extend(_read(path, "testsets", partial(_testsets, file)))
            for boxes in BOXES:
                images = _images(file, boxes)
                while (image := _read(path, boxes, partial(next, images, None))) is not None:
                    name, pixels = image
                    Image.fromarray(pixels).save(temporary / boxes / name)
                    content.files[boxes].append(name)
                if not content.files[boxes]:
                    raise FgbenchError(f"{path}: {boxes} holds no image")
        write_json(temporary / "content.json", asdict(content))
        temporary.chmod(0o755)
        temporary.replace(folder)
    except OSError as error:
        raise FgbenchError(
            f"cannot extract {path} into {folder}: {error.strerror or error}", "point FGBENCH_CACHE at a larger disk"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _open(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise FgbenchError(f"reading {path} needs h5py", "pip install h5py") from error
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if error.errno is not None:
            raise read_error(path, error) from error
        raise FgbenchError(f"{path} is damaged or not a MATLAB 7.3 file: {error}", "get it again") from error


def _read(path: Path, variable: str, read: Callable[[], Any]) -> Any:
    """What `read` gives; what h5py and numpy raise for another structure becomes an error that names the file."""
    try:
        return read()
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise FgbenchError(f"{path}: {variable} is damaged or not as in the official file: {error}") from error


def _testsets(file: Any) -> list[list[tuple[int, int]]]:
    """Each cell of the 20 x 1 cell array is a matrix of 100 rows `pair person`; HDF5 holds everything transposed."""
    return [
        [(int(pair), int(person)) for pair, person in np.asarray(file[reference]).T]
        for reference in np.asarray(file["testsets"]).ravel()
    ]


def _images(file: Any, boxes: str) -> Iterator[tuple[str, np.ndarray]]:
    """Name and pixels of each image of a 5 x 1 cell array of M x 10 cell arrays; some of the ten are empty."""
    for pair, reference in enumerate(np.asarray(file[boxes]).ravel(), 1):
        persons = np.asarray(file[reference]).T
        if persons.ndim != 2 or persons.shape[1] != 2 * VIEW:
            raise ValueError(f"camera pair {pair} has cells of shape {persons.shape}, not (persons, {2 * VIEW})")
        for person, cells in enumerate(persons, 1):
            for number, cell in enumerate(cells, 1):
                name = f"{pair}_{person:03d}_{1 + (number > VIEW)}_{number:02d}.png"
                pixels = np.asarray(file[cell])
                if file[cell].attrs.get("MATLAB_empty", 0) or pixels.size == 0 or pixels.ndim < 3:
                    continue
                if pixels.shape[0] != 3 or pixels.dtype != np.uint8:
                    raise ValueError(f"{name} would be {pixels.dtype} of shape {pixels.T.shape}, not an RGB image")
                yield name, np.ascontiguousarray(pixels.transpose(2, 1, 0))
