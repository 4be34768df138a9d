"""Where the user's real data and weights are; None where they are not set."""

import os

REAL = {name: os.environ.get(name) for name in ("FGBENCH_DATA", "FGBENCH_WEIGHTS")}
