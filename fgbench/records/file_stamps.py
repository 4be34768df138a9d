"""Stamps of files, by which a change is seen without reading them: of the records of a folder, and of the code."""

import hashlib
import os
import platform
import time
from functools import cache
from pathlib import Path

import numpy as np
import pydantic
import scipy

from fgbench.util.hashing import canonical, stamp_of_status

SETTLED_NS = 2_000_000_000
"""A file that was written less than this before it was read may be written again within one tick of the clock."""
CHECKING_ROOMS = ("datasets", "judge", "metrics", "records", "statistics", "util")
"""Rooms whose code decides whether a record is sound, and what is computed from its arrays."""


def file_stamps(folder: Path) -> dict[str, str]:
    """Return a stamp of the record and the array file of each run, by run id.

    Runs are left out whose files were written just now, or whose array file is being replaced.
    """
    settled = time.time_ns() - SETTLED_NS
    stamps: dict[str, dict[str, str]] = {}
    unsettled = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            stem, _, end = entry.name.rpartition(".")
            if end not in {"json", "npz"} or entry.name.startswith("."):
                continue
            run_id, _, mark = stem.partition("-")
            try:
                status = entry.stat()
            except OSError:
                continue
            stamps.setdefault(run_id, {})[end] = stamp_of_status(status)
            if mark or status.st_mtime_ns > settled or status.st_ctime_ns > settled:
                unsettled.add(run_id)
    return {
        run_id: f"{files['json']} {files['npz']}"
        for run_id, files in stamps.items()
        if len(files) == 2 and run_id not in unsettled
    }


@cache
def code_stamp(package: Path = Path(__file__).parents[1]) -> str:
    """Return a hash that changes with the code that checks records, and with the versions of its libraries.

    Args:
        package: folder of the package.
    """
    files = sorted(file for room in CHECKING_ROOMS for file in (package / room).rglob("*.py"))
    states = [(str(file.relative_to(package)), stamp_of_status(file.stat())) for file in files]
    versions = (platform.python_version(), np.__version__, scipy.__version__, pydantic.VERSION)
    return hashlib.sha256(canonical([states, *versions]).encode()).hexdigest()
