"""The columns of a table of predictions, whatever file they came in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fgbench.util.errors import FgbenchError

Task = Literal["classes", "keypoints", "search"]
"""What a cell asks for each test image: its class, its keypoints, or its place in a search."""
TEXT = ("image", "id", "label", "part")
"""Columns of names. All others are numbers."""
POINT = ("x", "y", "confidence")
"""Columns of a keypoint. Columns with other names are the scores of a class or the dimensions of a descriptor."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table with N rows."""

    names: Mapping[str, np.ndarray]
    """Columns of `TEXT`: (N,) text or whole numbers."""
    numbers: tuple[str, ...]
    """Names of the other columns."""
    block: np.ndarray
    """(N, columns) numbers of the other columns."""


def check_header(columns: Sequence[str], name: str) -> None:
    """Check the names of the columns of a table.

    Args:
        columns: names of the columns.
        name: of the table, for messages.

    Raises:
        FgbenchError: no column names the image, or a name is missing or occurs twice.
    """
    if not {"image", "id"} & set(columns):
        text = ", ".join(columns[:4])
        raise FgbenchError(
            f"{name}: the first line has no column image or id, but {text[:60]}{' …' * (len(columns) > 4)}",
            "begin the file with a line that names its columns, separated by commas",
        )
    if "" in columns:
        raise FgbenchError(
            f"{name}: column {columns.index('') + 1} has no name",
            "name it, or write the table without its row numbers",
        )
    if double := [column for column, count in Counter(columns).items() if count > 1]:
        raise FgbenchError(f"{name}: the column {double[0]!r} occurs twice", "give each column a name of its own")


def task_arrays(columns: Columns, task: Task, name: str) -> dict[str, np.ndarray]:
    """Return the arrays of a table.

    Args:
        columns: the table.
        task: what the cell asks.
        name: of the table, for messages.

    Returns:
        `image` or `id`, and `label`, or `scores` (N, C) with `classes` (C,); or `part`, `x`, `y` and `confidence`; or
        `features` (N, D).

    Raises:
        FgbenchError: the table has no rows, or its columns are not those of the task.
    """
    if not len(columns.block):
        raise FgbenchError(f"{name} has a header, but no rows", "give one row for each test image")
    arrays, numbers = dict(columns.names), columns.numbers
    if task == "keypoints":
        wanted = {"part", *POINT}
        others = ({*arrays} | {*numbers}) - {"image", "id"}
        if others != wanted:
            wrong = [f"no column {column}" for column in sorted(wanted - others)]
            wrong += [f"an unknown column {column!r}" for column in sorted(others - wanted)]
            raise FgbenchError(f"{name}: it has {wrong[0]}", "columns of keypoints: image,part,x,y,confidence")
        return arrays | {column: columns.block[:, numbers.index(column)] for column in POINT}
    if "part" in arrays:
        raise FgbenchError(f"{name}: it has keypoints, but the cell asks for no keypoints", "choose another cell")
    if task == "search":
        if "label" in arrays or not numbers:
            raise FgbenchError(f"{name}: it has no descriptors", "give the column image and one for each dimension")
        return arrays | {"features": columns.block}
    if ("label" in arrays) == bool(numbers):
        what = f"both the column label and the column {numbers[0]!r}" if numbers else "neither labels nor scores"
        raise FgbenchError(f"{name}: it has {what}", "give the column label, or one column of scores for each class")
    return arrays | ({"scores": columns.block, "classes": np.array(numbers)} if numbers else {})
