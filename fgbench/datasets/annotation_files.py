"""The text files that data sets keep their annotations in: read, and every mistake named with its file and line."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fgbench.util.errors import FgbenchError

T = TypeVar("T")


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file; raises FgbenchError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise cannot_read(path, error) from error
    except UnicodeDecodeError as error:
        raise FgbenchError(f"{path} is not a text file: {error.reason} at byte {error.start}") from error


def cannot_read(path: Path, error: OSError) -> FgbenchError:
    """What to tell about an annotation file that cannot be read."""
    return FgbenchError(f"cannot read {path}: {error.strerror or error}", "the data set is not whole: get it again")


def read_rows(path: Path, columns: int, *, at_least: bool = False) -> list[tuple[int, list[str]]]:
    """(line number, fields) of every line that is not blank."""
    rows = [(number, line.split()) for number, line in enumerate(read_lines(path), 1) if line.strip()]
    for number, row in rows:
        if len(row) < columns or (len(row) > columns and not at_least):
            raise FgbenchError(f"{path}, line {number}: {len(row)} fields, expected {columns}")
    if not rows:
        raise FgbenchError(f"{path} is empty")
    return rows


def read_table(path: Path, columns: int, parse: Callable[[list[str]], T], *, at_least: bool = False) -> dict[int, T]:
    """A file of lines `id value...` as a dictionary in file order."""
    table: dict[int, T] = {}
    for number, row in read_rows(path, columns, at_least=at_least):
        try:
            key, value = int(row[0]), parse(row)
        except ValueError as error:
            raise FgbenchError(f"{path}, line {number}: {error}") from error
        if key in table:
            raise FgbenchError(f"{path}, line {number}: id {key} stands twice")
        table[key] = value
    return table


def box_of_corners(left: float, top: float, right: float, bottom: float) -> list[float]:
    """x, y, width, height of a box whose first and last pixels are given, counted from 1.

    x and y are distances from the upper left corner of the image, so the box of a whole image is 0, 0, its width, its
    height.

    Raises:
        ValueError: the box is empty.
    """
    if right < left or bottom < top:
        raise ValueError(f"the box {left:g} {top:g} {right:g} {bottom:g} ends before it begins")
    return [left - 1, top - 1, right - left + 1, bottom - top + 1]
