"""Folders of the user's real data and weights; None if they are not set."""

import os

REAL = {name: os.environ.get(name) for name in ("FGBENCH_DATA", "FGBENCH_WEIGHTS")}
