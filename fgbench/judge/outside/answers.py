"""The answers of one file or of data of a Python program, as named arrays."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fgbench.judge.outside.columns import POINT, TEXT, Task, task_arrays
from fgbench.judge.outside.csv_files import read_csv
from fgbench.judge.outside.npz_files import NPZ_START, read_npz
from fgbench.judge.outside.tables import PARQUET_START, read_parquet, table_columns
from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.files import read_bytes

if TYPE_CHECKING:
    import pandas as pd

Source: TypeAlias = "str | os.PathLike[str] | np.ndarray | pd.DataFrame | Mapping[str, Any]"
"""A file, an array in the official order of the test images, a table, or named arrays."""
ARRAYS = (
    *(*TEXT, *POINT),
    *("scores", "classes", "keypoints", "parts", "features", "distances", "query", "gallery"),
    *("query_ids", "query_cameras", "gallery_ids", "gallery_cameras"),
)
"""Names of the arrays that a file can have."""
IN_ORDER = {("classes", 1): "label", ("classes", 2): "scores", ("keypoints", 3): "keypoints"}
"""Task and dimensions of an array without names -> what it is."""
GUIDE = "the guide 'Judge predictions' has an example of each format"


@dataclass(frozen=True, slots=True)
class Answers:
    """Named arrays of answers."""

    name: str
    """Name of the file, or kind of the data, for messages and for the record."""
    sha256: str
    """SHA-256 of the file, or of the arrays."""
    arrays: Mapping[str, np.ndarray]
    """Name -> array; the names are those of `ARRAYS`."""
    in_order: bool = False
    """True if the rows have no names and are in the official order of the test images."""

    @property
    def images(self) -> int:
        """Number of images that the rows name, each time they are named."""
        named = self.arrays["image"] if "image" in self.arrays else self.arrays["id"]
        return int(named.size)

    def error(self, message: str, hint: str = GUIDE) -> FgbenchError:
        """Return an error about these answers."""
        return FgbenchError(f"{self.name}: {message}", hint)


def read_answers(source: Source, task: Task) -> Answers:
    """Return the answers of a file or of data of a Python program.

    Args:
        source: path of a CSV file (also compressed with gzip), of a Parquet file or of an NPZ file; or data.
        task: what the cell asks.

    Raises:
        FgbenchError: the file cannot be read, has no known format, or has not the columns of the task.
    """
    if isinstance(source, str | os.PathLike):
        return _of_file(Path(source), task)
    if isinstance(source, Mapping):
        arrays = {str(name): plain_array(value, str(name)) for name, value in source.items()}
        return _checked(Answers("the given arrays", _hash_of(arrays), arrays))
    if isinstance(source, np.ndarray):
        kind = IN_ORDER.get((task, source.ndim))
        if kind is None:
            raise FgbenchError(f"an array of shape {source.shape} without names answers no {task} cell", GUIDE)
        arrays = {kind: plain_array(source, kind)}
        return Answers("the given array", _hash_of(arrays), arrays, in_order=True)
    import pandas as pd

    if not isinstance(source, pd.DataFrame):
        raise FgbenchError(
            f"an object of the type {type(source).__name__} is no file, table or array of predictions",
            "convert it with numpy.asarray; a list holds the files or arrays of several seeds",
        )
    arrays = task_arrays(table_columns(source, "the given table"), task, "the given table")
    return _checked(Answers("the given table", _hash_of(arrays), arrays))


def _of_file(path: Path, task: Task) -> Answers:
    """Return the answers of a file. Its format follows from its content, not from its name."""
    try:
        content = read_bytes(path)
    except FileNotFoundError as error:
        raise FgbenchError(f"there is no file {path}", "name a file of predictions") from error
    except OSError as error:
        raise FgbenchError(f"{path} cannot be read: {error.strerror or error}", "name another file") from error
    if content.startswith(NPZ_START):
        arrays = read_npz(content, path.name)
    else:
        read = read_parquet if content.startswith(PARQUET_START) else read_csv
        arrays = task_arrays(read(content, path.name), task, path.name)
    plain = {name: plain_array(array, f"{path.name}: {name}") for name, array in arrays.items()}
    return _checked(Answers(path.name, hashlib.sha256(content).hexdigest(), plain))


def _checked(answers: Answers) -> Answers:
    """Check the names of the arrays."""
    if not answers.arrays:
        raise answers.error("it has no arrays")
    for name in answers.arrays:
        if name not in ARRAYS:
            raise answers.error(f"the array {name!r} is not known; {nearest(name, ARRAYS)}")
    if {"image", "id"} <= set(answers.arrays):
        raise answers.error("it has both image and id", "give one of them")
    return answers


def plain_array(value: Any, name: str) -> np.ndarray:
    """Return a value as an array of numbers or of text.

    Raises:
        FgbenchError: the array holds something else.
    """
    array = np.asarray(value)
    if array.dtype.kind == "O" and all(isinstance(entry, str) for entry in array.flat):
        return array.astype(np.str_)
    if array.dtype.kind == "S":
        try:
            return np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            raise FgbenchError(f"{name} holds text that is not UTF-8", GUIDE) from error
    if array.dtype.kind not in "iufU":
        raise FgbenchError(f"{name} holds neither numbers nor text, but {array.dtype}", GUIDE)
    return array


def _hash_of(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of arrays with their names, types and shapes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\0".encode() + array.tobytes())
    return digest.hexdigest()


def needed(answers: Answers, names: Sequence[str]) -> list[np.ndarray]:
    """Return arrays by their names.

    Raises:
        FgbenchError: one is missing.
    """
    for name in names:
        if name not in answers.arrays:
            raise answers.error(f"it has {', '.join(answers.arrays)}, but no {name}")
    return [answers.arrays[name] for name in names]
