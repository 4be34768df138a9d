"""The log of a run: one line an event with its time, in `logs/<run id>.log` of the results folder."""

from datetime import UTC, datetime
from pathlib import Path

from fgbench.util.files import make_folder, read_text, storage_error

LOGS = "logs"
"""Name of the folder of logs in a results folder."""


def log_path(results: Path, run_id: str) -> Path:
    """Return the path of the log of a run."""
    return results / LOGS / f"{run_id}.log"


def add_to_log(results: Path, run_id: str, text: str) -> None:
    """Add a line, or a text of several lines, to the log of a run.

    Raises:
        FgbenchError: the disk is full, or the folder cannot be written.
    """
    path = log_path(results, run_id)
    make_folder(path.parent)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text.rstrip()}\n")
    except OSError as error:
        raise storage_error(error, path) from error


def read_log(results: Path, run_id: str) -> str:
    """Return the log of a run; empty if it has none.

    Raises:
        FgbenchError: the log cannot be read.
    """
    path = log_path(results, run_id)
    try:
        return read_text(path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise storage_error(error, path, "use") from error
