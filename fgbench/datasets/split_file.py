"""The file `split.csv` of a folder with images of the user: the class and the split of each image.

Columns are `file` (relative to the folder, with forward slashes), `label` and `split` (`train`, `test` or `val`).
Without the column `label`, the first folder of the file is its class. Other columns are ignored,
and so are the lines of files that macOS or Windows writes, such as `._photo.jpg`.
"""

import csv
import io
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError
from fgbench.util.files import read_marked_text
from fgbench.util.folders import is_of_system

SPLIT_FILE = "split.csv"
SPLITS = ("train", "test", "val")
"""Names of the splits, of folders and in the file."""


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image with its class and split."""

    file: str
    """Path relative to the folder of the data set, with forward slashes."""
    label: str
    """Name of the class."""
    split: str
    """One of `SPLITS`."""


def read_split_file(root: Path) -> list[ListedImage]:
    """Return the images of `split.csv` in a folder.

    Raises:
        FgbenchError: the file cannot be read, or a line is wrong. The message names the line.
    """
    path = root / SPLIT_FILE
    try:
        text = read_marked_text(path)
    except OSError as error:
        raise FgbenchError(f"cannot read {path}: {error.strerror or error}", "mend or remove it") from error
    except UnicodeDecodeError as error:
        raise FgbenchError(f"{path} is not UTF-8: {error.reason} at byte {error.start}", "save it as UTF-8") from error
    rows = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    columns: list[str] | None = None
    images: dict[str, ListedImage] = {}
    try:
        for row in rows:
            if not row:
                continue
            if columns is None:
                columns = _columns(path, row)
                continue
            where = f"{path}, line {rows.line_num}"
            image = _image(root, where, columns, row)
            if is_of_system(posixpath.basename(image.file)):  # listed by a program that lists every file
                continue
            if image.file in images:
                raise FgbenchError(f"{where}: {image.file} is there twice", "remove one of the two lines")
            images[image.file] = image
    except csv.Error as error:
        raise FgbenchError(f"{path}, line {rows.line_num}: {error}", "mend this line") from error
    if not images:
        raise FgbenchError(f"{path} lists no image", "write a line file,label,split for each image")
    return list(images.values())


def _columns(path: Path, row: Sequence[str]) -> list[str]:
    """Return the names of the columns, from the first line."""
    columns = [name.strip().lower() for name in row]
    if not {"file", "split"} <= set(columns):
        raise FgbenchError(
            f"{path}: the first line names the columns {', '.join(columns)}, not file, label and split",
            "the first line must be file,label,split, with commas",
        )
    return columns


def _image(root: Path, where: str, columns: Sequence[str], row: Sequence[str]) -> ListedImage:
    """Return the image of a line."""
    if len(row) != len(columns):
        raise FgbenchError(
            f"{where}: {counted(len(row), 'field')} instead of {len(columns)}",
            "put a name with a comma into double quotes",
        )
    fields = dict(zip(columns, (field.strip() for field in row), strict=True))
    file, split = posixpath.normpath(fields["file"]), fields["split"].lower()
    if f"{file}/".startswith(("/", "../", "./")):
        raise FgbenchError(f"{where}: {fields['file']!r} is not a file in {root}", "write it relative to this folder")
    if "\\" in file and not (root / file).exists():
        raise FgbenchError(f"{where}: there is no file {file!r}", "write / between folders")
    if split not in SPLITS:
        raise FgbenchError(f"{where}: the split is {fields['split']!r}", f"write one of {', '.join(SPLITS)}")
    label = fields.get("label", posixpath.dirname(file).partition("/")[0])
    if not label:
        raise FgbenchError(f"{where}: {file} has no label", "write the name of its class")
    return ListedImage(file, label, split)
