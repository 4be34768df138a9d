"""NPZ files of predictions."""

import io

import numpy as np

from fgbench.records.arrays import check_headers
from fgbench.util.errors import FgbenchError
from fgbench.util.files import DAMAGED_ARRAYS

NPZ_START = b"PK"
"""First bytes of a ZIP file, which an NPZ file is."""


def read_npz(content: bytes, name: str) -> dict[str, np.ndarray]:
    """Return the arrays of an NPZ file. Pickled objects are refused.

    Args:
        content: the bytes of the file.
        name: of the file, for messages.

    Raises:
        FgbenchError: the file is damaged, is another ZIP file, or holds objects.
    """
    try:
        check_headers(content)
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {entry: file[entry] for entry in file.files}
    except DAMAGED_ARRAYS as error:
        raise FgbenchError(
            f"{name} is not an NPZ file of plain arrays: {error}", "write it with numpy.savez, text as arrays of str"
        ) from error
