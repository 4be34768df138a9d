"""Errors of a GPU that a user can act on, in one sentence."""

import traceback
from pathlib import Path

from fgbench.util.errors import FgbenchError

PACKAGE = Path(__file__).parents[1]
FAILED_CHECK = "device-side assert"
"""Part of CUDA's message about a failed check of values on the GPU."""


def gpu_error(error: BaseException) -> FgbenchError | None:
    """Return the error to raise for a failed check of values on a GPU, or for a full memory; None for other errors."""
    if FAILED_CHECK in str(error):
        return FgbenchError(
            f"a check of values failed on the GPU; the program noticed it {_place(error)}",
            "run the command again with CUDA_LAUNCH_BLOCKING=1, and it stops at the check; or with "
            "CUDA_VISIBLE_DEVICES= and the same --profile on the CPU, where the check names the value",
        )
    if is_out_of_memory(error):
        what = str(error).partition(". GPU ")[0].removeprefix("CUDA out of memory. ").rstrip(".")
        return FgbenchError(
            f"the memory of the GPU is not enough: {what}",
            "close other programs on the GPU, use fewer --jobs, or a smaller --size",
        )
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Return True for torch's error of a full GPU memory. torch is not imported."""
    return type(error).__name__ == "OutOfMemoryError"


def _place(error: BaseException) -> str:
    """Return the innermost line of the package that raised an error, in words."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(PACKAGE):
            return f"in line {frame.lineno} of {path.relative_to(PACKAGE.parent)}"
    return "outside the package"
