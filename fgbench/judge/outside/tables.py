"""Tables of pandas and Parquet files of predictions."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from fgbench.judge.outside.columns import TEXT, Columns, check_header
from fgbench.util.errors import FgbenchError

if TYPE_CHECKING:
    import pandas as pd

PARQUET_START = b"PAR1"
"""First bytes of a Parquet file."""


def read_parquet(content: bytes, name: str) -> Columns:
    """Return the columns of a Parquet file.

    Args:
        content: the bytes of the file.
        name: of the file, for messages.

    Raises:
        FgbenchError: pyarrow is not installed, or the file is damaged.
    """
    import pandas as pd

    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise FgbenchError(
            f"{name} is a Parquet file, which needs pyarrow", "pip install 'fgbench[parquet]', or give CSV"
        ) from error
    try:
        frame = pd.read_parquet(io.BytesIO(content), engine="pyarrow")
    except (OSError, ValueError) as error:  # the errors of pyarrow are of these types
        raise FgbenchError(f"{name} is a damaged Parquet file: {error}", "write it again") from error
    return table_columns(frame, name)


def table_columns(frame: "pd.DataFrame", name: str) -> Columns:
    """Return the columns of a table of pandas. Levels of its index with a name of `TEXT` count as columns.

    Args:
        frame: the table.
        name: for messages.

    Raises:
        FgbenchError: a column has no name, or holds something else than names or numbers.
    """
    if any(level in TEXT for level in frame.index.names):
        frame = frame.reset_index()
    header = [str(column) for column in frame.columns]
    check_header(header, name)
    texts = [place for place, column in enumerate(header) if column in TEXT]
    numbers = [place for place in range(len(header)) if place not in texts]
    for place in numbers:
        if frame.dtypes.iloc[place].kind not in "iuf":
            raise FgbenchError(
                f"{name}: the column {header[place]!r} holds {frame.dtypes.iloc[place]}, not numbers",
                f"columns other than {', '.join(TEXT)} hold numbers",
            )
    # One block keeps the type of the numbers: float32 stays float32.
    block = frame.iloc[:, numbers].to_numpy() if numbers else np.empty((len(frame), 0))
    return Columns(
        names={header[place]: _names(frame.iloc[:, place], f"{name}: column {header[place]}") for place in texts},
        numbers=tuple(header[place] for place in numbers),
        block=block if block.dtype.kind in "iuf" else block.astype(np.float64),
    )


def _names(column: "pd.Series[Any]", where: str) -> np.ndarray:
    """Return a column of text or of whole numbers."""
    missing = column.isna()
    if missing.any():
        raise FgbenchError(f"{where}: row {int(missing.to_numpy().argmax()) + 1} is empty", "fill the cell")
    values = column.tolist()
    if all(isinstance(value, str) for value in values):
        return np.array(values, dtype=np.str_)
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return np.array(values, dtype=np.int64)
    raise FgbenchError(f"{where} holds {column.dtype}, neither text nor whole numbers", "convert the column")
