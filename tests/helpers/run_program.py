"""A program that executes one mini run, as the processes of `fgbench run` do: `RECIPE FOLDER` are its arguments."""

import os
import sys
from pathlib import Path

import mini
import torch

from fgbench.util import checked_rows
from fgbench.util.errors import FgbenchError


def main() -> None:
    torch.set_num_threads(1)
    os.fsync = lambda handle: None
    checked_rows.FLUSH_S = 0.0  # more places to be killed at
    try:
        mini.do(mini.run_of(sys.argv[1]), Path(sys.argv[2]))
    except FgbenchError as error:
        print(f"fgbench: {error}")
        sys.exit(2)
