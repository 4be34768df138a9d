"""Readers of the text files that contain annotations. Error messages name the file and the line."""

import os
import re
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import TypeVar

from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError
from fgbench.util.files import read_marked_text
from fgbench.util.placeholders import refuse_placeholder

T = TypeVar("T")
Key = TypeVar("Key", int, str)
"""Type of the ids in a file."""

_INTEGER = re.compile(r"[+-]?\d+")
INCOMPLETE_HINT = "the data set is incomplete: download it again"


def first_present(root: Path, *names: str) -> Path:
    """Return the first of several paths that exists in a folder; the first, if none does."""
    return root / next((name for name in names if os.path.lexists(root / name)), names[0])


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file in UTF-8, or in UTF-16 with a byte order mark.

    Raises:
        FgbenchError: the file cannot be read.
    """
    refuse_placeholder(path)
    try:
        text = read_marked_text(path)
        return text.removesuffix("\n").split("\n") if text else []
    except OSError as error:
        raise read_error(path, error) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise FgbenchError(
            f"{path} is not a text file in UTF-8: {error.reason} at byte {error.start}, in line {line}",
            "save it as UTF-8, or put the official file in its place",
        ) from error


def read_error(path: Path, error: OSError) -> FgbenchError:
    """Return the error for an annotation file or folder that cannot be read."""
    hint = "get the permission to read it" if isinstance(error, PermissionError) else INCOMPLETE_HINT
    return FgbenchError(f"cannot read {path}: {error.strerror or error}", hint)


def read_rows(path: Path, columns: int, *, at_least: bool = False) -> list[tuple[int, list[str]]]:
    """Return the line number and the fields of every line that is not blank.

    Args:
        path: text file with fields separated by white space.
        columns: expected number of fields in a line.
        at_least: True if a line may have more fields.

    Raises:
        FgbenchError: the file cannot be read or is empty, or a line has another number of fields.
    """
    rows = [(number, line.split()) for number, line in enumerate(read_lines(path), 1) if line.strip()]
    for number, row in rows:
        if len(row) < columns or (len(row) > columns and not at_least):
            raise FgbenchError(f"{path}, line {number}: {counted(len(row), 'field')} instead of {columns}")
    if not rows:
        raise FgbenchError(f"{path} is empty")
    return rows


def integer(text: str) -> int:
    """Return an integer of at most 64 bits.

    Raises:
        ValueError: the text is not an integer, or is too large.
    """
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{text!r} is not an integer")
    number = int(text)
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError("a number has more than 64 bits")
    return number


def read_table(path: Path, columns: int, parse: Callable[[list[str]], T], *, at_least: bool = False) -> dict[int, T]:
    """Return a file with lines `id value...`, whose ids are integers, as a dictionary; see `read_table_by`."""
    return read_table_by(integer, path, columns, parse, at_least=at_least)


def read_table_by(
    parse_id: Callable[[str], Key],
    path: Path,
    columns: int,
    parse: Callable[[list[str]], T],
    *,
    at_least: bool = False,
) -> dict[Key, T]:
    """Return a file with lines `id value...` as a dictionary in the order of the file.

    Args:
        parse_id: function from the first field of a line to the id. It raises ValueError for a malformed id.
        path: text file with fields separated by white space.
        columns: expected number of fields in a line.
        parse: function from the fields of a line to the value. It raises ValueError for a malformed field.
        at_least: True if a line may have more fields.

    Raises:
        FgbenchError: the file cannot be read or is malformed, or an id occurs twice.
    """
    table: dict[Key, T] = {}
    for number, row in read_rows(path, columns, at_least=at_least):
        try:
            key, value = parse_id(row[0]), parse(row)
        except ValueError as error:
            raise FgbenchError(f"{path}, line {number}: {error}") from error
        if key in table:
            raise FgbenchError(f"{path}, line {number}: id {key} occurs twice")
        table[key] = value
    return table


def finite_number(text: str) -> float:
    """Return a number.

    Raises:
        ValueError: the text is not a number, or is NaN or infinity.
    """
    try:
        if "_" in text:  # which Python accepts
            raise ValueError
        number = float(text)
    except ValueError:
        raise ValueError(f"{text} is not a number") from None
    if not isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def box_of_corners(left: float, top: float, right: float, bottom: float) -> list[float]:
    """Return x, y, width and height of a box from its first and last pixels, which are counted from 1.

    x and y are distances from the upper left corner of the image. The box of a whole image is 0, 0, its width and its
    height.

    Raises:
        ValueError: the box is empty, or a corner is not finite.
    """
    if not isfinite(left + top + right + bottom):
        raise ValueError(f"the box {left:g} {top:g} {right:g} {bottom:g} is not finite")
    if right < left or bottom < top:
        raise ValueError(f"the box {left:g} {top:g} {right:g} {bottom:g} is empty")
    return [left - 1, top - 1, right - left + 1, bottom - top + 1]
