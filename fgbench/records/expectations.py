"""Estimated costs of runs, kept in a results folder from the estimate until the run."""

from pathlib import Path

from pydantic import ValidationError

from fgbench.records.run_cost import Expected
from fgbench.util.errors import FgbenchError
from fgbench.util.files import make_folder, write_json
from fgbench.util.json_toml import read_json

EXPECTED = "expected"
"""Name of the folder of estimates in a results folder: `<run id>.json`."""


def keep_expected(results: Path, run_id: str, expected: Expected) -> None:
    """Write the estimated cost of a run; it replaces an earlier estimate.

    Raises:
        FgbenchError: the folder cannot be written.
    """
    make_folder(results / EXPECTED)
    write_json(results / EXPECTED / f"{run_id}.json", expected.model_dump(mode="json"))


def read_expected(results: Path, run_id: str) -> Expected | None:
    """Return the estimated cost of a run; None if there is none, or if its file is damaged."""
    try:
        return Expected.model_validate(read_json(results / EXPECTED / f"{run_id}.json"))
    except (FgbenchError, ValidationError):
        return None
