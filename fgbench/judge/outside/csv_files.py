"""CSV files of predictions: a line of column names, then one row a line, in UTF-8 and separated by commas."""

import csv
import gzip
import io
import zlib
from collections.abc import Sequence

import numpy as np

from fgbench.judge.outside.columns import TEXT, Columns, check_header
from fgbench.util.errors import FgbenchError

GZIP_START = b"\x1f\x8b"
OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
MAX_BYTES = 1 << 33
"""Largest size of a text after decompression."""


def read_csv(content: bytes, name: str) -> Columns:
    """Return the columns of a CSV file.

    A byte order mark, line ends of Windows, empty lines at the end and compression with gzip are accepted. Numbers are
    read to the last bit.

    Args:
        content: the bytes of the file.
        name: of the file, for messages.

    Raises:
        FgbenchError: the file has no text, no header or another delimiter, or a line does not fit the header.
    """
    text = _text(content, name)
    if not text.strip():
        raise FgbenchError(f"{name} is empty", "give a line that names the columns, and one row for each test image")
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip() for column in next(lines)]
        _check_delimiter(header, name)
        check_header(header, name)
        rows = [(lines.line_num, row) for row in lines if row]
    except csv.Error as error:
        raise FgbenchError(f"{name}, line {lines.line_num}: {error}", "write the file again as CSV") from error
    return _columns(header, rows, name)


def _columns(header: Sequence[str], rows: Sequence[tuple[int, list[str]]], name: str) -> Columns:
    """Return the columns of rows of text.

    Args:
        header: names of the columns.
        rows: number of the line, and cells, of each row.
        name: of the file, for messages.
    """
    texts = [place for place, column in enumerate(header) if column in TEXT]
    numbers = [place for place in range(len(header)) if place not in texts]
    names: list[list[str]] = []
    block = np.empty((len(rows), len(numbers)))
    for place, (line, row) in enumerate(rows):
        if len(row) != len(header):
            raise FgbenchError(
                f"{name}, line {line}: it has {len(row)} cells, the first line has {len(header)}",
                "write one cell for each column",
            )
        if empty := [header[column] for column in texts if not row[column]]:
            raise FgbenchError(f"{name}, line {line}: the column {empty[0]} is empty", "fill the cell")
        names.append([row[column] for column in texts])
        try:
            block[place] = [float(row[column]) for column in numbers]
        except ValueError as error:
            wrong = next(column for column in numbers if not _is_number(row[column]))
            raise FgbenchError(
                f"{name}, line {line}: the column {header[wrong]!r} has {row[wrong]!r}, which is no number",
                f"columns other than {', '.join(TEXT)} hold numbers",
            ) from error
    columns = zip(*names, strict=True) if names else [()] * len(texts)
    return Columns(
        names={header[place]: np.array(column, dtype=np.str_) for place, column in zip(texts, columns, strict=True)},
        numbers=tuple(header[place] for place in numbers),
        block=block,
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _check_delimiter(header: Sequence[str], name: str) -> None:
    if len(header) == 1 and (other := next((mark for mark in OTHER_DELIMITERS if mark in header[0]), "")):
        raise FgbenchError(f"{name}: its columns are separated by {OTHER_DELIMITERS[other]}", "separate them by commas")


def _text(content: bytes, name: str) -> str:
    """Return the text of a file in UTF-8, with or without a byte order mark, also compressed with gzip."""
    if content.startswith(GZIP_START):
        try:
            with gzip.open(io.BytesIO(content)) as file:
                content = file.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise FgbenchError(f"{name} is a damaged gzip file: {error}", "compress it again") from error
        if len(content) > MAX_BYTES:
            raise FgbenchError(f"{name} has more than {MAX_BYTES:,} bytes of text", "give an NPZ file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FgbenchError(
            f"{name} is neither CSV in UTF-8 nor Parquet nor NPZ", "convert it to one of these formats"
        ) from error
    if "\0" in text:
        raise FgbenchError(f"{name} is not text: it has null bytes", "save it as CSV in UTF-8")
    return text
