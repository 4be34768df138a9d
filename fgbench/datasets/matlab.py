"""Reader of MATLAB files up to version 7, the format of several annotations."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from fgbench.datasets.annotation_files import INCOMPLETE_HINT
from fgbench.util.errors import FgbenchError
from fgbench.util.matlab_files import read_mat


def read_matlab(path: Path, variable: str, published_md5: Collection[str] = ()) -> np.ndarray:
    """Return one variable of a MATLAB file (up to version 7) as an array of at least one dimension.

    Args:
        path: the file.
        variable: name of the variable.
        published_md5: MD5 in hex of published files; other files are read in a child process (see `read_mat`).

    Raises:
        FgbenchError: the file is missing or damaged, or does not contain the variable.
    """
    content = read_mat(path, squeeze=True, published_md5=published_md5, hint=INCOMPLETE_HINT)
    if variable not in content or np.size(content[variable]) == 0:
        raise FgbenchError(f"{path} does not contain {variable}", INCOMPLETE_HINT)
    return np.atleast_1d(content[variable])
