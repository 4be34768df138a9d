"""Reader of MATLAB files up to version 7, the format of several annotations."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from fgbench.datasets.annotation_files import read_error
from fgbench.util.errors import FgbenchError


def read_matlab(path: Path, variable: str) -> np.ndarray:
    """Return one variable of a MATLAB file (up to version 7) as an array of at least one dimension.

    Raises:
        FgbenchError: the file is missing or damaged, or does not contain the variable.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    # Errors of scipy for a truncated file or another format.
    damaged = (MatReadError, zlib.error, struct.error, EOFError, LookupError, RuntimeError, TypeError, ValueError)
    try:
        with path.open("rb") as file:
            content: dict[str, Any] = loadmat(file, squeeze_me=True, variable_names=[variable])
    except damaged as error:
        raise FgbenchError(f"{path} is damaged or not a MATLAB file: {error}") from error
    except OSError as error:
        raise read_error(path, error) from error
    if variable not in content or np.size(content[variable]) == 0:
        raise FgbenchError(f"{path} does not contain {variable}")
    return np.atleast_1d(content[variable])
