"""MATLAB files of version 7 and before, as the tables of several data sets come."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from fgbench.datasets.annotation_files import read_error
from fgbench.util.errors import FgbenchError


def read_matlab(path: Path, variable: str) -> np.ndarray:
    """One variable of a MATLAB file (up to version 7), as an array of one dimension.

    Raises:
        FgbenchError: there is no such file, it is damaged, or it lacks the variable; names the file.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    # What scipy raises for bytes that are no MATLAB file, or not whole.
    damaged = (MatReadError, zlib.error, struct.error, EOFError, LookupError, RuntimeError, TypeError, ValueError)
    try:
        with path.open("rb") as file:
            content: dict[str, Any] = loadmat(file, squeeze_me=True, variable_names=[variable])
    except damaged as error:
        raise FgbenchError(f"{path} is damaged or not a MATLAB file: {error}") from error
    except OSError as error:
        raise read_error(path, error) from error
    if variable not in content or np.size(content[variable]) == 0:
        raise FgbenchError(f"{path} holds no {variable}")
    return np.atleast_1d(content[variable])
