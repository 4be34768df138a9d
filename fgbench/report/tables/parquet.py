"""Whether a table can be written as Parquet."""

from pathlib import Path

from fgbench.util.errors import FgbenchError


def check_parquet(out: Path | None) -> None:
    """Check that there is a file to write, and that pyarrow is installed.

    Raises:
        FgbenchError: one of them is missing.
    """
    if out is None:
        raise FgbenchError("Parquet needs an output file", "--out values.parquet")
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise FgbenchError("Parquet needs pyarrow, which is not installed", "pip install 'fgbench[parquet]'") from error
